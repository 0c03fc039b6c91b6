"""The rows of a task's file: JSON Lines, SQuAD's JSON, CSV, TSV, Parquet, or a data set of the Hugging Face hub."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from corpora.reading import first_line, parse_record
from stage.errors import InputError
from stage.files import bare_suffix, reading

Row = dict[str, Any]
Place = tuple[str, Row]
"""Where a row stands, for messages, and its fields."""


def read_rows(file: Path, format: str = "", columns: Sequence[str] = ()) -> Iterator[Place]:
    """The rows of a file in order; the format is told by the name (.json and .jsonl are JSON Lines) unless given.

    ``columns`` names those of a CSV or TSV file that has no header. Raises InputError with the line for what is broken.
    """
    kind = format or SUFFIXES.get(bare_suffix(str(file)), "jsonl")
    yield from FORMATS[kind](file, columns)


def read_hub_rows(name: str, config: str | None, split: str, revision: str | None = None) -> Iterator[Place]:
    """The rows of a split of a data set on the hub or in a local folder; InputError where there is none."""
    import logging

    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # else it tells each attempt without a network
    datasets.disable_progress_bars()
    place = f"{name}{f':{config}' if config else ''}@{split}"
    try:
        for number, row in enumerate(datasets.load_dataset(name, config, split=split, revision=revision), 1):
            yield f"{place}: row {number}", dict(row)
    except Exception as error:  # noqa: BLE001 builders raise whatever their format's library raises
        raise InputError(
            f"{place}: cannot be read as a data set ({first_line(error)}); its files can be given with --data DIR"
        ) from None


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """The value at a path of field names with dots between, as in ``sentence1.text``; KeyError where there is none."""
    if path in row:
        return row[path]
    outer, _, inner = path.partition(".")
    if not inner or not isinstance(row[outer], Mapping):
        raise KeyError(path)
    return value_at(row[outer], inner)


def _json_lines(file: Path, columns: Sequence[str]) -> Iterator[Place]:
    with reading(str(file)) as stream:
        for number, line in enumerate(stream, 1):
            place = f"{file}: line {number}"
            if (row := parse_record(line, place)) is not None:
                yield place, row


def _squad(file: Path, columns: Sequence[str]) -> Iterator[Place]:
    """Questions of SQuAD 1.1: ``id question title context answers``, the last a list of text and answer_start."""
    with reading(str(file)) as stream:
        data = stream.read()
    try:
        articles = json.loads(data)["data"]
        for article in articles:
            for paragraph in article["paragraphs"]:
                for asked in paragraph["qas"]:
                    about = {"title": article["title"], "context": paragraph["context"]}
                    yield f"{file}: question {asked['id']}", {**asked, **about}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{file}: is not a SQuAD file, data[].paragraphs[].qas[] ({type(error).__name__}: {first_line(error)})"
        ) from None


def _table(delimiter: str) -> Callable[[Path, Sequence[str]], Iterator[Place]]:
    def read(file: Path, columns: Sequence[str]) -> Iterator[Place]:
        # tab-separated files of this field do not quote: a quotation mark is one
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
        with reading(str(file)) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
            try:
                lines = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=delimiter == ",")
                names = list(columns) or next(lines, [])
                named = [name for name in names if name]
                if len(set(named)) < len(named):
                    raise InputError(f"{file}: line 1: two columns have the same name ({', '.join(named)[:200]})")
                for cells in lines:
                    if (
                        len(cells) > len(names) and not columns
                    ):  # those of a file without a header may name the first alone
                        count = f"{len(cells)} cells, the header {len(names)} ({', '.join(named)[:200]})"
                        raise InputError(f"{file}: line {lines.line_num}: has {count}")
                    if cells:
                        yield f"{file}: line {lines.line_num}", dict(zip(names, cells, strict=False))
            except UnicodeDecodeError:
                raise InputError(f"{file}: not UTF-8; convert it with iconv -f CP932 -t UTF-8") from None
            except csv.Error as error:
                raise InputError(f"{file}: line {lines.line_num}: broken CSV ({error})") from None

    return read


def _winograd(file: Path, columns: Sequence[str]) -> Iterator[Place]:
    """Of ``dataset.tsv`` of XWinograd: the sentence with the pronoun replaced by either candidate, and which is right."""
    for place, row in _table("\t")(file, ("lang", "fold", "original", "sentence", "tokens", "pronoun", "candidates")):
        if row["lang"] != "jp":  # upstream's name for Japanese
            continue
        try:
            tokens, (_, (begin, end), *_), candidates = (
                json.loads(row[name]) for name in ("tokens", "pronoun", "candidates")
            )
            before, after = "".join(tokens[:begin]), "".join(tokens[end:])
            (one, *_, right), (other, *_, wrong) = candidates
            if right == wrong:
                raise ValueError("not exactly one candidate is right")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{place}: is not as in XWinograd's dataset.tsv ({first_line(error)})") from None
        yield (
            place,
            {"sentence1": before + one + after, "sentence2": before + other + after, "answer": 1 if right else 2},
        )


def _parquet(file: Path, columns: Sequence[str]) -> Iterator[Place]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{file}: cannot be read as Parquet ({first_line(error)})") from None
    for number, row in enumerate(rows, 1):
        yield f"{file}: row {number}", row


FORMATS: dict[str, Callable[[Path, Sequence[str]], Iterator[Place]]] = {
    "jsonl": _json_lines,
    "squad": _squad,
    "csv": _table(","),
    "tsv": _table("\t"),
    "winograd": _winograd,
    "parquet": _parquet,
}
SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
