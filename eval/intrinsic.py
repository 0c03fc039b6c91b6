"""The tasks that any corpus yields, made from the documents of the measured split."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from eval.continuation import build_continuation
from eval.multiple_choice import ChoiceTask
from eval.particle import build_particle


class Intrinsic(NamedTuple):
    """What is known of a task before its items are made."""

    title: str
    build: Any
    metrics: tuple[str, ...]
    primary: str
    license: str = "that of the corpus"
    source: str = "validation documents"


TASKS = {
    "particle": Intrinsic(
        "particle: a held-out sentence against the same with a case particle exchanged",
        build_particle,
        ("accuracy",),
        "accuracy",
    ),
    "continuation": Intrinsic(
        "continuation: the true next sentence against three of like length from the same document",
        build_continuation,
        ("accuracy", "accuracy_per_character", "accuracy_pmi"),
        "accuracy_pmi",
    ),
}


def build_intrinsic(name: str, texts: Sequence[str], *, seed: int = 0, limit: int = 0) -> ChoiceTask:
    """The items of ``particle`` or ``continuation`` from documents."""
    title, build, metrics, primary, license, source = TASKS[name]
    items, notes = build(texts, seed=seed, limit=limit)
    return ChoiceTask(name, title, items, metrics, primary, license, source, notes)
