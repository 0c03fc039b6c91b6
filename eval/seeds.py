"""Figures of a method that was run with several seeds, and of what two starts differ by.

A figure is the mean over seeds of the metric, its interval is over resampled examples: the same in every seed, and in
both sides of a difference, which makes it a paired one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.examples import Example, Predictions
from eval.finetuning import FinetuneResult
from eval.metrics import CONFUSION, CORRELATION, per_item
from eval.statistics import Interval, bootstrap_items

Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""A metric of drawn examples: their places [..., N] -> [...], NaN where it is undefined."""


def figures(
    result: FinetuneResult, examples: Sequence[Example], metrics: Sequence[str], *, bootstrap: int, seed: int
) -> dict[str, dict[str, Interval]]:
    """For each metric ``pretrained``, ``scratch`` and ``difference`` (pretrained - scratch), each with its interval."""
    found: dict[str, dict[str, Interval]] = {}
    for metric in metrics:
        pretrained = mean_over_seeds(metric, examples, result.pretrained.predictions)
        statistics = {"pretrained": pretrained}
        if result.scratch is not None:
            scratch = mean_over_seeds(metric, examples, result.scratch.predictions)
            statistics |= {"scratch": scratch, "difference": _difference(pretrained, scratch)}
        found[metric] = {
            name: bootstrap_items(statistic, len(examples), bootstrap, seed) for name, statistic in statistics.items()
        }
    return found


def mean_over_seeds(metric: str, examples: Sequence[Example], predictions: Sequence[Predictions]) -> Statistic:
    """The mean of a metric over the predictions of several seeds; undefined where that of one of them is."""
    statistics = [drawn(metric, examples, each) for each in predictions]
    return lambda places: np.mean([statistic(places) for statistic in statistics], axis=0)


def drawn(metric: str, examples: Sequence[Example], predictions: Predictions) -> Statistic:
    """A metric of what was predicted for the examples, as a function of which of them are drawn."""
    values = per_item(metric, examples, predictions)
    if values is not None:
        return lambda places: values[places].mean(-1)
    gold = np.array([example.label for example in examples])
    predicted = np.asarray(predictions)
    if metric in CORRELATION:
        return lambda places: CORRELATION[metric](gold[places].astype(np.float64), predicted[places].astype(np.float64))
    kinds = int(max(gold.max(), predicted.max())) + 1
    cells = (gold * kinds + predicted).astype(np.int64)  # of the matrix of confusion, row by row

    def of_confusion(places: NDArray[np.int64]) -> NDArray[np.float64]:
        rows = cells[places].reshape(-1, places.shape[-1])
        tables = np.stack([np.bincount(row, minlength=kinds * kinds) for row in rows])
        return CONFUSION[metric](tables.reshape(*places.shape[:-1], kinds, kinds).astype(np.float64))

    return of_confusion


def _difference(one: Statistic, other: Statistic) -> Statistic:
    return lambda places: one(places) - other(places)
