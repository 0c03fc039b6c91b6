"""Classes of characters and their counts, by a table over the code points."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

CLASSES = ("hiragana", "katakana", "kanji", "latin", "other_letter", "digit", "punctuation", "space", "other")
"""Names of the classes; an array of counts is in this order."""

_HIRAGANA, _KATAKANA, _KANJI, _LATIN, _LETTER, _DIGIT, _PUNCTUATION, _SPACE, _OTHER = range(len(CLASSES))
_BEYOND = 0x10000
_KANJI_RANGES = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_HANGUL = slice(0xAC00, 0xD7A4)
# Kana decide whether kanji are Japanese: at least this share of kana among the Japanese letters
_KANA_SHARE = 0.02


def count_classes(text: str) -> np.ndarray:
    """Characters of each class, int64 [len(CLASSES)]. Lone surrogates count as other."""
    return count_classes_of_all([text])[0]


def count_classes_of_all(texts: Sequence[str]) -> np.ndarray:
    """The same for several texts, int64 [len(texts), len(CLASSES)]."""
    classes = classify("".join(texts))[1]
    return count_between(classes, np.cumsum([0, *map(len, texts)]).tolist())


def classify(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Code points, uint16 or (with characters beyond the BMP) uint32, and numbers of classes, uint8, both [len(text)]."""
    raw = text.encode("utf-16-le", "surrogatepass")
    if len(raw) == 2 * len(text):
        codes = np.frombuffer(raw, np.uint16)
        return codes, _table().take(codes, mode="clip")  # a third faster than by index
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = _table()[np.minimum(codes, _BEYOND - 1)]
    for place in np.flatnonzero(codes >= _BEYOND).tolist():
        classes[place] = _class_of(int(codes[place]))
    return codes, classes


def count_between(classes: np.ndarray, bounds: Sequence[int]) -> np.ndarray:
    """Characters of each class between two bounds that follow one another, int64 [len(bounds) - 1, len(CLASSES)]."""
    counts = [np.bincount(classes[begin:end], minlength=len(CLASSES)) for begin, end in pairwise(bounds)]
    return np.array(counts, np.int64).reshape(-1, len(CLASSES))


def japanese_share(counts: np.ndarray) -> float:
    """Share of hiragana, katakana and kanji among the letters.

    0 without letters, and for kanji with next to no kana (Chinese).
    """
    kana = int(counts[_HIRAGANA] + counts[_KATAKANA])
    japanese = kana + int(counts[_KANJI])
    letters = japanese + int(counts[_LATIN] + counts[_LETTER])
    if letters == 0 or kana < _KANA_SHARE * japanese:
        return 0.0
    return japanese / letters


def japanese_shares(counts: np.ndarray) -> np.ndarray:
    """``japanese_share`` of many at once: float64 [N] of counts [N, len(CLASSES)]."""
    kana = counts[:, _HIRAGANA] + counts[:, _KATAKANA]
    japanese = kana + counts[:, _KANJI]
    letters = japanese + counts[:, _LATIN] + counts[:, _LETTER]
    return np.where(kana < _KANA_SHARE * japanese, 0.0, japanese / np.maximum(letters, 1))


@cache
def _table() -> np.ndarray:
    table = np.full(_BEYOND, _OTHER, np.uint8)  # as surrogates and private use are
    for first, last in _KANJI_RANGES[:3]:
        table[first : last + 1] = _KANJI
    table[_HANGUL] = _LETTER
    rest = np.flatnonzero(table == _OTHER)
    for code in rest[(rest < 0xD800) | (rest > 0xF8FF)].tolist():
        table[code] = _class_of(code)
    return table


def _class_of(code: int) -> int:
    character = chr(code)
    category = unicodedata.category(character)
    if 0x3041 <= code <= 0x3096 or code in (0x3099, 0x309A, 0x309D, 0x309E, 0x309F):
        return _HIRAGANA
    if 0x30A1 <= code <= 0x30FA or 0x30FC <= code <= 0x30FF or 0x31F0 <= code <= 0x31FF or 0xFF66 <= code <= 0xFF9F:
        return _KATAKANA
    if code in (0x3005, 0x3007, 0x303B) or any(first <= code <= last for first, last in _KANJI_RANGES):
        return _KANJI
    if category.startswith("L"):
        return _LATIN if unicodedata.name(character, "").startswith(("LATIN", "FULLWIDTH LATIN")) else _LETTER
    if category.startswith("N"):
        return _DIGIT
    if category.startswith("P"):
        return _PUNCTUATION
    if category.startswith("Z") or character in "\t\n\r":
        return _SPACE
    return _OTHER
