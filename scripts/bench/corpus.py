"""How fast raw text becomes documents, beside others: ``python -m scripts.bench.corpus --data DIR``.

One core each, rows in turn, several rounds, medians of wall time; a ratio holds within one run. Reading and normalising: the whole
of ``jgpt corpus build`` with one process, from JSON Lines to Parquet (markup, normalisation, judging, exact deduplication and split
included). Normalising alone: the same texts in memory, by ``ja-v1`` and by neologdn, HojiChar and jpnorm, which do other things each
(docs/normalization.md); a row whose package is not installed is left out. ``DIR`` is laid out as for the recipe aozora-kyoto-livedoor.
"""

import argparse
import gzip
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from corpora import build_corpus
from corpora.blocks import normalize_all
from corpora.config import CorpusConfig, SourceConfig
from corpora.normalization import normalize

CORPORA = {
    "aozora": "aozora/modern.jsonl.gz",
    "kyoto": "kyoto-wiki/docs.jsonl.gz",
    "livedoor": "livedoor-news/articles.jsonl.gz",
}
_BLOCK = 200


def main() -> None:
    """Parse flags; time the rows; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(CORPORA), choices=CORPORA)
    given = parser.parse_args()
    print(
        f"load {os.getloadavg()[0]:.1f}\n\n| corpus | what | MB/s | jgpt is so many times as fast |\n|---|---|---|---|"
    )
    for name in given.only:
        with gzip.open(given.data / CORPORA[name], "rb") as stream:
            lines = stream.read()
        texts = [json.loads(line)["text"] for line in lines.splitlines()]
        megabytes = sum(len(text.encode()) for text in texts) / 1e6
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / f"{name}.jsonl"
            source.write_bytes(lines)
            rows = {"build, JSON Lines to Parquet": build(source, Path(folder))} | normalizers(texts)
            seconds: dict[str, list[float]] = {row: [] for row in rows}
            for _ in range(given.rounds + 1):
                for row, work in rows.items():
                    started = time.perf_counter()
                    work()
                    seconds[row].append(time.perf_counter() - started)
        # the first round warms up
        medians = {row: statistics.median(times[1:]) for row, times in seconds.items()}
        for row, median in medians.items():
            ratio = f"{median / medians['ja-v1']:.1f}" if row != "ja-v1" and row in normalizers([]) else ""
            print(f"| {name} | {row} | {megabytes / median:.1f} | {ratio} |")


def build(source: Path, folder: Path) -> Callable[[], object]:
    """The whole of a build, by one process."""
    config = CorpusConfig([SourceConfig(str(source))])
    # a folder that is there already would be up to date
    return lambda: build_corpus(config, tempfile.mkdtemp(dir=folder) + "/out", workers=1, quiet=True)


def each(function: Callable[[str], object], texts: list[str]) -> list[object]:
    """A function of one text, on all."""
    return [function(text) for text in texts]


def normalizers(texts: list[str]) -> dict[str, Callable[[], object]]:
    """What normalises the texts, by name."""
    rows: dict[str, Callable[[], object]] = {
        "ja-v1": lambda: [normalize_all(texts[at : at + _BLOCK]) for at in range(0, len(texts), _BLOCK)],
        "ja-v1, a document at a time": lambda: [normalize(text) for text in texts],
    }
    try:
        import neologdn

        rows["neologdn"] = lambda: [neologdn.normalize(text) for text in texts]
    except ImportError:
        pass
    try:
        from hojichar import Compose, document_filters

        compose = Compose([document_filters.DocumentNormalizer()])
        rows["HojiChar, DocumentNormalizer"] = lambda: [compose(text) for text in texts]
    except ImportError:
        pass
    try:
        import jpnorm

        for preset in ("for_display", "neologdn_compat"):
            normalizer = jpnorm.Normalizer(preset)
            rows[f"jpnorm, {preset}"] = partial(each, normalizer.normalize, texts)
    except ImportError:
        pass
    return rows


if __name__ == "__main__":
    main()
