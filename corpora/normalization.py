"""Normalising Japanese text by named, versioned presets. Pure: text in, text out.

What ``ja-v1`` does, in this order (idempotent: normalising twice changes nothing more):

1. Line ends become ``\\n``. Control characters (but the tab), BOM, zero-width space, soft hyphen, direction marks and
   noncharacters go; U+200D stays only inside emoji sequences. Variation selectors stay.
2. NFKC, except for characters that Japanese text writes full-width or that NFKC would spoil (``KEPT``):
   （）！？：；，．～＝, brackets, … ‥, the ideographic space, circled numbers, fractions, superscripts, ™.
   So ＡＢＣ１２３ and ｶﾞ become ABC123 and ガ.
   Wave dash 〜 and full-width tilde ～ both stay as they are.
3. A kana followed by a free-standing ゛ or ゜ becomes one voiced kana (か゛ to が); ，．： between digits become
   half-width.
4. Whole documents only: ， becomes 、 where there are more of ， than of 、; ． becomes 。 likewise. Spaces at line
   ends and blank lines at both ends of a document go; more than two blank lines in a row become two.

Spaces between characters, ideographic ones at the beginning of a line (paragraph indents) too, stay as they are.
"""

import hashlib
import json
import re
import unicodedata

from stage.errors import UsageError

KEPT = (
    "\u3000"  # ideographic space
    "！（），．：；＜＝＞？［］｛｜｝～｟｠"  # full-width punctuation
    "…‥゛゜￣´¨¯¸˘˙˚˛˜˝"  # ellipses; marks that NFKC would turn into a space and a combining mark
    "ªº²³¹⁰ⁱ⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅟↉™℠"
    # circled and enclosed
    + "".join(map(chr, (*range(0x2460, 0x24EB), *range(0x3251, 0x3260), *range(0x32B1, 0x32C0))))
)
"""Characters that NFKC does not touch under ja-v1."""

DROPPED = (
    "".join(chr(code) for code in (*range(0x09), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)))
    + "\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    + "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
    + "".join(map(chr, (*range(0xFDD0, 0xFDF0), 0xFFFE, 0xFFFF)))
)
"""Characters that ja-v1 removes."""

_LINE_ENDS = "\r\n|[\r\v\f\u0085\u2028\u2029]"
# Emoji and symbols that may be joined: pictographs, selectors and skin tones, keycaps, tags
_EMOJI_RANGES = (
    (0x2190, 0x21FF),
    (0x2300, 0x23FF),
    (0x25A0, 0x27BF),
    (0x2900, 0x297F),
    (0x2B00, 0x2BFF),
    (0xFE0E, 0xFE0F),
    (0x1F000, 0x1FAFF),
    (0xE0020, 0xE007F),
)
_VOICED = {
    kana + mark: composed
    for mark, combining in (("゛", "\u3099"), ("゜", "\u309a"))
    for kana in map(chr, range(0x3041, 0x30FF))
    if len(composed := unicodedata.normalize("NFC", kana + combining)) == 1
}


def _digest(name: str, tables: list[object]) -> str:
    version = 1
    return hashlib.sha256(json.dumps([name, version, tables], ensure_ascii=True).encode()).hexdigest()


PRESETS = {
    "ja-v1": _digest("ja-v1", [KEPT, DROPPED, _LINE_ENDS, _EMOJI_RANGES, sorted(_VOICED.items())]),
    "none": _digest("none", []),
}
"""Each preset with the SHA-256 of its rules' tables: texts of equal digests were normalised alike."""


def normalize(text: str, preset: str = "ja-v1") -> str:
    """A document normalised by a preset. Raises UsageError for a preset that does not exist."""
    folded = normalize_prompt(text, preset)
    if preset == "none":
        return folded
    lines = [line.rstrip(_TRAILING) for line in _document_punctuation(folded).split("\n")]
    return _BLANK_LINES.sub("\n\n\n", "\n".join(lines)).strip("\n")


def normalize_prompt(text: str, preset: str = "ja-v1") -> str:
    """A prompt normalised without the rules for whole documents: its spaces, line ends and ， stay."""
    if preset not in PRESETS:
        raise UsageError(f"there is no normalisation preset {preset!r}; there are {', '.join(PRESETS)}")
    return text if preset == "none" else _fold(text)


def _emoji_class() -> str:
    """The emoji ranges without what NFKC changes: what may stand beside a joiner must still be there after folding."""
    stable = (chr(code) for first, last in _EMOJI_RANGES for code in range(first, last + 1))
    return "".join(re.escape(each) for each in stable if unicodedata.normalize("NFKC", each) == each)


_TRAILING = " \t\u3000"
_LINE_END = re.compile(_LINE_ENDS)
_FOREIGN_LINE_ENDS = "\r\v\f\u0085\u2028\u2029"
_DROP = re.compile(f"[{re.escape(DROPPED)}]+")
_KEEP = re.compile(f"([{re.escape(KEPT)}]+)")
_EMOJI = _emoji_class()
_STRAY_JOINER = re.compile(f"(?<![{_EMOJI}])\u200d|\u200d(?![{_EMOJI}])")
_VOICING = re.compile("|".join(sorted(map(re.escape, _VOICED))))
_BETWEEN_DIGITS = re.compile("(?<=[0-9])[，．：](?=[0-9])")
_HALF = {"，": ",", "．": ".", "：": ":"}
_POINT_IN_PROSE = re.compile("(?<![0-9A-Za-z])．|．(?![0-9A-Za-z])")
_BLANK_LINES = re.compile("\n{4,}")


def _fold(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    if any(end in text for end in _FOREIGN_LINE_ENDS):
        text = _LINE_END.sub("\n", text)
    text = _DROP.sub("", text)
    if "\u200d" in text:
        text = _STRAY_JOINER.sub("", text)
    if not unicodedata.is_normalized("NFKC", text):
        # line by line: the slow path of NFKC is then taken for a few lines only
        text = "\n".join(
            line if line.isascii() or unicodedata.is_normalized("NFKC", line) else _fold_line(line)
            for line in text.split("\n")
        )
    if "゛" in text or "゜" in text:
        text = _VOICING.sub(lambda match: _VOICED[match[0]], text)
    return _BETWEEN_DIGITS.sub(lambda match: _HALF[match[0]], text)


def _fold_line(line: str) -> str:
    pieces = _KEEP.split(line)
    # odd pieces are kept characters
    pieces[::2] = [unicodedata.normalize("NFKC", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _document_punctuation(text: str) -> str:
    if text.count("，") > text.count("、"):
        text = text.replace("，", "、")
    if "．" in text and len(_POINT_IN_PROSE.findall(text)) > text.count("。"):
        text = _POINT_IN_PROSE.sub("。", text)
    return text
