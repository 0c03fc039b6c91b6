"""How fast text becomes pieces and token files, beside others: ``python -m scripts.bench.tokenization --corpus DIR --tokenizer DIR``.

Everything in one process on one core, but for the rows that say two; each row in turn, several rounds, medians. From the same
documents (Parquet) to the same memory-mapped file: jgpt, and Hugging Face tokenizers with the same pieces. Raw encoding: the texts
are in memory and the ids are dropped. Two processes and one are compared on the documents ``--times`` over, as starting a process takes
a third of a second. Training: SentencePiece alone on the lines that jgpt hands it, and ``train_tokenizer`` as a whole.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from corpora.documents import document_files, iterate_file, iterate_texts
from jgpt import write_shards
from stage.folder import Made, write_folder
from stage.manifest import artifact_input
from tokenizer import JapaneseTokenizer, train_tokenizer
from tokenizer.config import TokenizerConfig
from tokenizer.encoders import open_encoder
from tokenizer.sampling import sample_lines

_BATCH = 256


def main() -> None:
    """Parse flags; time the rows; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="documents folder")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer folder of jgpt")
    parser.add_argument("--times", type=int, default=6, help="so often the documents, for two processes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocab_size", type=int, default=16_000, help="of the training that is timed")
    parser.add_argument("--out", type=Path, default=None, help="a JSON line a round")
    given = parser.parse_args()
    texts = list(iterate_texts(given.corpus))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    lines = sample_lines(texts, int(TokenizerConfig().sample_megabytes * 1e6), 0).lines
    several = tempfile.TemporaryDirectory()
    large = repeated(given.corpus, given.times, Path(several.name) / "corpus")

    def shard(corpus: Path, workers: int, encoder: str = "sentencepiece") -> Callable[[Path], object]:
        return lambda out: write_shards(
            corpus, given.tokenizer, out / "s", workers=workers, encoder=encoder, quiet=True
        )

    rows: dict[str, Callable[[Path], object]] = {
        "raw encoding": lambda _: encode(given.tokenizer, texts, "sentencepiece"),
        "raw encoding, gigatoken": lambda _: encode(given.tokenizer, texts, "gigatoken"),
        "raw encoding, Hugging Face": lambda _: encode_hugging_face(given.tokenizer, texts),
        "jgpt shard": shard(given.corpus, 1),
        "jgpt shard, gigatoken": shard(given.corpus, 1, "gigatoken"),
        "to a file, Hugging Face": lambda out: shard_hugging_face(given.corpus, given.tokenizer, out / "s.npy"),
        "jgpt shard, more text": shard(large, 1),
        "jgpt shard, more text, two processes": shard(large, 2),
        "SentencePiece training alone": lambda _: train_sentencepiece(lines, given.vocab_size),
        "jgpt tokenizer train --boundaries none": lambda out: train_tokenizer(
            out / "t", TokenizerConfig(vocab_size=given.vocab_size, boundaries="none"), texts=texts, quiet=True
        ),
        "jgpt tokenizer train": lambda out: train_tokenizer(
            out / "t", TokenizerConfig(vocab_size=given.vocab_size), texts=texts, quiet=True
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for number in range(given.rounds):
        for name, work in rows.items():
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                work(Path(folder))
                seconds[name].append(time.perf_counter() - started)
        if given.out:
            record = {name: round(values[-1], 3) for name, values in seconds.items()}
            with given.out.open("a", encoding="utf-8") as stream:
                stream.write(
                    json.dumps({"round": number, "load": os.getloadavg()[0], "megabytes": megabytes, **record}) + "\n"
                )
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{megabytes:.1f} MB, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}\n\n| | s | MB/s |\n|---|---|---|")
    for name, median in medians.items():
        size = megabytes * (given.times if "more text" in name else 1)
        print(f"| {name} | {median:.2f} | {size / median:.1f} |")
    shards, alone = medians["jgpt shard"], medians["SentencePiece training alone"]
    print(
        f"\nshards at {medians['raw encoding'] / shards:.0%} of raw encoding, "
        f"{medians['to a file, Hugging Face'] / shards:.2f} times Hugging Face's; "
        f"with gigatoken at {medians['raw encoding, gigatoken'] / medians['jgpt shard, gigatoken']:.0%} of its raw encoding, "
        f"{shards / medians['jgpt shard, gigatoken']:.2f} times as fast; two processes "
        f"{medians['jgpt shard, more text'] / medians['jgpt shard, more text, two processes']:.2f} times one; "
        f"training without words takes {medians['jgpt tokenizer train --boundaries none'] / alone:.2f} times SentencePiece's own time, "
        f"within words {medians['jgpt tokenizer train'] / alone:.2f} times"
    )


def repeated(corpus: Path, times: int, out: Path) -> Path:
    """A documents folder with the files of another several times over."""

    def make(folder: Path) -> Made:
        files = document_files(corpus) * times
        for number, file in enumerate(files):
            shutil.copyfile(file, folder / f"documents-{number:05d}.parquet")
        return Made()

    write_folder(out, stage="corpus", parameters={}, inputs=[artifact_input("corpus", corpus, "corpus")], make=make)
    return out


def encode(folder: Path, texts: list[str], encoder: str) -> None:
    """The ids of all texts, as arrays."""
    encode = open_encoder(JapaneseTokenizer(folder), folder, encoder)
    for begin in range(0, len(texts), _BATCH):
        encode(texts[begin : begin + _BATCH])


def encode_hugging_face(folder: Path, texts: list[str]) -> None:
    """The same there, one thread."""
    import tokenizers

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for begin in range(0, len(texts), _BATCH):
        tokenizer.encode_batch_fast(texts[begin : begin + _BATCH], add_special_tokens=False)


def shard_hugging_face(corpus: Path, folder: Path, out: Path) -> None:
    """Documents to one file of uint16 with ``<s>`` and ``</s>``, as one would write it there."""
    import tokenizers

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    with out.open("wb") as stream:
        batch: list[str] = []
        for file in document_files(corpus):
            for row in iterate_file(file):
                batch.append(row["text"])
                if len(batch) == _BATCH:
                    _append(stream, tokenizer, batch)
                    batch = []
        _append(stream, tokenizer, batch)


def _append(stream: io.BufferedWriter, tokenizer: object, batch: list[str]) -> None:
    for found in tokenizer.encode_batch_fast(batch, add_special_tokens=False):  # type: ignore[attr-defined]
        stream.write(np.array([1, *found.ids, 2], np.uint16).tobytes())


def train_sentencepiece(lines: list[str], vocab_size: int) -> None:
    """SentencePiece's trainer on the lines that jgpt hands it, with the same settings that decide the time."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=io.BytesIO(), model_type="bpe", vocab_size=vocab_size, hard_vocab_limit=False,
        normalization_rule_name="identity", add_dummy_prefix=False, byte_fallback=True, character_coverage=1.0,
        max_sentence_length=1 << 20, minloglevel=3,
    )  # fmt: skip


if __name__ == "__main__":
    main()
