"""The part of the training examples on which fine-tuning decides, parts to decide with, and whether they teach anything."""

import hashlib
from collections.abc import Sequence

import numpy as np

from eval.examples import Example, Kind
from stage.errors import InputError, UsageError


def split_dev(train: Sequence[Example], share: float, most: int) -> tuple[list[Example], list[Example]]:
    """Training examples and those to decide on: a share of them, at most ``most``, by the hash of their texts.

    Examples that have a text in common stay together; where that leaves less than half of what is wanted, as among
    sentences made by template, those that have all texts in common. Raises InputError when there are too few.
    """
    wanted = min(most, round(share * len(train)))
    chosen: set[int] = set()
    for whole in (False, True):
        for group in sorted(_groups(train, whole), key=lambda group: min(_hash(train[place]) for place in group)):
            if len(chosen) + len(group) <= wanted and not chosen & set(group):
                chosen.update(group)
        if 2 * len(chosen) >= wanted:
            break
    if len(chosen) < 2 or len(train) - len(chosen) < 2:
        raise InputError(
            f"{len(train)} training examples, in groups that have a text in common, are too few to choose a setting on {share:g} of "
            f"them, at most {most}, and to learn from the others: change --finetune.dev_share or --finetune.dev_most, or use a "
            "larger training file"
        )
    kept = [example for place, example in enumerate(train) if place not in chosen]
    return kept, [train[place] for place in sorted(chosen)]


def check_learnable(kind: Kind, train: Sequence[Example], test: Sequence[Example]) -> None:
    """Raise UsageError without examples, InputError for examples from which nothing can be learned that is then measured."""
    if not train:
        raise UsageError(
            "fine-tuning needs the training file of the task: put it beside the other, or choose another method"
        )
    if not test:
        raise UsageError("fine-tuning needs examples to measure on, and the split has none")
    if kind in ("classification", "choice", "pair"):
        for example in (*train, *test):
            choices = example.choices or (example.texts if kind == "pair" else ())
            if not 0 <= int(example.label) < len(choices):
                raise InputError(
                    f"example {example.id}: its label {example.label} is none of its {len(choices)} choices"
                )
    if kind == "classification":
        missing = {example.label for example in test} - {example.label for example in train}
        if missing:
            names = ", ".join(test[0].choices[int(place)] for place in sorted(missing))
            raise InputError(f"no training example has the class {names}: use the whole training file of the task")
    if kind == "span" and all(example.answer_start < 0 for example in train):
        raise InputError("no answer of the training examples stands in its text: answer_start is missing or wrong")
    if kind == "regression":
        numbers = np.array([example.label for example in train], np.float64)
        with np.errstate(over="ignore"):
            deviation = numbers.std()
        if not np.ptp(numbers) or not np.isfinite(deviation):
            what = "are all equal" if not np.ptp(numbers) else "are too large"
            raise InputError(f"the numbers of the training examples {what}: nothing can be learned from them")


def subset(train: Sequence[Example], share: float) -> list[int]:
    """The places of a share of some examples, by the hash of their texts; a smaller share lies within a larger one."""
    order = sorted(range(len(train)), key=lambda place: _hash(train[place]))
    return sorted(order[: max(2, round(share * len(train)))])


def _groups(examples: Sequence[Example], whole: bool) -> list[list[int]]:
    """The places of examples, those together that have a text in common, also by way of others, or all texts."""
    parent = list(range(len(examples)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[str, int] = {}
    for place, example in enumerate(examples):
        # questions recur about many passages: of a span the passage alone counts
        texts = example.texts[-1:] if example.answers else example.texts or example.choices
        for text in ["\0".join(texts)] if whole else texts:
            parent[root(place)] = root(first.setdefault(text, place))
    groups: dict[int, list[int]] = {}
    for place in range(len(examples)):
        groups.setdefault(root(place), []).append(place)
    return list(groups.values())


def _hash(example: Example) -> str:
    return hashlib.sha256("\0".join((*example.texts, *example.choices, example.id)).encode()).hexdigest()
