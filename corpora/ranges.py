"""A big file of lines in ranges of bytes, so that several processes read it."""

import sys
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from corpora.encodings import LONGEST, is_utf8
from stage.files import is_url, open_stored, reading, size_of

_RANGE_BYTES = 16_000_000


class LineRange(NamedTuple):
    """The lines of a file that begin at one byte or after it, and before another."""

    begin: int = 0
    end: int = sys.maxsize
    line: int = 0
    """Lines of the file before these."""
    record: int = 0
    """Records of the file before these."""
    until: int | None = None
    """Records of the file up to the end of these, where they were counted."""


WHOLE = LineRange()


def split_file(path: str) -> list[LineRange]:
    """The ranges of a big file with a record on each line, uncompressed UTF-8 on a disk; of any other the one that is all of it."""
    if is_url(path) or not path.lower().endswith(".jsonl"):
        return [WHOLE]
    size = size_of(path)
    if size <= 2 * _RANGE_BYTES or not is_utf8(path):
        return [WHOLE]
    with open_stored(path) as stream:
        start = stream.readline(1000).removeprefix(b"\xef\xbb\xbf").strip()
    if not start.startswith(b"{") or start == b"{":  # compressed, a list, or one object over many lines
        return [WHOLE]
    return [LineRange(begin, begin + _RANGE_BYTES) for begin in range(0, size, _RANGE_BYTES)]


def read_range(path: str, lines: LineRange) -> Iterator[bytes]:
    """The lines of a range; of one that is too long some more than is allowed."""
    with reading(path) as stream:
        at = lines.begin
        if at:  # what is left of the line before
            stream.seek(at - 1)
            at += len(stream.readline(lines.end - at + 1)) - 1
        read = partial(stream.readline, 4 * LONGEST + 1)
        while at < lines.end and (line := read()):
            at += len(line)
            yield line


def count_lines(task: tuple[str, LineRange]) -> tuple[int, int]:
    """How many lines a range of a file has, and how many of them are records."""
    lines = records = 0
    for line in read_range(*task):
        lines += 1
        records += is_record(line)
    return lines, records


def is_record(line: bytes) -> bool:
    """Whether a line of JSON holds something: it is not blank, nor null."""
    return line[:1] == b"{" or line.decode("utf-8-sig", "replace").strip() not in ("", "null")
