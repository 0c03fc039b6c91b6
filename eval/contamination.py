"""Which test items a model may have read, and what its figures are without them.

The definition is that of ``jgpt corpus decontaminate`` (``corpora.overlap``): an item is contaminated when one of its texts or its right
answer shares a run of 24 letters and digits with what was read, or stands there as a whole from 10 letters and digits on. White space,
punctuation, width and case do not count. Answers that are names are not looked for by themselves, as any document may hold them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.overlap import EvaluationTexts, skeletons
from eval.examples import Example, Predictions
from eval.metrics import measure, picked

Flags = NDArray[np.bool_]
_BATCH = 1 << 20  # characters looked at together


def contaminated(
    examples: Sequence[Example], texts: Iterable[str], *, ngram: int = 24, normalized: bool = False
) -> Flags:
    """Which of the examples [N] stand, in part, in texts, which are read once, some megabytes at a time.

    ``normalized``: the texts are so by ja-v1. Memory: about 60 bytes for each character of the examples.
    """
    parts = [list(_parts(example)) for example in examples]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(text for each in parts for text in each))}
    looked_for = EvaluationTexts([], ngram, list(numbers))
    found = np.zeros(len(numbers), np.bool_)
    for batch in _batches(texts) if numbers else ():
        found |= looked_for.found_in(batch, normalized=normalized)
    return np.array([any(found[numbers[text]] for text in each) for each in parts], np.bool_)


def seen(examples: Sequence[Example], others: Sequence[Example], *, ngram: int = 24) -> Flags:
    """Which of the examples [N] stand, in part, in others that a model is tuned on or shown, or ask the very same, however short."""
    asked = set(map(_asked, others))
    same = np.array([_asked(example) in asked for example in examples], np.bool_)
    return same | contaminated(examples, _told(others), ngram=ngram)


def clean_record(
    metric: str,
    examples: Sequence[Example],
    answers: Sequence[Predictions],
    flags: Mapping[str, Flags],
    *,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """A metric over all examples and over those that were found nowhere, for JSON; ``answers`` are those of each seed.

    ``flags``: for each place that was looked in the examples [N] that ``contaminated`` found there. Returns {"metric", "items",
    "found": {PLACE: {"items", "share"}}, "contaminated": {"items", "share"}, "whole": Interval, "clean": Interval with "items"}; the value
    of ``clean`` is None where nothing is left.
    """
    found = np.zeros(len(examples), np.bool_)
    for each in flags.values():
        found |= each
    kept = np.flatnonzero(~found).tolist()
    clean = picked(metric, examples, answers, kept, bootstrap=bootstrap, seed=seed)
    return {
        "metric": metric,
        "items": len(examples),
        "found": {place: _count(each) for place, each in flags.items()},
        "contaminated": _count(found),
        "whole": measure(metric, examples, *answers, bootstrap=bootstrap, seed=seed),
        "clean": clean | {"items": len(kept)},
    }


def _told(examples: Sequence[Example]) -> Iterator[str]:
    """What a model reads of examples: their texts and right answers."""
    for example in examples:
        yield from example.texts
        yield from _right(example)


def _asked(example: Example) -> bytes:
    """The letters and digits of what is asked; of whole texts to choose from those of all."""
    return skeletons(example.texts or example.choices).tobytes()


def _parts(example: Example) -> Iterator[str]:
    """The texts to look for. The full stop makes a sentence of what has none, which is looked for although it is short."""
    wholes = example.texts or _right(example)
    yield from (f"{text}。" for text in wholes)
    if example.texts:
        yield from _right(example)


def _right(example: Example) -> tuple[str, ...]:
    """The right answers as text: accepted spans, or the right choice; none of a number."""
    if example.answers or not example.choices or not isinstance(example.label, int):
        return example.answers
    return (example.choices[example.label],)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _count(flags: Flags) -> dict[str, Any]:
    return {"items": int(flags.sum()), "share": float(flags.mean()) if len(flags) else 0.0}
