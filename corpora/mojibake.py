"""Text whose bytes were once read in a wrong encoding: repaired where that is exact, recognised where it is not.

A document is repaired as a whole or not at all. It is repaired when all of it, encoded by the wrong codec, gives bytes
that all decode by the right one, when that is Japanese (mean ``evidence`` of at least 1 over at least 4 characters) and the
text as it stands is not (at most 0). Otherwise it is damaged when characters that are lost (U+FFFD) or typical of a
wrong reading make up 5 % of it, spaces not counted. So an article that quotes an example stays as it is.

| read as | UTF-8 | Shift_JIS | EUC-JP |
|---|---|---|---|
| Shift_JIS | 縺薙ｓ縺ｫ縺｡縺ｯ | | ､ｳ､ﾋ､ﾁ､ﾏ |
| Latin-1, cp1252 | ã“ã‚“ã«ã¡ã¯ | ‚±‚ñ‚É‚¿‚Í | ¤³¤ó¤Ë¤Á¤Ï |
| EUC-JP | seldom without loss: 鐃緒申 | | |
"""

import codecs
import re
from collections import Counter
from functools import cache
from typing import NamedTuple

from corpora.encodings import NAMES, NO_SJIS, REPLACED, evidence

_WESTERN = "Latin-1"
_READINGS = (
    (_WESTERN, "utf-8"),
    (_WESTERN, "cp932"),
    (_WESTERN, "euc_jp"),
    ("cp932", "utf-8"),
    ("cp932", "euc_jp"),
    ("euc_jp", "utf-8"),
)
_WESTERN_BYTES = {code: code for code in range(0x100)} | {
    ord(character): byte for byte in range(0x80, 0xA0) if (character := bytes([byte]).decode("cp1252", "ignore"))
}
_CLEAR, _FEW = 1.0, 4
_HEAD = 300
_SHARE = 0.05

_TRAIL = "\x80-\xbf" + "".join(map(re.escape, map(chr, sorted(set(_WESTERN_BYTES) - set(range(0x100))))))
_DAMAGE = re.compile(
    "\ufffd+|鐃緒|ï¿½"
    f"|(?:[ã-éï][{_TRAIL}]{{1,2}}){{2,}}"  # UTF-8 read as Latin-1
    f"|(?:[‚\x82][\x9f-\xf1Ÿ]|[ƒ\x83][@-~{_TRAIL}]){{2,}}"  # Shift_JIS read as Latin-1
    "|(?:¤[¡-ó]|¥[¡-ö]){2,}"  # EUC-JP read as Latin-1
    "|(?:[縲縺繧繝][^\\sぁ-もゎ-ヿ、。]{1,3}){2,}"  # UTF-8 read as Shift_JIS
    "|(?:[､･][｡-ﾟ\ue000-\uf8ff\ufffd]){3,}"  # EUC-JP read as Shift_JIS
)
MARKS = re.compile("[\ufffd鐃ã-éï‚\x82ƒ\x83¤¥縲縺繧繝､･]")
"""Where each of the former begins: searching these is fast, and a text without them is not damaged."""
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
# What hardly any wrong reading gives: Shift_JIS has these at bytes that UTF-8 text in Japanese lacks there
_READ_RIGHT = re.compile("[なにのはまもれをん]")


class Mojibake(NamedTuple):
    """What is wrong with a text."""

    kind: str
    """Such as "UTF-8 read as Shift_JIS"; "damaged" where the text cannot be had back."""
    offset: int
    """Place of the first damaged character."""
    text: str | None
    """The text as it was written, None where it cannot be had back."""


def may_be_reread(text: str) -> bool:
    """Whether it is worth asking if the whole of a text was read in a wrong encoding."""
    return not text.isascii() and not _READ_RIGHT.search(text)


def find_mojibake(text: str) -> Mojibake | None:
    """What is wrong with a document that was read in a wrong encoding, None for any other. The text has no lone surrogate."""
    if may_be_reread(text) and (start := _BEYOND_ASCII.search(text)) and evidence(text)[0] <= 0:
        at = start.start()
        head, whole = text[at : at + _HEAD], len(text) <= at + _HEAD
        for wrong, right in _READINGS:
            # the beginning alone tells of most texts that they do not decode
            if _reread(head, wrong, right, whole) and (repaired := _reread(text, wrong, right)):
                return Mojibake(f"{NAMES[right]} read as {NAMES.get(wrong, wrong)}", at, repaired)
    return _damage(text)


def _reread(text: str, wrong: str, right: str, whole: bool = True) -> str | None:
    """What a wrong codec made of a text, read by the right one; None where this is not exact or not clearly Japanese."""
    try:
        if wrong == "cp932" and not _twice_in_cp932().isdisjoint(text):
            return None
        if wrong == _WESTERN:
            data = codecs.charmap_encode(text, "strict", _WESTERN_BYTES)[0]
        else:
            data = _replaced(text, wrong, back=True).encode(wrong)
        reread = codecs.getincrementaldecoder(right)().decode(data, whole)
    except UnicodeError:
        return None
    score, characters = evidence(reread)
    if "\ufffd" in reread or (right == "cp932" and NO_SJIS.search(reread)):
        return None
    clear = characters >= _FEW and score >= _CLEAR * characters
    return _replaced(reread, right) if clear or not whole else None


@cache
def _twice_in_cp932() -> frozenset[str]:
    """Characters whose bytes cannot be told from them: those of NEC and IBM that cp932 has twice."""
    pairs = (bytes((lead, trail)) for lead in range(0x81, 0xFD) for trail in range(0x40, 0xFD))
    decoded = Counter(pair.decode("cp932", "replace") for pair in pairs)
    return frozenset(text for text, count in decoded.items() if count > 1 and len(text) == 1)


def _replaced(text: str, encoding: str, back: bool = False) -> str:
    for given, meant in REPLACED.get(encoding, ()):
        text = text.replace(meant, given) if back else text.replace(given, meant)
    return text


def _damage(text: str) -> Mojibake | None:
    first, end, damaged = -1, 0, 0
    for mark in MARKS.finditer(text):
        if mark.start() >= end and (found := _DAMAGE.match(text, mark.start())):
            first = found.start() if first < 0 else first
            end = found.end()
            damaged += end - found.start()
    if not damaged or damaged <= _SHARE * len("".join(text.split())):
        return None
    return Mojibake("damaged", first, None)
