"""95 % intervals by the percentile bootstrap (Efron, 1979) and exact tests, seeded and in bounded memory."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CELLS = 1 << 19  # indices drawn at once, 4 MB; statistics need some times that
_ROUNDING = 1e-12


Interval = dict[str, Any]
"""``value`` with ``low`` and ``high``, as for JSON; without bounds where fewer than two items stand behind it.

The value is None where it is undefined."""


Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""A figure of some items, which it is given by their places: [..., N] -> [...], NaN where it is undefined."""


def bootstrap_ratio(numerators: ArrayLike, denominators: ArrayLike, resamples: int, seed: int) -> Interval:
    """sum(numerators) / sum(denominators), both [N], resampling the N pairs."""
    upper, lower = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    return bootstrap(lambda places: upper[places].sum(-1) / lower[places].sum(-1), len(upper), resamples, seed)


def bootstrap(statistic: Statistic, count: int, resamples: int, seed: int) -> Interval:
    """A statistic of ``count`` items with its interval; the value is None where it is undefined, and undefined resamples are left out."""
    value = float(statistic(np.arange(count))) if count else math.nan
    if math.isnan(value):
        return {"value": None}
    return {"value": value} if count < 2 else _interval(value, _resampled(statistic, count, resamples, seed))


def paired_bootstrap(
    a: Statistic, b: Statistic, count: int, resamples: int, seed: int
) -> tuple[Interval, float | None]:
    """b - a of the same ``count`` items, and its two-sided p-value.

    The p-value is twice the share of resampled differences on the rarer side of 0, 0 being on both and the observed sample counted in
    (Efron and Tibshirani, 1993, chapter 15; Davison and Hinkley, 1997, section 4.2). Both are None where the statistic is undefined
    for one side, and the p-value where fewer than two items stand behind it.
    """

    def difference(places: NDArray[np.int64]) -> NDArray[np.float64]:
        return b(places) - a(places)

    interval = bootstrap(difference, count, 0, seed)
    if interval["value"] is None or count < 2:
        return interval, None
    resampled = _resampled(difference, count, resamples, seed)
    # what rounding leaves of no difference is none
    below, above = ((side * resampled <= _ROUNDING).sum() for side in (1, -1))
    p_value = float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(resampled))))
    return _interval(interval["value"], resampled), p_value


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


def _resampled(statistic: Statistic, count: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """The statistic of resampled items, without those where it is undefined: at most [resamples]."""
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS // count)
    sizes = [min(resamples, begin + rows) - begin for begin in range(0, resamples, rows)]
    found = [np.empty(0), *(statistic(generator.integers(0, count, size=(size, count))) for size in sizes)]
    resampled = np.concatenate(found)
    return resampled[~np.isnan(resampled)]


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    if not len(resampled):
        return {"value": value}
    low, high = np.quantile(resampled, (0.025, 0.975))
    return {"value": value, "low": float(low), "high": float(high)}
