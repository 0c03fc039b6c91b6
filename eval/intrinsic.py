"""The tasks that any corpus yields, made from the documents of the measured split."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from eval.continuation import build_continuation
from eval.multiple_choice import ChoiceTask
from eval.particle import build_particle


class _Intrinsic(NamedTuple):
    title: str
    build: Any
    metrics: tuple[str, ...]
    primary: str


TASKS = {
    "particle": _Intrinsic(
        "particle: a held-out sentence against the same with a case particle exchanged",
        build_particle,
        ("accuracy",),
        "accuracy",
    ),
    "continuation": _Intrinsic(
        "continuation: the true next sentence against three of like length from the same document",
        build_continuation,
        ("accuracy", "accuracy_per_character", "accuracy_pmi"),
        "accuracy_pmi",
    ),
}


def build_intrinsic(
    name: str, texts: Sequence[str], *, license: str, source: str, seed: int = 0, limit: int = 0
) -> ChoiceTask:
    """The items of ``particle`` or ``continuation`` from documents."""
    task = TASKS[name]
    items, notes = task.build(texts, seed=seed, limit=limit)
    return ChoiceTask(name, task.title, items, task.metrics, task.primary, license, source, notes)
