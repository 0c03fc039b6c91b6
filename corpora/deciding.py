"""What becomes of each document that was read: learned from, held out, rejected by a rule, or left out as another says the same."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray

from corpora.config import CorpusConfig
from corpora.judging import measured, mend
from corpora.minhash import BANDS, PARAMETERS
from corpora.near import find_near
from corpora.splitting import choose_valid, splits_tails
from stage.errors import InputError

TRAIN, VALID, REJECTED, DUPLICATE, NEAR_DUPLICATE, BEYOND_LIMIT = range(6)
"""Fates of documents."""


class Fates(NamedTuple):
    """What becomes of N documents, in the order of the parts."""

    fates: NDArray[np.uint8]
    tails: bool
    """Whether the tails of documents are held out, not whole documents."""
    twins: dict[int, tuple[str, float]]
    """For a document that repeats another: the id of that one, which is kept, and their Jaccard similarity (1: the texts are equal)."""
    near: dict[str, Any]
    """How near-duplicates were looked for; empty where they were not."""


class Parts:
    """The rows of the files of all parts, by their number."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        metadata = [pyarrow.parquet.read_metadata(file) for file in files]
        self._groups = [
            (file, group) for file, each in zip(files, metadata, strict=True) for group in range(each.num_row_groups)
        ]
        rows = [each.row_group(group).num_rows for each in metadata for group in range(each.num_row_groups)]
        self._begins = np.cumsum([0, *rows])

    def read(self, column: str, places: Iterable[int]) -> list[Any]:
        """A column of the documents at these places, which ascend. Memory: a row group, and what is returned."""
        found = []
        for group, members in groupby(places, lambda place: int(np.searchsorted(self._begins, place, "right")) - 1):
            file, number = self._groups[group]
            with pyarrow.parquet.ParquetFile(file) as opened:
                values = opened.read_row_group(number, columns=[column], use_threads=False).column(0)
            found += values.take([place - int(self._begins[group]) for place in members]).to_pylist()
        return found


def decide(files: Sequence[tuple[Path, str]], config: CorpusConfig, work: Path) -> Fates:
    """The fates of the documents in the files of the parts, each with the path of its source.

    Memory: 17 bytes for each document, the ids of those that are repeated, and as ``find_near``, whose sketches lie in ``work``.
    Raises InputError, naming a source without any text, or when no document is left.
    """
    digests, fates = [], []
    reasons: Counter[str] = Counter()
    read: Counter[str] = Counter()
    filled: set[str] = set()
    for path, source in files:
        table = pyarrow.parquet.read_table(path, columns=["digest", "reason"])
        given = table.column("reason").to_pylist()
        within = given[: config.limit - read[source]] if config.limit else given
        read[source] += len(within)
        if any(reason != "empty" for reason in within):
            filled.add(source)
        reasons.update(reason for reason in within if reason)
        fate = np.full(len(given), BEYOND_LIMIT, dtype=np.uint8)
        fate[: len(within)] = [REJECTED if reason else TRAIN for reason in within]
        fates.append(fate)
        digests.append(np.frombuffer(b"".join(table.column("digest").to_pylist()), dtype=np.uint64).reshape(-1, 2))
    for source in dict.fromkeys(source for _, source in files):
        if source not in filled:
            raise InputError(f"{source}: holds no text")
    fate, digest = np.concatenate(fates), np.concatenate(digests)
    kept = np.flatnonzero(fate == TRAIN)
    if not len(kept):
        raise InputError(f"no document is left: {_explained(reasons, [path for path, _ in files])}")
    parts = Parts([path for path, _ in files])
    repeated: dict[int, tuple[int, float]] = {}
    if config.deduplicate:
        again, first = (kept[each] for each in _repeated(digest[kept]))
        repeated = {place: (other, 1.0) for place, other in zip(again.tolist(), first.tolist(), strict=True)}
        fate[again] = DUPLICATE
        kept = np.flatnonzero(fate == TRAIN)
    near: dict[str, Any] = {}
    if config.looks_for_near:
        found = _find_near(parts, kept, config.near_duplicates, work)
        pairs = zip(kept[found.kept].tolist(), found.jaccard.tolist(), strict=True)
        like = dict(zip(kept[found.dropped].tolist(), pairs, strict=True))
        # what equals a document that is dropped now is like the one that stays in its place
        repeated = {place: like.get(twin[0], twin) for place, twin in repeated.items()} | like
        fate[list(like)] = NEAR_DUPLICATE
        kept = np.flatnonzero(fate == TRAIN)
        near = PARAMETERS | {
            "threshold": config.near_duplicates,
            "min_chars": config.near_min_chars,
            "compared": found.compared,
            "crowded": found.crowded,
        }
    tails = splits_tails(len(kept), config)
    if not tails:
        fate[kept[choose_valid(digest[kept, 0], config)]] = VALID
    return Fates(fate, tails, _named(repeated, parts), near)


def _find_near(parts: Parts, kept: NDArray[np.int64], threshold: float, work: Path) -> Any:
    """Near-duplicates among the documents kept so far; their sketches lie in a file, a band after the other."""
    file, at, place = work / "sketches.npy", 0, 0
    sizes = np.zeros(len(kept), np.int64)
    sketches = np.lib.format.open_memmap(file, "w+", np.uint64, (BANDS, len(kept)))
    for path in parts.files:
        table = pyarrow.parquet.read_table(path, columns=["sketch", "chars"])
        own = kept[np.searchsorted(kept, place) : np.searchsorted(kept, place + table.num_rows)] - place
        rows = np.frombuffer(b"".join(table.column("sketch").to_pylist()), np.uint64).reshape(-1, BANDS)
        sketches[:, at : at + len(own)] = rows[own].T
        sizes[at : at + len(own)] = table.column("chars").to_numpy()[own]
        at, place = at + len(own), place + table.num_rows
    try:
        return find_near(sketches.T, sizes, lambda chosen: parts.read("text", kept[chosen].tolist()), threshold)
    finally:
        file.unlink()


def _named(repeated: dict[int, tuple[int, float]], parts: Parts) -> dict[int, tuple[str, float]]:
    """The ids of the documents that others repeat, in the place of their places."""
    places = sorted({other for other, _ in repeated.values()})
    names = dict(zip(places, parts.read("id", places), strict=True))
    return {place: (names[other], similarity) for place, (other, similarity) in repeated.items()}


def _repeated(digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which documents repeat an earlier one, and the first of those that each repeats, from digests, uint64 [N, 2]."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: of equals the first stays first
    same = np.append(False, (digests[order][1:] == digests[order][:-1]).all(axis=1))
    firsts = order[np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))]
    return order[same], firsts[same]


def _explained(reasons: Counter[str], files: Sequence[Path]) -> str:
    """The commonest reasons of rejection, each with an example and what mends it."""
    examples: dict[str, str] = {}
    for file in files:
        for row in pyarrow.parquet.read_table(file, columns=["id", "reason", "measure"]).to_pylist():
            said = measured(row["reason"], row["measure"])
            examples.setdefault(row["reason"], row["id"] + f" ({said})" * bool(said))
    return "; ".join(
        f"{count} of {reasons.total()} were rejected as {reason}, such as {examples[reason]}: {mend(reason)}"
        for reason, count in reasons.most_common(3)
    )
