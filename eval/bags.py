"""Bags of characters as classifiers, the bar for any model that has read the same examples: logistic regression and naive Bayes.

NumPy alone: the sums over sparse rows are ``bincount``s, in an order that no number of threads changes.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.examples import Example

Table = NDArray[np.float64]
_COST = (
    30.0  # scikit-learn's C; on fifths of the training examples of JCoLA and chABSA 10 to 100 are alike within noise
)
_STEPS, _ENOUGH, _MEMORY = 100, 3e-2, 10  # of L-BFGS; it ends where the largest slope is such a share of an example
_PAYS, _SHORTEST = 1e-4, 1e-6
_SEEN = 2  # an n-gram of fewer examples tells nothing about others
_ADDED = 0.2  # to each count of naive Bayes: the best of 0.01 to 1 on a tenth of the training titles of livedoor
_BEGIN, _END = "\x02", "\x03"


@dataclass(frozen=True)
class Rows:
    """A sparse matrix [N, V] as its entries, row by row."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Table
    shape: tuple[int, int]

    def times(self, weights: Table) -> Table:
        """[N, V] @ [V, K] -> [N, K]."""
        parts = (self.values * column[self.columns] for column in np.ascontiguousarray(weights.T))
        return np.stack([np.bincount(self.rows, part, self.shape[0]) for part in parts], 1)

    def transposed_times(self, errors: Table) -> Table:
        """[V, N] @ [N, K] -> [V, K]."""
        parts = (self.values * column[self.rows] for column in np.ascontiguousarray(errors.T))
        return np.stack([np.bincount(self.columns, part, self.shape[1]) for part in parts], 1)


def character_logistic(train: Sequence[Example], test: Sequence[Example]) -> list[int]:
    """Multinomial logistic regression on the character 1- to 3-grams of a text, tf-idf in rows of length 1.

    Of pairs the 1- and 2-grams of each text count by themselves, and so do those that both have and that one alone has.
    """
    vocabulary = _vocabulary(train, _marked_grams)
    seen = np.array([count for _, count in vocabulary.values()], np.float64)
    weights = np.log((len(train) + 1) / (seen + 1)) + 1
    one, other = (_unit(_rows(each, _marked_grams, vocabulary), weights) for each in (train, test))
    labels = np.array([int(example.label) for example in train])
    coefficients, intercept = _logistic(one, labels, int(labels.max()) + 1)
    return [int(place) for place in (other.times(coefficients) + intercept).argmax(1)]


def naive_bayes(train: Sequence[Example], test: Sequence[Example]) -> list[int]:
    """Multinomial naive Bayes on character bigrams, with a fifth of each added (McCallum and Nigam, 1998)."""
    vocabulary = _vocabulary(train, _bigrams, least=1)
    one, other = (_rows(each, _bigrams, vocabulary) for each in (train, test))
    labels = np.array([int(example.label) for example in train])
    classes = np.eye(labels.max() + 1)[labels]  # [N, K]
    counts = one.transposed_times(classes) + _ADDED  # [V, K]
    with np.errstate(divide="ignore"):  # a class without examples is never the answer
        prior = np.log(classes.mean(0))
    return [int(place) for place in (other.times(np.log(counts / counts.sum(0))) + prior).argmax(1)]


def grams(text: str, size: int) -> list[str]:
    """The character n-grams of a text, in its order."""
    return [text[at : at + size] for at in range(len(text) - size + 1)]


def _marked_grams(example: Example) -> Iterator[str]:
    """Of one text its 1- to 3-grams with the ends; of several the shorter ones, told apart by the place of the text."""
    sizes = (1, 2, 3) if len(example.texts) == 1 else (1, 2)
    texts = [[gram for size in sizes for gram in grams(_BEGIN + text + _END, size)] for text in example.texts]
    if len(texts) == 1:
        yield from texts[0]
        return
    for place, found in enumerate(texts):
        yield from (f"{place}{gram}" for gram in found)
    first, last = set(texts[0]), set(texts[-1])
    for mark, part in (("=", first & last), ("<", first - last), (">", last - first)):
        yield from sorted(mark + gram for gram in part)


def _bigrams(example: Example) -> Iterator[str]:
    for text in example.texts:
        yield from grams(text, 2)


Grams = Callable[[Example], Iterator[str]]
Vocabulary = dict[str, tuple[int, int]]


def _vocabulary(examples: Sequence[Example], of: Grams, least: int = _SEEN) -> Vocabulary:
    """The column of each n-gram and in how many examples it stands."""
    seen = Counter(gram for example in examples for gram in set(of(example)))
    kept = sorted(gram for gram, count in seen.items() if count >= least)
    return {gram: (place, seen[gram]) for place, gram in enumerate(kept)}


def _rows(examples: Sequence[Example], of: Grams, vocabulary: Vocabulary) -> Rows:
    """How often each known n-gram stands in each example."""
    counts = [Counter(vocabulary[gram][0] for gram in of(example) if gram in vocabulary) for example in examples]
    rows = np.repeat(np.arange(len(counts)), [len(count) for count in counts])
    columns = np.array([column for count in counts for column in count], np.int64)
    values = np.array([times for count in counts for times in count.values()], np.float64)
    return Rows(rows, columns, values, (len(counts), len(vocabulary)))


def _unit(counts: Rows, weights: Table) -> Rows:
    """Rows weighted by column and of Euclidean length 1."""
    values = counts.values * weights[counts.columns]
    lengths = np.sqrt(np.bincount(counts.rows, values**2, counts.shape[0]))
    return Rows(counts.rows, counts.columns, values / lengths[counts.rows], counts.shape)


def _logistic(rows: Rows, labels: NDArray[np.int64], kinds: int) -> tuple[Table, Table]:
    """Coefficients [V, K] and intercepts [K] of least cross-entropy, with an L2 penalty on the coefficients."""
    target = np.eye(kinds)[labels]  # [N, K]

    def loss(flat: Table) -> tuple[float, Table]:
        weights = flat.reshape(-1, kinds)  # [V + 1, K], the intercepts last
        logits = rows.times(weights[:-1]) + weights[-1]  # [N, K]
        logits -= logits.max(1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(1, keepdims=True))
        errors = np.exp(logits) - target
        slope = np.vstack([rows.transposed_times(errors) + weights[:-1] / _COST, errors.sum(0)])
        return float((weights[:-1] ** 2).sum() / (2 * _COST) - (target * logits).sum()), slope.ravel()

    found = _least(loss, np.zeros((rows.shape[1] + 1) * kinds)).reshape(-1, kinds)
    return found[:-1], found[-1]


def _least(loss: Callable[[Table], tuple[float, Table]], start: Table) -> Table:
    """Where a convex function is least: L-BFGS (Liu and Nocedal, 1989) with steps halved until they pay (Armijo, 1966).

    ``loss`` gives the value and the gradient at a point.
    """
    point, (value, slope) = start, loss(start)
    past: deque[tuple[Table, Table]] = deque(maxlen=_MEMORY)  # steps and how the gradient changed over them
    for _ in range(_STEPS):
        if np.abs(slope).max() < _ENOUGH:
            break
        way, shares = -slope, []
        for step, change in reversed(past):
            shares.append(_dot(step, way) / _dot(step, change))
            way = way - shares[-1] * change
        way *= _dot(*past[-1]) / _dot(past[-1][1], past[-1][1]) if past else 1 / np.abs(slope).sum()
        for (step, change), share in zip(past, reversed(shares), strict=True):
            way = way + (share - _dot(change, way) / _dot(step, change)) * step
        length = 1.0
        while (tried := loss(point + length * way))[0] > value + _PAYS * length * _dot(
            slope, way
        ) and length > _SHORTEST:
            length /= 2
        past.append((length * way, tried[1] - slope))
        if _dot(*past[-1]) <= 0 or tried[0] >= value:
            break  # as exact as the numbers are
        point, (value, slope) = point + length * way, tried
    return point


def _dot(one: Table, other: Table) -> float:
    """Not BLAS's, whose threads on a busy machine wait for each other far longer than they add."""
    return float((one * other).sum())
