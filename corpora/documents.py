"""Reading a documents artifact (stage "corpus"), row group by row group."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from corpora.reading import first_line
from stage.errors import ArtifactError
from stage.manifest import read_manifest

STAGE = "corpus"
BATCH_ROWS = 256


def document_files(folder: Path | str) -> list[Path]:
    """The documents-*.parquet files of a documents artifact, in order. Raises ArtifactError for any other folder."""
    folder = Path(folder)
    read_manifest(folder, STAGE)
    files = sorted(folder.glob("documents-*.parquet"))
    if not files:
        raise ArtifactError(f"{folder}: no documents-*.parquet in it; build the corpus again")
    return files


def iterate_file(path: Path, columns: Sequence[str] = ("text", "split")) -> Iterator[dict[str, Any]]:
    """The rows of one documents file in order, as dictionaries of the named columns. Memory: one row group at most."""
    with _opened(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
            yield from batch.to_pylist()


def row_groups(path: Path) -> list[int]:
    """How many rows each row group of a documents file has."""
    with _opened(path) as file:
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def read_row_group(path: Path, group: int, columns: Sequence[str]) -> list[list[Any]]:
    """The named columns of one row group, a list each."""
    with _opened(path) as file:
        table = file.read_row_group(group, columns=list(columns), use_threads=False)
        return [table.column(name).to_pylist() for name in columns]


def read_tables(path: Path) -> Iterator[pyarrow.Table]:
    """The row groups of a file of an artifact in order, with all their columns."""
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, use_threads=False)


@contextmanager
def _opened(path: Path) -> Iterator[pyarrow.parquet.ParquetFile]:
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise ArtifactError(
            f"{path}: cannot be read as documents ({first_line(error)}); build the corpus again"
        ) from error


def iterate_texts(folder: Path | str, split: str | None = None, source: str | None = None) -> Iterator[str]:
    """The normalised texts of an artifact in order; only those of one split ("train" or "valid") and of one source if given."""
    for path in document_files(folder):
        for row in iterate_file(path, ("text", "split", "source")):
            if split in (None, row["split"]) and source in (None, row["source"]):
                yield row["text"]
