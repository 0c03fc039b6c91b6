"""How much a text is like good examples rather than like bad ones: a linear classifier of n-grams of 1 to 3 characters.

Logistic regression on the shares of n-grams, hashed into a table (Weinberger et al. 2009), as classifiers choose text for language models
(Brown et al. 2020, appendix A). Trained by AdaGrad (Duchi et al. 2011) on pieces of documents, the same each time. Texts are to be
normalised as those were that the model learned from.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from corpora.padding import CUT, in_blocks, means, padded_units

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
ORDER = 3
_FACTORS = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], np.uint32)
_BITS = 18  # of the table: 1 MB of weights
_PIECE = 500  # characters
_MOST = 20_000  # pieces of either kind
_BATCH, _EPOCHS, _RATE = 64, 5, 0.05
_DOUBT = 0.05  # of labels (Szegedy et al. 2016), without which scores would be but 0 and 1
_SCALE = 100.0  # shares of n-grams are small numbers


class Quality(NamedTuple):
    """A model."""

    weights: NDArray[np.float32]
    """[2^18] at the hash of an n-gram."""
    bias: NDArray[np.float32]
    """[1]"""

    def score(self, texts: Sequence[str]) -> Floats:
        """Of each text how much it is like the good examples, float64 [N], 0 to 1; nan for an empty one."""
        return _sigmoid(in_blocks(texts, lambda block: _logits(block, self.weights, float(self.bias[0]))))

    def save(self, file: Path) -> None:
        """Write the model as safetensors."""
        save_file(self._asdict(), file)


def load_quality(file: Path) -> Quality:
    """A model that was saved."""
    return Quality(**load_file(file))


def train_quality(good: Iterable[str], bad: Iterable[str], *, seed: int = 0) -> Quality:
    """A model of normalised texts: of 20,000 pieces of 500 characters of either kind, drawn evenly from all.

    Memory: these pieces. Raises ValueError where one kind has no text.
    """
    random = Random(seed)
    kinds = [_sample(texts, random) for texts in (good, bad)]
    if not all(kinds):
        raise ValueError("no text to learn from")
    # the smaller kind counts as much as the other
    examples = [
        (piece, abs(1.0 - kind - _DOUBT), 0.5 * sum(map(len, kinds)) / len(pieces))
        for kind, pieces in enumerate(kinds)
        for piece in pieces
    ]
    weights, squares = np.zeros(1 << _BITS), np.full(1 << _BITS, 1e-8)
    bias, bias_squares = 0.0, 1e-8
    for _ in range(_EPOCHS):
        random.shuffle(examples)
        for begin in range(0, len(examples), _BATCH):
            texts, labels, importance = zip(*examples[begin : begin + _BATCH], strict=True)
            error = (_sigmoid(_logits(texts, weights, bias)) - labels) * importance / len(texts)
            gradient = _gradient(texts, error)
            squares += gradient**2
            weights -= _RATE * gradient / np.sqrt(squares)
            bias_squares += error.sum() ** 2
            bias -= _RATE * error.sum() / np.sqrt(bias_squares)
    return Quality(weights.astype(np.float32), np.array([bias], np.float32))


def _logits(texts: Sequence[str], weights: NDArray[np.floating], bias: float) -> Floats:
    """[N]"""
    units = padded_units(texts, ORDER)
    sums = np.sum([weights.take(each) for each in _hashed(units)], axis=0)
    return means(sums, units, ORDER) * _SCALE / ORDER + bias


def _gradient(texts: Sequence[str], error: Floats) -> Floats:
    """Of the weights, given that of each logit [N]."""
    units = padded_units(texts, ORDER)
    sizes = np.diff(np.flatnonzero(units == ord(CUT))[ORDER - 2 :: ORDER - 1]) - ORDER + 1  # of the texts
    shares = np.zeros(len(units) - ORDER + 1)
    shares[units[ORDER - 1 :] != ord(CUT)] = np.repeat(error / sizes, sizes) * _SCALE / ORDER
    return np.asarray(np.bincount(np.concatenate(_hashed(units)), np.tile(shares, ORDER), 1 << _BITS), np.float64)


def _hashed(units: NDArray[np.uint16]) -> list[Places]:
    """Hashes of the n-grams of 1 to 3 units that end at each place from the third on."""
    wide = units.astype(np.uint32) + np.uint32(1)
    keys = np.zeros(len(units) - ORDER + 1, np.uint32)
    hashes = []
    for place in range(ORDER):
        keys = keys + wide[ORDER - 1 - place : len(wide) - place] * _FACTORS[place]
        mixed = keys ^ keys >> np.uint32(15)
        hashes.append((mixed * _FACTORS[0] >> np.uint32(32 - _BITS)).astype(np.int64))
    return hashes


def _sample(texts: Iterable[str], random: Random) -> list[str]:
    """Pieces of texts, each with the same chance (Vitter 1985, algorithm R)."""
    kept: list[str] = []
    for number, piece in enumerate(_pieces(texts)):
        if number < _MOST:
            kept.append(piece)
        elif (place := random.randrange(number + 1)) < _MOST:
            kept[place] = piece
    return kept


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    return (text[begin : begin + _PIECE] for text in texts for begin in range(0, len(text), _PIECE))


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
