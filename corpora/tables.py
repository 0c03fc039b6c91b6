"""Writing Parquet files of bounded size, row group by row group."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet
from numpy.typing import NDArray

Rows = Callable[[int, int], pyarrow.Table]
"""Makes the rows from one place to before another, in whatever thread wants them."""

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


def text_bytes(table: pyarrow.Table) -> NDArray[np.int64]:
    """The bytes of each text, int64 [N]."""
    return pyarrow.compute.binary_length(table.column("text")).to_numpy().astype(np.int64)


class RotatingWriter:
    """Rows in, files ``NAME-00000.parquet`` … out, as a context, the same ones for any number of threads. Without rows there is no file.

    Each of ``threads`` files has a thread that makes its rows and compresses them while those of the next come together.
    """

    def __init__(self, folder: Path, name: str, schema: pyarrow.Schema, threads: int = 1) -> None:
        self.folder, self.name, self.schema, self.threads = folder, name, schema, threads
        self._files = self._file_bytes = 0
        self._waiting: list[tuple[Rows, int, int]] = []
        self._waiting_bytes = self._waiting_rows = 0
        self._open: deque[_File] = deque()
        self._file: _File | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                self.close()
        finally:
            for file in self._open:
                file.stop()

    def write(self, table: pyarrow.Table) -> None:
        """Add the rows of a table, which are held until they are written; they reach a file with enough others for a row group."""
        self.write_rows(text_bytes(table), lambda begin, end: table.slice(begin, end - begin))

    def write_rows(self, sizes: NDArray[np.int64], rows: Rows) -> None:
        """Add rows, whose texts have so many bytes; those of as many files as there are threads may be made at a time."""
        sizes = sizes.cumsum()
        begin = before = 0
        while begin < len(sizes):
            full = int(np.searchsorted(sizes, before + _GROUP_BYTES - self._waiting_bytes)) + 1
            end = min(full, begin + _GROUP_ROWS - self._waiting_rows, len(sizes))
            self._waiting.append((rows, begin, end))
            self._waiting_rows += end - begin
            self._waiting_bytes += int(sizes[end - 1]) - before
            begin, before = end, int(sizes[end - 1])
            if self._waiting_bytes >= _GROUP_BYTES or self._waiting_rows >= _GROUP_ROWS:
                self._flush()

    def close(self) -> None:
        """Write what is left and close the files."""
        if self._waiting:
            self._flush()
        self._close_file()
        while self._open:
            self._open.popleft().finish()

    def _flush(self) -> None:
        if self._file is None:
            while len(self._open) >= self.threads:
                self._open.popleft().finish()
            self.folder.mkdir(exist_ok=True)
            self._file = _File(self.folder / f"{self.name}-{self._files:05d}.parquet", self.schema)
            self._open.append(self._file)
            self._files += 1
        if self.threads == 1:
            self._file.wait()  # so that one row group waits at most
        self._file.write(self._waiting)
        self._file_bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes, self._waiting_rows = [], 0, 0
        if self._file_bytes >= FILE_BYTES:
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._file_bytes = None, 0


class _File:
    """A file that a thread of its own writes."""

    def __init__(self, path: Path, schema: pyarrow.Schema) -> None:
        self._writer = parquet_writer(path, schema)
        self._thread = ThreadPoolExecutor(1)
        self._work: deque[Future[None]] = deque()

    def write(self, pieces: list[tuple[Rows, int, int]]) -> None:
        self._work.append(self._thread.submit(self._write, pieces))

    def close(self) -> None:
        self._work.append(self._thread.submit(self._writer.close))

    def wait(self) -> None:
        """Until all is written; raises what went wrong."""
        while self._work:
            self._work.popleft().result()

    def finish(self) -> None:
        try:
            self.wait()
        finally:
            self.stop()

    def stop(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _write(self, pieces: list[tuple[Rows, int, int]]) -> None:
        tables = [rows(begin, end) for rows, begin, end in pieces]
        self._writer.write_table(pyarrow.concat_tables(tables).combine_chunks())
