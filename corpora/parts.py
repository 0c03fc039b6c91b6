"""The parallel half of a corpus build: some files in, one part file of judged documents out."""

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet

from corpora.blocks import normalize_all
from corpora.characters import count_classes_of_all, japanese_share
from corpora.config import CorpusConfig, SourceConfig
from corpora.embedded import read_chapters
from corpora.glance import need_a_look
from corpora.hub import read_hub
from corpora.judging import has_lone_surrogate, judge
from corpora.markup import Stripped, strip_markup
from corpora.mojibake import find_mojibake
from corpora.reading import RawDocument, read_file
from corpora.sources import SourceFiles

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

_BATCH_CHARS = 500_000
_BATCH_ROWS = 2_000


class PartTask(NamedTuple):
    """Files of one source that become one part."""

    path: Path
    source: SourceFiles
    config: CorpusConfig


def make_part(task: PartTask) -> None:
    """Read, parse, normalise and judge the documents of a task, and write them as a part."""
    documents = (
        (raw, "/".join(part for part in (task.source.name, name, raw.key or str(raw.index)) if part))
        for path, name in task.source.files
        for raw in islice(raw_documents(task.source, path), task.config.limit or None)
    )
    # a part is read once more and deleted: packing it would cost more than it saves
    with pyarrow.parquet.ParquetWriter(task.path, PART_SCHEMA, compression="none", use_dictionary=False) as writer:
        for batch in _batches(documents):
            writer.write_table(_judged(batch, task))


def _batches(documents: Iterable[tuple[RawDocument, str]]) -> Iterator[list[tuple[RawDocument, str]]]:
    """The documents in batches of bounded size."""
    batch: list[tuple[RawDocument, str]] = []
    chars = 0
    for raw, name in documents:
        batch.append((raw, name))
        chars += len(raw.text)
        if chars >= _BATCH_CHARS or len(batch) >= _BATCH_ROWS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def raw_documents(source: SourceFiles, path: str) -> Iterator[RawDocument]:
    """The documents of a file of a source, as it holds them."""
    config = source.config
    if path.startswith("hf:"):
        return read_hub(path, text_field=config.text_field, revision=source.revision)
    if config.path.startswith("embedded:"):
        return (RawDocument(index, text, key=key) for index, (key, text) in enumerate(read_chapters(path)))
    return read_file(path, documents=config.documents, text_field=config.text_field)


def _judged(batch: list[tuple[RawDocument, str]], task: PartTask) -> pyarrow.Table:
    """A row for each document, with the reason why it is rejected, if it is."""
    source = task.source.config
    looks = need_a_look([raw.text for raw, _ in batch])
    plain = [
        prepare(raw, source)
        if look or raw.markup or source.markup not in ("auto", "plain")
        else Stripped(raw.text, raw.meta)
        for look, (raw, _) in zip(looks, batch, strict=True)
    ]
    normal = iter(normalize_all([each.text for each in plain if not each.verdict], source.normalization))
    texts = [each.text if each.verdict else next(normal) for each in plain]
    ratios = [japanese_share(counts) for counts in count_classes_of_all(texts)]
    verdicts = [
        each.verdict or judge(text, ratio, task.config) or ("", 0.0)
        for each, text, ratio in zip(plain, texts, ratios, strict=True)
    ]
    encoded = [text.encode() for text in texts]
    # a text that was repaired was never as long as what was read
    given = [each.text if "mojibake" in each.meta else raw.text for each, (raw, _) in zip(plain, batch, strict=True)]
    columns = {
        "id": [name for _, name in batch],
        "text": _string_array(encoded),
        "source": [task.source.name] * len(batch),
        "license": [source.license] * len(batch),
        "meta": [_as_json(each.meta) for each in plain],
        "split": [""] * len(batch),
        "raw_chars": [len(text) for text in given],
        "raw_bytes": [
            len(text if before == normal else before.encode("utf-8", "surrogatepass"))
            for before, normal, text in zip(given, texts, encoded, strict=True)
        ],
        "chars": [len(text) for text in texts],
        "japanese_ratio": ratios,
        "reason": [reason for reason, _ in verdicts],
        "measure": [measure for _, measure in verdicts],
        "digest": [blake2b(text, digest_size=16).digest() for text in encoded],
    }
    return pyarrow.table(columns, schema=PART_SCHEMA)


def _string_array(encoded: list[bytes]) -> pyarrow.StringArray:
    """Texts from their UTF-8, which pyarrow would check again, or encode ten times as slowly."""
    offsets = np.fromiter(accumulate(map(len, encoded), initial=0), np.int32, len(encoded) + 1)
    buffers = [pyarrow.py_buffer(offsets), pyarrow.py_buffer(b"".join(encoded))]
    return pyarrow.StringArray.from_buffers(len(encoded), *buffers)


def _as_json(meta: dict[str, Any]) -> str:
    return json.dumps(meta, ensure_ascii=False, sort_keys=True).encode("utf-8", "backslashreplace").decode()


def prepare(raw: RawDocument, source: SourceConfig) -> Stripped:
    """Repair a document where that is exact, and take its markup out; it is not yet normalised."""
    if has_lone_surrogate(raw.text):
        return Stripped(raw.text.encode("utf-8", "backslashreplace").decode(), raw.meta, ("lone_surrogate", 1.0))
    text, meta = raw.text, raw.meta
    if mojibake := find_mojibake(text):
        if mojibake.text is None:
            return Stripped(text, meta, ("mojibake", float(mojibake.offset)))
        text, meta = mojibake.text, meta | {"mojibake": mojibake.kind}
    return strip_markup(text, meta, source, raw.markup)
