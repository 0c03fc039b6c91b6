"""What became of a corpus: the part of a report that lets a person judge its rules."""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stage.manifest import Manifest, check_outputs, read_manifest
from stage.numbers import compact, percent
from stage.page import Figure, Page
from stage.plots import Bar, Mark, bar_plot, histogram, share_bar

_MOST_DOCUMENTS = 1_000_000  # that are read for their measures
_EXAMPLES, _EXCERPT = 3, 80  # of each reason, and characters of each
_TAILS = (0.002, 0.998)
_COMPARISON = re.compile(r"(\w+)[<>]=?(.+)")
_NO_EXCERPTS = re.compile(r"\bND\b|no.?deriv|改変禁止", re.IGNORECASE)


def write_page(folder: Path, place: Path) -> Path:
    """A page about a documents folder alone. Raises ArtifactError for any other folder, JgptError where it cannot be written."""
    manifest = read_manifest(folder, "corpus")
    check_outputs(folder, manifest)
    page = Page(folder.resolve().name, "What a corpus holds, and what was left out · jgpt", seal="文")
    corpus(page, folder, manifest)
    return page.write(place)


def corpus(page: Page, folder: Path, manifest: Manifest) -> None:
    """The section of a corpus: sizes, what each rule left out, measures with their thresholds, examples, sources."""
    counts = manifest.counts
    page.section("Corpus", "コーパス")
    columns = _columns(folder)
    lengths = columns["chars"][: counts["documents"]] or [1]
    left = counts["characters"] / max(counts["raw_characters"], 1)
    tiles = [
        Figure("Documents", "文書数", f"{counts['documents']:,}", remarks=(f"median {compact(statistics.median(lengths))} characters",)),
        Figure("Characters", "文字数", compact(counts["characters"]), remarks=(f"{percent(left)} of the raw text of these documents",)),
        Figure("Left out", "除外", f"{sum(counts['rejected'].values()):,}", "documents"),
    ]  # fmt: skip
    if (dropped := counts.get("repeated_lines")) and dropped["documents"]:
        remark = f"of {dropped['documents']:,} documents, in lines that many share"
        tiles.append(
            Figure("Repeated lines dropped", "定型行の除去", compact(dropped["characters"]), "characters", (remark,))
        )
    page.tiles(tiles)
    if counts["rejected"]:
        _steps(page, counts)
    thresholds_of = _thresholds(manifest)
    marks = [Mark(text, value) for text, value in thresholds_of.pop("chars", ())]
    draw = partial(histogram, *_bins(columns["chars"] or [1]), x_label="characters", marks=marks)
    page.figure(draw, "Length of the documents", "文書の長さ", "Documents that were kept and that were left out.")
    for name, thresholds in thresholds_of.items():
        values = [value for value in columns.get(name, ()) if value is not None]
        if values:
            marks = [Mark(text, value) for text, value in thresholds]
            edges, tally = _even_bins(values, [value for _, value in thresholds])
            draw = partial(histogram, edges, tally, x_label=name, marks=marks, log=False)
            page.figure(draw, name.replace("_", " "), "指標", "Documents that were kept and that were left out.")
    if len(sources := _characters(counts["sources"])) > 1:
        bars = [Bar(name, count) for name, count in sources.most_common(12)]
        page.figure(partial(bar_plot, bars), "Characters by source", "出典別の文字数")
    draw = partial(share_bar, _characters(counts["splits"]).most_common())
    page.figure(draw, "Learned from and held out", "学習用と検証用", f"In characters; {counts['split_rule']}")
    if changes := counts.get("changes"):
        bars = [Bar(name, count, colour=2) for name, count in list(changes.items())[:12]]
        page.figure(
            partial(bar_plot, bars), "What normalisation changed", "正規化", "Characters, in a sample of each part."
        )
    _examples(page, folder)
    names = ("source", "license", "attribution")
    page.table(
        [name.capitalize() for name in names], [[entry[name] or "—" for name in names] for entry in manifest.licenses]
    )


def _steps(page: Page, counts: dict[str, Any]) -> None:
    """How many documents and characters each rule left out, in their order."""
    characters = counts["rejected_characters"]
    whole = sum(counts["rejected"].values()) + counts["documents"]
    rows = [
        (_named(reason), number, f"{number / whole:.2%}", characters[reason])
        for reason, number in counts["rejected"].items()
    ]
    rows.append(("kept", counts["documents"], f"{counts['documents'] / whole:.2%}", counts["characters"]))
    page.table(("Left out as", "Documents", "Share", "Characters"), rows)
    bars = [Bar(_named(reason), number, colour=1) for reason, number in list(counts["rejected"].items())[:12]]
    page.figure(partial(bar_plot, bars), "Left out, by reason", "除外の理由")


def _examples(page: Page, folder: Path) -> None:
    """Some documents of each reason: names and measures, and beginnings where the licence lets them be quoted."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for row in _rejected(folder, ("id", "text", "license", "reason", "measure", "duplicate_of")):
        rows = found.setdefault(row["reason"], [])
        if len(rows) < _EXAMPLES:
            quoted = "" if _NO_EXCERPTS.search(row["license"]) else " ".join(row["text"][: 2 * _EXCERPT].split())
            like = f" like {row['duplicate_of']}" if row["duplicate_of"] else ""
            rows.append((_named(row["reason"]), row["id"] + like, f"{row['measure']:.4g}", quoted[:_EXCERPT]))
    if found:
        rows = [row for reason in sorted(found) for row in found[reason]]
        page.table(("Left out as", "Document", "Measure", "Beginning"), rows)


def _rejected(folder: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    for path in sorted((folder / "rejected").glob("*.parquet")):
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(2000, columns=list(columns)):
                yield from batch.to_pylist()


def _columns(folder: Path) -> dict[str, list[Any]]:
    """The numbers of documents, first those that were kept."""
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, list[Any]] = {"chars": []}
    for path in [*sorted(folder.glob("documents-*.parquet")), *sorted((folder / "rejected").glob("*.parquet"))]:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = [entry.name for entry in file.schema_arrow if not pyarrow.types.is_string(entry.type)]
            table = file.read(columns=names)
        for name in names:
            columns.setdefault(name, []).extend(table.column(name).to_pylist())
        if len(columns["chars"]) >= _MOST_DOCUMENTS:
            break
    return columns


def _thresholds(manifest: Manifest) -> dict[str, list[tuple[str, float]]]:
    """The thresholds of all sources by measure: as they are written, and their values."""
    found: dict[str, dict[str, float]] = {}
    for texts in manifest.parameters.get("rules", {}).values():
        for text in texts:
            if match := _COMPARISON.fullmatch(text):
                found.setdefault(match[1], {})[text] = float(match[2])
    return {name: list(thresholds.items()) for name, thresholds in found.items()}


def _named(reason: str) -> str:
    return reason.replace("_", " ")


def _characters(parts: dict[str, dict[str, int]]) -> Counter[str]:
    """The characters of the parts of a corpus that hold any."""
    return Counter({name: counts["characters"] for name, counts in parts.items() if counts["characters"]})


def _bins(values: Sequence[float]) -> tuple[list[float], list[int]]:
    """Edges of a geometric row of bins from the smallest to the largest value, and the counts in them."""
    import numpy

    low, high = max(1, int(min(values))), max(1, *map(int, values)) + 1
    count = max(1, min(32, round(2 * len(values) ** 0.5), high - low))
    counts, edges = numpy.histogram(numpy.maximum(values, 1), numpy.geomspace(low, high, count + 1))
    return edges.tolist(), counts.tolist()


def _even_bins(values: Sequence[float], thresholds: Sequence[float]) -> tuple[list[float], list[int]]:
    """The same with bins of one width; the outermost few values stand in the bins at the ends, unless a threshold lies there."""
    import numpy

    low, high = numpy.quantile(values, _TAILS).tolist()
    low, high = min(low, *thresholds), max(high, *thresholds)
    counts, edges = numpy.histogram(numpy.clip(values, low, high), 40, (low, high if high > low else low + 1))
    return edges.tolist(), counts.tolist()
