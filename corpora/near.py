"""Finding near-duplicates: candidates share a band of their sketches; none is dropped before its true Jaccard similarity is known."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.minhash import NO_SKETCH, Hashes, gram_sets

Places = NDArray[np.int64]
Fetch = Callable[[list[int]], Sequence[str]]

_MANY = 32  # documents kept that a bucket remembers, and documents that one is compared with
_PIECE = 1 << 20  # characters fetched at a time
_HELD = 1 << 22  # 5-grams of documents kept that are held


class Near(NamedTuple):
    """What was found, of D documents to drop."""

    dropped: Places  # int64 [D], ascending
    kept: Places  # int64 [D], the document that stays in place of each
    jaccard: NDArray[np.float64]  # [D], of the two
    compared: int  # comparisons made
    crowded: int  # documents kept while some candidates may have been left out


def find_near(bands: Hashes, sizes: Places, fetch: Fetch, threshold: float = 0.8) -> Near:
    """Near-duplicates among N documents, from their ``sketches``, uint64 [N, bands], and their lengths, int64 [N].

    Documents are visited from the longest to the shortest, of equals the earlier first. Each is compared with those already kept
    that share a band with it, by the most bands first, and is dropped for the first whose Jaccard similarity reaches ``threshold``.
    So it is dropped for one that is kept and no shorter, and what is near to dropped ones only is kept. Two documents meet with the
    probability ``minhash.chance_of_meeting``: a threshold far below that of the bands finds few of its pairs.

    ``fetch`` gives the texts of documents named in ascending order: those that share bands together, a million characters at a time.
    Where thousands share a band, as pages in the same frame do, work is bounded: a bucket remembers the last 32 documents kept
    (the nearest in length), and a document is compared with 32 at most; ``crowded`` counts those that were kept so.
    Memory: some 60 bytes for each band that a document shares with another, 50 for each document, 60 MB for texts and 5-grams.
    """
    members, buckets = _shared_bands(bands)
    parts = _components(members, buckets, len(sizes))
    counts = np.bincount(members, minlength=len(sizes))
    ends = np.cumsum(counts)
    buckets = buckets[np.argsort(members, kind="stable")]
    visits = np.flatnonzero(counts)
    visits = visits[np.lexsort((-sizes[visits], parts[visits]))]  # one component after the other
    held = _Held(fetch)
    remembered: defaultdict[int, list[int]] = defaultdict(list)
    found, part, compared, crowded = [], 0, 0, 0
    for document, own in held.read_through(visits, sizes):
        if part != (part := parts[document]):
            remembered.clear()  # no bucket reaches beyond its component
        mine = buckets[ends[document] - counts[document] : ends[document]].tolist()
        shared = Counter(each for bucket in mine for each in remembered[bucket])
        others = [each for each, _ in shared.most_common(_MANY)]
        for other, grams in zip(others, held.get(others), strict=True):
            if min(len(own), len(grams)) / max(len(own), len(grams), 1) < threshold:
                continue  # too unlike in size
            compared += 1
            both = np.sort(np.concatenate([own, grams]))
            common = np.count_nonzero(both[1:] == both[:-1])
            if (jaccard := common / (len(both) - common)) >= threshold:
                found.append((document, other, jaccard))
                break
        else:
            held.put(document, own)
            crowded += len(shared) > _MANY or any(len(remembered[bucket]) == _MANY for bucket in mine)
            for bucket in mine:
                remembered[bucket] = [*remembered[bucket][1 - _MANY :], document]
    dropped, kept, jaccards = ([row[column] for row in sorted(found)] for column in range(3))
    return Near(np.array(dropped, np.int64), np.array(kept, np.int64), np.array(jaccards, float), compared, crowded)


class _Held:
    """Sets of 5-grams, as sorted uint64: those used last are held, others are read anew."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch, self._size = fetch, 0
        self._sets: dict[int, Hashes] = {}

    def read_through(self, documents: Places, sizes: Places) -> Iterator[tuple[int, Hashes]]:
        for piece in np.split(documents, np.flatnonzero(np.diff(np.cumsum(sizes[documents]) // _PIECE)) + 1):
            fresh = self._read(piece.tolist())
            yield from ((document, fresh.pop(document)) for document in piece.tolist())

    def get(self, documents: list[int]) -> list[Hashes]:
        sets = self._read([each for each in documents if each not in self._sets])
        sets |= {each: self._sets[each] for each in documents if each not in sets}
        for each in documents:
            self.put(each, sets[each])
        return [sets[each] for each in documents]

    def put(self, document: int, grams: Hashes) -> None:
        self._size += len(grams) - len(self._sets.pop(document, ()))
        self._sets[document] = grams
        while self._size > _HELD:
            self._size -= len(self._sets.pop(next(iter(self._sets))))

    def _read(self, documents: list[int]) -> dict[int, Hashes]:
        documents = sorted(documents)
        return dict(zip(documents, gram_sets(self._fetch(documents)), strict=True)) if documents else {}


def _shared_bands(bands: Hashes) -> tuple[Places, Places]:
    """Documents that share the value of a band, and the number of that value, from 0: an entry for each band of each document."""
    members, firsts = [], []
    for column in bands.T:
        order = np.argsort(column, kind="stable")
        values = column[order]
        same = np.pad((values[1:] == values[:-1]) & (values[1:] != NO_SKETCH), 1)
        shared = np.flatnonzero(same[1:] | same[:-1])
        members.append(order[shared])
        firsts.append(~same[shared])
    return np.concatenate(members), np.cumsum(np.concatenate(firsts)) - 1


def _components(members: Places, buckets: Places, size: int) -> Places:
    """For each document the first of those that it is connected with through shared bands, int64 [N]."""
    labels, before = np.arange(size), np.zeros(0, np.int64)
    begins = np.flatnonzero(np.diff(buckets, prepend=-1))
    while len(members) and not np.array_equal(labels, before):
        before = labels.copy()
        lowest = np.minimum.reduceat(before[members], begins)[buckets]
        np.minimum.at(labels, before[members], lowest)  # a component joins another by its first document
        np.minimum.at(labels, members, lowest)
        labels = labels[labels]
    return labels
