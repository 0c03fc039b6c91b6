"""Reference curves of the shipped recipes, for the question whether one's own is normal."""

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stage.numbers import compact

FOLDER = Path(__file__).parent / "recipes" / "curves"
_NORMAL = 0.05  # bits per character beside what the reference runs have among themselves
_SAME_LENGTH = 1.2


class Point(NamedTuple):
    """A measurement on the held-out text."""

    tokens: int
    seconds: float
    bits: float
    """Per character."""


@dataclass(frozen=True)
class Curve:
    """Some runs of a shipped recipe, by ``python -m scripts.bench.reference_curve``."""

    recipe: str
    machine: str
    parameters: int
    train_characters: int
    valid_characters: int
    runs: Sequence[Sequence[Point]]
    """Of several seeds."""


def measured(metrics: Sequence[Mapping[str, Any]]) -> list[Point]:
    """The measurements among the lines of ``metrics.jsonl``, but for that of a model that has learned nothing."""
    lines = [line for line in metrics if line.get("valid_bits_per_character") is not None and line["tokens"]]
    return [Point(line["tokens"], line["seconds"], line["valid_bits_per_character"]) for line in lines]


def nearest_curve(text: Mapping[str, Any]) -> Curve | None:
    """The curve whose text is nearest in size to that of some shards, given by their counts; None where there is none."""
    if not text.get("train_characters"):
        return None
    return min(
        map(_read, sorted(FOLDER.glob("*.json"))),
        key=lambda curve: abs(math.log(curve.train_characters / text["train_characters"])),
        default=None,
    )


def verdict(own: Sequence[Point], curve: Curve, text: Mapping[str, Any]) -> str:
    """In words: how far a run lies from the reference after the same number of tokens."""
    what = f"the shipped recipe {curve.recipe} ({compact(curve.parameters)} parameters, {curve.machine})"
    if any(text.get(key) != getattr(curve, key) for key in ("train_characters", "valid_characters")):
        return (
            f"The reference, {what}, learned another text, so that only the shapes of the curves compare: "
            "a steep fall, then a slower one that ends with the learning rate."
        )
    end = min(run[-1].tokens for run in curve.runs)
    common = [point for point in own if max(run[0].tokens for run in curve.runs) <= point.tokens <= end]
    if not common:
        return f"It has no measurement yet to compare with {what}."
    tokens, _, bits = common[-1]
    theirs = [_at(run, tokens) for run in curve.runs]
    above = bits - sum(theirs) / len(theirs)
    normal = min(theirs) - _NORMAL <= bits <= max(theirs) + _NORMAL
    words = "as it should be" if normal else "better than usual" if above < 0 else "worse than usual"
    count, spread = len(theirs), f"{min(theirs):.2f} to {max(theirs):.2f}"
    told = (
        f"After {compact(tokens)} tokens this run stands at {bits:.2f} bits per character, {abs(above):.2f} "
        f"{'above' if above > 0 else 'below'} the reference: {words}. The reference is {what}, "
        f"{f'{count} runs at {spread}' if count > 1 else 'one run'}."
    )
    if not 1 / _SAME_LENGTH < own[-1].tokens / end < _SAME_LENGTH:
        last = sum(run[-1].bits for run in curve.runs) / len(curve.runs)
        told += (
            " Of two runs the one with more tokens ahead of it lies above the other until its learning rate falls: at their "
            f"ends they stand at {own[-1].bits:.2f} after {compact(own[-1].tokens)} and {last:.2f} after {compact(end)} tokens."
        )
    return told


def _read(file: Path) -> Curve:
    record = json.loads(file.read_text("utf-8"))
    return Curve(**record | {"runs": [[Point(*point) for point in run] for run in record["runs"]]})


def _at(run: Sequence[Point], tokens: int) -> float:
    """The bits of a run at a number of tokens within its reach, on the line between two measurements."""
    after = bisect_left(run, tokens, key=lambda point: point.tokens)
    last, there = run[max(after - 1, 0)], run[after]
    share = (tokens - last.tokens) / (there.tokens - last.tokens) if there.tokens > last.tokens else 0.0
    return last.bits + share * (there.bits - last.bits)
