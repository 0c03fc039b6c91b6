"""How much of a document repeats itself: n-grams of characters or words, and whole lines, paragraphs and sentences.

The shares are those of Rae et al. 2021 (https://arxiv.org/abs/2112.11446, table A1), with characters in the place of words: ``top_n``
is the share of the characters that the n-gram covers which covers most, ``duplicate_n`` the share of the characters in n-grams that have
occurred before in the document, each character counted once. So a document that consists of a text and its copy has a share of 0.5.
``repeated_n`` is what Swallow's code compares instead, whose thresholds fit no other: the share of the different n-grams that occur more
than once. Good documents have several times as much of the former.
"""

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)

_SENTENCE = re.compile(r"[^。．！？!?\n]+[。．！？!?]?")
# Units that are looked at together: what is sorted should fit into the cache of a core, and its keys into 63 bits
_AT_ONCE = 1 << 15
_DOCUMENTS_AT_ONCE = 1 << 12
_LONGEST = 1 << 23
_UNIT_BITS = 16

END = 0xFFFF
"""The unit that ends each document."""


def repeated_shares(
    units: NDArray[np.uint16], sizes: NDArray[np.integer] | None = None, longest: int = DUPLICATE[-1]
) -> dict[str, NDArray[np.float64]]:
    """``top_2`` …, ``duplicate_5`` … and ``repeated_5`` …, each float64 [N], of n-grams of up to ``longest`` units.

    ``units`` [U] are numbers of characters or words, below ``END``, with ``END`` after each document; ``sizes`` [U] are their lengths
    in characters, each 1 by default. Of a document only the first 8 million units are looked at.
    """
    ends = np.flatnonzero(units == END)
    kinds = [("top", TOP), ("duplicate", DUPLICATE), ("repeated", DUPLICATE)]
    shares = {f"{kind}_{n}": np.zeros(len(ends)) for kind, orders in kinds for n in orders if n <= longest}
    for first, last in _chunks(ends):
        begin = int(ends[first - 1]) + 1 if first else 0
        chunk = units[begin : int(ends[last - 1]) + 1]
        if len(chunk) > _LONGEST:
            chunk = np.append(chunk[:_LONGEST], np.uint16(END))
        lengths = None if sizes is None else sizes[begin : begin + len(chunk)]
        for name, values in _covered(chunk, lengths, longest).items():
            shares[name][first:last] = values
    return shares


def repeated_parts(
    texts: Sequence[str], cut: Callable[[str], list[str]], looked_at: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the parts of each document that have occurred before in it, and their share of the characters, float64 [N].

    Both are 0 for documents that are not ``looked_at`` [N], where that is given.
    """
    shares = np.zeros((2, len(texts)))
    for number in range(len(texts)) if looked_at is None else np.flatnonzero(looked_at).tolist():
        parts = cut(texts[number])
        once = set(parts)
        if len(once) < len(parts):
            shares[:, number] = 1 - len(once) / len(parts), 1 - len("".join(once)) / len("".join(parts))
    return shares[0], shares[1]


def lines_of(text: str) -> list[str]:
    """The lines that are not empty."""
    return [line for line in text.split("\n") if line]


def paragraphs_of(text: str) -> list[str]:
    """What blank lines part."""
    return [part for part in (part.strip("\n") for part in text.split("\n\n")) if part]


def sentences_of(text: str) -> list[str]:
    """The sentences of each line."""
    return _SENTENCE.findall(text)


def _chunks(ends: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Documents to look at together, from a first to one before a last."""
    first = begin = 0
    while first < len(ends):
        last = int(np.searchsorted(ends, begin + _AT_ONCE))
        last = min(max(last, first + 1), first + _DOCUMENTS_AT_ONCE)
        yield first, last
        first, begin = last, int(ends[last - 1]) + 1


def _covered(
    units: NDArray[np.uint16], sizes: NDArray[np.integer] | None, longest: int
) -> dict[str, NDArray[np.float64]]:
    """Share of the characters that repeated n-grams cover, by document.

    From n-grams to (n + 1)-grams only those places are kept whose n-gram occurs again: a key is the number of the n-gram, the unit that
    follows it and the place, and sorting the keys brings equal (n + 1)-grams together. The units that end documents occur but once in
    each, so that no n-gram with one is kept.
    """
    ends = np.flatnonzero(units == END)
    documents = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
    # place of each unit in characters; those that end documents lie in no n-gram
    offsets = np.arange(len(units) + 1) if sizes is None else np.concatenate([[0], np.cumsum(sizes)])
    characters = np.maximum(offsets[ends] - offsets[np.append(0, ends[:-1] + 1)], 1)
    counts = np.diff(ends, prepend=-1) - 1
    following = units.astype(np.int64)
    bits = len(units).bit_length()
    found: dict[str, NDArray[np.float64]] = {}
    numbers, places = documents[:-1] << _UNIT_BITS | following[:-1], np.arange(len(units) - 1)
    for n in range(2, longest + 1):
        keys = (numbers << _UNIT_BITS | following[places + (n - 1)]) << bits | places
        keys.sort()
        numbers = keys >> bits
        same = np.zeros(len(keys) + 1, bool)  # as the one before
        np.equal(numbers[1:], numbers[:-1], out=same[1:-1])
        kept = np.flatnonzero(same[:-1] | same[1:])
        again = same[kept]
        places = keys[kept] & ((1 << bits) - 1)
        if n in TOP:
            first = np.flatnonzero(~again)
            begins = places[first]
            covered = np.diff(first, append=len(kept)) * (n if sizes is None else offsets[begins + n] - offsets[begins])
            # n-grams come in the order of their documents
            owners, at = np.unique(documents[begins], return_index=True)
            most = np.zeros(len(ends))
            most[owners] = np.maximum.reduceat(covered, at) if len(at) else 0
            found[f"top_{n}"] = np.minimum(most / characters, 1)
        elif n in DUPLICATE:
            begins = np.sort(places[again])
            stops = np.minimum(offsets[begins + n], offsets[np.append(begins[1:], len(units))])
            again_covered = np.bincount(documents[begins], stops - offsets[begins], len(ends))
            found[f"duplicate_{n}"] = again_covered / characters
            later = np.bincount(documents[begins], minlength=len(ends))
            groups = np.bincount(documents[places[~again]], minlength=len(ends))
            found[f"repeated_{n}"] = groups / np.maximum(counts - (n - 1) - later, 1)
        numbers = np.cumsum(~again)
    return found
