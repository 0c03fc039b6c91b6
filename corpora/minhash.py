"""Sketches of documents for finding near-duplicates: MinHash of character 5-grams, hashed band by band.

Documents of Jaccard similarity J (Broder 1997) share the value of a band with probability J^ROWS, and any of their bands with
1 - (1 - J^ROWS)^BANDS (Indyk & Motwani 1998; Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, 3.4). The minima come from
one hash of every 5-gram, whose upper bits choose the bin that it competes in (one-permutation hashing, Li, Owen & Zhang 2012); an
empty bin borrows from a fixed list of others, which keeps the probability of agreement at J (Shrivastava & Li 2014; Shrivastava 2017).
"""

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

GRAM = 5  # units of UTF-16 that count: no white space, punctuation or control characters
BANDS, ROWS = 32, 16
MIN_GRAMS = 20  # a document with fewer gets no sketch: one character more or less would decide
LSH_THRESHOLD = round((1 / BANDS) ** (1 / ROWS), 4)  # the similarity around which documents become candidates
PARAMETERS = {"gram": GRAM, "bands": BANDS, "rows": ROWS, "min_grams": MIN_GRAMS, "lsh_threshold": LSH_THRESHOLD}
NO_SKETCH = np.uint64(0)

_BINS = BANDS * ROWS
_NONE = np.uint64(2**64 - 1)
_FIRST, _LAST = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_BIN_SHIFT = np.uint64(64 - (_BINS - 1).bit_length())  # there are 2^n bins
_BLOCK = 128  # documents at a time, so that they and their bins stay in the cache


def chance_of_meeting(jaccard: float) -> float:
    """The probability that two documents of this similarity share a band."""
    return 1 - (1 - jaccard**ROWS) ** BANDS


def sketches(texts: Sequence[str]) -> Hashes:
    """The hashes of the bands of each document, uint64 [N, BANDS]; NO_SKETCH everywhere for one that is too short.

    A row depends on its own document alone. Memory: some 20 bytes for each character of 128 texts.
    """
    found = np.full((len(texts), BANDS), NO_SKETCH)
    for begin in range(0, len(texts), _BLOCK):
        hashes, sizes = _gram_hashes(texts[begin : begin + _BLOCK])
        minima = np.full(len(sizes) * _BINS, _NONE)
        bins = (hashes >> _BIN_SHIFT).view(np.int64)
        bins += np.repeat(np.arange(len(sizes)) * _BINS, sizes)
        np.minimum.at(minima, bins, hashes)
        long = np.flatnonzero(sizes >= MIN_GRAMS + GRAM - 1)
        found[begin + long] = _band_hashes(minima.reshape(-1, _BINS)[long])
    return found


def gram_sets(texts: Sequence[str]) -> list[Hashes]:
    """The hashes of the 5-grams of each document, each once, as sorted uint64."""
    hashes, sizes = _gram_hashes(texts)
    return [np.unique(each[: 1 - GRAM]) for each in np.split(hashes, np.cumsum(sizes))[:-1]]


def _gram_hashes(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """The hash of the 5-gram from each unit on that counts, uint64 [M], _NONE where fewer than five are left, and sizes, int64 [N]."""
    units = [text.encode("utf-16-le", "surrogatepass") for text in texts]
    codes = np.frombuffer(b"".join(units), "<u2")
    counts = _counted().take(codes)
    ends = np.cumsum([0, *(len(each) // 2 for each in units)])
    ends -= np.searchsorted(np.flatnonzero(~counts), ends)
    size = int(ends[-1])
    kept = np.zeros(size + GRAM, "<u2")
    np.compress(counts, codes, out=kept[:size])
    fours = np.ndarray((size,), "<u8", kept.data, strides=(2,))  # four units from each on, as one number
    hashes = fours * _FIRST
    hashes += kept[GRAM - 1 : GRAM - 1 + size] * _LAST
    hashes ^= hashes >> np.uint64(32)
    hashes *= _LAST
    rests = ends[1:, None] - np.arange(1, GRAM)
    hashes[rests[rests >= 0]] = _NONE
    return hashes, np.diff(ends)


def _band_hashes(minima: Hashes) -> Hashes:
    """From the minima of the bins, uint64 [N, _BINS], to the hashes of the bands, uint64 [N, BANDS]."""
    flat = minima.reshape(-1)
    empty = np.flatnonzero(flat == _NONE)
    step = 1
    while len(empty):  # afterwards each bin has the first that is not empty of 2 * step in a fixed order
        flat[empty] = flat[empty ^ step]
        empty = empty[flat[empty] == _NONE]
        step *= 2
    order, factors = _mixing()
    hashes = (minima[:, order] * factors).reshape(-1, BANDS, ROWS).sum(axis=2)
    hashes ^= hashes >> np.uint64(32)
    return hashes * _LAST


@cache
def _mixing() -> tuple[NDArray[np.intp], Hashes]:
    """Which bin is which row of which band, and an odd factor for each, by splitmix64 (Steele, Lea & Flood 2014)."""
    values = np.arange(1, _BINS + 1, dtype=np.uint64) * _FIRST
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return np.argsort(values), values | np.uint64(1)


@cache
def _counted() -> NDArray[np.bool_]:
    """Which units of UTF-16 count."""
    categories = [unicodedata.category(chr(code)) for code in range(0x10000)]
    return np.array([category[0] not in "ZP" and category != "Cc" for category in categories])
