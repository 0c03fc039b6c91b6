"""Whether there is anything to learn from the examples of a task, known before an hour is spent on it."""

from collections.abc import Sequence

import numpy as np

from eval.examples import Example, Kind
from stage.errors import InputError, UsageError


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
