"""Baselines that a task's own data give, computed and not quoted: what no language has to be known for.

Random and majority answers are in ``eval.multiple_choice``, n-gram models in ``eval.ngram``. All are deterministic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.bags import character_logistic, naive_bayes
from eval.examples import Example, Kind, Predictions
from eval.lexical import idf_cosine, lexical_ridge
from eval.passages import window
from eval.siblings import crossing_out, siblings
from stage.errors import UsageError


def honest_baseline(name: str, train: Sequence[Example] | None, test: Sequence[Example]) -> Predictions:
    """What a baseline of ``HONEST`` answers to the test examples, in their order.

    Raises UsageError for an unknown name, and where a baseline learns from training examples and there are none.
    """
    if name not in HONEST:
        raise UsageError(f"no baseline {name!r}; there are {', '.join(HONEST)}")
    baseline = HONEST[name]
    if baseline.needs_train and not train:
        raise UsageError(f"baseline {name} learns from training examples, and there are none")
    return baseline.answer(train or (), test) if test else []


@dataclass(frozen=True)
class Baseline:
    """A method that knows no language."""

    about: str
    """What it does, in a line."""
    kinds: tuple[Kind, ...]
    """What it can answer."""
    needs_train: bool
    answer: Callable[[Sequence[Example], Sequence[Example]], Predictions]
    """From training and test examples."""


def _longest(_train: Sequence[Example], test: Sequence[Example]) -> list[int]:
    """The place of the longest choice in characters, the first of equals."""
    sizes = [[len(choice) for choice in example.choices] for example in test]
    return [each.index(max(each)) for each in sizes]


def _shortest(_train: Sequence[Example], test: Sequence[Example]) -> list[int]:
    sizes = [[len(choice) for choice in example.choices] for example in test]
    return [each.index(min(each)) for each in sizes]


HONEST: dict[str, Baseline] = {
    "longest": Baseline("the longest choice", ("choice", "pair"), False, _longest),
    "shortest": Baseline("the shortest choice", ("choice", "pair"), False, _shortest),
    "crossing_out": Baseline(
        "no answer of a training question with three or more of the choices; of the rest the most often right one",
        ("choice",),
        True,
        crossing_out,
    ),
    "siblings": Baseline(
        "the same, and one of the choices that the training question has too",
        ("choice",),
        True,
        siblings,
    ),
    "idf_cosine": Baseline(
        "cosine of the characters of both texts, weighted by idf; untrained", ("regression",), False, idf_cosine
    ),
    "lexical_ridge": Baseline(
        "quadratic ridge regression on 23 lexical measures of both texts", ("regression",), True, lexical_ridge
    ),
    "character_logistic": Baseline(
        "logistic regression on character n-grams, 1 to 3 of a text, 1 and 2 of a pair",
        ("classification",),
        True,
        character_logistic,
    ),
    "naive_bayes": Baseline("multinomial naive Bayes on character bigrams", ("classification",), True, naive_bayes),
    "window": Baseline(
        "the name or number with most of the question's bigrams around it in the passage (sliding window)",
        ("span",),
        False,
        window,
    ),
}
"""The baselines by name, in the order of tables."""
