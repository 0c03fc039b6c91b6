"""``metrics.jsonl``: a line a measurement."""

import json
from pathlib import Path
from typing import Any

NAME = "metrics.jsonl"


class Metrics:
    """``metrics.jsonl``, cut back to the step that a run goes on from."""

    def __init__(self, file: Path, step: int) -> None:
        self.file = file
        kept = []
        if file.exists():
            for line in file.read_text("utf-8").splitlines():
                try:
                    if json.loads(line)["step"] <= step and step:
                        kept.append(line + "\n")
                except (ValueError, KeyError, TypeError):
                    break  # a line that a kill cut short
        partial = file.with_name(file.name + ".partial")
        partial.write_text("".join(kept), "utf-8")
        partial.replace(file)

    def __enter__(self) -> "Metrics":
        self._stream = self.file.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, record: dict[str, Any]) -> None:
        self._stream.write(json.dumps(record) + "\n")
        self._stream.flush()
