"""Reading a documents artifact (stage "corpus"), row group by row group."""

from collections.abc import Iterator, Sequence
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
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise ArtifactError(
            f"{path}: cannot be read as documents ({first_line(error)}); build the corpus again"
        ) from error


def iterate_texts(folder: Path | str, split: str | None = None) -> Iterator[str]:
    """The normalised texts of an artifact in order; only those of one split ("train" or "valid") if given."""
    for path in document_files(folder):
        for row in iterate_file(path):
            if split in (None, row["split"]):
                yield row["text"]
