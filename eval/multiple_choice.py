"""Items with choices, and their scores in each normalisation."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from eval.metrics import CONFUSION, CORRELATION
from eval.models import TextScore
from eval.scoring import Scores
from eval.statistics import Interval

NORMALISATIONS = {
    "accuracy": "sum",
    "accuracy_per_character": "per_character",
    "accuracy_per_byte": "per_byte",
    "accuracy_per_token": "per_token",
    "accuracy_pmi": "pmi",
}
"""Accuracy metrics and the score whose greatest value is the prediction.

``sum``: log P(choice | context). ``per_character``, ``per_byte``, ``per_token``: that divided by the code points or bytes of
the choice, or by the tokens that were scored. ``pmi``: log P(choice | context) - log P(choice | neutral context), pointwise
mutual information (Holtzman et al., 2021).
"""


@dataclass(frozen=True)
class Item:
    """A question: which of the choices goes on from the context?"""

    id: str
    context: str
    choices: tuple[str, ...]
    gold: int | float
    """The place of the right choice; of a regression the number."""
    neutral: str | None = None
    """The context without the question, for PMI; None where PMI has no meaning."""
    closing: str = ""
    """Scored behind each choice, so that a choice that begins another one is told apart by where it ends."""
    group: str = ""

    @property
    def asked(self) -> list[tuple[str, tuple[str, ...]]]:
        """What is scored: the choices after the context, then after the neutral context, if any."""
        choices = tuple(choice + self.closing for choice in self.choices)
        return [(self.context, choices), *([(self.neutral, choices)] if self.neutral is not None else [])]


class ItemScores(NamedTuple):
    """Scores of the choices of an item, float64 [number of choices] each."""

    sum: Scores
    per_character: Scores
    per_byte: Scores
    per_token: Scores
    pmi: Scores | None = None
    cut: bool = False

    def record(self) -> dict[str, list[float]]:
        """For JSON."""
        found = {name: getattr(self, name) for name in NORMALISATIONS.values()}
        return {
            name: [round(float(value), 6) for value in values] for name, values in found.items() if values is not None
        }


@dataclass
class ChoiceTask:
    """A task in the form that every scorer takes."""

    name: str
    title: str
    items: list[Item]
    metrics: tuple[str, ...]
    primary: str
    license: str
    source: str
    notes: list[str] = field(default_factory=list)
    decided_by: str = "sum"
    grid: tuple[float, ...] = ()
    """Of a regression: the number of each choice."""


def item_scores(item: Item, scores: Sequence[Sequence[TextScore]]) -> ItemScores:
    """The scores of an item from those of what it asks."""
    after = scores[0]
    total = np.array([score.log_probability for score in after])
    choices = [choice + item.closing for choice in item.choices]
    return ItemScores(
        total,
        total / [len(choice) for choice in choices],
        total / [len(choice.encode()) for choice in choices],
        total / [max(1, score.tokens) for score in after],
        None if item.neutral is None else total - np.array([score.log_probability for score in scores[1]]),
        any(score.cut for score in after),
    )


def predict(
    scores: Sequence[ItemScores], metric: str, grid: Sequence[float] = (), decided_by: str = "sum"
) -> list[int] | list[float]:
    """The number of the choice with the greatest score (``decided_by``, where the metric is no accuracy); the first of equals.

    With a ``grid`` of numbers, one for each choice: their mean under the probabilities of the choices.
    """
    found = [getattr(score, NORMALISATIONS.get(metric, decided_by)) for score in scores]
    assert all(values is not None for values in found), f"{metric} needs a neutral context"
    if grid:
        weights = [np.exp(values - values.max()) for values in found]
        return [float(weight @ np.asarray(grid) / weight.sum()) for weight in weights]
    return [int(np.argmax(values)) for values in found]


def trivial_baselines(
    golds: Sequence[int | float], counts: Sequence[int], metrics: Sequence[str]
) -> dict[str, dict[str, Interval]]:
    """What guessing gets, and what always answering with the most frequent place or class gets, in each metric.

    ``counts``: how many choices each item has. Of a correlation guessing gets 0, and a constant is undefined.
    """
    kinds = max(counts)
    classes = [metric for metric in metrics if metric in CONFUSION or metric.startswith("accuracy")]
    found: dict[str, dict[str, Interval]] = {"random": {}, "majority": {}}
    for metric in metrics:
        if metric in CORRELATION:
            found["random"][metric] = {"value": 0.0}
            found["majority"][metric] = {"value": None}
    if not classes:
        return {name: values for name, values in found.items() if values}
    frequent = Counter(int(gold) for gold in golds)
    often = np.array([frequent[kind] for kind in range(kinds)], np.float64)
    most = np.zeros((kinds, kinds))
    most[:, int(often.argmax())] = often  # [gold, predicted]
    even = np.tile(often[:, None] / kinds, (1, kinds))
    chance = float(np.mean([1 / count for count in counts]))
    for name, table, accuracy in (("random", even, chance), ("majority", most, float(often.max() / often.sum()))):
        for metric in classes:
            value = float(CONFUSION[metric](table)) if metric in CONFUSION else accuracy
            found[name][metric] = {"value": value}
    return found
