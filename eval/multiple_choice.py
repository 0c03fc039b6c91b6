"""Items with choices, their scores in each normalisation, and the metrics over them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from eval.metrics import balanced_accuracy, macro_f1
from eval.scoring import Request, Scores, encode_choices
from eval.statistics import bootstrap_confusion, bootstrap_mean

NORMALISATIONS = {"accuracy": "sum", "accuracy_per_character": "per_character", "accuracy_pmi": "pmi"}
"""Accuracy metrics and the score whose greatest value is the prediction.

``sum``: log P(choice | context). ``per_character``: that divided by the code points of the choice. ``pmi``: log P(choice |
context) - log P(choice | neutral context), pointwise mutual information (Holtzman et al., 2021).
"""

_CONFUSION = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}


@dataclass(frozen=True)
class Item:
    """A question: which of the choices goes on from the context?"""

    id: str
    context: str
    choices: tuple[str, ...]
    gold: int
    neutral: str | None = None
    """The context without the question, for PMI; None where PMI has no meaning."""
    closing: str = ""
    """Scored behind each choice, so that a choice that begins another one is told apart by where it ends."""


class ItemScores(NamedTuple):
    """Scores of the choices of an item, float64 [number of choices] each."""

    sum: Scores
    per_character: Scores
    pmi: Scores | None = None

    def record(self) -> dict[str, list[float]]:
        """For JSON."""
        found = {name: values for name, values in self._asdict().items() if values is not None}
        return {name: [round(float(value), 6) for value in values] for name, values in found.items()}


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


def encode_items(items: Sequence[Item], tokenizer: Any) -> list[list[Request]]:
    """The requests of each item: its choices after the context, then its choices after the neutral context, if any."""
    encoded = []
    for item in items:
        choices = [choice + item.closing for choice in item.choices]
        requests = encode_choices(tokenizer, item.context, choices)
        if item.neutral is not None:
            requests += encode_choices(tokenizer, item.neutral, choices)
        encoded.append(requests)
    return encoded


def score_items(items: Sequence[Item], scores: Iterable[Scores]) -> list[ItemScores]:
    """The scores of the choices of each item, from those of the tokens of all requests in the order of the items."""
    sums = (float(values.sum()) for values in scores)
    found = []
    for item in items:
        kinds = len(item.choices)
        total = np.array(list(islice(sums, kinds)))
        pmi = None if item.neutral is None else total - np.array(list(islice(sums, kinds)))
        found.append(ItemScores(total, total / [len(choice + item.closing) for choice in item.choices], pmi))
    return found


def predict(scores: Sequence[ItemScores], metric: str) -> list[int]:
    """The number of the choice with the greatest score (the sum, where the metric is no accuracy); the first of equals."""
    found = [getattr(score, NORMALISATIONS.get(metric, "sum")) for score in scores]
    assert all(values is not None for values in found), f"{metric} needs a neutral context"
    return [int(np.argmax(values)) for values in found]


def measure(
    items: Sequence[Item], scores: Sequence[ItemScores], metrics: Sequence[str], *, bootstrap: int, seed: int
) -> dict[str, dict[str, float]]:
    """Every metric with its interval."""
    gold = np.array([item.gold for item in items])
    found = {}
    for metric in metrics:
        predicted = np.array(predict(scores, metric))
        if metric in _CONFUSION:
            kinds = max(len(item.choices) for item in items)
            confusion = np.bincount(gold * kinds + predicted, minlength=kinds * kinds).reshape(kinds, kinds)
            found[metric] = bootstrap_confusion(confusion, _CONFUSION[metric], bootstrap, seed)
        else:
            found[metric] = bootstrap_mean(gold == predicted, bootstrap, seed)
    return found


def trivial_baselines(items: Sequence[Item], metrics: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """What guessing gets, and what always answering with the most frequent place or class gets, in each metric."""
    kinds = max(len(item.choices) for item in items)
    counts = np.array([Counter(item.gold for item in items)[kind] for kind in range(kinds)], np.float64)
    most = np.zeros((kinds, kinds))
    most[:, int(counts.argmax())] = counts  # [gold, predicted]
    even = np.tile(counts[:, None] / kinds, (1, kinds))
    chance = float(np.mean([1 / len(item.choices) for item in items]))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, table, accuracy in (("random", even, chance), ("majority", most, float(counts.max() / counts.sum()))):
        values = {metric: float(_CONFUSION[metric](table)) if metric in _CONFUSION else accuracy for metric in metrics}
        found[name] = {metric: {"value": value} for metric, value in values.items()}
    return found
