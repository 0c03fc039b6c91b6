"""Writing Parquet files of bounded size, row group by row group."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet

FILE_BYTES = 128_000_000
"""Text bytes after which the next file begins."""
_GROUP_BYTES = 8_000_000
_GROUP_ROWS = 20_000


def parquet_writer(path: Path, schema: pyarrow.Schema) -> pyarrow.parquet.ParquetWriter:
    """A writer (zstd) without statistics of texts, which would hold whole documents, nor a search for equal texts."""
    few = [name for name in ("source", "license", "split") if name in schema.names]
    return pyarrow.parquet.ParquetWriter(
        path,
        schema,
        compression="zstd",
        write_statistics=["split", "source"],
        use_dictionary=few,
        write_page_checksum=True,
    )


class RotatingWriter:
    """Tables in, files ``NAME-00000.parquet`` … out, as a context. Without rows there is no file.

    A thread compresses a row group while the next comes together.
    """

    def __init__(self, folder: Path, name: str, schema: pyarrow.Schema) -> None:
        self.folder, self.name, self.schema = folder, name, schema
        self._files = self._file_bytes = 0
        self._waiting: list[pyarrow.Table] = []
        self._waiting_bytes = self._waiting_rows = 0
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self._thread = ThreadPoolExecutor(1)
        self._group: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        with self._thread:
            if error is None:
                self.close()

    def write(self, table: pyarrow.Table) -> None:
        """Add rows; they reach the file when enough for a row group have come together, whatever tables they came in."""
        sizes = pyarrow.compute.binary_length(table.column("text")).to_numpy().cumsum(dtype=np.int64)
        begin = before = 0
        while begin < len(sizes):
            full = int(np.searchsorted(sizes, before + _GROUP_BYTES - self._waiting_bytes)) + 1
            end = min(full, begin + _GROUP_ROWS - self._waiting_rows, len(sizes))
            self._waiting.append(table.slice(begin, end - begin))
            self._waiting_rows += end - begin
            self._waiting_bytes += int(sizes[end - 1]) - before
            begin, before = end, int(sizes[end - 1])
            if self._waiting_bytes >= _GROUP_BYTES or self._waiting_rows >= _GROUP_ROWS:
                self._flush()

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._waiting:
            self._flush()
        self._finish_group()
        self._close_file()

    def _flush(self) -> None:
        self._finish_group()
        self._group = self._thread.submit(self._write_group, self._waiting, self._waiting_bytes)
        self._waiting, self._waiting_bytes, self._waiting_rows = [], 0, 0

    def _finish_group(self) -> None:
        if self._group is not None:
            self._group.result()

    def _write_group(self, tables: list[pyarrow.Table], size: int) -> None:
        if self._writer is None:
            self.folder.mkdir(exist_ok=True)
            self._writer = parquet_writer(self.folder / f"{self.name}-{self._files:05d}.parquet", self.schema)
            self._files += 1
        self._writer.write_table(pyarrow.concat_tables(tables).combine_chunks())
        self._file_bytes += size
        if self._file_bytes >= FILE_BYTES:
            self._close_file()

    def _close_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._file_bytes = None, 0
