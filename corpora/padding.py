"""Documents one after another as units of UTF-16, so that n-grams of all are looked up at once and none crosses into another document."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

CUT = "\ufffe"
"""A noncharacter, left out of documents, of which some stand before the first and after each."""
_BLOCK = 1 << 15  # characters worked on at once, whose arrays stay in the cache


def padded_units(texts: Sequence[str], order: int) -> NDArray[np.uint16]:
    """Units of texts for n-grams of up to ``order``, with ``order`` - 1 cuts before and after each. Lone surrogates are not allowed."""
    between = CUT * (order - 1)
    whole = "".join([between, *(text.replace(CUT, "") + between for text in texts)])
    return np.frombuffer(whole.encode("utf-16-le"), np.uint16)


def means(values: NDArray[np.number], units: NDArray[np.uint16], order: int) -> NDArray[np.float64]:
    """The mean of each document's values, float64 [N], nan for an empty one; ``values`` are of the units from the ``order``-th on."""
    ends = np.flatnonzero(units[order - 1 :] == ord(CUT))[:: order - 1]
    begins = np.concatenate([[0], ends[:-1] + order - 1])
    kind = np.float64 if values.dtype.kind == "f" else np.int64
    sums = np.zeros(len(values) + 1, kind)
    np.cumsum(values, out=sums[1:])
    with np.errstate(invalid="ignore"):
        return np.asarray((sums[ends] - sums[begins]) / (ends - begins))


def in_blocks(texts: Sequence[str], work: Callable[[Sequence[str]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """What ``work`` gives for texts, float64 [N], some at a time. Memory: some 60 bytes a character of the longest."""
    results = [np.empty(0)]
    begin = size = 0
    for end, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _BLOCK or end == len(texts):
            results.append(work(texts[begin:end]))
            begin, size = end, 0
    return np.concatenate(results)
