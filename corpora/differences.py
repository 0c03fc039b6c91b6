"""What two versions of a text differ in, for people to look at: changed lines with the characters that went and came."""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Literal, NamedTuple

Kind = Literal["same", "gone", "new"]
_LONGEST = 3000  # characters of a line that is compared character by character
_CONTEXT = 12
_AHEAD = 40  # lines among which the partner of a changed one is looked for
_ALIKE = 0.6


class Piece(NamedTuple):
    """Some characters of a line, and whether both versions have them."""

    kind: Kind
    text: str


def changed_lines(before: str, after: str) -> Iterator[list[Piece]]:
    """Each changed line as pieces, but for blank ones that came or went; unchanged stretches of a line are cut short with …."""
    for pieces in _lines(before, after):
        if any(piece.text.strip() for piece in pieces):
            yield pieces


def _lines(before: str, after: str) -> Iterator[list[Piece]]:
    old, new = before.split("\n"), after.split("\n")
    # the longest runs of equal lines first; autojunk would pass over lines that occur often
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for left in old[a:b]:
            ahead = new[c : min(c + _AHEAD, d)]
            partner = next((place for place, right in enumerate(ahead) if _alike(left, right)), None)
            if partner is None:
                yield _compared(left, None)
                continue
            yield from (_compared(None, right) for right in ahead[:partner])
            if left != ahead[partner]:
                yield _compared(left, ahead[partner])
            c += partner + 1
        yield from (_compared(None, right) for right in new[c:d])


def _alike(left: str, right: str) -> bool:
    """Whether two lines share most pairs of neighbouring characters, wherever those stand."""
    left, right = (unicodedata.normalize("NFKC", line) for line in (left, right))
    shorter = min(len(left), len(right))
    pairs = [Counter(pairwise(line)) for line in (left, right)]
    shared = (pairs[0] & pairs[1]).total() + 1
    return shared >= _ALIKE * shorter and shorter * 3 >= max(len(left), len(right))


def _compared(left: str | None, right: str | None) -> list[Piece]:
    if left is None or right is None:
        return [Piece("new", right or "") if left is None else Piece("gone", left)]
    if len(left) > _LONGEST or len(right) > _LONGEST:
        return [Piece("gone", left), Piece("new", right)]
    pieces: list[Piece] = []
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", _shortened(left[a:b], at_start=a == 0, at_end=b == len(left))))
            continue
        pieces += [Piece("gone", left[a:b])] if b > a else []
        pieces += [Piece("new", right[c:d])] if d > c else []
    return pieces


def _shortened(text: str, at_start: bool, at_end: bool) -> str:
    head = 0 if at_start else _CONTEXT
    tail = 0 if at_end else _CONTEXT
    if len(text) <= head + tail + 3:
        return text
    return f"{text[:head]}…{text[len(text) - tail :]}"
