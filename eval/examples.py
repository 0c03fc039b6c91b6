"""An example of a task, in the form that every method and every baseline takes. Imports only the standard library."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["choice", "classification", "pair", "regression", "span"]
"""What is asked of an example.

``choice``: which of its own choices is right. ``classification``: which of the task's classes. ``pair``: which of two
whole texts is the better Japanese. ``regression``: a number. ``span``: the piece of the last text that answers the first.
"""


@dataclass(frozen=True)
class Example:
    """One row of a task's file, its texts normalised as the model's text was."""

    id: str
    fields: dict[str, str]
    """The texts by the name of their field, in the order of the task: ``{"sentence1": …, "sentence2": …}``."""
    choices: tuple[str, ...] = ()
    """The texts to choose from; for a classification the words of the classes, for a regression those of its grid."""
    label: int | float = 0
    """The place of the right choice, or the number of a regression."""
    answers: tuple[str, ...] = ()
    """Of a span: every accepted answer."""
    answer_start: int = -1
    """Of a span: where the first answer begins in the last of the fields; -1 where it does not stand there."""
    group: str = ""
    """A phenomenon or category under which figures are also reported."""
    other: dict[str, str] = field(default_factory=dict)
    """What prompts may name and no method reads: the title of a passage."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts alone."""
        return tuple(self.fields.values())


def grouped(examples: Sequence[Example]) -> dict[str, list[int]]:
    """The places of the examples of each group, those of none under a name that no group has; nothing where none has one."""
    groups = {example.group for example in examples}
    if groups <= {""}:
        return {}
    none = "other"
    while none in groups:
        none = f"({none})"
    places: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        places.setdefault(example.group or none, []).append(place)
    return places


Predictions = Sequence[int] | Sequence[float] | Sequence[str]
"""What a method answers, in the order of the examples: places of choices, numbers of a regression, texts of spans."""
