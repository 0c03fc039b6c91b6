"""What the surface of documents tells: their characters, sentences and lines, counted in many documents at once."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.characters import CLASSES, classify, count_between, japanese_shares
from corpora.repetition import END

Measures = dict[str, NDArray[np.float64]]
SHORT_LINE = 10
"""Characters up to which a line is short."""

_SPACE = CLASSES.index("space")
_LINE_END, _STOP, _KUTEN = 1, 2, 3
_STOPS = "．！？!?"
_PUNCTUATION = '。．.！!？?…‥」』）)】〉》”"'
_BULLETS = "・･•◦‣●○■□◆◇▪▶►★☆※*-–"
_DEEPEST_INDENT = 16


class Block(NamedTuple):
    """Documents joined to one text, a line end after each."""

    codes: NDArray[np.unsignedinteger]
    """Code points, uint16 or uint32 [characters and line ends]."""
    classes: NDArray[np.uint8]
    """Numbers of the characters' classes (``characters.CLASSES``)."""
    ends: NDArray[np.int64]
    """Place of the line end after each document, [N]."""
    counts: NDArray[np.int64]
    """Characters of each class, [N, classes]."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Block":
        """The block of these documents."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        codes, classes = classify("".join([f"{text}\n" for text in texts]))
        ends = np.cumsum(lengths + 1) - 1
        counts = count_between(classes, np.concatenate([[0], ends + 1]).tolist())
        counts[:, _SPACE] -= 1  # the line end that parts documents
        return cls(codes, classes, ends, counts)

    def units(self) -> NDArray[np.uint16]:
        """The characters that are no white space as ``repetition.repeated_shares`` takes them; by 16 bits, few beyond the BMP are alike."""
        units = np.minimum(self.codes & 0xFFFF, END - 1).astype(np.uint16)
        units[self.ends] = END
        return units[(self.classes != _SPACE) | (units == END)]

    def document_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the documents that hold these places."""
        return np.searchsorted(self.ends, places)


def measure_surface(block: Block) -> Measures:
    """All measures of characters, sentences and lines, each float64 [N]; 0 where there is nothing to measure."""
    codes = block.codes
    kinds = _kinds()[codes if codes.dtype == np.uint16 else np.minimum(codes, 0xFFFF)]
    places = np.flatnonzero(kinds != 0)
    kinds = kinds[places]
    ends = places[kinds == _LINE_END]
    counts = block.counts
    kuten = np.bincount(block.document_of(places[kinds == _KUTEN]), minlength=len(counts))
    return (
        _of_characters(counts, kuten)
        | {"run": _longest_runs(block, counts)}
        | _of_sentences(block, places, kinds)
        | _of_lines(block, ends)
    )


def share(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    """Part by whole, and 0 where the whole is 0."""
    return part / np.maximum(whole, 1)


def _of_characters(counts: NDArray[np.int64], kuten: NDArray[np.int64]) -> Measures:
    hiragana, katakana, kanji, latin, other_letter, digit, punctuation, space, _ = counts.T
    chars = counts.sum(1)
    seen = chars - space
    japanese = hiragana + katakana + kanji
    return {
        "chars": chars.astype(np.float64),
        "japanese_ratio": japanese_shares(counts),
        "japanese_share": share(japanese, seen),
        "japanese_chars": japanese.astype(np.float64),
        "hiragana_share": share(hiragana, japanese),
        "katakana_share": share(katakana, japanese),
        "kanji_share": share(kanji, japanese),
        "digit_share": share(digit, seen),
        "punctuation_share": share(punctuation, seen),
        "alphanumeric_share": share(japanese + latin + other_letter + digit, seen),
        "kuten_per_250": share(250 * kuten, chars),
    }


def _of_sentences(block: Block, places: NDArray[np.int64], kinds: NDArray[np.uint8]) -> Measures:
    """Of sentences as ``[^。．！？!?]+[。．！？!?]?`` finds them in each line."""
    ends = places + (kinds != _LINE_END)
    runs = np.diff(places, prepend=-1) - 1  # characters before the mark
    found = runs > 0
    ends, lengths = ends[found], (ends - places + runs)[found]
    documents = block.document_of(ends - 1)
    count, mean, longest = _summary(lengths, documents, len(block.ends))
    ellipses = documents[_ends_in_ellipsis(block.codes, ends, lengths)]
    return {
        "mean_sentence": mean,
        "max_sentence": longest,
        "ellipsis_share": share(np.bincount(ellipses, minlength=len(count)), count),
    }


def _of_lines(block: Block, ends: NDArray[np.int64]) -> Measures:
    """Of the lines that are not empty; ``ends`` are the places of all line ends."""
    total = len(block.ends)
    newlines = np.bincount(block.document_of(ends), minlength=total) - 1
    lengths = np.diff(ends, prepend=-1) - 1
    ends, lengths = ends[lengths > 0], lengths[lengths > 0]
    documents = block.document_of(ends)
    count, mean, longest = _summary(lengths, documents, total)
    first = ends - lengths
    indented = np.arange(len(first))
    for _ in range(_DEEPEST_INDENT):
        indented = indented[(block.classes[first[indented]] == _SPACE) & (first[indented] < ends[indented])]
        first[indented] += 1

    def share_of(lines: NDArray[np.bool_]) -> NDArray[np.float64]:
        return share(np.bincount(documents[lines], minlength=total), count)

    return {
        "mean_line": mean,
        "max_line": longest,
        "newline_share": share(newlines, np.diff(block.ends, prepend=-1) - 1),
        "short_line_share": share_of(lengths <= SHORT_LINE),
        "line_punctuation_share": share_of(_is_one_of(block.codes[ends - 1], _PUNCTUATION)),
        "ellipsis_line_share": share_of(_ends_in_ellipsis(block.codes, ends, lengths)),
        "bullet_share": share_of(_is_one_of(block.codes[first], _BULLETS)),
    }


def _longest_runs(block: Block, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    same = (block.codes[1:] == block.codes[:-1]) & (block.classes[1:] != _SPACE)
    places = np.flatnonzero(same)  # where a character is followed by itself
    first = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    sizes = np.diff(first, append=len(places)) + 1
    longest = (counts.sum(1) > counts[:, _SPACE]).astype(np.float64)
    np.maximum.at(longest, block.document_of(places[first]), sizes.astype(np.float64))
    return longest


def _summary(lengths: NDArray[np.int64], documents: NDArray[np.int64], total: int) -> tuple[NDArray, NDArray, NDArray]:
    """Number, mean length and greatest length by document."""
    count = np.bincount(documents, minlength=total)
    longest = np.zeros(total)
    np.maximum.at(longest, documents, lengths.astype(np.float64))
    return count, share(np.bincount(documents, lengths, total), count), longest


def _ends_in_ellipsis(codes: NDArray, ends: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    last = codes[ends - 1]
    three = _is_one_of(last, ".・") & (lengths >= 3)
    three[three] = (codes[ends[three] - 2] == last[three]) & (codes[ends[three] - 3] == last[three])
    return _is_one_of(last, "…‥") | three


def _is_one_of(codes: NDArray, characters: str) -> NDArray[np.bool_]:
    return np.isin(codes, [ord(character) for character in characters])


@cache
def _kinds() -> NDArray[np.uint8]:
    table = np.zeros(0x10000, np.uint8)
    table[ord("\n")] = _LINE_END
    table[[ord(mark) for mark in _STOPS]] = _STOP
    table[ord("。")] = _KUTEN
    return table
