"""Prompts: what a language model is shown of an example, after solved ones."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np

from corpora.normalization import normalize_prompt
from eval.examples import Example
from eval.multiple_choice import Item
from eval.task import Prompt, Task, fill
from stage.errors import UsageError


class FewShot:
    """Solved examples for each question, never the question itself; the classes take turns."""

    def __init__(self, task: Task, pool: Sequence[Example], shots: int, *, draw: str = "fixed", seed: int = 0) -> None:
        """``draw`` fixed: the same for all questions; each: others for each. Raises UsageError for a pool that is too small."""
        self.shots, self.seed, self.draw = shots, seed, draw
        self._queues: list[list[Example]] = []
        if not shots:
            return
        different: dict[int, list[Example]] = {}
        seen: set[tuple[str, ...]] = set()
        for number in np.random.default_rng(seed).permutation(len(pool)):
            example = pool[int(number)]
            if question_of(example) not in seen:
                seen.add(question_of(example))
                kind = int(example.label) if task.kind == "classification" else 0
                different.setdefault(kind, []).append(example)
        if len(seen) < shots + 1:
            raise UsageError(
                f"--shots {shots}: task {task.name} has only {len(seen)} different questions to solve; "
                "one more than --shots is needed"
            )
        self._queues = [different[kind] for kind in sorted(different)]

    def pool(self) -> list[Example]:
        """Every example that may be shown."""
        if self.draw == "fixed":
            return self._first(self._queues, self.shots + 1)
        return [example for queue in self._queues for example in queue]

    def examples(self, number: int, example: Example) -> list[Example]:
        """The solved examples before the question with this number."""
        if not self.shots:
            return []
        queues = self._queues
        if self.draw == "each":
            generator = np.random.default_rng((self.seed, number))
            # enough of each class, whichever comes first; a permutation of all would cost more than the scoring
            queues = [
                [
                    queue[int(place)]
                    for place in generator.choice(len(queue), min(len(queue), self.shots + 1), replace=False)
                ]
                for queue in (queues[int(place)] for place in generator.permutation(len(queues)))
            ]
        shown = self._first(queues, self.shots + 1)  # all are different, so one at most is the question
        return [shot for shot in shown if question_of(shot) != question_of(example)][: self.shots]

    def _first(self, queues: Sequence[Sequence[Example]], count: int) -> list[Example]:
        turns = zip_longest(*queues)
        found: list[Example] = []
        for turn in turns:
            found += [example for example in turn if example is not None]
            if len(found) >= count:
                break
        return found[:count]


def question_of(example: Example) -> tuple[str, ...]:
    """What makes two questions the same: their texts, for a pair its choices."""
    return tuple(text.strip() for text in example.texts) or tuple(sorted(example.choices))


def render(task: Task, prompt: Prompt, example: Example, solved: Sequence[Example] = ()) -> str:
    """The context of an example, after solved ones."""
    shown = [_item(prompt, shot) + _answer(task, shot) + prompt.closing for shot in solved]
    return prompt.description + prompt.separator.join([*shown, _item(prompt, example)])


def items(task: Task, prompt: Prompt | None, examples: Sequence[Example], few_shot: FewShot, preset: str) -> list[Item]:
    """What a language model chooses from, for each example. A pair has no prompt: its texts are all of it."""
    found = []
    for number, example in enumerate(examples):
        context, neutral = "", None
        if prompt is not None:
            context = normalize_prompt(render(task, prompt, example, few_shot.examples(number, example)), preset)
            neutral = None if prompt.neutral is None else normalize_prompt(prompt.neutral, preset)
        closing = "" if prompt is None else prompt.closing
        found.append(Item(example.id, context, example.choices, example.label, neutral, closing, example.group))
    return found


def _item(prompt: Prompt, example: Example) -> str:
    lines = (
        fill(prompt.choice, {"choice": choice, "number": str(number)}) for number, choice in enumerate(example.choices)
    )
    values: Mapping[str, str] = {**example.fields, **example.other, "choices": "".join(lines)}
    return fill(prompt.item, values)


def _answer(task: Task, example: Example) -> str:
    if task.kind == "regression":
        return example.choices[min(range(len(task.grid)), key=lambda place: abs(task.grid[place] - example.label))]
    return example.answers[0] if example.answers else example.choices[int(example.label)]
