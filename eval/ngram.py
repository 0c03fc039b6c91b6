"""Interpolated Kneser-Ney n-gram model over token ids, in numpy: the baseline that a neural model has to beat.

Kneser and Ney (1995) as interpolated by Chen and Goodman (1999), one discount an order, D = n1 / (n1 + 2 n2):

    p_n(w | c) = max(count(c w) - D, 0) / count(c ·) + D · kinds(c ·) / count(c ·) · p_{n-1}(w | c shortened)

down to the uniform distribution over the vocabulary; a context is shortened by its first token. The highest order counts
occurrences, the lower ones the different tokens to the left. Padding precedes every document, so contexts never cross
documents.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.scoring import Ids, Numbers, Request, Scores

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
        self._orders = self._count(*self._stream((document[:1], document[1:]) for document in documents))

    def score(self, requests: Iterable[Request]) -> list[Scores]:
        """Natural log-probabilities, float64 [len(continuation)], in the order of the requests."""
        requests = list(requests)
        stream, predicted = self._stream(requests)
        left = self.order - 1
        scores = [
            self._log_probabilities(stream[max(0, begin - left) : begin + _CHUNK])[min(begin, left) :]
            for begin in range(0, len(stream), _CHUNK)
        ]
        ends = np.cumsum([len(continuation) for _, continuation in requests])
        return np.split(np.concatenate(scores)[predicted], ends[:-1]) if scores else []

    def _stream(self, requests: Iterable[Request]) -> tuple[Numbers, NDArray[np.bool_]]:
        """The requests one after another, and which positions are predicted: those of the continuations.

        Of each context the last ``order - 1`` tokens stand before them, with padding where it is shorter.
        """
        left = self.order - 1
        padding = np.full(left, self.vocab_size, np.int64)
        pieces = [np.empty(0, np.int64)]
        masks = [np.empty(0, np.bool_)]
        for context, continuation in requests:
            tail = np.asarray(context[max(0, len(context) - left) :], np.int64)
            pieces += [padding[len(tail) :], tail, np.asarray(continuation, np.int64)]
            masks.append(np.arange(left + len(continuation)) >= left)
        return np.concatenate(pieces), np.concatenate(masks)

    def _count(self, stream: Numbers, predicted: NDArray[np.bool_]) -> list[_Order]:
        """Number the n-grams of each length, shortest first: each is the pair (number of its context, last token)."""
        numbers, kinds = np.zeros(len(stream), np.int64), 1  # of the (n-1)-gram that ends at each position; one 0-gram
        keys_of: list[Numbers] = []
        contexts: list[int] = []
        counts: list[Counts] = []
        for _ in range(self.order):
            wanted = _before(numbers) * self._base + stream
            keys, first, inverse = np.unique(wanted, return_index=True, return_inverse=True)
            occurrences = np.bincount(inverse, weights=predicted, minlength=len(keys)).astype(np.int32)
            if keys_of:
                # the n-gram without its first token, once for each kind of n-gram: tokens to its left
                counts.append(np.bincount(numbers[first[occurrences > 0]], minlength=kinds).astype(np.int32))
            keys_of.append(keys)
            contexts.append(kinds)
            numbers, kinds = inverse.astype(np.int32 if len(keys) < 1 << 31 else np.int64), len(keys)
        counts.append(occurrences)
        return [_order(*each, self._base) for each in zip(keys_of, counts, contexts, strict=True)]

    def _log_probabilities(self, stream: Numbers) -> Scores:
        """Log-probability of each position of a padded stream given those before it; meaningless on padding."""
        probability = np.full(len(stream), 1 / self.vocab_size)
        numbers = np.zeros(len(stream), np.int64)  # number of the (n-1)-gram that ends at each position, -1 for unseen
        for level in self._orders:
            if len(level.keys) == 0:
                break  # counted from nothing: uniform
            context = _before(numbers)
            wanted = context * self._base + stream
            place = np.minimum(np.searchsorted(level.keys, wanted), len(level.keys) - 1)
            there = level.keys[place] == wanted
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
    return np.concatenate([numbers[:1] * 0, numbers[:-1]], dtype=np.int64)
