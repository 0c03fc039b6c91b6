"""Counting documents, characters and bytes by split and source while tables go by."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray

_UNITS = ("documents", "characters", "bytes", "raw_characters")


class Tally:
    """Counts of a corpus."""

    def __init__(self) -> None:
        self._kept: Counter[tuple[str, str, str]] = Counter()  # by source, split and unit
        self._rejected: Counter[tuple[str, str]] = Counter()  # by source and reason
        self._rejected_characters: Counter[str] = Counter()  # by reason
        self._masked = 0

    def add_documents(self, table: pyarrow.Table, sizes: NDArray[np.int64]) -> None:
        """Count documents, whose texts have so many bytes, by source and split."""
        self._masked += pyarrow.compute.sum(table.column("masked")).as_py() or 0
        table = table.append_column("bytes", pyarrow.array(sizes))
        aggregates = [("chars", "count"), ("chars", "sum"), ("bytes", "sum"), ("raw_chars", "sum")]
        for row in table.group_by(["source", "split"]).aggregate(aggregates).to_pylist():
            for unit, name in zip(_UNITS, ("chars_count", "chars_sum", "bytes_sum", "raw_chars_sum"), strict=True):
                self._kept[row["source"], row["split"], unit] += int(row[name])

    def add_rejected(self, table: pyarrow.Table) -> None:
        """Count rejected documents by source and reason."""
        aggregates = [("chars", "count"), ("chars", "sum")]
        for row in table.group_by(["source", "reason"]).aggregate(aggregates).to_pylist():
            self._rejected[row["source"], row["reason"]] += int(row["chars_count"])
            self._rejected_characters[row["reason"]] += int(row["chars_sum"])

    def counts(self, sources: list[str]) -> dict[str, Any]:
        """Everything counted, in an order that does not depend on the order of counting."""
        return {
            **self._sum(),
            "splits": {split: self._sum(split=split) for split in ("train", "valid")},
            "sources": {name: self._sum(source=name) | {"rejected": self._reasons(name)} for name in sources},
            "rejected": self._reasons(),
            "rejected_characters": {reason: self._rejected_characters[reason] for reason in self._reasons()},
            "masked": self._masked,
        }

    def _sum(self, source: str | None = None, split: str | None = None) -> dict[str, int]:
        found = dict.fromkeys(_UNITS, 0)
        for (of_source, of_split, unit), count in self._kept.items():
            if source in (None, of_source) and split in (None, of_split):
                found[unit] += count
        return found

    def _reasons(self, source: str | None = None) -> dict[str, int]:
        reasons: Counter[str] = Counter()
        for (of_source, reason), count in self._rejected.items():
            if source in (None, of_source):
                reasons[reason] += count
        return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
