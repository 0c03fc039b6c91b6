"""Normalising Japanese text by named, versioned presets. Pure: text in, text out.

``ja-v1`` is frozen: its rules stand in ``LINE_RULES`` and ``DOCUMENT_RULES``, in the order in which they are applied, and
``docs/normalization.md`` shows each with text before and after. Normalising twice changes nothing more. Rules for whole documents
are not for prompts, which keep their spaces, line ends and commas. ``code`` mends line ends and drops what no source file holds;
``none`` changes nothing. Behind a preset may stand options: ``ja-v1+new-kanji``, ``ja-v1+no-iteration`` (``corpora.old_forms``).

``corpora.blocks`` does the same to many documents at once, several times faster.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from corpora.old_forms import NEW_KANJI, without_iteration
from stage.errors import UsageError

KEPT = (
    "\u3000"  # ideographic space
    "！（），．：；＜＝＞？［］｛｜｝～｟｠－"  # full-width punctuation
    "…‥゛゜￣´¨¯¸˘˙˚˛˜˝"  # ellipses; marks that NFKC would turn into a space and a combining mark
    "ªº²³¹⁰ⁱ⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅟↉™℠℃℉ℹ‼⁇⁈⁉㊗㊙"
    # square and cubic units
    + "".join(map(chr, (*range(0x339F, 0x33A7), 0x33A8, 0x33AF)))
    # circled and enclosed, among them the squared words of emoji
    + "".join(map(chr, (*range(0x2460, 0x24EB), *range(0x3251, 0x3260), *range(0x32B1, 0x32C0))))
    # letters and digits that are raised or lowered: ʰ is no h
    + "".join(
        filter(
            lambda character: unicodedata.decomposition(character).startswith(("<super>", "<sub>")),
            map(chr, range(0x2B0, 0xFB00)),
        )
    )
    + "".join(map(chr, (0x1F201, 0x1F202, 0x1F21A, 0x1F22F, *range(0x1F232, 0x1F23B), 0x1F250, 0x1F251)))
)
"""Characters that NFKC does not touch under ja-v1."""

CONTROLS = "".join(chr(code) for code in (*range(0x09), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)))
DROPPED = (
    CONTROLS
    + "\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    + "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
    + "".join(map(chr, range(0xFDD0, 0xFDF0)))
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
)
"""Characters that ja-v1 removes: controls but the tab, zero-width and direction marks, soft hyphens, noncharacters."""

LINE_ENDS = "\r\v\f\u0085\u2028\u2029"
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
_VOICEABLE = "".join(sorted({pair[0] for pair in _VOICED}))
_HALF = {"，": ",", "．": ".", "：": ":"}
# without ゛ and ゜: they would join with what the space parts them from
_CJK = "\u3005-\u3007\u3041-\u3096\u309d-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff、。「」"
TRAILING = " \t\u3000"
"""Spaces that ja-v1 removes at line ends."""

# Blocks that hold combining marks, whose runs are put in order in quadratic time
_MARKS = (
    "\u0300-\u1fff\u20d0-\u20ff\u2c00-\u2dff\u3020-\u302f\u3099\u309a\ua600-\uabff\ufb00-\ufb4f\ufe20-\ufe2f\uff9e\uff9f"
    "\U00010000-\U0001efff"
)
_MOST_MARKS = 30
"""On one character, as in the stream-safe text format of UAX #15."""
_FEW = 14
"""So many characters in a row, and what stands before them, may decompose to more than that: none to more than four marks."""

_LETTER_SPACED = 0.6
"""Of the CJK characters of a document, the share that a space must follow for it to count as letter-spaced."""


@dataclass(frozen=True)
class Rule:
    """What is replaced where. Nothing is where none of the ``signs`` stands, nor where the text as a whole does not want it.

    ``quicker`` does the same as the pattern.
    """

    name: str
    pattern: re.Pattern[str]
    replace: Callable[[re.Match[str]], str]
    signs: Sequence[str]
    wanted: Callable[[str], bool] | None = None
    quicker: Callable[[str], str] | None = None

    def has_sign(self, text: str) -> bool:
        """Whether it is worth looking."""
        for sign in self.signs:  # any() takes twice as long
            if sign in text:
                return True
        return not self.signs

    def applies(self, text: str) -> bool:
        """Whether the rule is one for this text."""
        return self.has_sign(text) and (self.wanted is None or self.wanted(text))

    def __call__(self, text: str) -> str:
        if not self.applies(text):
            return text
        return self.quicker(text) if self.quicker else self.pattern.sub(self.replace, text)


def _emoji_class() -> str:
    """The emoji ranges without what NFKC changes: what may stand beside a joiner must still be there after folding."""
    stable = (chr(code) for first, last in _EMOJI_RANGES for code in range(first, last + 1))
    return "".join(re.escape(each) for each in stable if unicodedata.normalize("NFKC", each) == each)


def _rule(
    name: str,
    pattern: str,
    replace: str | Callable[[re.Match[str]], str],
    signs: Sequence[str] = (),
    wanted: Callable[[str], bool] | None = None,
    quicker: Callable[[str], str] | None = None,
) -> Rule:
    function = replace if callable(replace) else lambda _: replace
    return Rule(name, re.compile(pattern), function, signs, wanted, quicker)


def _without_trailing(text: str) -> str:
    *lines, last = text.split("\n")
    return "\n".join([*(line.rstrip(TRAILING) for line in lines), last])


def _without_blank_lines(text: str) -> str:
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    return text


_EMOJI = _emoji_class()
_DROP = re.compile(f"[{re.escape(DROPPED)}]")
_KEEP = re.compile(f"([{re.escape(KEPT)}]+)")
_AFTER_KATAKANA = re.compile("(?<=[ァ-ヺ])−")
_MARK = re.compile(f"[{_MARKS}]")
_POINT_IN_PROSE = "(?<![0-9A-Za-z])．|．(?![0-9A-Za-z])"
_POINTS = re.compile(_POINT_IN_PROSE)
_SPACED = re.compile(f"(?<=[{_CJK}]) (?=[{_CJK}])")
_CJK_CHARACTER = re.compile(f"[{_CJK}]")

LINE_RULES = (
    _rule("line ends", "\r\n|[\r\v\f\u0085\u2028\u2029]", "\n", LINE_ENDS),
    _rule("dropped characters", f"[{re.escape(DROPPED)}]+", "", (), lambda text: _DROP.search(text) is not None),
    _rule("stray joiners", f"(?<![{_EMOJI}])\u200d|\u200d(?![{_EMOJI}])", "", "\u200d"),
    # of a run that is long enough, a character in so many is one of its marks
    _rule(
        "long runs of marks",
        f"[{_MARKS}]{{{_FEW},}}",
        lambda match: _without_excess(match),
        (),
        lambda text: any(map(_is_mark, _MARK.findall(text[::_FEW]))),
    ),
    _rule(
        "NFKC", "(?s).+", lambda match: _nfkc(match[0]), (), lambda text: not unicodedata.is_normalized("NFKC", text)
    ),
    # ゛ before a word is a quotation mark, and so is the one behind it
    _rule(
        "voiced kana",
        f"(?<![{_VOICEABLE}])゛[^゛\n]{{1,40}}゛|" + "|".join(sorted(map(re.escape, _VOICED))),
        lambda match: _VOICED.get(match[0], match[0]),
        "゛゜",
    ),
    _rule("points between digits", "(?<=[0-9])[，．：](?=[0-9])", lambda match: _HALF[match[0]], "，．："),
    _rule("long vowels between digits", "(?<=[0-9])ー(?=[0-9])", "-", "ー"),
    _rule("hyphens", "(?<=[0-9A-Za-z])[‐−－]|[‐−－](?=[0-9A-Za-z])", "-", "‐−－"),
    _rule("minus", "－", "−", "－"),
    _rule("wave dash", "～", "〜", "～"),
)
"""For prompts and documents."""

DOCUMENT_RULES = (
    _rule("spaces at line ends", f"(?<![{TRAILING}])[{TRAILING}]+(?=\n)", "", [f"{space}\n" for space in TRAILING], None, _without_trailing),
    _rule("commas", "，", "、", "，", lambda text: text.count("，") > text.count("、")),
    _rule("full stops", _POINT_IN_PROSE, "。", "．", lambda text: len(_POINTS.findall(text)) > text.count("。")),
    _rule(
        "minus for long vowels", _AFTER_KATAKANA.pattern, "ー", "−",
        lambda text: len(_AFTER_KATAKANA.findall(text)) > text.count("ー"),
    ),
    _rule("letter-spaced text", _SPACED.pattern, "", " ", lambda text: _is_letter_spaced(text)),
    _rule("blank lines", "\n{4,}", "\n\n\n", ["\n\n\n\n"], None, _without_blank_lines),
    _rule("both ends", f"\\A[\n{TRAILING}]+\\Z|\\A\n+|(?<![\n{TRAILING}])[\n{TRAILING}]+\\Z", "", (), None, lambda text: text.lstrip("\n").rstrip("\n" + TRAILING)),
)  # fmt: skip
"""For documents alone, each of which is decided upon by its own majority."""

_CODE_RULES = (
    LINE_RULES[0],
    _rule("controls", f"[{re.escape(CONTROLS)}\ufeff]+", ""),
)
_OPTIONS: dict[str, Callable[[str], str]] = {
    "new-kanji": lambda text: text.translate(NEW_KANJI),
    "no-iteration": without_iteration,
}


def _digest(*tables: object) -> str:
    return hashlib.sha256(json.dumps(tables, ensure_ascii=True).encode()).hexdigest()


_JA_RULES = [(rule.name, rule.pattern.pattern) for rule in (*LINE_RULES, *DOCUMENT_RULES)]
PRESETS = {
    "ja-v1": _digest("ja-v1", _JA_RULES, KEPT, _HALF, sorted(_VOICED.items()), _LETTER_SPACED, _MOST_MARKS),
    "code": _digest("code", [(rule.name, rule.pattern.pattern) for rule in _CODE_RULES]),
    "none": _digest("none"),
}
"""Each preset with the SHA-256 of its rules: texts of equal digests were normalised alike."""


def normalize(text: str, preset: str = "ja-v1") -> str:
    """A document normalised by a preset. Raises UsageError for a preset that does not exist."""
    text = normalize_prompt(text, preset)
    return document_rules(text) if preset.startswith("ja-v1") else text


def normalize_prompt(text: str, preset: str = "ja-v1") -> str:
    """A prompt normalised without the rules for whole documents: its spaces, line ends and ， stay."""
    base, options = parse_preset(preset)
    for rule in {"ja-v1": LINE_RULES, "code": _CODE_RULES, "none": ()}[base]:
        text = rule(text)
    for option in options:
        text = _OPTIONS[option](text)
    return text


def document_rules(text: str) -> str:
    """The rules for whole documents, on text that the others have been applied to."""
    for rule in DOCUMENT_RULES:
        text = rule(text)
    return text


def normalize_with_offsets(text: str, preset: str = "ja-v1", prompt: bool = False) -> tuple[str, list[int]]:
    """As ``normalize`` (or ``normalize_prompt``), and where in ``text`` each character of the result begins; last, its length.

    A character that several became is said to begin where the first of them did.
    """
    base, options = parse_preset(preset)
    if options:
        raise UsageError(f"offsets are known for {base} without +{'+'.join(options)}")
    rules = {"ja-v1": LINE_RULES + DOCUMENT_RULES * (not prompt), "code": _CODE_RULES, "none": ()}[base]
    offsets = list(range(len(text) + 1))
    for rule in rules:
        pattern = _clusters() if rule.name == "NFKC" else rule.pattern
        if rule.applies(text):
            text, offsets = _replaced(pattern, rule.replace, text, offsets)
    return text, offsets


def parse_preset(preset: str) -> tuple[str, list[str]]:
    """A preset and its options. Raises UsageError for what does not exist."""
    base, *options = preset.split("+")
    if base not in PRESETS or (options and base != "ja-v1"):
        raise UsageError(f"there is no normalisation preset {preset!r}; there are {', '.join(PRESETS)}")
    if unknown := [option for option in options if option not in _OPTIONS]:
        raise UsageError(f"{preset}: {unknown[0]!r} is no option of ja-v1; there are {', '.join(_OPTIONS)}")
    return base, options


def digest(preset: str) -> str:
    """The SHA-256 of a preset's rules, options included."""
    base, options = parse_preset(preset)
    return _digest(PRESETS[base], sorted(options), sorted(NEW_KANJI.items())) if options else PRESETS[base]


def _is_mark(character: str) -> bool:
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0


def _without_excess(match: re.Match[str]) -> str:
    """A stretch without the marks that are too many on one character."""
    start, text = match.start(), match[0]
    before = match.string[start - 1] if start else ""
    pieces: list[str] = []
    room = _MOST_MARKS
    for character in before + text:
        marks = sum(unicodedata.combining(each) > 0 for each in unicodedata.normalize("NFKD", character))
        if not _is_mark(character):
            room = _MOST_MARKS
        elif marks > room:
            continue
        room -= marks
        pieces.append(character)
    return "".join(pieces)[len(before) :]


def _nfkc(text: str) -> str:
    # line by line: the slow path of NFKC is then taken for a few lines only
    return "\n".join(
        line if line.isascii() or unicodedata.is_normalized("NFKC", line) else _fold_line(line)
        for line in text.split("\n")
    )


def _fold_line(line: str) -> str:
    pieces = _KEEP.split(line)
    # odd pieces are kept characters
    pieces[::2] = [unicodedata.normalize("NFKC", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _is_letter_spaced(text: str) -> bool:
    """Whether a space follows most characters, as in 吾 輩 は 猫 (scans, PDF); names such as 神田 孝平 do not make it so."""
    spaces = text.count(" ")
    if spaces * 4 < len(text) * _LETTER_SPACED:
        return False
    return len(_SPACED.findall(text)) > _LETTER_SPACED * len(_CJK_CHARACTER.findall(text))


@cache
def joining() -> str:
    """Characters that may form one with what stands before them: marks, vowels of Hangul, voicing marks of half-width kana."""
    # no other planes have letters
    changing = {character for character in map(chr, range(0x30000)) if unicodedata.decomposition(character)}
    composed = {unicodedata.normalize("NFD", character) for character in changing}
    seconds = {text[1] for text in composed if len(text) > 1} | set(
        map(chr, (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)))
    )
    return "".join(
        character
        for character in map(chr, (*range(0x300, 0xD800), *range(0xF900, 0x20000), *range(0xE0000, 0xE0200)))
        if unicodedata.combining(
            first := unicodedata.normalize("NFKD", character)[0] if character in changing else character
        )
        or first in seconds
    )


@cache
def _clusters() -> re.Pattern[str]:
    """Stretches that NFKC changes independently of what stands around them."""
    kept, marks = re.escape(KEPT), re.escape(joining())
    return re.compile(f"(?s)[{kept}]|[^{kept}{marks}][{marks}]*|[{marks}]+")


def _replaced(
    pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str, offsets: list[int]
) -> tuple[str, list[int]]:
    pieces: list[str] = []
    places: list[int] = []
    at = 0
    for match in pattern.finditer(text):
        new = replace(match)
        pieces += [text[at : match.start()], new]
        places += offsets[at : match.start()]
        same = len(new) == match.end() - match.start()
        places += offsets[match.start() : match.end()] if same else [offsets[match.start()]] * len(new)
        at = match.end()
    pieces.append(text[at:])
    return "".join(pieces), [*places, *offsets[at:]]
