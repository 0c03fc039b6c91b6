"""Writing the documents and the rejected of a corpus from its parts, counting as they go by."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute

from corpora.columns import numbers_of
from corpora.deciding import DUPLICATE, NEAR_DUPLICATE, REJECTED, VALID, Fates
from corpora.judging import japanese_ratio
from corpora.part_files import read_part
from corpora.rows import REPEATED, Schemas
from corpora.splitting import choose_share, cut_tail
from corpora.tables import RotatingWriter
from corpora.tally import Tally
from stage.progress import progress


def write_documents(
    folder: Path, parts: Sequence[Path], decided: Fates, schemas: Schemas, weights: Mapping[str, float], quiet: bool
) -> Tally:
    """Write ``documents-*.parquet`` and ``rejected/`` from the files of the parts; ``weights`` are those of the sources by name."""
    tally = Tally()
    at = 0
    with (
        RotatingWriter(folder, "documents", schemas.documents) as documents,
        RotatingWriter(folder / "rejected", "rejected", schemas.rejected) as rejected,
        progress(total=len(decided.fates), description="writing", unit="document", quiet=quiet, unit_scale=True) as bar,
    ):
        for table in chain.from_iterable(map(read_part, parts)):
            kept = _kept_rows(table, at, decided, schemas, weights)
            tally.add_documents(kept)
            documents.write(kept)
            refused = _rejected_rows(table, at, decided, schemas)
            tally.add_rejected(refused)
            rejected.write(refused)
            at += table.num_rows
            bar.update(table.num_rows)
    return tally


def _kept_rows(
    table: pyarrow.Table, at: int, decided: Fates, schemas: Schemas, weights: Mapping[str, float]
) -> pyarrow.Table:
    fate = decided.fates[at : at + table.num_rows]
    table = _with(table, "split", pyarrow.array(np.where(fate == VALID, "valid", "train"), pyarrow.string()))
    kept = table.filter(pyarrow.array(fate <= VALID))
    if decided.tails:
        kept = _with_tails(kept)
    if any(weight != 1 for weight in weights.values()):
        kept = _weighted(kept, weights)
    return kept.select(schemas.documents.names)


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


def _weighted(table: pyarrow.Table, weights: Mapping[str, float]) -> pyarrow.Table:
    """The documents to learn from as often as their source weighs, those with a fraction chosen by their digest; copies are numbered."""
    wanted = np.array([weights[source] for source in table.column("source").to_pylist()])
    wanted[[split == "valid" for split in table.column("split").to_pylist()]] = 1
    digests = numbers_of(table.column("digest"))[:, 1]
    times = np.floor(wanted).astype(np.int64) + choose_share(digests, wanted % 1)
    places = np.repeat(np.arange(len(times)), times)
    copies = np.arange(len(places)) - np.repeat(np.cumsum(times) - times, times)
    ids = np.array(table.column("id").to_pylist(), object)[places].tolist()
    names = [name + f"#{copy + 1}" * (copy > 0) for name, copy in zip(ids, copies.tolist(), strict=True)]
    return _with(table.take(places), "id", pyarrow.array(names, pyarrow.string()))
