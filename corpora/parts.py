"""The parallel half of a corpus build: some files in, one part out, which is a few files of judged documents."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from corpora.config import CorpusConfig
from corpora.embedded import read_chapters
from corpora.hub import read_hub
from corpora.part_files import PartWriter, read_facts
from corpora.reading import RawDocument, read_file
from corpora.rows import judged_rows, schemas
from corpora.sources import SourceFiles
from stage.replacing import whole_file

_BATCH_CHARS = 500_000
_BATCH_ROWS = 2_000
_CHUNK_BYTES = 64_000_000
"""About how much of a part is in one file of it: what is lost when the work is interrupted."""


class PartTask(NamedTuple):
    """Files of one source that become one part."""

    path: Path
    """Where the part is; its files have names that begin with this one: ``000003-0000.arrow``."""
    source: SourceFiles
    config: CorpusConfig


def make_part(task: PartTask) -> list[Path]:
    """Read, parse, normalise and judge the documents of a task, and write them as a part; returns its files, in order.

    Each file has its name when it is whole, and holds the number of documents that were read up to its end: where an
    earlier run was interrupted, so many are passed over.
    """
    files, read, done = _finished(task)
    documents = (
        (raw, "/".join(part for part in (task.source.name, name, raw.key or str(raw.index)) if part))
        for path, name in task.source.files
        for raw in islice(raw_documents(task.source, path), task.config.limit or None)
    )
    schema = schemas(task.config).part
    batches = _batches(islice(documents, read, None)) if not done else iter(())
    batch = next(batches, None)
    while not done:
        files.append(_chunk(task, len(files)))
        with whole_file(files[-1]) as partial, PartWriter(partial, schema) as writer:
            size = 0
            while batch and size < _CHUNK_BYTES:
                table = judged_rows(batch, task.source, task.config)
                writer.write(table)
                size += table.nbytes
                read += len(batch)
                batch = next(batches, None)
            done = not batch
            writer.tell({"task": _digest(task), "read": str(read), "last": str(done)})
    return files


def _finished(task: PartTask) -> tuple[list[Path], int, bool]:
    """The files of a part that an earlier run finished, how many documents it read for them, and whether they are all."""
    files: list[Path] = []
    read, last = 0, False
    while not last and (file := _chunk(task, len(files))).exists():
        facts = read_facts(file)
        if facts["task"] != _digest(task):
            break  # a worker outlived its run, of other settings, for a moment
        read, last = int(facts["read"]), facts["last"] == "True"
        files.append(file)
    return files, read, last


def _digest(task: PartTask) -> str:
    return blake2b(repr(task[1:]).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def _chunk(task: PartTask, number: int) -> Path:
    return task.path.with_name(f"{task.path.name}-{number:04d}.arrow")


def _batches(documents: Iterable[tuple[RawDocument, str]]) -> Iterator[list[tuple[RawDocument, str]]]:
    """The documents in batches of bounded size."""
    batch: list[tuple[RawDocument, str]] = []
    chars = 0
    for raw, name in documents:
        batch.append((raw, name))
        chars += len(raw.text)
        if chars >= _BATCH_CHARS or len(batch) >= _BATCH_ROWS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def raw_documents(source: SourceFiles, path: str) -> Iterator[RawDocument]:
    """The documents of a file of a source, as it holds them."""
    config = source.config
    if path.startswith("hf:"):
        return read_hub(path, text_field=config.text_field, revision=source.revision)
    if config.path.startswith("embedded:"):
        return (RawDocument(index, text, key=key) for index, (key, text) in enumerate(read_chapters(path)))
    return read_file(path, documents=config.documents, text_field=config.text_field, lines=source.lines)
