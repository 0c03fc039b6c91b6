"""Normalising many documents at once, with the same result as ``normalize`` and several times as fast.

The documents are joined and looked up character by character in a table: those that one other takes the place of are replaced in an
array, those that depend on their neighbours are looked at alone, and only lines with anything else (marks that join, characters that
become several, characters beyond the BMP) go through the rules of ``corpora.normalization`` as text.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from corpora.normalization import (
    DOCUMENT_RULES,
    DROPPED,
    KEPT,
    LINE_ENDS,
    LINE_RULES,
    TRAILING,
    joining,
    normalize,
    parse_preset,
)

Codes = NDArray[np.uint16]
_STAYS, _MAPPED, _CONTEXT, _SLOW = range(4)
_CUT = "\n\ufffe\n"  # a noncharacter, which no normalised text holds
_POINTS = {ord(wide): ord(half) for wide, half in zip("，．：", ",.:", strict=True)}
_HYPHENS = tuple(map(ord, "‐−－"))
_TRAILING = tuple(map(ord, TRAILING))
_MANY_SPACES = 32
_AFTER_SPACES = DOCUMENT_RULES[1:]  # the first, for spaces at line ends, is applied with the rules for lines
_LONG, _WIDE_MINUS, _MINUS = map(ord, "ー－−")


def normalize_all(texts: Sequence[str], preset: str = "ja-v1") -> list[str]:
    """Each document as ``normalize`` gives it; lone surrogates are not allowed. Raises UsageError for an unknown preset."""
    base, options = parse_preset(preset)
    block = _CUT.join(texts)
    if base != "ja-v1" or options or block.count(_CUT[1]) >= max(len(texts), 1):
        return [normalize(text, preset) for text in texts]
    if not texts:
        return []
    block = _fold_block(block)
    folded = block.split(_CUT)
    for rule in _AFTER_SPACES:
        if rule.has_sign(block):  # which comes from no other of these rules
            folded = [rule(text) for text in folded]
    return folded


def _fold_block(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    raw = text.encode("utf-16-le")
    codes: Codes = np.frombuffer(raw, np.uint16)
    kinds, mapped = _tables()
    kind = kinds.take(codes, mode="clip")
    places = np.flatnonzero(kind != 0)
    codes = codes.copy()
    kind = kind[places]
    at = places[kind == _MAPPED]
    codes[at] = mapped[codes[at]]
    _replace_in_context(codes, places[kind == _CONTEXT])
    ends = np.flatnonzero(codes == ord("\n"))
    trailing, too_long = _trailing(codes, ends)
    slow = np.concatenate([places[kind == _SLOW], too_long])
    kept = None
    if len(trailing):
        kept = np.ones(len(codes), bool)
        kept[trailing] = False
    pieces: list[str] = []
    end = 0
    for begin, stop in _lines_of(slow, ends, len(codes)) if len(slow) else []:
        pieces += [_text(codes, kept, end, begin), _fold_lines(raw[2 * begin : 2 * stop].decode("utf-16-le"))]
        end = stop
    return "".join([*pieces, _text(codes, kept, end, len(codes))])


def _text(codes: Codes, kept: NDArray[np.bool_] | None, begin: int, end: int) -> str:
    chosen = codes[begin:end] if kept is None else codes[begin:end][kept[begin:end]]
    return str(chosen.data, "utf-16-le")


def _trailing(codes: Codes, ends: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where spaces stand at line ends, the last of each line first; and a place in each line that ends in too many to look at."""
    found, places = [ends[:0]], ends
    while len(places) and len(found) <= _MANY_SPACES:
        places = places[places > 0] - 1
        places = places[np.isin(codes[places], _TRAILING)]
        found.append(places)
    return np.concatenate(found), places


def _fold_lines(text: str) -> str:
    for rule in LINE_RULES:
        text = rule(text)
    return "\n".join(line.rstrip(TRAILING) for line in text.split("\n"))


def _lines_of(places: NDArray[np.intp], ends: NDArray[np.intp], size: int) -> list[tuple[int, int]]:
    """Where the lines begin and end that hold these places, in order; neighbours together."""
    ends = np.append(ends, size)
    lines = np.unique(np.searchsorted(ends, places))
    gaps = np.flatnonzero(np.diff(lines) > 1)
    first, last = lines[np.append(0, gaps + 1)], lines[np.append(gaps, -1)]
    return list(zip(np.where(first > 0, ends[first - 1] + 1, 0).tolist(), ends[last].tolist(), strict=True))


def _replace_in_context(codes: Codes, places: NDArray[np.intp]) -> None:
    """The rules for points, long vowels, hyphens and minus, one after the other as ``LINE_RULES`` has them."""
    if not len(places):
        return
    before = codes[np.maximum(places - 1, 0)] * (places > 0)
    after = codes[np.minimum(places + 1, len(codes) - 1)] * (places + 1 < len(codes))
    digits = _is_digit(before) & _is_digit(after)
    either = _is_alphanumeric(before) | _is_alphanumeric(after)
    own = codes[places]
    for wide, half in _POINTS.items():
        codes[places[(own == wide) & digits]] = half
    codes[places[(own == _LONG) & digits]] = ord("-")
    hyphens = np.isin(own, _HYPHENS)
    codes[places[hyphens & either]] = ord("-")
    codes[places[(own == _WIDE_MINUS) & ~either]] = _MINUS


def _is_digit(codes: Codes) -> NDArray[np.bool_]:
    return (codes >= ord("0")) & (codes <= ord("9"))


def _is_alphanumeric(codes: Codes) -> NDArray[np.bool_]:
    letters = codes | 0x20
    return _is_digit(codes) | ((letters >= ord("a")) & (letters <= ord("z")))


@cache
def _tables() -> tuple[NDArray[np.uint8], Codes]:
    """What becomes of each unit of UTF-16, and what takes its place."""
    kinds = np.zeros(0x10000, np.uint8)
    mapped = np.arange(0x10000, dtype=np.uint16)
    for first in range(0, 0x10000, 0x100):
        codes = range(first, first + 0x100)
        if unicodedata.is_normalized("NFKC", "".join(map(chr, codes))):
            continue
        for code in codes:
            folded = unicodedata.normalize("NFKC", chr(code))
            if len(folded) > 1 or folded > "\uffff":
                kinds[code] = _SLOW
            elif ord(folded) != code:
                kinds[code], mapped[code] = _MAPPED, ord(folded)
    ends = [ord(end) for end in LINE_ENDS]
    kinds[[code for code in map(ord, KEPT) if code < 0x10000]] = _STAYS
    kinds[[code for code in map(ord, joining() + DROPPED + "\u200d゛゜") if code < 0x10000]] = _SLOW
    kinds[0xD800:0xE000] = _SLOW
    kinds[ord(_CUT[1])] = _STAYS
    kinds[[*_POINTS, _LONG, *_HYPHENS]] = _CONTEXT
    kinds[[*ends, ord("～")]] = _MAPPED
    mapped[ends] = ord("\n")
    mapped[ord("～")] = ord("〜")
    for code in np.flatnonzero(kinds == _MAPPED).tolist():
        if kinds[mapped[code]] != _STAYS:  # what takes its place depends on its neighbours, or joins with them
            kinds[code] = _SLOW
    return kinds, mapped
