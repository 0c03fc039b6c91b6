"""Finding what documents share with the texts of evaluation files: runs of characters, whatever stands between them.

Both sides are normalised by ja-v1; letters and digits alone count, in lower case. N-grams are found by their hashes (Karp and Rabin 1987)
and compared; those of few different characters (rows of digits, laughter) are not looked for. Of texts shorter than an n-gram sentences are
looked for as a whole; names and answers are not, which any document may hold.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.blocks import normalize_all
from corpora.strings import read_strings

Codes = NDArray[np.uint16]
Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]
_CUT = "\ufffe"  # a noncharacter that stands after each text and in none
_BASE = 0x9E3779B97F4A7C15
_CHUNK = 1 << 15  # windows hashed at once, which stay in the cache
_BATCH = 2000  # strings of evaluation files normalised at once
_VARIED = 1 / 3  # an n-gram has at least this share of its length of different characters
_SPARSE, _MOST = 32, 1 << 28  # entries of the filter: for each n-gram, and in all
_SHOWN = 60  # characters of an item
_SENTENCE_ENDS, _CLOSING = tuple("。．！？!?."), "」』）)\"' \n\u3000"
SHORTEST = 10
"""Letters and digits of a whole sentence that is looked for though it is shorter than an n-gram."""


class Shared(NamedTuple):
    """The longest run or sentence that a document shares with evaluation texts."""

    length: int
    """In letters and digits."""
    file: str
    """Where it is from."""
    item: str
    """The text there in which it begins, as ``RECORD: its first characters``."""


class EvaluationTexts:
    """The texts of evaluation files, to look for in documents."""

    def __init__(self, paths: Sequence[str], ngram: int = 24, texts: Sequence[str] = ()) -> None:
        """Read the files; ``texts`` are looked for as well, by their number from 0 in a file without a name.

        Memory: the strings, and about 60 bytes for each of their characters. Raises InputError.
        """
        self.paths, self.ngram = list(paths), ngram
        self._items = [(path, *item) for path in paths for item in read_strings(path) if not _is_url(item[1])]
        self._items += [("", *item) for item in enumerate(texts)]
        texts = [text for _, _, text in self._items]
        self._codes = np.concatenate([skeletons(texts[at : at + _BATCH]) for at in range(0, len(texts) or 1, _BATCH)])
        self._ends = np.flatnonzero(self._codes == ord(_CUT))
        begins = np.concatenate([[0], self._ends[:-1] + 1])[: len(texts)]
        sizes = self._ends - begins
        whole = np.array([text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS) for text in texts], np.bool_)
        shorter = (sizes >= min(SHORTEST, ngram)) & (sizes < ngram) & whole
        self.too_short = int((~shorter & (sizes < ngram)).sum())
        """Texts that are not looked for, as they are shorter than an n-gram and no sentences."""
        self._long = _Windows(self._codes, self._specific(), ngram)
        self._short = _Windows(self._codes, begins[shorter], min(SHORTEST, ngram))

    def __len__(self) -> int:
        return len(self._items)

    def look_in(self, texts: Sequence[str], *, normalized: bool = False) -> list[Shared | None]:
        """What each document shares; None for nothing. ``normalized``: the texts are so by ja-v1."""
        codes = skeletons(texts, normalized)
        found: list[Shared | None] = [None] * len(texts)
        cuts = np.flatnonzero(codes == ord(_CUT))
        for at, place, length in chain(self._runs(codes), self._sentences(codes)):
            document = int(np.searchsorted(cuts, at))
            before = found[document]
            if before is None or length > before.length:
                path, number, text = self._items[np.searchsorted(self._ends, place)]
                found[document] = Shared(length, path, f"{number}: {text[:_SHOWN]}")
        return found

    def found_in(self, texts: Sequence[str], *, normalized: bool = False) -> NDArray[np.bool_]:
        """Which of the evaluation texts [N] share anything with any of the documents, those of files first."""
        codes = skeletons(texts, normalized)
        _, index = self._long.find(codes)
        sentences = np.array([place for _, place, _ in self._sentences(codes)], np.int64)
        found = np.zeros(len(self), np.bool_)
        found[np.searchsorted(self._ends, np.concatenate([self._long.equal(index), sentences]))] = True
        return found

    def _runs(self, codes: Codes) -> Iterator[tuple[int, int, int]]:
        """Where runs of shared n-grams begin in documents and in the evaluation texts, and their lengths."""
        at, index = self._long.find(codes)
        begins = np.flatnonzero(np.diff(at, prepend=-2) > 1)
        lengths = np.diff(begins, append=len(at)) + self.ngram - 1
        return zip(at[begins].tolist(), self._long.places[index[begins]].tolist(), lengths.tolist(), strict=True)

    def _sentences(self, codes: Codes) -> Iterator[tuple[int, int, int]]:
        """The same for whole sentences that are shorter than an n-gram."""
        at, index = self._short.find(codes)
        last = np.searchsorted(self._short.hashes, self._short.hashes[index], side="right")
        for begin, *same in zip(at.tolist(), index.tolist(), last.tolist(), strict=True):
            for place in self._short.places[slice(*same)].tolist():
                text = self._codes[place : self._ends[np.searchsorted(self._ends, place)]]
                if np.array_equal(codes[begin : begin + len(text)], text):
                    yield begin, place, len(text)

    def _specific(self) -> Places:
        """The places of the n-grams that lie within one text and have enough different characters."""
        kept = [np.empty(0, np.int64)]
        for begin in range(0, len(self._codes) - self.ngram + 1, _CHUNK):
            part = self._codes[begin : begin + _CHUNK + self.ngram - 1]
            ordered = np.sort(np.lib.stride_tricks.sliding_window_view(part, self.ngram), axis=1)
            different = (np.diff(ordered, axis=1) > 0).sum(axis=1) + 1
            whole = ~(ordered == ord(_CUT)).any(axis=1)
            kept.append(np.flatnonzero(whole & (different >= _VARIED * self.ngram)) + begin)
        return np.concatenate(kept)


class _Windows:
    """The n-grams at some places of a text, to find in others."""

    def __init__(self, codes: Codes, places: Places, size: int) -> None:
        self._codes, self._size = codes, size
        hashes = np.concatenate([np.empty(0, np.uint64), *(each for _, each in _window_hashes(codes, size))])[places]
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.places = hashes[order], places[order]
        bits = min(max(len(places) * _SPARSE, 2), _MOST).bit_length() - 1
        self._shift, self._mask = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
        self._filter = np.zeros(1 << bits, np.bool_)  # after Bloom (1970), with the first and the last bits of a hash
        self._filter[self.hashes >> self._shift] = self._filter[self.hashes & self._mask] = True

    def find(self, codes: Codes) -> tuple[Places, Places]:
        """Where the n-grams stand in documents, ascending, and the index of each: its first place."""
        found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
        window = np.arange(self._size)
        for begin, hashes in _window_hashes(codes, self._size) if len(self.hashes) else ():
            at = np.flatnonzero(self._filter.take((hashes >> self._shift).view(np.int64), mode="clip"))
            at = at[self._filter[hashes[at] & self._mask]]
            index = np.minimum(np.searchsorted(self.hashes, hashes[at]), len(self.hashes) - 1)
            there = self.hashes[index] == hashes[at]
            at, index = at[there] + begin, index[there]
            # equal hashes are not equal texts
            same = (codes[at[:, None] + window] == self._codes[self.places[index][:, None] + window]).all(axis=1)
            found.append((at[same], index[same]))
        return np.concatenate([at for at, _ in found]), np.concatenate([index for _, index in found])

    def equal(self, index: Places) -> Places:
        """The places of all the n-grams that equal those at these indices of ``find``."""
        first = np.unique(index)
        counts = np.searchsorted(self.hashes, self.hashes[first], side="right") - first
        # 0 1 2 … within each row of equal hashes
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places, firsts = self.places[np.repeat(first, counts) + steps], self.places[np.repeat(first, counts)]
        window = np.arange(self._size)
        same = (self._codes[places[:, None] + window] == self._codes[firsts[:, None] + window]).all(axis=1)
        return np.asarray(places[same])


def skeletons(texts: Sequence[str], normalized: bool = False) -> Codes:
    """The letters and digits of texts in lower case, as units of UTF-16; after each text a cut."""
    plain = [text.replace(_CUT, "") for text in (texts if normalized else normalize_all(texts))]
    codes = _folded()[np.frombuffer(_CUT.join([*plain, ""]).encode("utf-16-le"), np.uint16)]
    return codes[codes > 0]


def _window_hashes(codes: Codes, size: int) -> Iterator[tuple[int, Hashes]]:
    """The place of a window and the hashes of those from there on: the sum of value(c_i) B^i over each, modulo 2^64."""
    values, powers, inverses = _numbers(size)
    for begin in range(0, len(codes) - size + 1, _CHUNK):
        part = codes[begin : begin + _CHUNK + size - 1]
        sums = np.zeros(len(part) + 1, np.uint64)
        np.cumsum(values[part] * powers[: len(part)], out=sums[1:])
        yield begin, (sums[size:] - sums[:-size]) * inverses[: len(part) - size + 1]


@cache
def _numbers(size: int) -> tuple[Hashes, Hashes, Hashes]:
    """A random value for each unit, the powers of the base and those of its inverse."""
    values = np.random.default_rng(0).integers(0, 1 << 64, 0x10000, np.uint64)
    factors = np.full((2, _CHUNK + size), np.array([[_BASE], [pow(_BASE, -1, 1 << 64)]], np.uint64))
    factors[:, 0] = 1
    return values, *np.cumprod(factors, axis=1)


@cache
def _folded() -> Codes:
    """What each unit counts as; 0: it does not count."""
    table = np.zeros(0x10000, np.uint16)
    for code in range(0x10000):
        if unicodedata.category(chr(code))[0] in "LNM" or 0xD800 <= code < 0xE000 or code == ord(_CUT):
            lower = chr(code).lower()
            table[code] = ord(lower) if len(lower) == 1 else code
    return table


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://")) and len(text.split()) == 1
