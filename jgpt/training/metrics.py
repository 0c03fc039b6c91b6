"""``metrics.jsonl``, and other files of a line a measurement."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jgpt.data.shards import ShardSet
from jgpt.training.trackers import Tracker

NAME = "metrics.jsonl"


class Metrics:
    """``metrics.jsonl`` of a run that goes on from a step. A tracker is told each line too, at first those that are there."""

    def __init__(self, file: Path, step: int, tracker: Tracker) -> None:
        self.file, self._tracker = file, tracker
        for record in cut_back(file, step):
            tracker.write(record)

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, *_: object) -> None:
        self._tracker.close()

    def write(self, record: dict[str, Any]) -> None:
        """Append a line; figures that are not finite, which JSON does not have, become null."""
        record = _finite(record)
        append(self.file, record)
        self._tracker.write(record)


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The lines, which tell of a ``step`` each, up to one that a kill cut short; none where there is no file."""
    found = []
    for line in file.read_text("utf-8", errors="replace").split("\n") if file.exists() else ():
        try:
            record = json.loads(line)
            record["step"]
        except (ValueError, KeyError, TypeError):
            break
        found.append(record)
    return found


def cut_back(file: Path, step: int) -> list[dict[str, Any]]:
    """Leave the lines of the steps that are behind a run, none at its beginning; returns them."""
    if not file.exists():
        return []
    kept = [record for record in read_lines(file) if step and record["step"] <= step]
    partial = file.with_name(file.name + ".partial")
    partial.write_text("".join(map(_line, kept)), "utf-8")
    partial.replace(file)
    return kept


def append(file: Path, record: dict[str, Any]) -> None:
    """Add a line."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(_line(record))


def bits_per_nat(sources: Sequence[tuple[ShardSet, float | None]]) -> float | None:
    """From nats a token to bits a character of the train splits, which count by their weights or sizes."""
    counts = [(shards.manifest.counts, weight) for shards, weight in sources]
    sizes = [(weight or count["train_tokens"], count) for count, weight in counts]
    characters = sum(size * count["train_characters"] / count["train_tokens"] for size, count in sizes)
    return sum(size for size, _ in sizes) / characters / math.log(2) if characters else None


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
