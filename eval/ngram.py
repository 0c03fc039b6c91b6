"""Interpolated Kneser-Ney n-gram model over token ids, in numpy: the baseline that a neural model has to beat.

Kneser and Ney (1995) as interpolated by Chen and Goodman (1999), one discount an order, D = n1 / (n1 + 2 n2):

    p_n(w | c) = max(count(c w) - D, 0) / count(c ·) + D · kinds(c ·) / count(c ·) · p_{n-1}(w | c shortened)

down to the uniform distribution over the vocabulary; a context is shortened by its first token. The highest order counts
occurrences, the lower ones the different tokens to the left. Padding precedes every document, so contexts never cross
documents.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.scoring import Ids, Request

Numbers = NDArray[np.int64]
Counts = NDArray[np.int32]
_CHUNK = 1 << 18  # positions scored at once


class _Order(NamedTuple):
    """The n-grams of one length, sorted by key = number of the context · base + last token."""

    keys: Numbers  # [kinds of n-grams]
    counts: Counts  # [kinds of n-grams]
    totals: Counts  # [kinds of contexts] sum of the counts after a context
    kinds: Counts  # [kinds of contexts] how many different tokens follow it
    discount: float


class KneserNey:
    """An n-gram model; probabilities over the vocabulary sum to 1 after every context, seen or not."""

    def __init__(self, documents: Iterable[Ids], vocab_size: int, order: int = 5) -> None:
        """Count documents that each begin with ``<s>``, which is context and never predicted."""
        self.order = order
        self.vocab_size = vocab_size
        self._base = vocab_size + 1  # the last id is the padding before a document
        stream, predicted = self._pad(documents)
        self._orders = self._count(stream, predicted)

    def log_probabilities(self, ids: Ids) -> NDArray[np.float64]:
        """Natural log-probabilities of ids[1:] of one document; float64 [len(ids) - 1]."""
        return self.score([(ids[:1], ids[1:])])[0]

    def score(
        self,
        requests: Sequence[Request],
        *,
        description: str = "",
        quiet: bool = True,
    ) -> list[NDArray[np.float64]]:
        """Log-probabilities of each token of the continuations, in the form of ``eval.scoring.Scorer``."""
        left = self.order - 1
        padding = np.full(left, self.vocab_size, np.int64)
        pieces: list[Numbers] = []
        masks: list[NDArray[np.bool_]] = []
        for context, continuation in requests:
            tail = np.asarray(context[max(0, len(context) - left) :] if left else [], np.int64)
            pieces += [padding[: left - len(tail)], tail, np.asarray(continuation, np.int64)]
            masks.append(np.arange(left + len(continuation)) >= left)
        if not pieces:
            return []
        stream, mask = np.concatenate(pieces), np.concatenate(masks)
        scores = np.concatenate(
            [
                self._log_probabilities(stream[max(0, begin - left) : begin + _CHUNK])[min(begin, left) :]
                for begin in range(0, len(stream), _CHUNK)
            ]
        )[mask]
        ends = np.cumsum([len(continuation) for _, continuation in requests])
        return np.split(scores, ends[:-1])

    def _pad(self, documents: Iterable[Ids]) -> tuple[Numbers, NDArray[np.bool_]]:
        """All documents in one stream, ``order - 1`` paddings before each, and which positions are predicted."""
        left = np.full(self.order - 1, self.vocab_size, np.int64)
        pieces: list[Numbers] = []
        masks: list[NDArray[np.bool_]] = []
        for document in documents:
            pieces += [left, np.asarray(document, np.int64)]
            masks.append(np.arange(len(left) + len(document)) > len(left))
        if not pieces:
            return np.empty(0, np.int64), np.empty(0, np.bool_)
        return np.concatenate(pieces), np.concatenate(masks)

    def _count(self, stream: Numbers, predicted: NDArray[np.bool_]) -> list[_Order]:
        """Number the n-grams of each length, shortest first: each is the pair (number of its context, last token)."""
        numbers = np.zeros(
            len(stream), np.int64
        )  # number of the (n-1)-gram that ends at each position; one empty 0-gram
        shorter, kinds = numbers, 1
        keys_of: list[Numbers] = []
        contexts: list[int] = []
        counts: list[Counts] = []
        for length in range(1, self.order + 1):
            keys, first, inverse = np.unique(
                _before(numbers) * self._base + stream, return_index=True, return_inverse=True
            )
            occurrences = np.bincount(inverse, weights=predicted, minlength=len(keys)).astype(np.int32)
            if length > 1:
                # the n-gram without its first token, once for each kind of n-gram: tokens to its left
                ends = first[occurrences > 0]
                counts.append(np.bincount(shorter[ends], minlength=kinds).astype(np.int32))
            keys_of.append(keys)
            contexts.append(kinds)
            numbers = shorter = inverse.astype(np.int32 if len(keys) < 1 << 31 else np.int64)
            kinds = len(keys)
        counts.append(occurrences)
        return [
            _order(keys, count, context, self._base)
            for keys, count, context in zip(keys_of, counts, contexts, strict=True)
        ]

    def _log_probabilities(self, stream: Numbers) -> NDArray[np.float64]:
        """Log-probability of each position of a padded stream given those before it; meaningless on padding."""
        probability = np.full(len(stream), 1 / self.vocab_size)
        numbers = np.zeros(len(stream), np.int64)  # number of the (n-1)-gram that ends at each position, -1 for unseen
        for level in self._orders:
            if len(level.keys) == 0:
                break  # counted from nothing: uniform
            context = _before(numbers)
            place, there = _find(level.keys, context * self._base + stream)
            known = context >= 0
            known[known] = level.totals[context[known]] > 0  # nothing follows the end of a document
            at = context[known]
            count = np.where(there[known], level.counts[place[known]], 0)
            lower = level.discount * level.kinds[at] * probability[known]
            probability[known] = (np.maximum(count - level.discount, 0) + lower) / level.totals[at]
            numbers = np.where(there, place, -1)  # a negative context makes a negative key, which is never there
        return np.log(probability)


def _order(keys: Numbers, counts: Counts, contexts: int, base: int) -> _Order:
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    # a discount of 0 would leave nothing for unseen tokens; tiny corpora lack counts of 1 or 2
    discount = min(max(once / (once + 2 * twice) if once else 0.5, 0.05), 0.95)
    owners = keys // base
    totals = np.bincount(owners, weights=counts, minlength=contexts).astype(np.int32)
    kinds = np.bincount(owners[counts > 0], minlength=contexts).astype(np.int32)
    return _Order(keys, counts.astype(np.int32), totals, kinds, discount)


def _before(numbers: Numbers) -> Numbers:
    """The number at the position before; what stands at the front is padding and does not matter."""
    if len(numbers) == 0:
        return numbers
    return np.concatenate([numbers[:1] * 0, numbers[:-1]], dtype=np.int64)


def _find(keys: Numbers, wanted: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """Places in sorted keys (one at least), and whether the wanted key is there (else the place is any valid one)."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted
