"""What can be read of a run folder, whose last stages may be missing."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from jgpt.training.metrics import read_lines
from stage.errors import ArtifactError
from stage.manifest import Manifest, check_outputs, read_manifest

STAGES = (
    ("corpus", "corpus", "Corpus", "文書"),
    ("tokenizer", "tokenizer", "Tokenizer", "トークナイザ"),
    ("shards", "shard", "Shards", "トークン列"),
    ("model", "pretrain", "Pretraining", "事前学習"),
    ("eval", "eval", "Evaluation", "評価"),
)
"""Folder in the run, stage in its manifest, and its names for people."""


@dataclass
class Run:
    """The manifests of a run by folder, why others are missing, and the content of its files."""

    folder: Path
    manifests: dict[str, Manifest] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Why a folder that is there is no whole stage; empty for one that is not there."""

    def counts(self, name: str) -> dict[str, Any]:
        """The counts of a stage; empty for a missing one."""
        return self.manifests[name].counts if name in self.manifests else {}

    @property
    def licenses(self) -> list[dict[str, str]]:
        """Licences of the text, from the earliest stage that tells of them."""
        return next((manifest.licenses for manifest in self.manifests.values() if manifest.licenses), [])

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl`` or ``samples.jsonl``, without one that a kill cut off; none where there is none."""
        return read_lines(self.folder / "model" / name)

    def read_json(self, name: str) -> Any:
        """The content of a JSON file, or None if it is not there; raises ArtifactError for a broken one."""
        file = self.folder / name
        try:
            return json.loads(file.read_text("utf-8")) if file.is_file() else None
        except ValueError:
            raise ArtifactError(f"{file}: is broken; `jgpt run` makes it anew when it is deleted") from None

    def documents(self, most: int, *columns: str) -> Iterator[dict[str, Any]]:
        """These columns of the first documents."""
        import pyarrow.parquet

        def rows() -> Iterator[dict[str, Any]]:
            for file in sorted((self.folder / "corpus").glob("documents-*.parquet")):
                with pyarrow.parquet.ParquetFile(file) as table:
                    for batch in table.iter_batches(columns=list(columns)):
                        yield from batch.to_pylist()

        return islice(rows(), most)

    def free_sentence(self) -> tuple[str, str]:
        """A held-out sentence and where it is from, if its licence lets it be quoted freely; else a well-known one."""
        for row in self.documents(20_000, "text", "split", "source", "license"):
            free = re.search(r"public.?domain|\bPD\b|CC0|パブリック", row["license"], re.IGNORECASE)
            if row["split"] == "valid" and free:
                text = row["text"][:400].strip()
                end = max(text[:110].rfind(mark) for mark in "。\n ") + 1
                return text[: end if end > 30 else 90].strip(), f"Held-out text, {row['source']} ({row['license']})."
        sentence = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
        return sentence, "Natsume Sōseki, 1905 (public domain)."


def read_run_folder(folder: Path) -> Run:
    """Read the manifests of a run; raises ArtifactError when there is none."""
    run = Run(folder)
    for name, stage, *_ in STAGES:
        try:
            manifest = read_manifest(folder / name, stage)
            check_outputs(folder / name, manifest)
            run.manifests[name] = manifest
        except ArtifactError as error:
            run.missing[name] = str(error) if (folder / name).exists() else ""
    if not run.manifests:
        raise ArtifactError(f"{folder}: holds no stage of a run; runs/NAME was expected")
    return run
