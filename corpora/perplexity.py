"""How much a text is like text that one trusts: its perplexity by a model of 5 characters.

N-grams that were seen have probabilities interpolated after Witten and Bell (1991, method C), where c' is the context without its first
character:

    p(w | c) = (count(c w) + kinds(c ·) p(w | c')) / (count(c ·) + kinds(c ·))

for the others p(w | c) = 0.4 p(w | c') (Brants et al. 2007). Their logarithms stand in one hash table. A document is scored alike
whatever stands beside it; texts are to be normalised as those were that the model learned from.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from corpora.padding import CUT, in_blocks, means, padded_units

Units = NDArray[np.uint16]
Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
ORDER = 5
_BITS = 12  # of the number of a character: five fit into 64
_MASKS = [np.uint64((1 << _BITS * order) - 1) for order in range(ORDER + 1)]
_CUT, _OTHER = 0, 1  # numbers of what stands between documents, and of all rare characters
_STEP = 1 / 16  # nats; costs are whole numbers of these
_BACKOFF = np.uint16(15)  # 0.4
_RARE = np.uint16(144)  # one of the 8,000 rare characters
_FACTORS = np.array([pow(0x9E3779B97F4A7C15, order, 1 << 64) for order in range(ORDER + 1)], np.uint64)


class Ngrams(NamedTuple):
    """A model."""

    numbers: Units
    """[65536] the number of each unit of UTF-16, below 4096."""
    unigrams: Units
    """[4096] the cost of each number: -log p in steps of 1/16 nat."""
    table: Units
    """[a power of 2] at the hash of an n-gram 8 bits that tell it from others and 8 bits of its cost; 0: none."""

    def perplexity(self, texts: Sequence[str]) -> Floats:
        """Perplexity a character of each text, float64 [N]; nan for an empty one. Lone surrogates are not allowed."""
        return np.exp(in_blocks(texts, self._mean_costs) * _STEP)

    def _mean_costs(self, texts: Sequence[str]) -> Floats:
        units = padded_units(texts, ORDER)
        numbers = self.numbers.take(units)
        last = numbers[ORDER - 1 :]
        costs = self.unigrams.take(last)
        for order, keys in _keys(numbers):
            cells, tags = _cells(keys, order, len(self.table))
            found = self.table.take(cells, mode="clip") ^ tags
            known = (found - np.uint16(1)) < np.uint16(0xFF)  # of the same tag, and not empty
            costs = np.where(known, found, costs + _BACKOFF)
        costs[last == _OTHER] += _RARE
        return means(costs, units, ORDER)

    def save(self, file: Path) -> None:
        """Write the model as safetensors."""
        save_file(self._asdict(), file)


def load_ngrams(file: Path) -> Ngrams:
    """A model that was saved."""
    return Ngrams(**load_file(file))


def train_ngrams(texts: Iterable[str], *, characters: int = 20_000_000, bits: int = 24) -> Ngrams:
    """A model of normalised texts: of their first ``characters``, in a table of at most 2^bits cells of 2 bytes.

    N-grams of 3 to 5 characters that occur once are left out, and the rarer ones where the table would be more than half full.
    Memory while training: about 40 bytes a character. Raises ValueError where there is no text.
    """
    units = _read(texts, characters)
    seen = np.bincount(units, minlength=1 << 16)
    seen[ord(CUT)] = 0
    common = np.argsort(-seen, kind="stable")[: (1 << _BITS) - 2]
    numbers = np.full(1 << 16, _OTHER, np.uint16)
    numbers[common] = np.arange(len(common)) + 2
    numbers[ord(CUT)] = _CUT
    stream = numbers[units]
    counts = np.bincount(stream, minlength=1 << _BITS)
    counts[_CUT] = 0
    found, p = np.arange(len(counts), dtype=np.uint64), (counts + 1) / (counts.sum() + len(counts))
    unigrams, levels = _costs(p), []
    for order, keys in _keys(stream):
        found, counts, p = _count(keys, order, found, p)
        levels.append((order, found, counts, _costs(p)))
    return Ngrams(numbers, unigrams, _filled(levels, bits))


def _count(keys: Keys, order: int, shorter: Keys, p: Floats) -> tuple[Keys, Counts, Floats]:
    """The n-grams that are kept, ascending, their counts and p(last | the others), given that of the n-grams shorter by one."""
    keys = keys[keys & _MASKS[1] != _CUT]
    keys.sort()
    begins = _begins(keys)
    keys, counts = keys[begins], np.diff(begins, append=len(keys))
    begins = _begins(keys >> np.uint64(_BITS))  # of those with the same context
    kinds, totals = np.diff(begins, append=len(keys)), np.add.reduceat(counts, begins)
    kept = np.flatnonzero(counts > (order > 2))  # of these the shorter ones were kept as well
    context = np.searchsorted(begins, kept, side="right") - 1
    keys, counts, kinds = keys[kept], counts[kept], kinds[context]
    below = p[np.searchsorted(shorter, keys & _MASKS[order - 1])]
    return keys, counts, (counts + kinds * below) / (totals[context] + kinds)


def _begins(ascending: Keys) -> Counts:
    """Where the runs of equal numbers begin."""
    return np.concatenate([[0], np.flatnonzero(ascending[1:] != ascending[:-1]) + 1])


def _filled(levels: list[tuple[int, Keys, Counts, Units]], bits: int) -> Units:
    """The table of n-grams of 2 characters and more; where two want a cell, the shorter has it."""
    counts = np.sort(np.concatenate([counts for _, _, counts, _ in levels]))
    bits = min(bits, (2 * len(counts)).bit_length())
    least = counts[max(0, len(counts) - (1 << bits) // 2)]
    table = np.zeros(1 << bits, np.uint16)
    for order, keys, counts, costs in reversed(levels):
        cells, tags = _cells(keys[counts >= least], order, len(table))
        table[cells] = tags | costs[counts >= least]
    return table


def _costs(p: Floats) -> Units:
    return np.clip(np.rint(-np.log(p) / _STEP), 1, 255).astype(np.uint16)


def _read(texts: Iterable[str], characters: int) -> Units:
    """Units of the first texts, padded."""
    read = [padded_units([], ORDER).tobytes()]
    for text in texts:
        read += [padded_units([text[:characters]], ORDER)[ORDER - 1 :].tobytes()] if text else []
        characters -= len(text)
        if characters <= 0:
            break
    if len(read) == 1:
        raise ValueError("no text to learn from")
    return np.frombuffer(b"".join(read), np.uint16)


def _keys(numbers: Units) -> Iterator[tuple[int, Keys]]:
    """For 2 to 5 characters the n-gram that ends at each number from the fifth on, as one integer."""
    wide = numbers.astype(np.uint64)
    keys = wide[ORDER - 1 :]
    for order in range(2, ORDER + 1):
        keys = keys | wide[ORDER - order : len(wide) - order + 1] << np.uint64(_BITS * (order - 1))
        yield order, keys


def _cells(keys: Keys, order: int, size: int) -> tuple[NDArray[np.int64], Units]:
    """Where n-grams stand in a table, and their tags in the upper 8 bits."""
    mixed = keys * _FACTORS[order]
    cells = (mixed >> np.uint64(65 - size.bit_length())).view(np.int64)
    return cells, (mixed >> np.uint64(24)).astype(np.uint16) & np.uint16(0xFF00)
