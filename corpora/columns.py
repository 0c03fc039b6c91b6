"""Columns of Arrow from values in memory and back, by their buffers: ``pyarrow.array`` is several times as slow and imports pandas."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow
from numpy.typing import NDArray

_NUMBERS = {pyarrow.int64(): np.int64, pyarrow.float32(): np.float32, pyarrow.float64(): np.float64}


def column_of(values: Any, kind: pyarrow.DataType, rows: int) -> pyarrow.Array:
    """A column of values none of which is missing, which may be one already; of nulls for None."""
    if values is None:
        return pyarrow.nulls(rows, kind)
    if isinstance(values, pyarrow.Array):
        return values
    if kind == pyarrow.string():
        return string_column([value.encode() for value in values])
    data = b"".join(values) if pyarrow.types.is_fixed_size_binary(kind) else np.asarray(values, _NUMBERS[kind])
    return pyarrow.Array.from_buffers(kind, rows, [None, pyarrow.py_buffer(data)])


def string_column(encoded: Sequence[bytes]) -> pyarrow.StringArray:
    """A column of texts from their UTF-8."""
    offsets = np.fromiter(accumulate(map(len, encoded), initial=0), np.int32, len(encoded) + 1)
    buffers = [pyarrow.py_buffer(offsets), pyarrow.py_buffer(b"".join(encoded))]
    return pyarrow.StringArray.from_buffers(len(encoded), *buffers)


def numbers_of(column: pyarrow.ChunkedArray) -> NDArray[np.uint64]:
    """A column of byte strings of one length as numbers, uint64 [N, length / 8]."""
    width = column.type.byte_width
    raw = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width :][: len(chunk) * width]
        for chunk in column.chunks
    ]
    return np.concatenate([np.empty(0, np.uint8), *raw]).view(np.uint64).reshape(-1, width // 8)
