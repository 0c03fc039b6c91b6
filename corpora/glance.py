"""A glance at many documents at once: which of them may bear markup or have been read in a wrong encoding. Most do not."""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate

import numpy as np

from corpora.markup import SIGNS, STARTS
from corpora.mojibake import MARKS, may_be_reread


def need_a_look(texts: Sequence[str]) -> list[bool]:
    """For each document: False where it is certain that it has no lone surrogate, no sign of markup and is no mojibake."""
    try:
        units = [text.encode("utf-16-le") for text in texts]
    except UnicodeEncodeError:
        return [True] * len(texts)
    codes = np.frombuffer(b"".join([*units, b"\n\0"]), np.uint16)
    kinds = _kinds()
    places = np.flatnonzero(_begins().take(codes, mode="clip"))
    places = places[(kinds[codes[places]] & _ALONE | kinds[codes[places + 1]] & _FOLLOWS) > 0]
    ends = np.fromiter(accumulate(len(each) // 2 for each in units), np.int64, len(units))
    found = np.zeros(len(units), bool)
    found[np.searchsorted(ends, places, side="right")] = True
    return [
        has_sign or text.startswith(STARTS) or may_be_reread(text)
        for has_sign, text in zip(found.tolist(), texts, strict=True)
    ]


_BEGINS, _ALONE, _FOLLOWS = 1, 2, 4


@cache
def _begins() -> np.ndarray:
    return (_kinds() & _BEGINS) > 0


@cache
def _kinds() -> np.ndarray:
    """Which units of UTF-16 begin a sign of markup or of mojibake, are one alone, or follow as the second of one."""
    table = np.zeros(0x10000, np.uint8)
    for sign in SIGNS:
        table[ord(sign[0])] |= _BEGINS if sign[1:] else _BEGINS | _ALONE
        table[[ord(second) for second in sign[1:2]]] |= _FOLLOWS
    table[[code for code in range(0x10000) if MARKS.match(chr(code))]] |= _BEGINS | _ALONE
    return table
