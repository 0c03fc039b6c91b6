"""Answering a question of several choices from the choices of training questions alone: what a data set gives away.

Where questions are written in groups about the same choices, each with another answer (CommonsenseQA, Talmor et al., 2019, and after it
JCommonsenseQA), a training question of the same group tells which choices are not the answer, and among which the answer is.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from eval.examples import Example

SHARED = 3
"""Choices that two questions of a group have in common, at least."""


class Siblings:
    """The training questions that share choices with another question."""

    def __init__(self, train: Sequence[Example]) -> None:
        self._train = train
        self._offered: dict[str, list[int]] = defaultdict(list)
        self._right = Counter(example.choices[int(example.label)] for example in train)
        for number, example in enumerate(train):
            for choice in set(example.choices):
                self._offered[choice].append(number)

    def of(self, example: Example) -> list[Example]:
        """Those that share at least ``SHARED`` different choices."""
        shared = Counter(number for choice in set(example.choices) for number in self._offered.get(choice, ()))
        return [self._train[number] for number, count in shared.items() if count >= SHARED]

    def rate(self, choice: str) -> float:
        """How often a choice was right where it was offered, one question of even odds added."""
        return (self._right[choice] + 0.2) / (len(self._offered.get(choice, ())) + 1)

    def crossed_out(self, example: Example) -> Counter[str]:
        """How often each choice is the answer of a question of the group."""
        return Counter(each.choices[int(each.label)] for each in self.of(example))

    def common(self, example: Example) -> Counter[str]:
        """In how many questions of the group each choice of the example stands."""
        return Counter(choice for each in self.of(example) for choice in set(each.choices) & set(example.choices))


def crossing_out(train: Sequence[Example], test: Sequence[Example]) -> list[int]:
    """Of the choices that no training question of the group has for its answer the one that was right most often elsewhere."""
    known = Siblings(train)
    found = []
    for example in test:
        out = known.crossed_out(example)
        found.append(_best([(-out[choice], known.rate(choice)) for choice in example.choices]))
    return found


def siblings(train: Sequence[Example], test: Sequence[Example]) -> list[int]:
    """The same among the choices that the questions of the group have in common, where the answer nearly always is."""
    known = Siblings(train)
    found = []
    for example in test:
        out, common = known.crossed_out(example), known.common(example)
        found.append(_best([(-out[choice], common[choice], known.rate(choice)) for choice in example.choices]))
    return found


def _best(scores: Sequence[tuple[float, ...]]) -> int:
    """The place of the greatest, the first of equals."""
    return max(range(len(scores)), key=lambda place: scores[place])
