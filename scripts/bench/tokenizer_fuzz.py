"""Whether a tokenizer's ids are the same everywhere: ``python -m scripts.bench.tokenizer_fuzz FOLDER [FOLDER …] --corpus DIR``.

For each tokenizer folder of jgpt 50,000 texts (each piece, the names of special pieces, what tokenizers lose, random strings of
them and of all of Unicode, slices of documents) are encoded and decoded by jgpt, by Hugging Face tokenizers from ``tokenizer.json``,
by ``transformers.AutoTokenizer`` and, for BPE, by gigatoken. Every difference counts; the exit status is 1 where there is one.
"""

import argparse
import os
import random
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from corpora.documents import iterate_texts
from stage.errors import UsageError
from tokenizer import JapaneseTokenizer
from tokenizer.encoders import open_encoder, probing_texts

_DOCUMENTS = 2000
_BATCH = 1000


def main() -> None:
    """Parse flags; compare; print a line for each tokenizer and encoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="tokenizer folders of jgpt")
    parser.add_argument("--corpus", type=Path, help="documents folder, for slices of real text")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    failures = sum(compare(folder, given.corpus, given.count, given.seed) for folder in given.folders)
    raise SystemExit(1 if failures else 0)


def compare(folder: Path, corpus: Path | None, count: int, seed: int) -> int:
    """Print what differs for one tokenizer; the number of texts that do."""
    tokenizer = JapaneseTokenizer(folder)
    texts = fuzz_texts(tokenizer, corpus, count, seed)
    ids = tokenizer.encode_batch(texts)
    failures = {
        "jgpt, round trip": [text for text, each in zip(texts, ids, strict=True) if tokenizer.decode(each) != text]
    }
    for name, open_other in OTHERS.items():
        try:
            encode, decode = open_other(tokenizer, folder)
        except UsageError:
            continue  # gigatoken does BPE only
        differ = []
        for begin in range(0, len(texts), _BATCH):
            part, ours = texts[begin : begin + _BATCH], ids[begin : begin + _BATCH]
            for text, own, other in zip(part, ours, encode(part), strict=True):
                if own != list(other) or (decode and decode(own) != text):
                    differ.append(text)
        failures[name] = differ
    for name, differ in failures.items():
        print(
            f"{folder} ({tokenizer.model}, {tokenizer.vocab_size} pieces), {name}: {len(differ)} of {len(texts)} differ"
        )
        for text in differ[:3]:
            print(f"  {text!r}")
    return sum(map(len, failures.values()))


def fuzz_texts(tokenizer: JapaneseTokenizer, corpus: Path | None, count: int, seed: int) -> list[str]:
    """So many different texts; a third of them slices of documents where there are any."""
    generator = random.Random(seed)
    texts = dict.fromkeys(probing_texts(tokenizer, count, seed))
    if corpus is not None:
        documents = [text for text in islice(iterate_texts(corpus), _DOCUMENTS) if text]
        slices = []
        for _ in range(count // 3):
            document = generator.choice(documents)
            begin = generator.randrange(len(document))
            slices.append(document[begin : begin + generator.randint(1, 400)])
        texts = dict.fromkeys([*slices, *texts])
    return list(texts)[:count]


Opened = tuple[Callable[[Sequence[str]], Sequence[Sequence[int]]], Callable[[list[int]], str] | None]


def hugging_face(_tokenizer: JapaneseTokenizer, folder: Path) -> Opened:
    """``tokenizer.json``, names of special pieces taken for text."""
    import tokenizers

    other: Any = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    other.encode_special_tokens = True
    return (
        lambda texts: [found.ids for found in other.encode_batch(list(texts), add_special_tokens=False)],
        lambda ids: str(other.decode(ids, skip_special_tokens=False)),
    )


def transformers(_tokenizer: JapaneseTokenizer, folder: Path) -> Opened:
    """The folder as transformers opens it, which reads ``split_special_tokens`` from its configuration."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoTokenizer

    other: Any = AutoTokenizer.from_pretrained(str(folder))
    return (
        lambda texts: other(list(texts), add_special_tokens=False)["input_ids"],
        lambda ids: str(other.decode(ids)),
    )


def gigatoken(tokenizer: JapaneseTokenizer, folder: Path) -> Opened:
    """As ``jgpt shard`` uses it."""
    encode = open_encoder(tokenizer, folder, "gigatoken")
    return lambda texts: [ids.tolist() for ids in encode(texts)], None


OTHERS: dict[str, Callable[[JapaneseTokenizer, Path], Opened]] = {
    "Hugging Face tokenizers": hugging_face,
    "transformers": transformers,
    "gigatoken": gigatoken,
}


if __name__ == "__main__":
    main()
