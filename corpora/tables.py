"""Writing Parquet files of bounded size, row group by row group."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pyarrow.compute
import pyarrow.parquet

FILE_BYTES = 128_000_000
"""Text bytes after which the next file begins."""
_GROUP_BYTES = 8_000_000
_GROUP_ROWS = 20_000


class RotatingWriter:
    """Tables in, files ``NAME-00000.parquet`` … out (zstd). Without rows there is no file."""

    def __init__(self, folder: Path, name: str, schema: pyarrow.Schema, file_bytes: int = FILE_BYTES) -> None:
        self.folder, self.name, self.schema, self.file_bytes = folder, name, schema, file_bytes
        self._files = 0
        self._waiting: list[pyarrow.Table] = []
        self._waiting_bytes = self._waiting_rows = self._file_bytes = 0
        self._writer: pyarrow.parquet.ParquetWriter | None = None

    def write(self, table: pyarrow.Table) -> None:
        """Add rows; they reach the file when enough for a row group have come together."""
        if not table.num_rows:
            return
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self._waiting_bytes += text_bytes(table)
        if self._waiting_bytes >= _GROUP_BYTES or self._waiting_rows >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> pyarrow.parquet.ParquetWriter:
        path = self.folder / f"{self.name}-{self._files:05d}.parquet"
        self._files += 1
        self.folder.mkdir(exist_ok=True)
        self._file_bytes = 0
        # no statistics of texts: they would hold whole documents
        self._writer = pyarrow.parquet.ParquetWriter(
            path, self.schema, compression="zstd", write_statistics=["split", "source"]
        )
        return self._writer

    def _flush(self) -> None:
        if not self._waiting:
            return
        writer = self._writer or self._open()
        writer.write_table(pyarrow.concat_tables(self._waiting).combine_chunks())
        self._file_bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes, self._waiting_rows = [], 0, 0
        if self._file_bytes >= self.file_bytes:
            writer.close()
            self._writer = None


def text_bytes(table: pyarrow.Table) -> int:
    """UTF-8 bytes of the column ``text``."""
    return int(pyarrow.compute.sum(pyarrow.compute.binary_length(table.column("text"))).as_py() or 0)
