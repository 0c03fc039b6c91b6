"""The parallel half of a corpus build: some files in, one part file of judged documents out."""

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow

from corpora.aozora import is_aozora, parse_aozora, parse_line
from corpora.config import CorpusConfig, SourceConfig
from corpora.embedded import read_chapters
from corpora.hub import read_hub
from corpora.judging import has_lone_surrogate, japanese_ratio, judge
from corpora.normalization import normalize
from corpora.reading import RawDocument, read_file
from corpora.sources import SourceFiles
from corpora.tables import parquet_writer

_TEXTS = ("id", "text", "source", "license", "meta", "split")
_COUNTS = ("raw_chars", "raw_bytes", "chars")
DOCUMENT_SCHEMA = pyarrow.schema(
    [(name, pyarrow.string()) for name in _TEXTS]
    + [(name, pyarrow.int64()) for name in _COUNTS]
    + [("japanese_ratio", pyarrow.float64())]
)
REJECTED_SCHEMA = pyarrow.schema([*DOCUMENT_SCHEMA, ("reason", pyarrow.string()), ("measure", pyarrow.float64())])
PART_SCHEMA = pyarrow.schema([*REJECTED_SCHEMA, ("digest", pyarrow.binary(16))])
"""A part: the reason is empty for a document that is kept so far; digest is the hash of the normalised text."""

_GROUP_CHARS = 4_000_000
_GROUP_ROWS = 10_000


class PartTask(NamedTuple):
    """Files of one source that become one part."""

    path: Path
    source: SourceFiles
    config: CorpusConfig


def make_part(task: PartTask) -> None:
    """Read, parse, normalise and judge the documents of a task, and write them as a part."""
    rows = (
        _judged_row(raw, name, task)
        for path, name in task.source.files
        for raw in islice(_raw_documents(task.source, path), task.config.limit or None)
    )
    with parquet_writer(task.path, PART_SCHEMA) as writer:
        for group in _row_groups(rows):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=PART_SCHEMA))


def _row_groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The rows in groups of bounded size."""
    group: list[dict[str, Any]] = []
    chars = 0
    for row in rows:
        group.append(row)
        chars += len(row["text"])
        if chars >= _GROUP_CHARS or len(group) >= _GROUP_ROWS:
            yield group
            group, chars = [], 0
    if group:
        yield group


def _raw_documents(source: SourceFiles, path: str) -> Iterator[RawDocument]:
    config = source.config
    if path.startswith("hf:"):
        return read_hub(path, text_field=config.text_field, revision=source.revision)
    if config.path.startswith("embedded:"):
        return (RawDocument(index, text, key=key) for index, (key, text) in enumerate(read_chapters(path)))
    return read_file(path, documents=config.documents, text_field=config.text_field)


def _judged_row(raw: RawDocument, name: str, task: PartTask) -> dict[str, Any]:
    if has_lone_surrogate(raw.text):
        text, meta = raw.text.encode("utf-8", "backslashreplace").decode(), raw.meta
        ratio = japanese_ratio(text)
        verdict: tuple[str, float] | None = ("lone_surrogate", 1.0)
    else:
        text, meta = _clean(raw, task.source.config)
        ratio = japanese_ratio(text)
        verdict = judge(text, ratio, task.config)
    reason, measure = verdict or ("", 0.0)
    return {
        "id": "/".join(part for part in (task.source.name, name, raw.key or str(raw.index)) if part),
        "text": text,
        "source": task.source.name,
        "license": task.source.config.license,
        "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True).encode("utf-8", "backslashreplace").decode(),
        "split": "",
        "raw_chars": len(raw.text),
        "raw_bytes": len(raw.text.encode("utf-8", "surrogatepass")),
        "chars": len(text),
        "japanese_ratio": ratio,
        "reason": reason,
        "measure": measure,
        "digest": blake2b(text.encode(), digest_size=16).digest(),
    }


def _clean(raw: RawDocument, source: SourceConfig) -> tuple[str, dict[str, Any]]:
    """Text without markup and normalised, and metadata: those of the record go before those of the work."""
    text, meta = raw.text, raw.meta
    if source.markup == "aozora" or (source.markup == "auto" and is_aozora(text)):
        work = parse_aozora(text)
        text = work.text
        given = {key: parse_line(value) if isinstance(value, str) else value for key, value in meta.items()}
        meta = work.metadata | {key: value for key, value in given.items() if value != ""}
    return normalize(text, source.normalization), meta
