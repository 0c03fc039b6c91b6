"""All the texts that stand in files of any make, as evaluation sets are: JSON, CSV, TSV, plain text, Parquet."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from corpora.encodings import read_text
from corpora.reading import first_line, read_file
from stage.errors import InputError
from stage.files import bare_suffix, open_stored, reading

_TABLES = {".csv": ",", ".tsv": "\t"}
STRING_SUFFIXES = (".jsonl", ".json", *_TABLES, ".txt", ".parquet")
"""What files may end with, before the suffix of a compression."""


def read_strings(path: str) -> Iterator[tuple[int, str]]:
    """Every string of a file, fields of any depth included, with the number of its record from 1.

    A record is a line of JSON Lines, a row of a table (the head is the first), an entry of a JSON list, a block of plain text between
    blank lines; in a file that is one JSON object each string is one. Raises InputError.
    """
    suffix = bare_suffix(path)
    if suffix not in STRING_SUFFIXES:
        raise InputError(f"{path}: cannot tell what it is; files end with {' '.join(STRING_SUFFIXES)}")
    records: Iterable[Any]
    if suffix in _TABLES:
        records = _rows(path, _TABLES[suffix])
    elif suffix == ".txt":
        records = (raw.text for raw in read_file(path, documents="blank"))
    else:
        records = _parquet_rows(path) if suffix == ".parquet" else _json_records(path)
    return ((number, text) for number, record in enumerate(records, start=1) for text in _strings(record))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _rows(path: str, delimiter: str) -> Iterator[Any]:
    csv.field_size_limit(1 << 30)
    try:
        yield from csv.reader((f"{line}\n" for line in read_text(path, lines=True)), delimiter=delimiter)
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from None


def _json_records(path: str) -> Iterable[Any]:
    with reading(path) as stream:
        data = stream.read()
    try:
        text = data.decode("utf-8-sig")
        try:
            whole = json.loads(text)
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.split("\n") if line.strip()]
        return whole if isinstance(whole, list) else _strings(whole)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({first_line(error)})") from None


def _parquet_rows(path: str) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        with open_stored(path) as stream, pyarrow.parquet.ParquetFile(stream) as file:
            for batch in file.iter_batches(1000, use_threads=False):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not a whole Parquet file ({first_line(error)})") from None
