"""Aozora Bunko markup to plain text and metadata. Pure, and linear in the length of the text.

Follows the annotation manual of Aozora Bunko: https://www.aozora.gr.jp/annotation/ . Readings and notes are dropped,
what they annotate stays. Parse before normalising: NFKC would fold the marks away.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

GETA = "〓"
"""Stands for a character that a note describes only in words, as in print."""

_DASHES = re.compile(r"-{8,}")
_LEGEND = re.compile(r"【テキスト中に現れる記号について】|［表記について］")
_FOOTER = re.compile(r"^[ 　]*底本[ 　]*[：:]", re.MULTILINE)
_NOTICE = re.compile("ボランティアの皆さん.*$", re.MULTILINE)
_LONGEST_FOOTER = 5000
_COLOPHON = re.compile(r"^[ 　]*(底本の親本|底本|初出|入力|校正)[ 　]*[：:][ 　]*(.*)$")
_RUBY = re.compile(
    r"[㐀-䶿一-鿿々〆〇ヶ𠀀-𯿿][｜]?《[ぁ-ゖァ-ヺー・ゝゞヽヾ]{1,30}》|｜[^｜《》\n]{1,30}《[^《》\n]{1,30}》"
)
_NOTE = re.compile(r"［＃[^］\n]{1,80}］")
_HEADER_LINES = 60
_LEGEND_LINES = 100

_MARKS = re.compile(r"※?［＃|[［］《》｜〔〕]")
_ANY_MARK = re.compile(r"[［《》｜〔]")
_POINT = re.compile(r"(?<![0-9-])([12])-(\d{1,2})-(\d{1,2})(?![0-9-])")
_UNICODE = re.compile(r"U\+([0-9A-Fa-f]{4,6})")

# behind a letter: grave, acute, circumflex, tilde, diaeresis, ring, macron, cedilla
_ACCENT_MARKS = dict(zip("`'^~:&_,", "\u0300\u0301\u0302\u0303\u0308\u030a\u0304\u0327", strict=True))
_ACCENT = re.compile(
    r"[AOao]e&|ss&|s&|[AEIOUYaeiouy][`'^~:_]|[Aa]&|[CcSs],(?=[A-Za-z])|[CcGgHhJjSs]\^|[Nn]~|[DdLlOo]/|[?!]@"
)
_ACCENT_WORDS = {"AE&": "Æ", "Ae&": "Æ", "ae&": "æ", "OE&": "Œ", "Oe&": "Œ", "oe&": "œ", "s&": "ß", "ss&": "ß"}
_ACCENT_WORDS |= {"D/": "Đ", "d/": "đ", "L/": "Ł", "l/": "ł", "O/": "Ø", "o/": "ø", "?@": "¿", "!@": "¡"}


@dataclass
class Work:
    """A work without its markup."""

    text: str
    metadata: dict[str, str]
    """What header and footer say: title, subtitle, author, 底本, 底本の親本, 初出, 入力, 校正."""


def is_aozora(text: str) -> bool:
    """Whether a text bears Aozora markup: its legend, its footer, or at least two ruby readings or notes."""
    if "底本" in text and _FOOTER.search(text) and ("青空文庫" in text or "入力：" in text or "校正：" in text):
        return True
    if "《" not in text and "［＃" not in text:
        return False
    if _LEGEND.search(text[:4000]):
        return True
    return len(list(islice(chain(_RUBY.finditer(text), _NOTE.finditer(text)), 2))) == 2


def parse_aozora(text: str) -> Work:
    """Take header, footer, ruby and notes out of a work; resolve external characters, accents and repeat marks.

    Several works one after another (files that somebody joined) become one text; what is told of it is the first's.
    Never raises: marks without a partner are dropped and the text beside them is kept.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    bodies: list[str] = []
    metadata: dict[str, str] = {}
    for part, colophon in _split_works(text):
        lines, header = _split_header(part.strip("\n").split("\n"), with_footer=bool(colophon))
        body: list[str] = []
        for line in lines:
            plain = parse_line(line)
            # a line that held nothing but notes (page breaks, indents) is none
            if plain.strip() or not line.strip():
                body.append(plain)
        bodies.append("\n".join(body).strip("\n"))
        if len(bodies) == 1:
            metadata = {
                name: plain for name, value in (header | colophon).items() if (plain := parse_line(value).strip())
            }
    return Work("\n\n".join(body for body in bodies if body), metadata)


def parse_line(line: str) -> str:
    """A line without its ruby and notes, as in the body of a work."""
    if "／" in line:
        line = line.replace("／″＼", "〴〵").replace("／＼", "〳〵")
    if not _ANY_MARK.search(line):
        return line
    marks = [(match.start(), match[0]) for match in _MARKS.finditer(line)]
    partner = _match_marks(marks)
    pieces: list[str] = []
    opened: int | None = None  # where in pieces the last 〔 stands
    at = number = 0
    while number < len(marks):
        start, mark = marks[number]
        pieces.append(line[at:start])
        close = partner.get(number)
        at = start + len(mark)
        if mark == "《" or mark.endswith("［＃"):
            if close is not None:
                at = marks[close][0] + 1
                number = close
                if mark.startswith("※"):
                    pieces.append(resolve_gaiji(line[start:at]))
        elif mark == "〔":
            opened = len(pieces)
            pieces.append(mark)
        elif mark == "〕" and opened is not None:
            inside = "".join(pieces[opened + 1 :])
            del pieces[opened:]
            pieces.append(_parse_accents(inside))
            opened = None
        elif mark in "［］〕" or (mark == "｜" and close is None):  # a bar that is not before ruby is text
            pieces.append(mark)
        # 《 and 》 without a partner leave nothing
        number += 1
    pieces.append(line[at:])
    return "".join(pieces)


def resolve_gaiji(note: str) -> str:
    """The character that a note ※［＃…］ describes, by its code point or JIS X 0213 place; 〓 if it gives neither.

    >>> resolve_gaiji("「てへん＋劣」、第3水準1-84-77")
    '挘'
    """
    if match := _UNICODE.search(note):
        point = int(match[1], 16)
        if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF and point >= 0x20:
            return chr(point)
    for match in _POINT.finditer(note):
        plane, row, cell = int(match[1]), int(match[2]), int(match[3])
        if 1 <= row <= 94 and 1 <= cell <= 94:
            code = bytes([row + 0xA0, cell + 0xA0])
            try:
                return (code if plane == 1 else b"\x8f" + code).decode("euc_jis_2004")
            except UnicodeDecodeError:
                continue
    return GETA


def _split_works(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each work of a text without its footer, and what the footer says.

    A footer goes on to the notice that thanks the volunteers, which closes every file of Aozora Bunko; without one to the end
    of the text, or if that is far (the longest known has 3,027 characters) to a blank line: text is never taken for a footer.
    """
    start = 0
    while match := _FOOTER.search(text, start):
        notice = _NOTICE.search(text, match.end())
        end = notice.end() if notice else len(text)
        if end - match.start() > _LONGEST_FOOTER:
            blank = text.find("\n\n", match.end())
            end = blank if blank >= 0 else text.find("\n", match.end())
            end = end if end >= 0 else len(text)
        colophon: dict[str, str] = {}
        for line in text[match.start() : end].split("\n"):
            if entry := _COLOPHON.match(line):
                colophon.setdefault(entry[1], entry[2].strip())
        yield text[start : match.start()], colophon
        start = end
    if start == 0 or text[start:].strip():
        yield text[start:], {}


def _split_header(lines: list[str], with_footer: bool) -> tuple[list[str], dict[str, str]]:
    """Title, author and legend from the head of a work; without a legend, the lines before the first blank one."""
    legend = next((at for at, line in enumerate(lines[:_HEADER_LINES]) if _LEGEND.search(line)), None)
    if legend is not None:
        ends = range(legend + 1, min(len(lines), legend + _LEGEND_LINES))
        end = next((at for at in ends if _DASHES.fullmatch(lines[at].strip())), legend)
        head = [line.strip() for line in lines[:legend] if line.strip() and not _DASHES.fullmatch(line.strip())]
        return lines[end + 1 :], _name_header(head)
    if not with_footer:
        return lines, {}
    start = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
    end = next((at for at in range(start, len(lines)) if not lines[at].strip()), len(lines))
    head = [line.strip() for line in lines[start:end]]
    # a block that looks like prose is the text itself
    prose = any(len(line) > 60 or line.endswith(("。", "」")) for line in head)
    if prose or not 1 <= len(head) <= 5 or end == len(lines):
        return lines, {}
    return lines[end:], _name_header(head)


def _name_header(head: list[str]) -> dict[str, str]:
    if not head:
        return {}
    named = {"title": head[0]}
    if len(head) > 1:
        named["author"] = head[-1]
    if len(head) > 2:
        named["subtitle"] = " ".join(head[1:-1])
    return named


def _match_marks(marks: list[tuple[int, str]]) -> dict[int, int]:
    """For each opening mark the number of its closing one.

    Notes nest, ruby ends at the next 》, and ｜ (its own partner then) belongs to the next 《.
    """
    partner = _match_brackets(marks, plain=True)
    if any(mark.endswith("［＃") and number not in partner for number, (_, mark) in enumerate(marks)):
        # a plain ［ inside a note took the note's ］: leave plain brackets out of the matching
        partner = _match_brackets(marks, plain=False)
    end: int | None = None
    ruby = False
    for number in range(len(marks) - 1, -1, -1):
        mark = marks[number][1]
        if mark == "》":
            end, ruby = number, False
        elif mark == "《":
            ruby = end is not None
            if end is not None:
                partner[number] = end
        elif mark == "｜" and ruby:
            partner[number] = number
            ruby = False
    return partner


def _match_brackets(marks: list[tuple[int, str]], plain: bool) -> dict[int, int]:
    partner: dict[int, int] = {}
    opened: list[int] = []
    for number, (_, mark) in enumerate(marks):
        if mark.endswith("［＃") or (plain and mark == "［"):
            opened.append(number)
        elif mark == "］" and opened:
            partner[opened.pop()] = number
    return partner


def _parse_accents(inside: str) -> str:
    """〔…〕 round Latin letters with accent marks is notation for é and its kin; round anything else a bracket."""
    wide = any(unicodedata.east_asian_width(each) in "WF" for each in inside if each not in "＝（）")
    return f"〔{inside}〕" if wide or not _ACCENT.search(inside) else _ACCENT.sub(_accent, inside)


def _accent(match: re.Match[str]) -> str:
    mark = match[0]
    if mark in _ACCENT_WORDS:
        return _ACCENT_WORDS[mark]
    letter = unicodedata.normalize("NFC", mark[0] + _ACCENT_MARKS[mark[1]])
    return letter if len(letter) == 1 else mark
