"""Dropping the lines that many documents share from the parts of a build, between reading and deciding."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow

from corpora.part_files import PartWriter, read_part
from corpora.parts import PartTask
from corpora.repeated import Hashes, drop_lines, find_repeated, line_hashes
from corpora.rows import schemas, with_texts
from stage.parallel import run_over
from stage.replacing import whole_file

log = logging.getLogger(__name__)
_REPEATED = "repeated.npy"


class _Task(NamedTuple):
    """A file of a part, which stays."""

    part: PartTask
    out: Path
    """The file that is written from it; of the same name with .npy are its hashes."""
    rows: int
    """Its documents within the limit of its source."""


class _Stored(Sequence[Hashes]):
    """Arrays that are opened one at a time, as a process may not have so many files open."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, place: Any) -> Any:
        return np.load(self._files[place], mmap_mode="r")


def drop_repeated(parts: list[PartTask], folder: Path, how: dict[str, Any]) -> tuple[list[PartTask], dict[str, int]]:
    """The files of the parts written anew in ``folder`` without repeated lines, and counts of what was dropped.

    Documents that are rejected already neither count nor change; those that change are judged again.
    Memory: as ``find_repeated``; a row group in each worker.
    """
    folder.mkdir(exist_ok=True)
    tasks, read, config = [], Counter[str](), parts[0].config
    for part in parts:
        rows, source = sum(table.num_rows for table in read_part(part.path)), part.source.config.path
        within = min(rows, config.limit - read[source]) if config.limit else rows
        read[source] += within
        tasks.append(_Task(part, folder / part.path.name, within))
    documents = sum(run_over(_write_hashes, tasks, description="comparing lines", unit="part", **how))
    stored = _Stored([task.out.with_suffix(".npy") for task in tasks])
    repeated = find_repeated(stored, documents, min_documents=config.repeated_lines)
    changed = characters = 0
    if len(repeated):
        np.save(folder / _REPEATED, repeated)
        for count, chars in run_over(_drop, tasks, description="dropping lines", unit="part", **how):
            changed, characters = changed + count, characters + chars
        parts = [task.part._replace(path=task.out) for task in tasks]
    log.info("%d documents lost %d characters in lines that many share", changed, characters)
    return parts, {"lines": len(repeated), "documents": changed, "characters": characters}


def _write_hashes(task: _Task) -> int:
    """Write the hashes of the lines of a file; how many documents it has."""
    found, documents = [np.empty(0, np.uint64)], 0
    for _, texts in _groups(task):
        found += line_hashes(texts)
        documents += sum(map(bool, texts))
    with whole_file(task.out.with_suffix(".npy")) as partial, partial.open("wb") as stream:
        np.save(stream, np.concatenate(found))
    return documents


def _drop(task: _Task) -> tuple[int, int]:
    """Write a file without repeated lines; how many documents changed, and how many characters they lost."""
    repeated = np.load(task.out.with_name(_REPEATED), mmap_mode="r")
    changed = characters = 0
    source, config = task.part.source.config, task.part.config
    with whole_file(task.out) as partial, PartWriter(partial, schemas(config).part) as writer:
        for table, texts in _groups(task):
            new = {row: left for row, text in enumerate(texts) if (left := drop_lines(text, repeated)[0]) != text}
            changed += len(new)
            characters += sum(len(texts[row]) - len(left) for row, left in new.items())
            writer.write(with_texts(table, new, source, config) if new else table)
    return changed, characters


def _groups(task: _Task) -> Iterator[tuple[pyarrow.Table, list[str]]]:
    """The tables of a file, each with its texts, empty for documents that are rejected or beyond the limit."""
    left = task.rows
    for table in read_part(task.part.path):
        pairs = zip(table.column("text").to_pylist(), table.column("reason").to_pylist(), strict=True)
        yield table, ["" if reason or row >= left else text for row, (text, reason) in enumerate(pairs)]
        left -= table.num_rows
