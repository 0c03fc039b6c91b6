"""Items with choices, their scores in each normalisation, and the metrics over them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.scoring import Request, Scorer, encode_choices
from eval.statistics import balanced_accuracy, bootstrap_confusion, bootstrap_mean, macro_f1

NORMALISATIONS = {"accuracy": "sum", "accuracy_per_character": "per_character", "accuracy_pmi": "pmi"}
"""Accuracy metrics and the score whose greatest value is the prediction.

``sum``: log P(choice | context). ``per_character``: that divided by the code points scored. ``pmi``: log P(choice |
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


@dataclass
class ItemScores:
    """Scores of the choices of an item, float64 [number of choices] each."""

    sum: NDArray[np.float64]
    per_character: NDArray[np.float64]
    pmi: NDArray[np.float64] | None = None

    def of(self, metric: str) -> NDArray[np.float64]:
        """The scores behind an accuracy metric, or behind a metric of the predictions by sum."""
        scores = getattr(self, NORMALISATIONS.get(metric, "sum"))
        assert scores is not None, f"{metric} needs a neutral context"
        return np.asarray(scores)

    def record(self) -> dict[str, list[float]]:
        """For JSON."""
        found = {"sum": self.sum, "per_character": self.per_character} | ({} if self.pmi is None else {"pmi": self.pmi})
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


def score_items(
    items: Sequence[Item],
    encoded: Sequence[list[Request]],
    scorer: Scorer,
    *,
    description: str = "",
    quiet: bool = True,
) -> list[ItemScores]:
    """Score all choices of all items in one go."""
    flat = scorer.score([request for requests in encoded for request in requests], description=description, quiet=quiet)
    sums = iter(float(values.sum()) for values in flat)
    found = []
    for item, requests in zip(items, encoded, strict=True):
        values = np.array([next(sums) for _ in requests])
        total = values[: len(item.choices)]
        lengths = np.array([len(choice + item.closing) for choice in item.choices])
        found.append(
            ItemScores(total, total / lengths, None if item.neutral is None else total - values[len(item.choices) :])
        )
    return found


def predict(scores: Sequence[ItemScores], metric: str) -> list[int]:
    """The number of the choice with the greatest score; the first of equal ones."""
    return [int(np.argmax(score.of(metric))) for score in scores]


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
            interval = bootstrap_confusion(confusion, _CONFUSION[metric], bootstrap, seed)
        else:
            interval = bootstrap_mean(gold == predicted, bootstrap, seed)
        found[metric] = interval.record()
    return found


def trivial_baselines(items: Sequence[Item], metrics: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """What guessing gets, and what always answering with the most frequent place or class gets, in each metric."""
    kinds = max(len(item.choices) for item in items)
    counts = np.array([Counter(item.gold for item in items)[kind] for kind in range(kinds)], np.float64)
    chance = float(np.mean([1 / len(item.choices) for item in items]))
    most = np.zeros((kinds, kinds))
    most[:, int(counts.argmax())] = counts  # [gold, predicted]
    even = np.tile(counts[:, None] / kinds, (1, kinds))
    found: dict[str, dict[str, dict[str, float]]] = {"random": {}, "majority": {}}
    for metric in metrics:
        if metric in _CONFUSION:
            found["random"][metric] = {"value": float(_CONFUSION[metric](even))}
            found["majority"][metric] = {"value": float(_CONFUSION[metric](most))}
        else:
            found["random"][metric] = {"value": chance}
            found["majority"][metric] = {"value": float(counts.max() / counts.sum())}
    return found
