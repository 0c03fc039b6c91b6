"""The files of parts: Arrow's own format, as it lies in memory, since they are read once or twice and deleted.

Reading maps them: a column that nobody asks for is not read, and none is copied.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import pyarrow


class PartWriter:
    """Tables in, a record batch of a file each, as a context; what is told of the file stands behind the last."""

    def __init__(self, path: Path, schema: pyarrow.Schema) -> None:
        self._writer = pyarrow.ipc.new_file(path, schema)
        self._schema = schema

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, table: pyarrow.Table) -> None:
        """Write the rows of a table as one batch."""
        self._writer.write_table(table.combine_chunks())

    def tell(self, facts: Mapping[str, str]) -> None:
        """Write facts of the file, for ``read_facts``, as its end."""
        columns = [pyarrow.nulls(0, field.type) for field in self._schema]
        end = pyarrow.RecordBatch.from_arrays(columns, schema=self._schema)
        self._writer.write_batch(end, custom_metadata=dict(facts))


def read_facts(path: Path) -> dict[str, str]:
    """What the writer of a part told of its file."""
    with pyarrow.memory_map(str(path)) as source:
        reader = pyarrow.ipc.open_file(source)
        _, facts = reader.get_batch_with_custom_metadata(reader.num_record_batches - 1)
        return {name.decode(): value.decode() for name, value in (facts or {}).items()}


def read_part(path: Path) -> Iterator[pyarrow.Table]:
    """The tables of a file in order, as they were written, but for empty ones."""
    with pyarrow.memory_map(str(path)) as source:
        reader = pyarrow.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            if (batch := reader.get_batch(number)).num_rows:
                yield pyarrow.Table.from_batches([batch])
