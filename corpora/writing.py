"""Writing the documents and the rejected of a corpus from its parts, counting as they go by."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray

from corpora.columns import numbers_of
from corpora.deciding import DUPLICATE, NEAR_DUPLICATE, REJECTED, VALID, Fates
from corpora.judging import japanese_ratio
from corpora.part_files import read_part
from corpora.rows import REPEATED, Schemas
from corpora.splitting import choose_share, cut_tail
from corpora.tables import RotatingWriter, text_bytes
from corpora.tally import Tally
from stage.progress import progress

Places = NDArray[np.int64]
_TALLIED = ["source", "split", "chars", "raw_chars", "masked"]


def write_documents(
    folder: Path,
    parts: Sequence[Path],
    decided: Fates,
    schemas: Schemas,
    weights: Mapping[str, float],
    quiet: bool,
    threads: int = 1,
) -> Tally:
    """Write ``documents-*.parquet`` and ``rejected/`` from the files of the parts; ``weights`` are those of the sources by name.

    So many threads write documents, with the same result for any number. Memory: some row groups for each.
    """
    tally = Tally()
    at = 0
    with (
        RotatingWriter(folder, "documents", schemas.documents, threads) as documents,
        RotatingWriter(folder / "rejected", "rejected", schemas.rejected) as rejected,
        progress(total=len(decided.fates), description="writing", unit="document", quiet=quiet, unit_scale=True) as bar,
    ):
        for path, number, table in ((part, *each) for part in parts for each in enumerate(read_part(part))):
            kept, places, copies = _kept_rows(table, at, decided, weights)
            sizes = text_bytes(kept)[places]
            tally.add_documents(kept.select(_TALLIED).take(places), sizes)
            read = (lambda kept=kept: kept) if decided.tails else partial(_read_again, path, number, at, decided)
            documents.write_rows(sizes, partial(_chosen, read, schemas.documents.names, places, copies))
            refused = _rejected_rows(table, at, decided, schemas)
            tally.add_rejected(refused)
            rejected.write(refused)
            at += table.num_rows
            bar.update(table.num_rows)
    return tally


def _kept_rows(
    table: pyarrow.Table, at: int, decided: Fates, weights: Mapping[str, float]
) -> tuple[pyarrow.Table, Places, Places]:
    """A table of documents, the rows of it to write, and which copy of its document each is, from 0."""
    table = _with_split(table, at, decided)
    places = np.flatnonzero(decided.fates[at : at + table.num_rows] <= VALID)
    if decided.tails:
        table = _with_tails(table.take(places))
        places = np.arange(table.num_rows)
    copies = np.zeros(len(places), np.int64)
    if any(weight != 1 for weight in weights.values()):
        places, copies = _weighted(table, places, weights)
    return table, places, copies


def _with_split(table: pyarrow.Table, at: int, decided: Fates) -> pyarrow.Table:
    fate = decided.fates[at : at + table.num_rows]
    return _with(table, "split", pyarrow.array(np.where(fate == VALID, "valid", "train"), pyarrow.string()))


def _read_again(path: Path, number: int, at: int, decided: Fates) -> pyarrow.Table:
    """A table of a part, which is not held between, as what is mapped counts as memory of the process."""
    return _with_split(next(islice(read_part(path), number, None)), at, decided)


def _chosen(
    read: Callable[[], pyarrow.Table], names: list[str], places: Places, copies: Places, begin: int, end: int
) -> pyarrow.Table:
    """The rows at some of these places of a table, those of copies with a number behind their ids."""
    table = read().select(names)
    if (np.diff(places[begin:end]) == 1).all():
        table = table.slice(places[begin], end - begin)
    else:
        table = table.take(places[begin:end])
    if not copies[begin:end].any():
        return table
    ids = zip(table.column("id").to_pylist(), copies[begin:end].tolist(), strict=True)
    names = [name + f"#{copy + 1}" * (copy > 0) for name, copy in ids]
    return _with(table, "id", pyarrow.array(names, pyarrow.string()))


def _rejected_rows(table: pyarrow.Table, at: int, decided: Fates, schemas: Schemas) -> pyarrow.Table:
    fate = decided.fates[at : at + table.num_rows]
    for code, reason in zip((DUPLICATE, NEAR_DUPLICATE), REPEATED, strict=True):
        chosen = pyarrow.array(fate == code)
        table = _with(table, "reason", pyarrow.compute.if_else(chosen, reason, table.column("reason")))
    places = np.flatnonzero((fate >= REJECTED) & (fate <= NEAR_DUPLICATE))
    table = table.take(places)
    twins = [decided.twins.get(at + place) for place in places.tolist()]
    measures = [twin[1] if twin else old for twin, old in zip(twins, table.column("measure").to_pylist(), strict=True)]
    table = _with(table, "measure", pyarrow.array(measures, pyarrow.float64()))
    names = pyarrow.array([twin[0] if twin else "" for twin in twins], pyarrow.string())
    return _with(table, "duplicate_of", names).select(schemas.rejected.names)


def _with(table: pyarrow.Table, name: str, values: Any) -> pyarrow.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _with_tails(table: pyarrow.Table) -> pyarrow.Table:
    """Each document that can be cut as two: its body for training and, after it, its tail, held out.

    Measures other than of length and of Japanese letters stay those of the whole document.
    """
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
    return pyarrow.Table.from_pylist(rows, schema=table.schema)


def _weighted(table: pyarrow.Table, places: Places, weights: Mapping[str, float]) -> tuple[Places, Places]:
    """The documents to learn from as often as their source weighs, those with a fraction chosen by their digest, and numbers of the copies."""
    narrow = table.select(["source", "split", "digest"]).take(places)
    wanted = np.array([weights[source] for source in narrow.column("source").to_pylist()])
    wanted[[split == "valid" for split in narrow.column("split").to_pylist()]] = 1
    digests = numbers_of(narrow.column("digest"))[:, 1]
    times = np.floor(wanted).astype(np.int64) + choose_share(digests, wanted % 1)
    copies = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return np.repeat(places, times), copies
