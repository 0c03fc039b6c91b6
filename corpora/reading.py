"""Raw documents from files: .txt, JSON Lines and Parquet, streamed."""

import io
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any

from stage.errors import InputError, UsageError
from stage.files import bare_suffix, open_stored, reading

TEXT, RECORDS, PARQUET = (".txt",), (".jsonl", ".json"), (".parquet",)
SUFFIXES = (*TEXT, *RECORDS, *PARQUET)
"""What files may end with, before the suffix of a compression."""

_META_CHARS = 1000
# Single bytes to which cp932 gives a code point and Shift_JIS no meaning: 80 A0 FD FE FF
_NO_SJIS = re.compile("[\x80\uf8f0-\uf8f3]")
_KANA = re.compile("[\u3041-\u30fe]")
_HALF_KANA = re.compile("[\uff61-\uff9f]")
# What cp932 decodes otherwise than JIS X 0208 says, and 青空文庫 and others mean: ～ － ∥
_CP932_TO_JIS = str.maketrans({"\uff5e": "\u301c", "\uff0d": "\u2212", "\u2225": "\u2016"})
_SIGNATURES = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"PAR1": "Parquet",
}


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


def check_file(path: str, documents: str) -> None:
    """Raise InputError for a file whose suffix is none of ours, UsageError where ``documents`` does not fit it."""
    if bare_suffix(path) not in SUFFIXES:
        raise InputError(
            f"{path}: cannot tell what it is; files end with {' '.join(SUFFIXES)} (and .gz .zst .bz2 .xz after that)"
        )
    if documents != "auto" and bare_suffix(path) not in TEXT:
        raise UsageError(f"{path}: documents: {documents} applies to .txt files; a record of this file is a document")


def read_file(path: str, *, documents: str = "auto", text_field: str = "text") -> Iterator[RawDocument]:
    """The documents of a file in order, one record or block at a time; a .txt file that is one document is held whole.

    Raises InputError with the place (byte offset, line or row group), and as ``check_file`` does.
    """
    check_file(path, documents)
    suffix = bare_suffix(path)
    if suffix in TEXT:
        texts = {"line": _lines, "blank": _blocks}.get(documents, _whole)(path)
        return (RawDocument(index, text) for index, text in enumerate(texts))
    return _read_json(path, text_field) if suffix in RECORDS else _read_parquet(path, text_field)


def record_document(index: int, record: dict[str, Any], text_field: str, place: str) -> RawDocument:
    """A document from a record; null is empty text. Raises InputError, beginning with ``place``, for no text."""
    if text_field not in record:
        names = ", ".join(map(str, list(record)[:20])) or "none"
        raise InputError(f"{place}: no field {text_field!r}; the fields are {names}: choose one with text_field")
    text = record[text_field]
    if text is not None and not isinstance(text, str):
        raise InputError(
            f"{place}: field {text_field!r} holds {type(text).__name__}, not text: choose another with text_field"
        )
    return RawDocument(index, text or "", _scalars(record, text_field))


def parse_record(data: bytes, place: str) -> dict[str, Any] | None:
    """The object that a line of JSON holds, None for a blank line. Raises InputError, beginning with ``place``."""
    record = _parse(data, place)
    return None if record is None else _object(record, place)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _whole(path: str) -> Iterator[str]:
    yield "".join(_decoded_lines(path))


def _lines(path: str) -> Iterator[str]:
    for line in _decoded_lines(path):
        if line.strip():
            yield line.rstrip("\r\n")


def _blocks(path: str) -> Iterator[str]:
    for blank, lines in groupby(_decoded_lines(path), key=lambda line: not line.strip()):
        if not blank:
            yield "\n".join(line.rstrip("\r\n") for line in lines)


def _decoded_lines(path: str) -> Iterator[str]:
    """Lines with their ends; the encoding is found in a first pass, so that no more than a line is held."""
    encoding = _find_encoding(path)
    with reading(path) as stream:
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        for line in text:
            yield line.translate(_CP932_TO_JIS) if encoding == "cp932" else line
        text.detach()


def _find_encoding(path: str) -> str:
    """UTF-8 (a BOM is dropped), else Shift_JIS as cp932. Raises InputError with the byte offset for anything else."""
    failed: list[int] = []
    for encoding in ("utf-8", "cp932"):
        offset = _undecodable_offset(path, encoding)
        if offset is None:
            return "utf-8-sig" if encoding == "utf-8" else encoding
        failed.append(offset)
    _refuse_other_encodings(path)
    raise InputError(f"{path}: neither UTF-8 (byte {failed[0]}) nor Shift_JIS (byte {failed[1]}): save it as UTF-8")


def _undecodable_offset(path: str, encoding: str) -> int | None:
    """Offset of the first byte that is not in an encoding, line by line, as both encodings keep line ends apart.

    Raises InputError for what is binary or EUC-JP, which decodes as Shift_JIS to a salad of half-width kana.
    """
    offset = characters = half_kana = 0
    is_euc = True
    with reading(path) as stream:
        for line in stream:
            _refuse_binary(line, path, offset)
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                return offset + error.start
            if encoding == "cp932":
                if strange := _NO_SJIS.search(text):
                    return offset + len(text[: strange.start()].encode(encoding))
                characters += len(text)
                half_kana += len(_HALF_KANA.findall(text))
                is_euc = is_euc and "\ufffd" not in line.decode("euc_jp", "replace")
            offset += len(line)
    if half_kana * 3 >= characters > 0 and is_euc:
        raise InputError(f"{path}: looks like EUC-JP: save it as UTF-8")
    return None


def _refuse_other_encodings(path: str) -> None:
    """Raise InputError for a file that holds a zero byte anywhere, or that decodes as EUC-JP to text with kana."""
    offset = beyond_ascii = kana = 0
    is_euc = True
    with reading(path) as stream:
        for line in stream:
            _refuse_binary(line, path, offset)
            text = line.decode("euc_jp", "replace")
            is_euc = is_euc and "\ufffd" not in text
            beyond_ascii += sum(character > "\x7f" for character in text)
            kana += len(_KANA.findall(text))
            offset += len(line)
    if is_euc and kana * 5 >= beyond_ascii:
        raise InputError(f"{path}: looks like EUC-JP: save it as UTF-8")


def _refuse_binary(data: bytes, path: str, offset: int) -> None:
    if offset == 0:
        for signature, name in _SIGNATURES.items():
            if data.startswith(signature):
                raise InputError(f"{path}: is {name}, not UTF-8 or Shift_JIS text: convert it first")
    if (at := data.find(b"\0")) >= 0:
        raise InputError(f"{path}: is binary, not text (a zero byte at byte {offset + at})")
    if (at := data.find(b"\x1b$")) >= 0:
        raise InputError(f"{path}: looks like ISO-2022-JP (byte {offset + at}): save it as UTF-8")


def _read_json(path: str, text_field: str) -> Iterator[RawDocument]:
    with reading(path) as stream:
        first = stream.readline()
        if first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
            for index, entry in enumerate(_parse(first + stream.read(), path)):
                place = f"{path}: record {index + 1}"
                yield record_document(index, _object(entry, place), text_field, place)
            return
        index = 0
        for number, line in enumerate(chain([first], stream), start=1):
            place = f"{path}: line {number}"
            if (record := parse_record(line, place)) is not None:
                yield record_document(index, record, text_field, place)
                index += 1


def _parse(data: bytes, place: str) -> Any:
    if b"\0" in data:
        raise InputError(f"{place}: is binary, not JSON (a zero byte)")
    try:
        text = data.decode("utf-8-sig").strip()
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
        raise InputError(f"{place}: holds {type(record).__name__}, not an object with named fields")
    return record


def _read_parquet(path: str, text_field: str) -> Iterator[RawDocument]:
    import pyarrow
    import pyarrow.parquet

    with open_stored(path) as stored, reading(path) as stream:
        plain = stored.read(4) == b"PAR1"
        # Parquet is read from its end, which a compressed stream does not let us: hold that one
        source: Any = stored if plain else io.BytesIO(stream.read())
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
