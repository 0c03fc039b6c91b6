"""95 % intervals by the percentile bootstrap (Efron, 1979) and exact tests, seeded and in bounded memory."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CELLS = 1 << 22  # indices drawn at once: 32 MB
_ROUNDING = 1e-12


Interval = dict[str, Any]
"""``value`` with ``low`` and ``high``, as for JSON; without bounds where fewer than two items stand behind it.

The value is None where it is undefined."""


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


def bootstrap_pairs(
    gold: ArrayLike,
    predicted: ArrayLike,
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    resamples: int,
    seed: int,
) -> Interval:
    """A statistic of two rows of numbers [N], resampling the N pairs; ``statistic`` maps twice [..., N] to [...].

    Where it is undefined (a correlation with a constant) the value is None; undefined resamples are left out.
    """
    one, other = np.asarray(gold, np.float64), np.asarray(predicted, np.float64)
    if len(one) < 2:
        return {"value": None}
    return bootstrap_items(lambda places: statistic(one[places], other[places]), len(one), resamples, seed)


def bootstrap_items(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], count: int, resamples: int, seed: int
) -> Interval:
    """A statistic of ``count`` items, which it is given by their places: it maps [..., N] to [...].

    Where it is undefined (NaN) the value is None; undefined resamples are left out.
    """
    value = float(statistic(np.arange(count))) if count else math.nan
    if math.isnan(value):
        return {"value": None}
    if count < 2:
        return {"value": value}
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS // count // 8)
    found = []
    for begin in range(0, resamples, rows):
        found.append(statistic(generator.integers(0, count, size=(min(resamples, begin + rows) - begin, count))))
    resampled = np.concatenate(found)
    return _interval(value, resampled[~np.isnan(resampled)])


def paired_bootstrap(
    gold: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    statistic: Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]],
    resamples: int,
    seed: int,
) -> tuple[Interval, float | None]:
    """statistic(gold, b) - statistic(gold, a) of numbers [N] each, resampling the N items, and its two-sided p-value.

    ``statistic`` maps twice [..., N] to [...]. The p-value is twice the share of resampled differences on the rarer side of 0, 0 being
    on both and the observed sample counted in (Efron and Tibshirani, 1993, chapter 15; Davison and Hinkley, 1997, section 4.2). Both
    are None where the statistic is undefined for one side, and the p-value where fewer than two items stand behind it.
    """
    columns = [np.asarray(each) for each in (gold, a, b)]
    count = len(columns[0])

    def difference(gold: NDArray[Any], a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
        return statistic(gold, b) - statistic(gold, a)

    value = float(difference(*columns)) if count else math.nan
    if math.isnan(value):
        return {"value": None}, None
    if count < 2:
        return {"value": value}, None
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS // count // 8)
    found = []
    for begin in range(0, resamples, rows):
        drawn = generator.integers(0, count, size=(min(resamples, begin + rows) - begin, count))
        found.append(difference(*(column[drawn] for column in columns)))
    resampled = np.concatenate(found)
    resampled = resampled[~np.isnan(resampled)]
    # what rounding leaves of no difference is none
    below, above = ((side * resampled <= _ROUNDING).sum() for side in (1, -1))
    return _interval(value, resampled), float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(resampled))))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number by Holm's step-down method (1979), in their order; None is no test and stays None."""
    order = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (value, place) in enumerate(order):
        largest = max(largest, min(1.0, value * (len(order) - rank)))
        corrected[place] = largest
    return corrected


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided McNemar p-value (binomial) of items that only the one or only the other has right."""
    count, least = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(count, k) for k in range(least + 1))
    return min(1.0, 2 * tail / (1 << count))  # integers divide exactly rounded, however large


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    if not len(resampled):
        return {"value": value}
    low, high = np.quantile(resampled, (0.025, 0.975))
    return {"value": value, "low": float(low), "high": float(high)}
