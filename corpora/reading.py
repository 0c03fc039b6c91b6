"""Raw documents from files, streamed: text, JSON Lines, Parquet, HTML and Markdown pages, dumps of MediaWiki."""

import codecs
import io
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from corpora.encodings import LONGEST, Member, is_utf8, read_text
from corpora.ranges import WHOLE, LineRange, read_range
from stage.errors import InputError, UsageError
from stage.files import bare_suffix, open_stored, reading

TEXT, RECORDS, PARQUET = (".txt",), (".jsonl", ".json"), (".parquet",)
PAGES = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown"}
"""Files that hold one document each, and its markup."""
DUMP, ARCHIVE = ".xml", ".zip"
SUFFIXES = (*TEXT, *RECORDS, *PARQUET, *PAGES, DUMP, ARCHIVE)
"""What files may end with, before the suffix of a compression."""

HELD = 1 << 29
"""Bytes of a list in JSON, a packed Parquet file or a member of an archive, which are held whole."""

_META_CHARS = 1000


class NoRecordError(InputError):
    """A JSON value that is whole, but no record with a text."""


@dataclass
class RawDocument:
    """A document as a source holds it."""

    index: int
    """Its place in the file, from 0."""
    text: str
    meta: dict[str, Any] = field(default_factory=dict)
    """The other scalar fields of its record."""
    key: str = ""
    """A name of its own in the file, used instead of the index where there is one."""
    markup: str = ""
    """What its container says of its markup; empty: nothing."""


def check_file(path: str, documents: str) -> None:
    """Raise InputError for a file whose suffix is none of ours, UsageError where ``documents`` does not fit it."""
    if bare_suffix(path) not in SUFFIXES:
        raise InputError(
            f"{path}: cannot tell what it is; files end with {' '.join(SUFFIXES)} (and .gz .zst .bz2 .xz after that)"
        )
    if documents != "auto" and bare_suffix(path) not in (*TEXT, ARCHIVE):
        raise UsageError(f"{path}: documents: {documents} applies to .txt files; a record of this file is a document")


def read_file(
    path: str, *, documents: str = "auto", text_field: str = "text", lines: LineRange = WHOLE
) -> Iterator[RawDocument]:
    """The documents of a file in order, one record or block at a time; a .txt file that is one document is held whole.

    ``lines``: only the records of this range of ``split_file``.
    Raises InputError with the place (byte offset, line or row group), and as ``check_file`` does.
    """
    check_file(path, documents)
    suffix = bare_suffix(path)
    texts = {"line": _lines, "blank": _blocks}.get(documents, _whole)
    if suffix in TEXT:
        return (RawDocument(index, text) for index, text in enumerate(texts(path)))
    if suffix == ARCHIVE:
        from corpora.archives import read_archive

        return read_archive(path, texts)
    if suffix in PAGES:
        return (RawDocument(0, text, markup=PAGES[suffix]) for text in _whole(path))
    if suffix == DUMP:
        from corpora.mediawiki import read_dump

        return read_dump(path)
    return _read_json(path, text_field, lines) if suffix in RECORDS else _read_parquet(path, text_field)


def holds_other_json(path: str, text_field: str) -> bool:
    """Whether a .json file begins with something else than a record, as settings do; what is broken is told when it is read."""
    try:
        if bare_suffix(path) == ".json":
            next(_read_json(path, text_field), None)
    except NoRecordError:
        return True
    except InputError:
        pass
    return False


def record_document(index: int, record: dict[str, Any], text_field: str, place: str) -> RawDocument:
    """A document from a record; null is empty text. Raises InputError, beginning with ``place``, for no text."""
    if text_field not in record:
        names = ", ".join(map(str, list(record)[:20])) or "none"
        raise NoRecordError(f"{place}: no field {text_field!r}; the fields are {names}: choose one with --text_field")
    text = record[text_field]
    if text is not None and not isinstance(text, str):
        raise InputError(
            f"{place}: field {text_field!r} holds {type(text).__name__}, not text: choose another with --text_field"
        )
    if text and len(text) > LONGEST:
        raise InputError(f"{place}: field {text_field!r} is longer than {LONGEST} characters: part it")
    return RawDocument(index, text or "", _scalars(record, text_field))


def parse_record(data: bytes, place: str) -> dict[str, Any] | None:
    """The object that a line of JSON holds, None for a blank line. Raises InputError, beginning with ``place``."""
    record = _parse(data, place)
    return None if record is None else _object(record, place)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _whole(path: str | Member) -> Iterator[str]:
    pieces, size = [], 0
    for piece in read_text(path):
        pieces.append(piece)
        size += len(piece)
        _check_size(size, f"{path}")
    yield "".join(pieces)


def _lines(path: str | Member) -> Iterator[str]:
    for line in read_text(path, lines=True):
        if line and not line.isspace():
            yield line


def _blocks(path: str | Member) -> Iterator[str]:
    lines: list[str] = []
    size = 0
    for number, line in enumerate(read_text(path, lines=True), start=1):
        if not line or line.isspace():
            if lines:
                yield "\n".join(lines)
            lines, size = [], 0
            continue
        lines.append(line)
        size += len(line)
        _check_size(size, f"{path}: line {number}")
    if lines:
        yield "\n".join(lines)


def _check_size(size: int, place: str) -> None:
    if size > LONGEST:
        raise InputError(
            f"{place}: a document of more than {LONGEST} characters: part it (in .txt: --documents line or blank)"
        )


def _read_json(path: str, text_field: str, part: LineRange = WHOLE) -> Iterator[RawDocument]:
    lines = read_range(path, part) if part != WHOLE or is_utf8(path) else _converted_lines(path)
    first = next(lines, b"")
    start = first.removeprefix(b"\xef\xbb\xbf").strip()
    if part == WHOLE and (start[:1] == b"[" or start == b"{"):
        value = _parse(_held(chain([first], lines), path), path)
        for index, entry in enumerate(value if isinstance(value, list) else [value]):
            place = f"{path}: record {index + 1}"
            yield record_document(index, _object(entry, place), text_field, place)
        return
    index = part.record
    for number, line in enumerate(chain([first], lines), start=part.line + 1):
        place = f"{path}: line {number}"
        if len(line) > 4 * LONGEST:
            raise InputError(f"{place}: is longer than {4 * LONGEST} bytes: one object per line is expected")
        if (record := parse_record(line, place)) is not None:
            yield record_document(index, record, text_field, place)
            index += 1
    if part.until not in (None, index):
        raise InputError(f"{path}: changed while it was read: build again")


def _converted_lines(path: str) -> Iterator[bytes]:
    """The lines of a file in another encoding, as UTF-8."""
    return (f"{line}\n".encode() for line in read_text(path, lines=True))


def _held(pieces: Iterable[bytes], path: str) -> bytes:
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > HELD:
            raise InputError(
                f"{path}: holds more than {HELD} bytes as one piece: unpack it, or write JSON Lines (.jsonl)"
            )
    return b"".join(kept)


def _parse(data: bytes, place: str) -> Any:
    if b"\0" in data:
        raise InputError(f"{place}: is binary, not JSON (a zero byte)")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode().strip()
        return json.loads(text) if text else None
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: not UTF-8 (byte {error.start} of it): save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise InputError(f"{place}: broken JSON at {where} ({error.msg}); one object per line is expected") from None
    except ValueError:  # Python's limit to the digits of a number
        raise InputError(f"{place}: JSON with a number that is too long") from None
    except RecursionError:
        raise InputError(f"{place}: JSON nested too deep") from None


def _object(record: Any, place: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise NoRecordError(f"{place}: holds {type(record).__name__}, not an object with named fields")
    return record


def _read_parquet(path: str, text_field: str) -> Iterator[RawDocument]:
    import pyarrow
    import pyarrow.parquet

    with open_stored(path) as stored, reading(path) as stream:
        plain = stored.read(4) == b"PAR1"
        # Parquet is read from its end, which a compressed stream does not let us: hold that one
        source: Any = stored if plain else io.BytesIO(_held(iter(partial(stream.read, 1 << 20), b""), path))
        with _named(f"{path}: is not a whole Parquet file"):
            file = pyarrow.parquet.ParquetFile(source)
        schema = file.schema_arrow
        columns = [
            entry.name for entry in schema if entry.name == text_field or not pyarrow.types.is_nested(entry.type)
        ]
        if text_field not in columns:
            record_document(0, dict.fromkeys(schema.names), text_field, path)
        index = 0
        for group in range(file.num_row_groups):
            place = f"{path}: row group {group}"
            with _named(f"{place} is broken"):
                for batch in file.iter_batches(256, row_groups=[group], columns=columns, use_threads=False):
                    for record in batch.to_pylist():
                        yield record_document(index, record, text_field, place)
                        index += 1


@contextmanager
def _named(message: str) -> Iterator[None]:
    """Turn what reading broken Parquet raises into InputError."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{message} ({first_line(error)})") from None


def _scalars(record: dict[str, Any], text_field: str) -> dict[str, Any]:
    """Fields that are worth carrying along: short text, numbers and truth values; other single values as text."""
    kept: dict[str, Any] = {}
    for name, value in record.items():
        if name == text_field or value is None or isinstance(value, list | dict | bytes):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            continue
        plain = value if isinstance(value, str | int | float | bool) else str(value)
        if not (isinstance(plain, str) and len(plain) > _META_CHARS):
            kept[str(name)] = plain
    return kept
