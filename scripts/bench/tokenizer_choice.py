"""Which tokenizer a small GPT learns most with: ``python -m scripts.bench.tokenizer_choice --corpus DIR --work DIR --out FILE``.

For each variant a tokenizer is trained on the train split of a documents folder and the corpus is encoded; then the same small GPT is
trained on it for the same wall time, once a seed, and measured on all held-out documents. Bits per character compare across
vocabularies; the definition is that of ``jgpt eval``, and what a tokenizer of another maker cannot write (``<unk>``) is charged as
its bytes on top. Line ends, which such tokenizers do not know either, are ``<unk>`` without a charge, so that they have to be
predicted; other things that they change without saying so (widths, spaces at the beginning) cost nothing, to their favour.
A JSON line a run goes to ``--out``; a run whose line is there is not made again.
"""

import argparse
import io
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from corpora.documents import iterate_texts
from jgpt.data.shards import SPLITS, ShardSet, ShardWriter, token_dtype
from jgpt.model.folder import load_model
from stage.files import sha256_file
from stage.folder import Made, write_folder
from stage.manifest import artifact_input
from tokenizer import opening
from tokenizer.changing import new_pieces
from tokenizer.config import TokenizerConfig
from tokenizer.interchange import write_hugging_face
from tokenizer.japanese import FILES, MODEL_NAME, JapaneseTokenizer
from tokenizer.model_file import append_pieces
from tokenizer.sampling import LineSample, sample_lines
from tokenizer.training import train_at_most, train_pieces, train_tokenizer

VARIANTS: dict[str, str] = {
    "bpe": "--boundaries none",
    "bpe, a quarter characters": "--boundaries none --max_character_share 0.25",
    "bpe, words": "--boundaries mecab",
    "bpe, words first": "two stages",
    "unigram": "--model unigram",
    "unigram, words": "--model unigram --boundaries mecab",
    "char": "--model char",
    "bpe, 4,000": "--boundaries none --vocab_size 4000",
    "bpe, 16,000": "--boundaries none --vocab_size 16000",
    "bpe, 32,000": "--boundaries none --vocab_size 32000",
    "unigram, 16,000": "--model unigram --vocab_size 16000",
    "SentencePiece's defaults": "defaults 8000",
    "SentencePiece's defaults, 16,000": "defaults 16000",
    "SentencePiece's defaults, 32,000": "defaults 32000",
    "toiro": "toiro",
}
"""Flags of ``jgpt tokenizer train`` beside ``--vocab_size 8000``; or how else the tokenizer is made."""

_WORDS_SHARE = 0.7
"""Of the vocabulary, for the first stage of two."""

_UNKNOWN = 0  # the id of <unk> in every model here


def main() -> None:
    """Parse flags; make the runs that are missing; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="documents folder of jgpt corpus build")
    parser.add_argument("--threads", type=int, default=0, help="of every run; 0: all cores")
    parser.add_argument("--work", type=Path, default=Path("runs/bench-tokenizers"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench-tokenizers.jsonl"))
    parser.add_argument(
        "--only", nargs="+", default=[name for name in VARIANTS if name != "toiro"], choices=VARIANTS, metavar="VARIANT"
    )
    parser.add_argument("--toiro", type=Path, help="ja.text8.txt.spm.model of the package toiro")
    parser.add_argument("--minutes", type=float, default=5.0, help="of training, each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--model", default="--model.depth 4 --train.valid_tokens 8192", help="flags of jgpt pretrain")
    parser.add_argument("--tokenizers", action="store_true", help="make the tokenizers and the shards only")
    parser.add_argument("--table", action="store_true", help="only print the table of what is in --out")
    given = parser.parse_args()
    if given.threads:
        os.environ["OMP_NUM_THREADS"] = str(given.threads)
    if not given.table:
        if given.corpus is None or ("toiro" in given.only and given.toiro is None):
            parser.error("--corpus is needed, and --toiro for the variant of that name")
        for variant in given.only:
            make_shards(given.corpus, folder_of(given.work, variant), VARIANTS[variant], given.toiro)
        for seed in given.seeds if not given.tokenizers else []:
            # seeds outside, so that a machine whose speed drifts treats the variants alike
            for variant in given.only:
                if (variant, seed) not in {(run["variant"], run["seed"]) for run in read_runs(given.out)}:
                    record = make_run(given.corpus, given.work, variant, seed, given.minutes, given.model.split())
                    with given.out.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(table(read_runs(given.out)))


def folder_of(work: Path, variant: str) -> Path:
    """Where everything of a variant lies."""
    return work / "".join(character if character.isalnum() else "-" for character in variant)


def make_shards(corpus: Path, folder: Path, how: str, toiro: Path | None) -> None:
    """The tokenizer of a variant in ``folder/tokenizer`` (or ``folder/other.model``), and its shards in ``folder/shards``."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, shards = folder / "tokenizer", folder / "shards"
    if shards.exists():
        return
    if how.startswith(("defaults", "toiro")):
        model = folder / "other.model"
        model.write_bytes(
            toiro.read_bytes() if toiro and how == "toiro" else train_defaults(corpus, int(how.split()[1]))
        )
        train_tokenizer(tokenizer, TokenizerConfig(vocab_size=300, model="char"), texts=["あ"], quiet=True)
        write_other_shards(corpus, model, shards)
        return
    if how == "two stages":
        write_two_stages(corpus, tokenizer)
    else:
        jgpt("tokenizer", "train", "--corpus", corpus, "--out", tokenizer, "--vocab_size", "8000", *how.split())
    jgpt("shard", "--corpus", corpus, "--tokenizer", tokenizer, "--out", shards)


def sampled(corpus: Path) -> LineSample:
    """The lines that ``jgpt tokenizer train`` learns from with its defaults."""
    return sample_lines(iterate_texts(corpus, "train"), int(TokenizerConfig().sample_megabytes * 1e6), 0)


def write_two_stages(corpus: Path, folder: Path) -> None:
    """Pieces within words first, then merges across them (Liu et al. 2025, SuperBPE, with UniDic's words in place of spaces)."""
    sample, config = sampled(corpus), TokenizerConfig(boundaries="none")
    words = TokenizerConfig(vocab_size=int(_WORDS_SHARE * config.vocab_size), boundaries="mecab")
    model = train_pieces(sample, words).model
    old = JapaneseTokenizer.of(model)
    learned = JapaneseTokenizer.of(train_at_most(sample, config).model)
    added = new_pieces(model, old, learned, config.vocab_size - old.vocab_size)

    def make(partial: Path) -> Made:
        (partial / MODEL_NAME).write_bytes(append_pieces(model, added))
        write_hugging_face(partial)
        return Made()

    write_folder(folder, stage="tokenizer", parameters={"stages": 2}, inputs=[], make=make)


def train_defaults(corpus: Path, vocab_size: int) -> bytes:
    """SentencePiece as it comes: unigram, nmt_nfkc, no byte fallback, long lines skipped; from the same lines."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sampled(corpus).lines), model_writer=written, vocab_size=vocab_size, minloglevel=2
    )
    return written.getvalue()


def write_other_shards(corpus: Path, model: Path, out: Path) -> None:
    """Shards by another maker's SentencePiece model, as training reads them; ``characters.json`` beside them says what is charged."""
    tokenizer = opening.SentencePieceTokenizer(model)
    dtype = token_dtype(tokenizer.vocab_size)

    def make(folder: Path) -> Made:
        counts: dict[str, Any] = {}
        begin, end = [JapaneseTokenizer.bos_id], [JapaneseTokenizer.eos_id]
        for split in SPLITS:
            writer = ShardWriter(folder / f"{split}-00000.npy", dtype)
            texts = iterate_texts(corpus, split)
            documents = characters = 0
            while batch := list(islice(texts, 256)):
                encoded = [[*begin, *encode_lines(tokenizer, text), *end] for text in batch]
                writer.add(
                    np.array([index for ids in encoded for index in ids], dtype),
                    np.array([len(ids) for ids in encoded], np.int64),
                )
                documents += len(batch)
                characters += sum(map(len, batch))
            writer.close()
            counts |= {f"{split}_documents": documents, f"{split}_tokens": writer.tokens}
            counts[f"{split}_characters"] = characters
        for name in FILES:  # a model takes a tokenizer along; here one that is not used
            shutil.copyfile(model.parent / "tokenizer" / name, folder / name)
        both = {name: counts[f"train_{name}"] + counts[f"valid_{name}"] for name in ("tokens", "characters")}
        return Made(
            counts
            | {
                "vocab_size": tokenizer.vocab_size,
                "dtype": dtype.name,
                "characters_per_token": round(both["characters"] / both["tokens"], 4),
                "normalization": "none",
                "tokenizer_sha256": sha256_file(str(model)),
            }
        )

    write_folder(out, stage="shard", parameters={}, inputs=[artifact_input("corpus", corpus, "corpus")], make=make)


def make_run(corpus: Path, work: Path, variant: str, seed: int, minutes: float, model: list[str]) -> dict[str, Any]:
    """One model, its figures."""
    folder = folder_of(work, variant)
    shards, trained = folder / "shards", folder / f"model-{seed}"
    shutil.rmtree(trained, ignore_errors=True)
    jgpt("pretrain", "--shards", shards, "--out", trained, *model, "--train.minutes", minutes, "--seed", seed)
    shutil.rmtree(trained / "checkpoints", ignore_errors=True)
    counts = {
        name: json.loads((place / "manifest.json").read_text("utf-8"))["counts"]
        for name, place in (("shards", shards), ("model", trained))
    }
    return {
        "variant": variant,
        "seed": seed,
        "minutes": minutes,
        **bits_per_character(corpus, folder, trained),
        "vocab_size": counts["shards"]["vocab_size"],
        "characters_per_token": counts["shards"]["characters_per_token"],
        "parameters": counts["model"]["parameters"],
        "tokens": counts["model"]["tokens"],
        "epochs": counts["model"]["epochs"],
        "load": round(os.getloadavg()[0], 2),
    }


def bits_per_character(corpus: Path, folder: Path, trained: Path) -> dict[str, Any]:
    """Of all held-out documents: in all, by source, and how much of it is ``<unk>`` charged as bytes."""
    from corpora.documents import document_files, iterate_file
    from eval.scoring import ModelScorer

    rows = [
        row
        for file in document_files(corpus)
        for row in iterate_file(file, ("text", "split", "source"))
        if row["split"] == "valid"
    ]
    documents = [ids.astype(np.int64) for ids in ShardSet(folder / "shards").documents("valid")]
    scores = ModelScorer(load_model(trained, "cpu")).score([(ids[:1], ids[1:]) for ids in documents])
    unknown_bits = [0] * len(rows)
    if (folder / "other.model").exists():
        other = opening.SentencePieceTokenizer(folder / "other.model")
        unknown_bits = [8 * sum(unknown_bytes(other, line) for line in row["text"].split("\n")) for row in rows]
    bits: dict[str, float] = defaultdict(float)
    characters: dict[str, int] = defaultdict(int)
    for row, values, charged in zip(rows, scores, unknown_bits, strict=True):
        for name in ("", row["source"]):
            bits[name] += charged - float(values.sum()) / math.log(2)
            characters[name] += len(row["text"])
    found = {name: round(bits[name] / characters[name], 5) for name in bits}
    return {
        "bits_per_character": found.pop(""),
        "sources": found,
        "charged_for_unknown": round(sum(unknown_bits) / characters[""], 5),
    }


def encode_lines(tokenizer: opening.SentencePieceTokenizer, text: str) -> list[int]:
    """A text line by line, as such models are used, with ``<unk>`` for the line ends that they do not know; these are not charged."""
    ids: list[int] = []
    for number, line in enumerate(tokenizer.encode_batch(text.split("\n"))):
        ids += [_UNKNOWN] * (number > 0) + line
    return ids


def unknown_bytes(tokenizer: opening.SentencePieceTokenizer, text: str) -> int:
    """UTF-8 bytes of what becomes ``<unk>``."""
    ids, spans = tokenizer.encode_with_spans(text)
    return sum(
        len(text[begin:end].encode())
        for index, (begin, end) in zip(ids, spans, strict=True)
        if tokenizer.is_unknown(index)
    )


def jgpt(*words: object) -> None:
    """Run the command; SystemExit when it fails."""
    if subprocess.run(
        [sys.executable, "-m", "scripts", *map(str, words), "--quiet"], stdout=subprocess.DEVNULL
    ).returncode:
        raise SystemExit(f"failed: jgpt {' '.join(map(str, words))}")


def read_runs(file: Path) -> list[dict[str, Any]]:
    """The runs so far."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: a line a variant, best first, with the mean over its seeds and their range."""
    by_variant = defaultdict(list)
    for run in runs:
        by_variant[run["variant"]].append(run)
    rows = []
    for variant, same in by_variant.items():
        bits = [run["bits_per_character"] for run in same]
        sources = {name: statistics.mean(run["sources"][name] for run in same) for name in same[0]["sources"]}
        rows.append(
            (
                statistics.mean(bits),
                f"| {variant} | {same[0]['vocab_size']:,} | {same[0]['characters_per_token']:.2f} | {len(same)} "
                f"| {statistics.mean(bits):.3f} | {min(bits):.3f} to {max(bits):.3f} "
                f"| {', '.join(f'{name} {value:.2f}' for name, value in sources.items())} "
                f"| {same[0]['charged_for_unknown']:.3f} "
                f"| {same[0]['parameters'] / 1e6:.1f}M | {statistics.mean(run['tokens'] for run in same) / 1e6:.2f}M |",
            )
        )
    head = (
        "| tokenizer | pieces | characters per token | seeds | bits per character | range | by source "
        "| of it for unknowns | parameters | tokens |"
    )
    return "\n".join([head, "|---|---|---|---|---|---|---|---|---|---|", *(row for _, row in sorted(rows))])


if __name__ == "__main__":
    main()
