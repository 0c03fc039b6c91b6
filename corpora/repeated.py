"""Lines that many documents share: navigation, notes on authors, lists of other articles.

Headings and short answers are shared as well, and belong to the text; so are lines of code. Hence only lines with Japanese characters or an
address are looked at, and lines are dropped only where several follow one another, or at the end of a document. Where most of a
document is shared, it has copies: that is left to deduplication.
"""

import re
from collections.abc import Collection, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
SHORTEST = 6
"""Characters of a line that is looked at."""
_LOOKED_AT = re.compile("[\u3041-\u30fe\u3400-\u9fff]|://")
_BLOCK_LINES, _BLOCK_CHARS, _END_CHARS = 2, 30, 10
_MOST = 0.5  # of a document


def line_hashes(texts: Sequence[str]) -> list[Hashes]:
    """Of each document the hashes of its lines, stripped, of 6 characters or more, ascending and each once; uint64 [lines]."""
    return [np.unique(_hashes([line for line in map(str.strip, text.split("\n")) if _counts(line)])) for text in texts]


def find_repeated(
    hashes: Collection[Hashes], documents: int, *, min_documents: int = 10, share: float = 1e-4, memory: int = 1 << 28
) -> Hashes:
    """The lines that at least ``min_documents`` and a ``share`` of all documents have, ascending, uint64 [lines].

    ``hashes``: those of ``line_hashes``, of one document or several each (as memory maps, where they are many); they are gone through as
    often as needs be for ``memory`` bytes to be enough, beside the result.
    """
    least = max(min_documents, int(np.ceil(share * documents)))
    partitions = np.uint64(24 * sum(map(len, hashes)) // memory + 1)
    found = [np.empty(0, np.uint64)]
    for partition in range(int(partitions)):
        part = np.sort(np.concatenate([found[0], *(each[each % partitions == partition] for each in hashes)]))
        if len(part):
            begins = np.flatnonzero(np.concatenate([[True], part[1:] != part[:-1]]))
            found.append(part[begins[np.diff(begins, append=len(part)) >= least]])
    return np.sort(np.concatenate(found))


def drop_lines(text: str, repeated: Hashes) -> tuple[str, int]:
    """A document without the blocks of repeated lines, and how many lines were dropped, blank ones aside.

    A block is 2 lines or more of 30 characters in all; at the end of a document one of 10 is enough. Without its blocks a document neither
    begins nor ends with blank lines.
    """
    lines = text.split("\n")
    full = [(place, line) for place, line in enumerate(map(str.strip, lines)) if line]
    known = _known([line for _, line in full], repeated)
    if not any(known):
        return text, 0
    kept = np.ones(len(lines), np.bool_)
    count = chars = 0
    changes = np.flatnonzero(np.diff(np.concatenate([[0], known, [0]])))
    for begin, end in changes.reshape(-1, 2).tolist():
        size = sum(len(line) for _, line in full[begin:end])
        is_block = end - begin >= _BLOCK_LINES and size >= _BLOCK_CHARS
        if is_block or (end == len(full) and size >= _END_CHARS):
            kept[full[begin][0] : full[end - 1][0] + 1] = False
            count, chars = count + end - begin, chars + size
    if count == 0 or chars > _MOST * sum(len(line) for _, line in full):
        return text, 0
    return "\n".join(line for line, stays in zip(lines, kept.tolist(), strict=True) if stays).strip("\n"), count


def _known(lines: list[str], repeated: Hashes) -> NDArray[np.int8]:
    known = np.zeros(len(lines), np.int8)
    looked_at = [place for place, line in enumerate(lines) if _counts(line)]
    if len(repeated) and looked_at:
        hashes = _hashes([lines[place] for place in looked_at])
        known[looked_at] = repeated[np.minimum(np.searchsorted(repeated, hashes), len(repeated) - 1)] == hashes
    return known


def _counts(line: str) -> bool:
    return len(line) >= SHORTEST and _LOOKED_AT.search(line) is not None


def _hashes(lines: list[str]) -> Hashes:
    return np.frombuffer(b"".join(blake2b(line.encode(), digest_size=8).digest() for line in lines), np.uint64)
