"""Which tokenizer a small GPT learns most with: ``python -m scripts.bench.tokenizer_choice --corpus DIR --work DIR --out FILE``.

For each variant a tokenizer is trained on the train split of a documents folder and the corpus is encoded; then the same small GPT is
trained on it for the same wall time, once a seed, and measured on all held-out documents. Bits per character compare across
vocabularies. A JSON line a run goes to ``--out``; a run whose line is there is not made again.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

VARIANTS: dict[str, str] = {
    "bpe": "",
    "bpe, a quarter characters": "--max_character_share 0.25",
    "bpe, words": "--boundaries mecab",
    "unigram": "--model unigram",
    "unigram, words": "--model unigram --boundaries mecab",
    "char": "--model char",
    "bpe, 4,000": "--vocab_size 4000",
    "bpe, 16,000": "--vocab_size 16000",
}
"""Flags of ``jgpt tokenizer train`` beside ``--vocab_size 8000``."""


def main() -> None:
    """Parse flags; make the runs that are missing; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="documents folder of jgpt corpus build")
    parser.add_argument("--work", type=Path, default=Path("runs/bench-tokenizers"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench-tokenizers.jsonl"))
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--minutes", type=float, default=5.0, help="of training, each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--model", default="--model.depth 4", help="flags of jgpt pretrain")
    parser.add_argument("--table", action="store_true", help="only print the table of what is in --out")
    given = parser.parse_args()
    if not given.table:
        if given.corpus is None:
            parser.error("--corpus is needed")
        for seed in given.seeds:  # seeds outside, so that a machine whose speed drifts treats the variants alike
            for variant in given.only:
                if (variant, seed) not in {(run["variant"], run["seed"]) for run in read_runs(given.out)}:
                    record = make_run(given.corpus, given.work, variant, seed, given.minutes, given.model.split())
                    with given.out.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(table(read_runs(given.out)))


def make_run(corpus: Path, work: Path, variant: str, seed: int, minutes: float, model: list[str]) -> dict[str, Any]:
    """One tokenizer, one model, its figures."""
    folder = work / "".join(character if character.isalnum() else "-" for character in variant)
    tokenizer, shards, trained, results = (
        folder / "tokenizer",
        folder / "shards",
        folder / f"model-{seed}",
        folder / f"eval-{seed}",
    )
    shutil.rmtree(trained, ignore_errors=True)
    flags = ["--vocab_size", "8000", *VARIANTS[variant].split()]
    jgpt("tokenizer", "train", "--corpus", corpus, "--out", tokenizer, *flags)
    jgpt("shard", "--corpus", corpus, "--tokenizer", tokenizer, "--out", shards)
    jgpt("pretrain", "--shards", shards, "--out", trained, *model, "--train.minutes", minutes, "--seed", seed)
    # the tasks and the 5-gram are not asked about here, and as small as they can be
    jgpt(
        "eval",
        "--model",
        trained,
        "--out",
        results,
        "--tasks",
        "particle",
        "--limit",
        "2",
        "--ngram_tokens",
        "1000",
        "--overwrite",
    )
    language = json.loads((results / "results.json").read_text("utf-8"))["language"]
    counts = {
        name: json.loads((place / "manifest.json").read_text("utf-8"))["counts"]
        for name, place in (("shards", shards), ("model", trained))
    }
    shutil.rmtree(trained / "checkpoints", ignore_errors=True)
    return {
        "variant": variant,
        "seed": seed,
        "minutes": minutes,
        "bits_per_character": language["bits_per_character"],
        "sources": {name: part["bits_per_character"]["value"] for name, part in language.get("sources", {}).items()},
        "vocab_size": counts["shards"]["vocab_size"],
        "characters_per_token": counts["shards"]["characters_per_token"],
        "parameters": counts["model"]["parameters"],
        "tokens": counts["model"]["tokens"],
        "epochs": counts["model"]["epochs"],
        "load": round(os.getloadavg()[0], 2),
    }


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
        bits = [run["bits_per_character"]["value"] for run in same]
        sources = {name: statistics.mean(run["sources"][name] for run in same) for name in same[0]["sources"]}
        rows.append(
            (
                statistics.mean(bits),
                f"| {variant} | {same[0]['vocab_size']:,} | {same[0]['characters_per_token']:.2f} | {len(same)} "
                f"| {statistics.mean(bits):.3f} | {min(bits):.3f} to {max(bits):.3f} "
                f"| {', '.join(f'{name} {value:.2f}' for name, value in sources.items())} "
                f"| {same[0]['parameters'] / 1e6:.1f}M | {statistics.mean(run['tokens'] for run in same) / 1e6:.2f}M |",
            )
        )
    head = "| tokenizer | pieces | characters per token | seeds | bits per character | range | by source | parameters | tokens |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|---|", *(row for _, row in sorted(rows))])


if __name__ == "__main__":
    main()
