"""What becomes of each document that was read: learned from, held out, rejected by a rule, or left out as another says the same."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
from numpy.typing import NDArray

from corpora.columns import numbers_of
from corpora.config import CorpusConfig
from corpora.judging import measured, mend
from corpora.minhash import BANDS, PARAMETERS
from corpora.near import find_near
from corpora.part_files import read_part
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
        self._begins = np.cumsum([0, *(sum(table.num_rows for table in read_part(file)) for file in files)])

    def read(self, column: str, places: Iterable[int]) -> list[Any]:
        """A column of the documents at these places, which ascend. Memory: what is returned."""
        found = []
        for number, members in groupby(places, lambda place: int(np.searchsorted(self._begins, place, "right")) - 1):
            values = pyarrow.chunked_array([table.column(column).chunk(0) for table in read_part(self.files[number])])
            begin = int(self._begins[number])
            found += [values[place - begin].as_py() for place in members]
        return found


def decide(files: Sequence[tuple[Path, str]], config: CorpusConfig, work: Path) -> Fates:
    """The fates of the documents in the files of the parts, each with the path of its source.

    Memory: 17 bytes for each document, the ids of those that are repeated, and as ``find_near``, whose sketches lie in ``work``.
    Raises InputError, naming a source without any text, or when no document is left.
    """
    digests, fates = [np.empty((0, 2), np.uint64)], [np.empty(0, np.uint8)]
    reasons: Counter[str] = Counter()
    read: Counter[str] = Counter()
    filled: set[str] = set()
    for source, table in ((source, table) for path, source in files for table in read_part(path)):
        given = table.column("reason").to_pylist()
        within = given[: config.limit - read[source]] if config.limit else given
        read[source] += len(within)
        if any(reason != "empty" for reason in within):
            filled.add(source)
        reasons.update(reason for reason in within if reason)
        fate = np.full(len(given), BEYOND_LIMIT, dtype=np.uint8)
        fate[: len(within)] = [REJECTED if reason else TRAIN for reason in within]
        fates.append(fate)
        digests.append(numbers_of(table.column("digest")))
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
    for table in chain.from_iterable(map(read_part, parts.files)):
        own = kept[np.searchsorted(kept, place) : np.searchsorted(kept, place + table.num_rows)] - place
        sketches[:, at : at + len(own)] = numbers_of(table.column("sketch"))[own].T
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
        tables = (table.select(["id", "reason", "measure"]) for table in read_part(file))
        for row in chain.from_iterable(table.to_pylist() for table in tables):
            said = measured(row["reason"], row["measure"])
            examples.setdefault(row["reason"], row["id"] + f" ({said})" * bool(said))
    return "; ".join(
        f"{count} of {reasons.total()} were rejected as {reason}, such as {examples[reason]}: {mend(reason)}"
        for reason, count in reasons.most_common(3)
    )
