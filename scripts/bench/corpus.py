"""How fast raw text becomes documents, beside others: ``python -m scripts.bench.corpus --data DIR``.

One core each, rows in turn, several rounds, medians of wall time; a ratio holds within one run. Reading and normalising: the whole
of ``jgpt corpus build`` with one process, from JSON Lines to Parquet (markup, normalisation, judging, exact deduplication and split
included). Normalising alone: the same texts in memory, by ``ja-v1`` and by neologdn, HojiChar and jpnorm, which do other things each
(docs/normalization.md); a row whose package is not installed is left out. ``DIR`` is laid out as for the recipe aozora-kyoto-livedoor.

The whole: reading, normalising, judging (length, lines, repeated characters, language), NG words (HojiChar's four lists, where it is installed),
exact and near deduplication, and writing, by ``jgpt corpus build``, by HojiChar and by datatrove as far as these have the steps:
HojiChar's language is a look for kana, it writes JSON Lines, and it does not leave out the steps behind the one that rejects; datatrove normalises nothing, its language and NG words want downloads,
and of its deduplication the signatures alone are counted. It is given the first documents only (``--few``), being slow.

``--steps`` prints instead what each step of the whole costs, in milliseconds a megabyte, without the others.
"""

import argparse
import gzip
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from corpora import build as build_module
from corpora import build_corpus, parts, rows
from corpora.blocks import normalize_all
from corpora.config import CorpusConfig, SourceConfig
from corpora.normalization import normalize

CORPORA = {
    "aozora": "aozora/modern.jsonl.gz",
    "kyoto": "kyoto-wiki/docs.jsonl.gz",
    "livedoor": "livedoor-news/articles.jsonl.gz",
}
_RULES = "minimal,language_score>=0.886,short_line_share<=0.5,ellipsis_line_share<=0.7,run<=200"
_BLOCK = 200


def main() -> None:
    """Parse flags; time the rows; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--few", type=int, default=40, help="Documents for datatrove.")
    parser.add_argument("--only", nargs="+", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--steps", action="store_true")
    given = parser.parse_args()
    if given.steps:
        steps(given.data, given.only, given.rounds)
        return
    print(f"load {os.getloadavg()[0]:.1f}\n\n| corpus | what | MB/s | times as fast |\n|---|---|---|---|")
    for name in given.only:
        with gzip.open(given.data / CORPORA[name], "rb") as stream:
            lines = stream.read()
        texts = [json.loads(line)["text"] for line in lines.splitlines()]
        megabytes = sum(len(text.encode()) for text in texts) / 1e6
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / f"{name}.jsonl"
            source.write_bytes(lines)
            few = Path(folder) / "few.jsonl"
            few.write_bytes(b"".join(lines.splitlines(keepends=True)[: given.few]))
            sizes = {"datatrove": sum(len(text.encode()) for text in texts[: given.few]) / 1e6}
            rows = {"build, exact deduplication alone": build(source, Path(folder), near_duplicates=0.0)}
            rows |= whole(source, few, Path(folder)) | normalizers(texts)
            seconds: dict[str, list[float]] = {row: [] for row in rows}
            for _ in range(given.rounds + 1):
                for row, work in rows.items():
                    started = time.perf_counter()
                    work()
                    seconds[row].append(time.perf_counter() - started)
        # the first round warms up
        medians = {row: statistics.median(times[1:]) for row, times in seconds.items()}
        speeds = {row: sizes.get(row, megabytes) / median for row, median in medians.items()}
        for row, speed in speeds.items():
            ours = "ja-v1" if row in normalizers([]) else "the whole"
            ratio = f"{speeds[ours] / speed:.1f}" if row in normalizers([]) or row in ("HojiChar", "datatrove") else ""
            print(f"| {name} | {row} | {speed:.3g} | {ratio} |", flush=True)


STEPS = {
    "reading": (parts, "_batches"),
    "glance": (rows, "need_a_look"),
    "markup and mojibake": (rows, "prepare"),
    "normalising": (rows, "normalize_all"),
    "masks": (rows, "mask_documents"),
    "measures": (rows, "measure"),
    "sketches": (rows, "sketches"),
    "deciding": (build_module, "decide"),
    "writing documents": (build_module, "write_documents"),
    "hashing": (build_module, "hash_sources"),
    "the whole": (build_module, "build_corpus"),
}


def steps(data: Path, corpora: list[str], rounds: int) -> None:
    """Time the steps of a build by one process, the fastest of some rounds; a generator's time is that between its results."""
    spent: dict[str, float] = {}

    def timed(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = function(*given, **named)
            spent[step] = spent.get(step, 0.0) + time.perf_counter() - started
            return drawn(step, result) if isinstance(result, Iterator) else result

        return run

    def drawn(step: str, results: Iterator[Any]) -> Iterator[Any]:
        while True:
            started = time.perf_counter()
            result = next(results, None)
            spent[step] += time.perf_counter() - started
            if result is None:
                return
            yield result

    for step, (module, name) in STEPS.items():
        setattr(module, name, timed(step, getattr(module, name)))
    print(f"load {os.getloadavg()[0]:.1f}\n\n| corpus | {' | '.join(STEPS)} |\n|---|{'---|' * len(STEPS)}")
    for name in corpora:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / f"{name}.jsonl"
            with gzip.open(data / CORPORA[name], "rb") as stream:
                source.write_bytes(stream.read())
            megabytes = source.stat().st_size / 1e6
            config = CorpusConfig([SourceConfig(str(source), rules=_RULES)])
            found: list[dict[str, float]] = []
            for _ in range(rounds + 1):
                spent.clear()
                build_module.build_corpus(config, tempfile.mkdtemp(dir=folder) + "/out", workers=1, quiet=True)
                found.append(dict(spent))
        best = min(found[1:], key=lambda each: each["the whole"])
        print(
            f"| {name} | {' | '.join(f'{1000 * best.get(step, 0.0) / megabytes:.1f}' for step in STEPS)} |", flush=True
        )


def build(source: Path, folder: Path, rules: str = "minimal", **fields: Any) -> Callable[[], object]:
    """A build by one process."""
    config = CorpusConfig([SourceConfig(str(source), rules=rules)], **fields)
    # a folder that is there already would be up to date
    return lambda: build_corpus(config, tempfile.mkdtemp(dir=folder) + "/out", workers=1, quiet=True)


def whole(source: Path, few: Path, folder: Path) -> dict[str, Callable[[], object]]:
    """From JSON Lines to clean, deduplicated documents: ours, and others with the steps that they have."""
    rows: dict[str, Callable[[], object]] = {}
    words = ""
    try:
        from hojichar import Compose, document_filters
        from hojichar.filters.deduplication import GenerateDedupLSH, InlineDeduplicator

        lists = [
            document_filters.BASE_PATH / "dict" / f"{name}_keywords_ja.txt"
            for name in ("adult", "discrimination", "violence", "advertisement")
        ]
        words = str(folder / "words.txt")
        Path(words).write_text("\n".join(file.read_text("utf-8") for file in lists), "utf-8")

        def clean() -> None:
            steps = [
                document_filters.JSONLoader(),
                document_filters.DocumentNormalizer(),
                document_filters.DocumentLengthFilter(min_doc_len=20),
                document_filters.AcceptJapanese(),
                document_filters.DiscardTooShortLines(),
                document_filters.DiscardTooManyEndingEllipsis(),
                document_filters.SingleCharacterRepetitionFilter(),
                *map(document_filters.NgWordsFilterJa, lists),
                GenerateDedupLSH(),
                InlineDeduplicator(),
                document_filters.JSONDumper(),
            ]
            for step in steps[:-1]:
                step.skip_rejected = False  # each document goes through each step, as ours do
            compose = Compose(steps)
            with source.open(encoding="utf-8") as lines, (folder / "hojichar.jsonl").open("w", encoding="utf-8") as out:
                out.writelines(f"{text}\n" for line in lines if (text := compose(line)))

        rows["HojiChar"] = clean
    except ImportError:
        pass
    try:
        from datatrove.executor import LocalPipelineExecutor
        from datatrove.pipeline.dedup import MinhashDedupSignature
        from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter
        from datatrove.pipeline.readers import JsonlReader
        from datatrove.pipeline.writers import ParquetWriter
        from datatrove.utils.logging import logger

        logger.remove()

        def run() -> None:
            place = tempfile.mkdtemp(dir=folder)
            steps = [
                JsonlReader(str(few.parent), glob_pattern=few.name),
                GopherQualityFilter(language="jpn", min_avg_word_length=1),  # its 3 rejects all Japanese
                FineWebQualityFilter(language="jpn"),
                ParquetWriter(f"{place}/documents"),
                MinhashDedupSignature(output_folder=f"{place}/signatures", language="jpn"),
            ]
            LocalPipelineExecutor(steps, logging_dir=f"{place}/logs").run()

        rows["datatrove"] = run
    except ImportError:
        pass
    fields = {"ng_words": words} if words else {}
    return {"the whole": build(source, folder, _RULES, **fields)} | rows


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
