"""The part of the training examples on which fine-tuning decides, and parts to decide with."""

import hashlib
from collections.abc import Sequence

from eval.examples import Example
from stage.errors import InputError


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
