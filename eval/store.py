"""What an evaluation has found so far, a line of JSON each: a run that was killed goes on with the next item."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Store:
    """Values by key in a file that only grows. What a kill left of the last line is dropped."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: dict[str, Any] = {}
        whole = 0
        if file.exists():
            with file.open("rb") as stream:
                for line in stream:
                    try:
                        key, value = json.loads(line)
                    except (ValueError, TypeError):
                        break
                    if not isinstance(key, str) or not line.endswith(b"\n"):
                        break
                    self.found[key] = value
                    whole += len(line)
            os.truncate(file, whole)
        self._stream = file.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if not self.found:
            self.file.unlink()  # nothing to go on with

    def put(self, entries: dict[str, Any]) -> None:
        """Keep values, on the disk when this returns."""
        self.found |= entries
        self._stream.writelines(json.dumps([key, value], ensure_ascii=False) + "\n" for key, value in entries.items())
        self._stream.flush()
        os.fsync(self._stream.fileno())
