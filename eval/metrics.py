"""Metrics over the examples of a task, each with a 95 % interval; undefined ones are None, never a number.

Exact match and F1 of answers are those of JGLUE's evaluation of JSQuAD: see ``eval.answers``.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.answers import exact_match, f1, normalised
from eval.examples import Example, Predictions
from eval.statistics import Interval, Statistic
from eval.statistics import bootstrap as resample

Table = NDArray[np.float64]


def measure(metric: str, examples: Sequence[Example], *answers: Predictions, bootstrap: int, seed: int) -> Interval:
    """One metric of what was predicted for the examples; of several answers, those of seeds, the mean.

    ``accuracy`` and its variants, ``balanced_accuracy``, ``macro_f1``, ``mcc`` take places of choices; ``pearson`` and
    ``spearman`` numbers; ``exact_match``, ``f1`` and both with ``_normalised`` texts.
    """
    return resample(statistic(metric, examples, *answers), len(examples), bootstrap, seed)


def picked(
    metric: str, examples: Sequence[Example], answers: Sequence[Predictions], places: Sequence[int], **how: int
) -> Interval:
    """The metric of some of the examples; ``how`` as for ``measure``."""
    some: list[Any] = [[each[place] for place in places] for each in answers]
    return measure(metric, [examples[place] for place in places], *some, **how)


def statistic(metric: str, examples: Sequence[Example], *answers: Predictions) -> Statistic:
    """The metric as a function of which examples are drawn; undefined where that of one of the answers is."""
    each = [_statistic(metric, examples, predictions) for predictions in answers]
    return lambda places: np.mean([found(places) for found in each], axis=0)


def _statistic(metric: str, examples: Sequence[Example], predictions: Predictions) -> Statistic:
    values = per_item(metric, examples, predictions)
    if values is not None:
        return lambda places: values[places].mean(-1)
    gold, predicted = np.array([example.label for example in examples]), np.asarray(predictions)
    if metric in CORRELATION:
        correlation, numbers, found = CORRELATION[metric], gold.astype(np.float64), predicted.astype(np.float64)
        return lambda places: correlation(numbers[places], found[places])
    return lambda places: CONFUSION[metric](confusion(gold[places], predicted[places]).astype(np.float64))


def per_item(metric: str, examples: Sequence[Example], predictions: Predictions) -> Table | None:
    """The share of a metric that each example has, float64 [N]; None for those that are no mean over examples."""
    if metric in TEXT:
        pairs = zip(predictions, examples, strict=True)
        return np.array([TEXT[metric](str(text), example.answers) for text, example in pairs], np.float64)
    if metric in CORRELATION or metric in CONFUSION:
        return None
    return np.array(
        [example.label == answer for example, answer in zip(examples, predictions, strict=True)], np.float64
    )


def confusion(gold: ArrayLike, predicted: ArrayLike) -> NDArray[np.int64]:
    """How often each place [gold, predicted] occurs; twice [..., N] to [..., K, K]."""
    rows, columns = np.asarray(gold, np.int64), np.asarray(predicted, np.int64)
    kinds = int(max(rows.max(initial=0), columns.max(initial=0))) + 1
    tables = np.arange(math.prod(rows.shape[:-1])).reshape(*rows.shape[:-1], 1)
    cells = (tables * kinds + rows) * kinds + columns
    return np.bincount(cells.ravel(), minlength=tables.size * kinds**2).reshape(*rows.shape[:-1], kinds, kinds)


def balanced_accuracy(table: Table) -> Table:
    """Mean recall over the classes that occur in the gold labels; [..., K, K] -> [...]."""
    total = table.sum(-1)
    right = np.diagonal(table, axis1=-2, axis2=-1)
    recall = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    return np.asarray(recall.sum(-1) / np.maximum(1, (total > 0).sum(-1)))


def macro_f1(table: Table) -> Table:
    """Mean F1 over the classes that occur in gold labels or predictions; [..., K, K] -> [...]."""
    both = table.sum(-1) + table.sum(-2)
    right = np.diagonal(table, axis1=-2, axis2=-1)
    found = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    return np.asarray(found.sum(-1) / np.maximum(1, (both > 0).sum(-1)))


def mcc(table: Table) -> Table:
    """Matthews' correlation of K classes (Gorodkin, 2004), 0 where only one class is predicted; [..., K, K] -> [...]."""
    count = table.sum((-2, -1))
    gold, predicted = table.sum(-1), table.sum(-2)
    right = np.trace(table, axis1=-2, axis2=-1)
    upper = right * count - (gold * predicted).sum(-1)
    lower = np.sqrt((count**2 - (predicted**2).sum(-1)) * (count**2 - (gold**2).sum(-1)))
    return np.asarray(np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 0))


def pearson(gold: Table, predicted: Table) -> Table:
    """Correlation of numbers along the last dimension, NaN where one of them is constant; [..., N] -> [...]."""
    one, other = (each - each.mean(-1, keepdims=True) for each in (gold, predicted))
    lower = np.sqrt((one**2).sum(-1) * (other**2).sum(-1))
    # what rounding leaves of a constant is no variation
    varied = (np.ptp(gold, -1) > 0) & (np.ptp(predicted, -1) > 0) & (lower > 0)
    return np.divide((one * other).sum(-1), lower, out=np.full(lower.shape, np.nan), where=varied)


def spearman(gold: Table, predicted: Table) -> Table:
    """Pearson's correlation of the ranks, equal numbers sharing their mean rank; [..., N] -> [...]."""
    return pearson(_ranks(gold), _ranks(predicted))


def _ranks(values: Table) -> Table:
    """Ranks along the last dimension, from 0, means for ties."""
    flat = values.reshape(-1, values.shape[-1])
    found = np.empty(flat.shape)
    for row, numbers in enumerate(flat):
        _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        found[row] = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return found.reshape(values.shape)


CONFUSION: dict[str, Callable[[Table], Table]] = {
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "mcc": mcc,
}
CORRELATION: dict[str, Callable[[Table, Table], Table]] = {"pearson": pearson, "spearman": spearman}
TEXT: dict[str, Callable[[str, Sequence[str]], Any]] = {
    "exact_match": exact_match,
    "f1": f1,
    "exact_match_normalised": normalised(exact_match),
    "f1_normalised": normalised(f1),
}
METRICS = (
    "accuracy",
    "accuracy_per_character",
    "accuracy_per_byte",
    "accuracy_per_token",
    "accuracy_pmi",
    *CONFUSION,
    *CORRELATION,
    *TEXT,
)
