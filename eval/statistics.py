"""95 % intervals by the percentile bootstrap (Efron, 1979) and exact tests, seeded and in bounded memory."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CELLS = 1 << 22  # indices drawn at once: 32 MB


Interval = dict[str, float]
"""``value`` with ``low`` and ``high``, as for JSON; without bounds where fewer than two items stand behind it."""


def bootstrap_mean(values: ArrayLike, resamples: int, seed: int) -> Interval:
    """The mean of values [N] with its interval over resampled items."""
    return bootstrap_ratio(values, np.ones(np.shape(values)), resamples, seed)


def bootstrap_ratio(numerators: ArrayLike, denominators: ArrayLike, resamples: int, seed: int) -> Interval:
    """sum(numerators) / sum(denominators), both [N], resampling the N pairs."""
    upper, lower = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    count = len(upper)
    value = float(upper.sum() / lower.sum())
    if count < 2:
        return {"value": value}
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS // count)
    ratios = np.empty(resamples)
    for begin in range(0, resamples, rows):
        end = min(resamples, begin + rows)
        drawn = generator.integers(0, count, size=(end - begin, count))
        ratios[begin:end] = upper[drawn].sum(1) / lower[drawn].sum(1)
    return _interval(value, ratios)


def bootstrap_confusion(
    confusion: ArrayLike, statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], resamples: int, seed: int
) -> Interval:
    """A statistic of a confusion matrix [gold, predicted] of counts; ``statistic`` maps [..., K, K] to [...].

    Resampling items is a multinomial draw over the cells, so the items themselves are not needed.
    """
    matrix = np.asarray(confusion, np.int64)
    count = int(matrix.sum())
    value = float(statistic(matrix[None].astype(np.float64))[0])
    if count < 2:
        return {"value": value}
    cells = matrix.ravel() / count
    drawn = np.random.default_rng(seed).multinomial(count, cells, size=resamples)
    return _interval(value, statistic(drawn.reshape(resamples, *matrix.shape).astype(np.float64)))


def balanced_accuracy(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean recall over the classes that occur in the gold labels; [..., K, K] -> [...]."""
    total = confusion.sum(-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    recall = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    return np.asarray(recall.sum(-1) / np.maximum(1, (total > 0).sum(-1)))


def macro_f1(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean F1 over the classes that occur in gold labels or predictions; [..., K, K] -> [...]."""
    both = confusion.sum(-1) + confusion.sum(-2)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    f1 = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    return np.asarray(f1.sum(-1) / np.maximum(1, (both > 0).sum(-1)))


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided McNemar p-value (binomial) of items that only the one or only the other has right."""
    count, least = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(count, k) for k in range(least + 1))
    return min(1.0, 2 * tail / (1 << count))  # integers divide exactly rounded, however large


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return {"value": value, "low": float(low), "high": float(high)}
