"""Figures of a documents artifact."""

from pathlib import Path
from typing import Any

import numpy as np

from corpora.characters import CLASSES, count_classes, japanese_share
from corpora.documents import STAGE, document_files, iterate_file
from stage.manifest import read_manifest

_COUNTED = ("documents", "characters", "bytes", "splits", "sources", "rejected", "split_rule")
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def corpus_statistics(folder: Path | str) -> dict[str, Any]:
    """Counts by split and source, shares of character classes, quantiles of lengths, reasons of rejection.

    Streams; only the lengths of the documents are held.
    """
    counts = read_manifest(folder, STAGE).counts
    classes = np.zeros(len(CLASSES), dtype=np.int64)
    lengths: list[int] = []
    for path in document_files(folder):
        for row in iterate_file(path, ("text",)):
            classes += count_classes(row["text"])
            lengths.append(len(row["text"]))
    quantiles = np.quantile(lengths or [0], QUANTILES)
    total = max(int(classes.sum()), 1)
    return {
        **{name: counts[name] for name in _COUNTED},
        "japanese_ratio": japanese_share(classes),
        "character_classes": {name: int(count) / total for name, count in zip(CLASSES, classes, strict=True)},
        "length_quantiles": {f"{share:g}": float(length) for share, length in zip(QUANTILES, quantiles, strict=True)},
    }
