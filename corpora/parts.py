"""The parallel half of a corpus build: some files in, one part out, which is a few files of judged documents."""

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from corpora.blocks import normalize_all
from corpora.config import CorpusConfig, SourceConfig, rules_of
from corpora.embedded import read_chapters
from corpora.glance import need_a_look
from corpora.hub import read_hub
from corpora.judging import has_lone_surrogate
from corpora.markup import Stripped, strip_markup
from corpora.masking import mask_all
from corpora.measures import ASKS, CHEAP, MEASURES, measure
from corpora.minhash import BANDS, NO_SKETCH, sketches
from corpora.mojibake import find_mojibake
from corpora.reading import RawDocument, read_file
from corpora.sources import SourceFiles
from corpora.words import domain_list, is_blocked, word_finder
from stage.replacing import whole_file

_TEXTS = ("id", "text", "source", "license", "meta", "split")
_COUNTS = ("raw_chars", "raw_bytes", "chars")
REPEATED = ("duplicate", "near_duplicate")
"""Reasons of documents that say what another says."""
_REJECTED = [("reason", pyarrow.string()), ("measure", pyarrow.float64()), ("duplicate_of", pyarrow.string())]

_WIKIS = frozenset(
    f"{name}.org" for name in ("wikipedia", "wiktionary", "wikibooks", "wikisource", "wikinews", "wikiquote")
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True)
_BATCH_CHARS = 500_000
_BATCH_ROWS = 2_000
_CHUNK_BYTES = 64_000_000
"""About how much of a part is in one file of it: what is lost when the work is interrupted."""


class Schemas(NamedTuple):
    """The columns of the tables of a corpus, measures among them."""

    documents: pyarrow.Schema
    rejected: pyarrow.Schema
    part: pyarrow.Schema
    """The reason is empty for a document that is kept so far; digest is the hash of the normalised text, sketch its ``sketches``."""


def schemas(config: CorpusConfig) -> Schemas:
    """The columns of a corpus: measures are float32, null where they were not computed for a source."""
    named = {*CHEAP, *config.further_measures}.union(*(rules_of(source, config).names for source in config.sources))
    named |= {name for name, setting in ASKS.items() if getattr(config, setting)}
    documents = pyarrow.schema(
        [(name, pyarrow.string()) for name in _TEXTS]
        + [(name, pyarrow.int64()) for name in (*_COUNTS, "masked")]
        + [(name, pyarrow.float32()) for name in MEASURES if name in named - set(_COUNTS)]
    )
    rejected = pyarrow.schema([*documents, *_REJECTED])
    own = [("digest", pyarrow.binary(16)), ("sketch", pyarrow.binary(8 * BANDS))]
    return Schemas(documents, rejected, pyarrow.schema([*rejected, *own]))


class PartTask(NamedTuple):
    """Files of one source that become one part."""

    path: Path
    """Where the part is; its files have names that begin with this one: ``000003-0000.parquet``."""
    source: SourceFiles
    config: CorpusConfig


def make_part(task: PartTask) -> list[Path]:
    """Read, parse, normalise and judge the documents of a task, and write them as a part; returns its files, in order.

    Each file has its name when it is whole, and holds the number of documents that were read up to its end: where an
    earlier run was interrupted, so many are passed over.
    """
    files, read, done = _finished(task)
    documents = (
        (raw, "/".join(part for part in (task.source.name, name, raw.key or str(raw.index)) if part))
        for path, name in task.source.files
        for raw in islice(raw_documents(task.source, path), task.config.limit or None)
    )
    schema = schemas(task.config).part
    batches = _batches(islice(documents, read, None)) if not done else iter(())
    batch = next(batches, None)
    while not done:
        files.append(_chunk(task, len(files)))
        # a part is read once more and deleted: packing it would cost more than it saves
        settings: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        with (
            whole_file(files[-1]) as partial,
            pyarrow.parquet.ParquetWriter(partial, schema, **settings) as writer,
        ):
            size = 0
            while batch and size < _CHUNK_BYTES:
                table = _judged(batch, task)
                writer.write_table(table)
                size += table.nbytes
                read += len(batch)
                batch = next(batches, None)
            done = not batch
            writer.add_key_value_metadata({"task": _digest(task), "read": str(read), "last": str(done)})
    return files


def _finished(task: PartTask) -> tuple[list[Path], int, bool]:
    """The files of a part that an earlier run finished, how many documents it read for them, and whether they are all."""
    files: list[Path] = []
    read, last = 0, False
    while not last and (file := _chunk(task, len(files))).exists():
        metadata = pyarrow.parquet.read_metadata(file).metadata
        if metadata[b"task"].decode() != _digest(task):
            break  # a worker outlived its run, of other settings, for a moment
        read, last = int(metadata[b"read"]), metadata[b"last"] == b"True"
        files.append(file)
    return files, read, last


def _digest(task: PartTask) -> str:
    return blake2b(repr(task[1:]).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def _chunk(task: PartTask, number: int) -> Path:
    return task.path.with_name(f"{task.path.name}-{number:04d}.parquet")


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
    return read_file(path, documents=config.documents, text_field=config.text_field, lines=source.lines)


def _judged(batch: list[tuple[RawDocument, str]], task: PartTask) -> pyarrow.Table:
    """A row for each document, with the reason why it is rejected, if it is."""
    source, config = task.source.config, task.config
    looks = need_a_look([raw.text for raw, _ in batch])
    plain = [
        prepare(raw, source)
        if look or raw.markup or source.markup not in ("auto", "plain")
        else Stripped(raw.text, raw.meta)
        for look, (raw, _) in zip(looks, batch, strict=True)
    ]
    if config.block_domains:
        domains = domain_list(config.block_domains)
        plain = [
            each._replace(verdict=("blocked_domain", 1.0))
            if is_blocked(str(each.meta.get("url", "")), domains)
            else each
            for each in plain
        ]
    normal = iter(normalize_all([each.text for each in plain if not each.verdict], source.normalization))
    texts = [each.text if each.verdict else next(normal) for each in plain]
    texts, masked = mask_documents(texts, plain, source)
    encoded = [text.encode() for text in texts]
    columns = _judged_columns(texts, encoded, task)
    for row, each in enumerate(plain):
        if each.verdict:
            columns["reason"][row], columns["measure"][row] = each.verdict
    # a text that was repaired was never as long as what was read
    given = [each.text if "mojibake" in each.meta else raw.text for each, (raw, _) in zip(plain, batch, strict=True)]
    rows = len(batch)
    columns |= {
        "id": [name for _, name in batch],
        "source": [task.source.name] * rows,
        "license": [source.license] * rows,
        "meta": [_as_json(each.meta) for each in plain],
        "split": [""] * rows,
        "raw_chars": [len(text) for text in given],
        "raw_bytes": [
            len(text if before == normal else before.encode("utf-8", "surrogatepass"))
            for before, normal, text in zip(given, texts, encoded, strict=True)
        ],
        "masked": masked,
        "duplicate_of": [""] * rows,
    }
    schema = schemas(config).part
    arrays = [_array(columns.get(field.name), field.type, rows) for field in schema]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def with_texts(table: pyarrow.Table, texts: dict[int, str], task: PartTask) -> pyarrow.Table:
    """Rows of a part with other texts in some of them, by their place, ascending; these are measured and judged anew."""
    changed = list(texts.values())
    columns = _judged_columns(changed, [text.encode() for text in changed], task)
    mask = np.isin(np.arange(table.num_rows), list(texts))
    for place, field in enumerate(table.schema):
        if field.name in columns:
            new = _array(columns[field.name], field.type, len(changed))
            column = pyarrow.compute.replace_with_mask(table.column(place), mask, new)
            table = table.set_column(place, field, column)
    return table


def _judged_columns(texts: list[str], encoded: list[bytes], task: PartTask) -> dict[str, Any]:
    """The columns that follow from the normalised texts of documents: measures, verdicts, and what they are compared by."""
    source, config = task.source.config, task.config
    columns = _measure(texts, encoded, source, config)
    verdicts = _verdicts(texts, columns, source, config)
    return columns | {
        "text": _string_array(encoded),
        "reason": [reason for reason, _ in verdicts],
        "measure": [measure for _, measure in verdicts],
        "digest": [blake2b(text, digest_size=16).digest() for text in encoded],
        "sketch": sketch_column(texts, config),
    }


def mask_documents(texts: list[str], plain: list[Stripped], source: SourceConfig) -> tuple[list[str], list[int]]:
    """Mask personal data in the texts of pages of the web, or of all or none; the texts, and how many places in each."""
    texts, counts = list(texts), [0] * len(texts)
    if source.mask != "off":
        wanted = [at for at, each in enumerate(plain) if source.mask == "on" or each.is_page or _is_web(each.meta)]
        for at, (text, found) in zip(wanted, mask_all([texts[at] for at in wanted]), strict=True):
            texts[at], counts[at] = text, sum(found.values())
    return texts, counts


def judge(texts: list[str], source: SourceConfig, config: CorpusConfig) -> list[tuple[str, float]]:
    """The reason why each normalised document is rejected, and its measure; no reason: it is kept."""
    columns = _measure(texts, [text.encode() for text in texts], source, config)
    return _verdicts(texts, columns, source, config)


def _verdicts(
    texts: list[str], columns: dict[str, Any], source: SourceConfig, config: CorpusConfig
) -> list[tuple[str, float]]:
    verdicts = rules_of(source, config).verdicts(columns)
    return [
        ("empty", 0.0) if not text or text.isspace() else verdict for text, verdict in zip(texts, verdicts, strict=True)
    ]


def _is_web(meta: dict[str, Any]) -> bool:
    """Whether a record comes from the web, encyclopaedias aside."""
    url = str(meta.get("url", ""))
    return url.startswith(("http:", "https:")) and not is_blocked(url, _WIKIS)


def _measure(texts: list[str], encoded: list[bytes], source: SourceConfig, config: CorpusConfig) -> dict[str, Any]:
    """The measures of the documents of a source, float32 [N] each: as they are stored, so that another look decides alike."""
    asked = {*rules_of(source, config).names, *config.further_measures}
    columns = measure(texts, [name for name in asked if name not in ASKS])
    if config.ng_words:
        found = word_finder(config.ng_words).measure(encoded, columns["chars"])
        columns |= dict(zip(("ng_hits", "ng_share"), found, strict=True))
    if config.trust:
        from corpora.trust import trusted  # which reads documents as this does

        columns |= trusted(config.trust).measure(texts)
    chars = columns["chars"].astype(np.int64)
    return {name: values.astype(np.float32) for name, values in columns.items()} | {"chars": chars}


def sketch_column(texts: list[str], config: CorpusConfig) -> pyarrow.Array | None:
    """The ``sketches`` of texts, of those that are long enough; None where near-duplicates are not looked for."""
    if not config.near_duplicates:
        return None
    found = np.ascontiguousarray(sketches(texts))
    found[[len(text) < config.near_min_chars for text in texts]] = NO_SKETCH
    buffers = [None, pyarrow.py_buffer(found)]
    return pyarrow.Array.from_buffers(pyarrow.binary(8 * BANDS), len(texts), buffers)


def _array(values: Any, kind: pyarrow.DataType, rows: int) -> pyarrow.Array:
    if values is None:
        return pyarrow.nulls(rows, kind)
    return values if isinstance(values, pyarrow.Array) else pyarrow.array(values, kind)


def _string_array(encoded: list[bytes]) -> pyarrow.StringArray:
    """Texts from their UTF-8, which pyarrow would check again, or encode ten times as slowly."""
    offsets = np.fromiter(accumulate(map(len, encoded), initial=0), np.int32, len(encoded) + 1)
    buffers = [pyarrow.py_buffer(offsets), pyarrow.py_buffer(b"".join(encoded))]
    return pyarrow.StringArray.from_buffers(len(encoded), *buffers)


def _as_json(meta: dict[str, Any]) -> str:
    return _ENCODER.encode(meta).encode("utf-8", "backslashreplace").decode()


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
