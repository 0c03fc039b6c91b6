"""What can be read of a run folder; what is missing, cut off or damaged is empty."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

from stage.errors import ArtifactError
from stage.manifest import Manifest, read_manifest

STAGES = (
    ("corpus", "corpus", "Corpus", "文書"),
    ("tokenizer", "tokenizer", "Tokenizer", "トークナイザ"),
    ("shards", "shard", "Shards", "トークン列"),
    ("model", "pretrain", "Pretraining", "事前学習"),
    ("eval", "eval", "Evaluation", "評価"),
)
"""Folder in the run, stage in its manifest, and its names for people."""

MOST_DOCUMENTS = 1_000_000
"""Documents that are read for their lengths or reasons."""


@dataclass
class Run:
    """The manifests of a run by folder, why others are missing, and the content of its files."""

    folder: Path
    manifests: dict[str, Manifest] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Why a folder that is there is no whole stage; empty for one that is not there."""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    model_config: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def counts(self, name: str) -> dict[str, Any]:
        return self.manifests[name].counts if name in self.manifests else {}

    def number(self, name: str, key: str) -> float | None:
        """A count of a stage, if it is there and a number."""
        value = self.counts(name).get(key)
        return value if is_number(value) else None

    @property
    def licenses(self) -> list[dict[str, str]]:
        """Licences of the text, from the earliest stage that tells of them."""
        return next((manifest.licenses for manifest in self.manifests.values() if manifest.licenses), [])

    def documents(self, *columns: str) -> Iterator[dict[str, Any]]:
        """These columns of the accepted documents."""
        return _rows(self.folder / "corpus", "documents-*.parquet", columns)

    def rejected(self, *columns: str) -> Iterator[dict[str, Any]]:
        """These columns of the documents that the corpus left out."""
        return _rows(self.folder / "corpus" / "rejected", "rejected-*.parquet", columns)

    def free_sentence(self) -> tuple[str, str]:
        """A held-out sentence and where it is from, if its licence lets it be quoted freely; else a well-known one."""
        for row in islice(self.documents("text", "split", "source", "license"), 20_000):
            free = re.search(r"public.?domain|\bPD\b|CC0|パブリック", row["license"] or "", re.IGNORECASE)
            if row["split"] == "valid" and free:
                text = row["text"][:400].strip()
                end = max(text[:110].rfind(mark) for mark in "。\n ") + 1
                return text[: end if end > 30 else 90].strip(), f"Held-out text, {row['source']} ({row['license']})."
        return (
            "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
            "Natsume Sōseki, 1905 (public domain).",
        )

    def pieces(self) -> Any:
        """The SentencePiece processor of the tokenizer, or None."""
        import sentencepiece

        try:
            model = (self.folder / "tokenizer" / "tokenizer.model").read_bytes()
            return sentencepiece.SentencePieceProcessor(model_proto=model)
        except (OSError, RuntimeError):
            return None


def read_run_folder(run: Path) -> Run:
    """Read what there is of a run; raises ArtifactError when there is nothing."""
    found = Run(Path(run))
    for name, stage, *_ in STAGES:
        try:
            found.manifests[name] = read_manifest(found.folder / name, stage)
        except ArtifactError as error:
            found.missing[name] = str(error) if (found.folder / name).exists() else ""
    found.metrics = _read_metrics(found.folder / "model" / "metrics.jsonl")
    found.model_config = _read_json(found.folder / "model" / "config.json", dict)
    found.results = _read_json(found.folder / "eval" / "results.json", dict)
    found.samples = [entry for entry in _read_json(found.folder / "samples.json", list) if isinstance(entry, dict)]
    if not found.manifests and not found.metrics:
        raise ArtifactError(f"{run}: holds no stage of a run; name a folder that `jgpt run` or `jgpt quickstart` made")
    return found


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a JSON file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rows(folder: Path, pattern: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Rows of Parquet files in the order of their names; one that cannot be read, or lacks a column, ends them."""
    import pyarrow
    import pyarrow.parquet

    for file in sorted(folder.glob(pattern)):
        try:
            with pyarrow.parquet.ParquetFile(file) as table:
                for batch in table.iter_batches(65536, columns=list(columns)):
                    yield from (row for row in batch.to_pylist() if row.keys() == set(columns))
        except (pyarrow.ArrowException, OSError):
            return


def _read_metrics(file: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl by step; a line that was cut off is left out, of repeated ones the last counts."""
    lines: dict[tuple[float, bool], dict[str, Any]] = {}
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and is_number(entry.get("step")):
            lines[entry["step"], "valid_loss" in entry] = entry
    return [lines[key] for key in sorted(lines)]


def _read_json(file: Path, kind: type) -> Any:
    """The content of a JSON file if it is of that kind, else an empty one."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return kind()
    return content if isinstance(content, kind) else kind()
