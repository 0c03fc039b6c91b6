"""The parallel half of a corpus build: some files in, one part file of judged documents out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from corpora.aozora import is_aozora, parse_aozora, parse_line
from corpora.config import CorpusConfig, SourceConfig
from corpora.judging import has_lone_surrogate, judge, measure
from corpora.normalization import normalize
from corpora.reading import RawDocument, read_file

DOCUMENT_SCHEMA = pyarrow.schema(
    [
        ("id", pyarrow.string()),
        ("text", pyarrow.string()),
        ("source", pyarrow.string()),
        ("license", pyarrow.string()),
        ("meta", pyarrow.string()),
        ("split", pyarrow.string()),
        ("raw_chars", pyarrow.int64()),
        ("raw_bytes", pyarrow.int64()),
        ("chars", pyarrow.int64()),
        ("japanese_ratio", pyarrow.float64()),
    ]
)
REJECTED_SCHEMA = DOCUMENT_SCHEMA.append(pyarrow.field("reason", pyarrow.string())).append(
    pyarrow.field("measure", pyarrow.float64())
)
PART_SCHEMA = REJECTED_SCHEMA.append(pyarrow.field("digest", pyarrow.binary(16)))
"""A part: the reason is empty for a document that is kept so far; digest is the hash of the normalised text."""

ROW_GROUP_CHARS = 4_000_000
ROW_GROUP_ROWS = 10_000


@dataclass(frozen=True)
class PartTask:
    """Files of one source that become one part."""

    number: int
    folder: str
    source: SourceConfig
    name: str
    """Name of the source."""
    files: tuple[tuple[str, str], ...]
    """(path, name below the source) of each file."""
    config: CorpusConfig
    revision: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.folder) / f"part-{self.number:06d}.parquet"


@dataclass
class TableWriter:
    """Collects rows and writes them as row groups of bounded size."""

    path: Path
    schema: pyarrow.Schema
    rows: list[dict[str, Any]] = field(default_factory=list)
    chars: int = 0

    def __post_init__(self) -> None:
        # no statistics of texts: they would store whole documents twice
        self._writer = pyarrow.parquet.ParquetWriter(
            self.path, self.schema, compression="zstd", write_statistics=["split", "source"]
        )

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self.chars += len(row["text"])
        if self.chars >= ROW_GROUP_CHARS or len(self.rows) >= ROW_GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            self._writer.write_table(pyarrow.Table.from_pylist(self.rows, schema=self.schema))
        self.rows, self.chars = [], 0

    def close(self) -> None:
        self.flush()
        self._writer.close()


def make_part(task: PartTask) -> Path:
    """Read, parse, normalise and judge the documents of a task, and write them as a part."""
    writer = TableWriter(task.path, PART_SCHEMA)
    limit = task.config.limit or None
    try:
        for path, name in task.files:
            for raw in islice(_raw_documents(task, path), limit):
                writer.add(judged_row(raw, name, task))
    finally:
        writer.close()
    return task.path


def judged_row(raw: RawDocument, name: str, task: PartTask) -> dict[str, Any]:
    """The row of a part for a raw document."""
    meta = raw.meta
    row: dict[str, Any] = {
        "id": "/".join(part for part in (task.name, name, raw.key or str(raw.index)) if part),
        "source": task.name,
        "license": task.source.license,
        "split": "",
        "raw_chars": len(raw.text),
        "raw_bytes": len(raw.text.encode("utf-8", "surrogatepass")),
    }
    if has_lone_surrogate(raw.text):
        text = raw.text.encode("utf-8", "backslashreplace").decode()
        verdict: tuple[str, float] | None = ("lone_surrogate", 1.0)
        measures = measure(text)
    else:
        text = raw.text
        if task.source.markup == "aozora" or (task.source.markup == "auto" and is_aozora(text)):
            work = parse_aozora(text)
            text = work.text
            given = {
                key: parse_line(value) if isinstance(value, str) else value
                for key, value in meta.items()
                if value != ""
            }
            meta = dict(work.metadata) | given
        text = normalize(text, task.source.normalization)
        measures = measure(text)
        verdict = judge(text, measures, task.config)
    reason, value = verdict or ("", 0.0)
    row |= {
        "text": text,
        "meta": _meta_json(meta),
        "chars": measures.chars,
        "japanese_ratio": measures.japanese_ratio,
        "reason": reason,
        "measure": value,
        "digest": blake2b(text.encode(), digest_size=16).digest(),
    }
    return row


def _raw_documents(task: PartTask, path: str) -> Iterator[RawDocument]:
    source = task.source
    if path.startswith("hf:"):
        from corpora.hub import read_hub

        return read_hub(path, text_field=source.text_field, revision=task.revision)
    if source.path.startswith("embedded:"):
        return _embedded(path)
    return read_file(path, documents=source.documents, text_field=source.text_field)


def _embedded(path: str) -> Iterator[RawDocument]:
    from corpora.embedded import read_chapters

    for index, (key, text) in enumerate(read_chapters(path)):
        yield RawDocument(index, text, key=key)


def _meta_json(meta: dict[str, Any]) -> str:
    return json.dumps(meta, ensure_ascii=False, sort_keys=True).encode("utf-8", "backslashreplace").decode()
