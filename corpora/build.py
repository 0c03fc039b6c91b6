"""Building a documents artifact: read and judge in parallel, then deduplicate, split and write in one stream."""

import logging
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from corpora.card import write_card
from corpora.config import CorpusConfig
from corpora.documents import STAGE
from corpora.judging import MEASURES, MENDS, japanese_ratio
from corpora.normalization import digest
from corpora.parts import DOCUMENT_SCHEMA, REJECTED_SCHEMA, PartTask, make_part
from corpora.sources import SourceFiles, find_sources, group_files, hash_sources, text_bytes
from corpora.splitting import TAIL_BELOW, TAIL_SHARE, choose_valid, cut_tail, splits_tails
from corpora.tables import RotatingWriter
from corpora.tally import Tally
from stage.errors import InputError, UsageError
from stage.folder import Made, write_folder
from stage.manifest import Manifest
from stage.parallel import run_over, worker_count
from stage.progress import progress

log = logging.getLogger(__name__)

# What becomes of a document
_TRAIN, _VALID, _REJECTED, _DUPLICATE, _BEYOND_LIMIT = range(5)
# Markup takes about an eighth of a work of Aozora Bunko; where half is gone, something was mistaken for markup
_FEW_LEFT = 0.5
# Below this much text starting processes costs more than it saves
_SMALL_BYTES = 8_000_000


def build_corpus(
    config: CorpusConfig, out: Path | str, *, workers: int = 0, overwrite: bool = False, quiet: bool = False
) -> Manifest:
    """Build the documents artifact ``out`` from the sources of a configuration.

    The result is the same for any number of workers. Memory: some row groups, and 17 bytes for each document read.
    Raises InputError for sources that cannot be read or when no document is left, UsageError for an ``out`` within a source
    folder, ArtifactError as ``write_folder``.
    """
    workers = worker_count(workers)
    sources = find_sources(config)
    presets = sorted({source.normalization for source in config.sources})
    for source in sources:
        folder = Path(source.config.path.removeprefix("hf:"))
        if folder.is_dir() and folder.resolve() in Path(out).resolve().parents:
            raise UsageError(
                f"--out {out}: lies in the source {folder}, and the next build would read it; choose another"
            )
    size = text_bytes(sources)
    return write_folder(
        out,
        stage=STAGE,
        parameters=asdict(config) | {"normalization": {name: digest(name) for name in presets}},
        inputs=hash_sources(sources, workers=workers, quiet=quiet),
        make=lambda folder: _make(folder, config, sources, 1 if size < _SMALL_BYTES else workers, quiet),
        overwrite=overwrite,
        # the parts and the documents stand side by side for a while, compressed
        need_bytes=10_000_000 + size,
    )


def _make(folder: Path, config: CorpusConfig, sources: list[SourceFiles], workers: int, quiet: bool) -> Made:
    parts = folder / "parts"
    parts.mkdir()
    groups = [group for source in sources for group in group_files(source)]
    tasks = [PartTask(parts / f"{number:06d}.parquet", group, config) for number, group in enumerate(groups)]
    for _ in run_over(make_part, tasks, workers=workers, description="reading", unit="part", quiet=quiet):
        pass
    fates, tails = _decide(tasks, config, sources)
    tally = _write_documents(folder, [task.path for task in tasks], fates, tails, quiet)
    parts.rmdir()
    licenses = [
        {"source": source.name, "license": source.config.license, "attribution": source.config.attribution}
        for source in sources
    ]
    counts = tally.counts([source.name for source in sources]) | {"split_rule": _split_rule(config, tails)}
    for source in sources:
        counts["sources"][source.name]["passed_over"] = source.passed_over
    for name, entry in counts["sources"].items():
        if entry["characters"] < _FEW_LEFT * entry["raw_characters"]:
            log.warning(
                "%s: only %d of %d characters are left of its documents after markup and normalisation: look at some of "
                "them, and at --markup plain",
                name,
                entry["characters"],
                entry["raw_characters"],
            )
    write_card(folder, counts, licenses)
    return Made(counts=counts, licenses=licenses)


def _decide(tasks: list[PartTask], config: CorpusConfig, sources: list[SourceFiles]) -> tuple[np.ndarray, bool]:
    """The fate of every document of all parts, uint8 [N] in their order, and whether tails are held out.

    Raises InputError for a source without any text, or when no document is left.
    """
    digests, fates = [], []
    reasons: Counter[str] = Counter()
    read: Counter[str] = Counter()
    filled: set[str] = set()
    for path, source, _ in tasks:
        table = pyarrow.parquet.read_table(path, columns=["digest", "reason"])
        given = table.column("reason").to_pylist()
        within = given[: config.limit - read[source.name]] if config.limit else given
        read[source.name] += len(within)
        if any(reason != "empty" for reason in within):
            filled.add(source.name)
        reasons.update(reason for reason in within if reason)
        fate = np.full(len(given), _BEYOND_LIMIT, dtype=np.uint8)
        fate[: len(within)] = [_REJECTED if reason else _TRAIN for reason in within]
        fates.append(fate)
        digests.append(np.frombuffer(b"".join(table.column("digest").to_pylist()), dtype=np.uint64).reshape(-1, 2))
    for source in sources:
        if source.name not in filled:
            raise InputError(f"{source.config.path}: holds no text")
    fate, digest = np.concatenate(fates), np.concatenate(digests)
    kept = np.flatnonzero(fate == _TRAIN)
    if not len(kept):
        raise InputError(f"no document is left: {_explained(reasons, tasks)}")
    if config.deduplicate:
        fate[kept[_repeated(digest[kept])]] = _DUPLICATE
        kept = np.flatnonzero(fate == _TRAIN)
    tails = splits_tails(len(kept), config)
    if not tails:
        fate[kept[choose_valid(digest[kept, 0], config)]] = _VALID
    return fate, tails


def _explained(reasons: Counter[str], tasks: list[PartTask]) -> str:
    """The commonest reasons of rejection, each with an example and what mends it."""
    examples: dict[str, str] = {}
    for task in tasks:
        for row in pyarrow.parquet.read_table(task.path, columns=["id", "reason", "measure"]).to_pylist():
            measure = MEASURES.get(row["reason"], "").format(row["measure"])
            examples.setdefault(row["reason"], row["id"] + f" ({measure})" * bool(measure))
    return "; ".join(
        f"{count} of {reasons.total()} were rejected as {reason}, such as {examples[reason]}: {MENDS[reason]}"
        for reason, count in reasons.most_common(3)
    )


def _repeated(digests: np.ndarray) -> np.ndarray:
    """Which documents repeat an earlier one: their places, from digests as uint64 [N, 2]."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: of equals the first stays first
    same = (digests[order][1:] == digests[order][:-1]).all(axis=1)
    return np.asarray(order[1:][same])


def _write_documents(folder: Path, parts: list[Path], fates: np.ndarray, tails: bool, quiet: bool) -> Tally:
    """Write documents and rejected files from the parts, and delete each part when it is through."""
    tally = Tally()
    documents = RotatingWriter(folder, "documents", DOCUMENT_SCHEMA)
    rejected = RotatingWriter(folder / "rejected", "rejected", REJECTED_SCHEMA)
    at = 0
    with progress(total=len(fates), description="writing", unit="document", quiet=quiet, unit_scale=True) as bar:
        for path in parts:
            with pyarrow.parquet.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, use_threads=False)
                    fate = fates[at : at + table.num_rows]
                    at += table.num_rows
                    bar.update(table.num_rows)
                    kept = _kept_rows(table, fate, tails)
                    tally.add_documents(kept)
                    documents.write(kept)
                    refused = _rejected_rows(table, fate)
                    tally.add_rejected(refused)
                    rejected.write(refused)
            path.unlink()
    documents.close()
    rejected.close()
    return tally


def _kept_rows(table: pyarrow.Table, fate: np.ndarray, tails: bool) -> pyarrow.Table:
    split = pyarrow.array(np.where(fate == _VALID, "valid", "train"), pyarrow.string())
    table = table.set_column(table.column_names.index("split"), "split", split)
    table = table.filter(pyarrow.array(fate <= _VALID)).select(DOCUMENT_SCHEMA.names)
    return _with_tails(table) if tails else table


def _rejected_rows(table: pyarrow.Table, fate: np.ndarray) -> pyarrow.Table:
    duplicate = pyarrow.array(fate == _DUPLICATE)
    reason = pyarrow.compute.if_else(duplicate, "duplicate", table.column("reason"))
    table = table.set_column(table.column_names.index("reason"), "reason", reason)
    return table.filter(pyarrow.array((fate == _REJECTED) | (fate == _DUPLICATE))).select(REJECTED_SCHEMA.names)


def _with_tails(table: pyarrow.Table) -> pyarrow.Table:
    """Each document that can be cut as two: its body for training and, after it, its tail, held out."""
    rows: list[dict[str, Any]] = []
    for row in table.to_pylist():
        cut = cut_tail(row["text"])
        if cut is None:
            rows.append(row)
            continue
        for text, split, suffix in zip(cut, ("train", "valid"), ("", ":tail"), strict=True):
            part = {"id": row["id"] + suffix, "text": text, "split": split, "chars": len(text)}
            rows.append(row | part | {"japanese_ratio": japanese_ratio(text)})
        share = len(cut[1]) / len(row["text"])
        for name in ("raw_chars", "raw_bytes"):
            rows[-1][name] = round(row[name] * share)
            rows[-2][name] = row[name] - rows[-1][name]
    return pyarrow.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)


def _split_rule(config: CorpusConfig, tails: bool) -> str:
    if tails:
        return (
            f"fewer than {TAIL_BELOW} documents: the last {TAIL_SHARE:.0%} of each, cut at a line end or after 。, "
            "is a document of its own in valid"
        )
    return (
        f"by a hash of the text (seed {config.seed}): {config.valid_share:.2%} of the documents, "
        f"at least {config.valid_min_documents}, are valid"
    )
