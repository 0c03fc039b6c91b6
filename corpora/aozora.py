"""Aozora Bunko markup to plain text and metadata. Pure, and linear in the length of the text.

Follows the annotation manual of Aozora Bunko: https://www.aozora.gr.jp/annotation/ . Readings and notes are dropped,
what they annotate stays. Parse before normalising: NFKC would fold the marks away.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from stage.errors import UsageError

Ruby = Literal["drop", "keep"]
GETA = "〓"
"""Stands for a character that a note describes only in words, as in print."""

_DASHES = re.compile(r"-{8,}")
_LEGEND = re.compile(r"【テキスト中に現れる記号について】|［表記について］")
_FOOTER = re.compile(r"^[ 　]*(?:底本[ 　]*[：:]|入力[ 　]*[：:].*\n(?:.*\n)?[ 　]*校正[ 　]*[：:])", re.MULTILINE)
_NOTICE = re.compile("ボランティアの皆さん.*$", re.MULTILINE)
_LONGEST_FOOTER = 5000
_TYPISTS_NOTES = re.compile(r"\n-{8,}\n[●※]?入力者注.*\Z", re.DOTALL)
_ENTRIES = "底本の親本|翻訳の底本|底本|初出|入力|校正"
_COLOPHON = re.compile(rf"^[ 　]*({_ENTRIES})[ 　]*[：:][ 　]*(.*)$")
_OF_FOOTER = rf"(?:[ 　]*(?:{_ENTRIES})[ 　]*[：:]|　　　|[※●0-9０-９]|このファイル|青空文庫)"
_FOOTER_LINES = re.compile(rf"(?:{_OF_FOOTER}.*\n|[ 　]*\n)*+")
_PROSE = re.compile(rf"^(?!{_OF_FOOTER}).*[。！？][ 　]*$", re.MULTILINE)
_CONTRIBUTOR = re.compile(r"^(.*[^　 後前続正])[　 ]*(訳|編)$")
_CONTRIBUTORS = {"訳": "translator", "編": "editor"}
_KANJI = "[㐀-䶿一-鿿々〆〇ヶ𠀀-𯿿]"
# 歌劇《カルメン》 is a title: readings in katakana alone tell of no ruby
_SIGNS_OF_RUBY = re.compile(rf"{_KANJI}[｜]?《[ぁ-ゖー・ゝゞ]{{1,30}}》|｜[^｜《》\n]{{1,30}}《[^《》\n]{{1,30}}》")
# what holds kanji or stands alone in a line is a title, and so is 連作《ひまわり》, which holds no reading of 作
_WORKS = re.findall(
    r"(\S)(\S+)", "作さづ 品ひしじ 曲きま 画がかえ 真しじま 劇げ 歌かうが 詩しうた 像ぞう 絵えゑ 説せぜと 集しあ 誌し"
)
_SIGNS_OF_TITLES = re.compile(
    r"《[ぁ-ヿ／″＼〔〕 　]*+[^《》\n][^《》\n]*》|^[ 　]*《[^《》\n]*》[ 　\r]*$|"
    + "|".join(rf"(?<={_KANJI}{kind})《[^《》\n{readings}]*》" for kind, readings in _WORKS),
    re.MULTILINE,
)
_SIGNS_OF_NOTES = re.compile(r"［＃[^］\n]{1,80}］")
_HEADER_LINES = 60
_LEGEND_LINES = 100

_MARKS = re.compile(r"［＃|[《》〔≪]|／″?＼")
_GAIJI = re.compile(r"※［＃[^［］\n]*］")
_NOTE = re.compile(r"［＃(?<!※［＃)[^［］\n]*］")
_BRACKETS = re.compile(r"※?［＃|[［］]")
# Lone surrogates, which no text holds, stand where a note was and for characters that a note gives and that are marks
_GAP = "\udc00"
_ESCAPES = {ord(mark): chr(0xDC80 + number) for number, mark in enumerate("《》｜［］＃※〔〕／＼″≪≫")}
_GAP_LINE = re.compile(f"\n[ 　]*{_GAP}[ 　{_GAP}]*(?=\n|\\Z)")
_STRAY_NOTE = re.compile("(?<!［)［+＃")
_RUBY = re.compile(r"《([^《》\n]*)》")
_EMPHASIS = re.compile(r"《《([^《》\n]*)》》")
_BAR = re.compile(r"[｜|](?=[^｜|《》\n]*《[^《》\n]*》)")  # half-width in web novels
# Readings stand behind a word: behind one of these only if ｜ says where their base begins
_NO_BASE = r"\s、。，．,.：:；;？！?!…‥―─「」『』（）()［］〈〉【】"
_BASE_ENDS_SO = re.compile(rf"｜([^｜《》\n]*+)(?<=[{_NO_BASE}])《([^《》\n]*)》|《(?<![^{_NO_BASE}]《)([^《》\n]*)》")
_DOUBLE_ANGLES = re.compile(r"≪([^≪≫\n]*)≫")
_POINT = re.compile(r"(?<![0-9-])([12])-(\d{1,2})-(\d{1,2})(?![0-9-])")
_UNICODE = re.compile(r"U\+([0-9A-Fa-f]{4,6})")
_SMALL_KANA = re.compile(r"小書き(?:平|片)仮名([ぁ-ゖァ-ヺ])(?=[、］]|$)")
_NAMED = re.compile(r"^(?:※［＃)?(感嘆符三つ|感嘆符二つ|疑問符二つ|感嘆符疑問符|疑問符感嘆符|二の字点)(?=[、］]|$)")
_NAMES = {
    "感嘆符三つ": "！！！",
    "感嘆符二つ": "‼",
    "疑問符二つ": "⁇",
    "感嘆符疑問符": "⁉",
    "疑問符感嘆符": "⁈",
    "二の字点": "〻",
}

# behind a letter: grave, acute, circumflex, tilde, diaeresis, ring, macron, cedilla
_ACCENT_MARKS = dict(zip("`'^~:&_,", "\u0300\u0301\u0302\u0303\u0308\u030a\u0304\u0327", strict=True))
_ACCENT = re.compile(
    r"[AO][Ee]&|[ao]e&|ss&|s&|[AEIOUYaeiouy](?:[`'^~_]|:(?! ))|[AUau]&|[CcSs],(?=[A-Za-z])|[CcGgHhJjSs]\^|[Nn]~|[DdLlOo]/|[?!]@"
)
_ACCENT_WORDS = {"AE&": "Æ", "Ae&": "Æ", "ae&": "æ", "OE&": "Œ", "Oe&": "Œ", "oe&": "œ", "s&": "ß", "ss&": "ß"}
_ACCENT_WORDS |= {"D/": "Đ", "d/": "đ", "L/": "Ł", "l/": "ł", "O/": "Ø", "o/": "ø", "?@": "¿", "!@": "¡"}
_TORTOISE = re.compile("([〔〕])")
# A reading that is kept is told from what the work brackets itself until accents are parsed
_OPEN, _CLOSE = "\udc01", "\udc02"
_READING = re.compile(f"{_OPEN}[^{_CLOSE}]*(?:{_CLOSE}|$)|^[^{_OPEN}]*{_CLOSE}")


@dataclass
class Work:
    """A work without its markup."""

    text: str
    metadata: dict[str, str]
    """What header and footer say: title, subtitle, author, translator, editor, 底本, 底本の親本, 初出, 入力, 校正."""


def is_aozora(text: str) -> bool:
    """Whether a text bears Aozora markup: its legend, its footer, or at least two notes or readings among few titles in 《》."""
    if "底本" in text and ("青空文庫" in text or "入力：" in text or "校正：" in text):
        *_, (_, colophon) = _split_works(text.replace("\r\n", "\n"))
        if colophon:
            return True
    if "《" not in text and "［＃" not in text:
        return False
    if _LEGEND.search(text[:4000]):
        return True
    notes = len(list(islice(_SIGNS_OF_NOTES.finditer(text), 2)))
    if notes + len(list(islice(_SIGNS_OF_RUBY.finditer(text), 2))) < 2:
        return False
    return notes > 0 or 4 * len(_SIGNS_OF_TITLES.findall(text)) <= len(_RUBY.findall(text))


def parse_aozora(text: str, ruby: Ruby = "drop") -> Work:
    """Take header, footer, ruby and notes out of a work; resolve external characters, accents and repeat marks.

    ``ruby="keep"`` writes readings behind their base: 雪（ゆき）. Several works one after another (files that somebody
    joined) become one text; what is told of it is the first's. Marks without a partner are dropped and the text beside
    them is kept. Text without any mark, header or footer comes out as it is. Parsing again changes nothing, unless the
    text holds characters that look like marks and were written as ≪ ≫ or as notes. Raises UsageError for another ``ruby``.
    """
    marked = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    plain = parse_line(marked, ruby)
    works = list(_split_works(plain))
    bodies: list[str] = []
    metadata: dict[str, str] = {}
    for part, colophon in works:
        lines, header = _split_header(part.strip("\n").split("\n"), with_footer=bool(colophon))
        metadata = metadata or header | colophon
        bodies.append("\n".join(lines).strip("\n") if len(works) > 1 or header or colophon else part)
    if plain == marked and works == [(plain, {})] and not metadata:
        return Work(text, {})
    if not any(map(str.strip, bodies)):
        return Work(plain, {})
    return Work("\n\n".join(filter(None, bodies)), {name: value for name, value in metadata.items() if value})


def parse_line(line: str, ruby: Ruby = "drop") -> str:
    """Lines of a body, or a value of its metadata, without ruby and notes; ``ruby`` as for ``parse_aozora``."""
    if ruby not in ("drop", "keep"):
        raise UsageError(f"ruby {ruby!r}: must be drop or keep")
    if not _MARKS.search(line):
        return line
    has_gaiji = "※［＃" in line
    if "［＃" in line:
        line = _drop_notes(line)
    if "《" in line or "》" in line:
        line = _parse_ruby(line, ruby)
    if "［＃" in line:
        # what stood between the two is gone
        line = _STRAY_NOTE.sub("", line)
    if "〔" in line:
        line = "\n".join(_parse_accents(each) if "〔" in each else each for each in line.split("\n"))
    if ruby == "keep":
        line = line.replace(_OPEN, "（").replace(_CLOSE, "）")
    if "＼" in line:
        line = line.replace("／″＼", "〴〵").replace("／＼", "〳〵")
    if "≪" in line:
        line = _DOUBLE_ANGLES.sub(r"《\1》", line)
    if has_gaiji:
        for mark, stand_in in _ESCAPES.items():
            line = line.replace(stand_in, chr(mark))
    return line


def resolve_gaiji(note: str) -> str:
    """The character that a note ※［＃…］ describes, by code point, JIS X 0213 place or a name for signs and kana; else 〓.

    A small kana that neither standard has becomes the kana of usual size.

    >>> resolve_gaiji("「てへん＋劣」、第3水準1-84-77")
    '挘'
    """
    if match := _UNICODE.search(note):
        point = int(match[1], 16)
        if point <= 0x10FFFF and unicodedata.category(chr(point)) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            return chr(point)
    for match in _POINT.finditer(note):
        plane, row, cell = int(match[1]), int(match[2]), int(match[3])
        if 1 <= row <= 94 and 1 <= cell <= 94:
            code = bytes([row + 0xA0, cell + 0xA0])
            try:
                return (code if plane == 1 else b"\x8f" + code).decode("euc_jis_2004")
            except UnicodeDecodeError:
                continue
    if match := _NAMED.match(note):
        return _NAMES[match[1]]
    if match := _SMALL_KANA.search(note):
        return match[1]
    return GETA


def _split_works(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each work of a text without its footer, and what the footer says.

    A footer goes on to the notice that thanks the volunteers, which closes every file of Aozora Bunko; without one to the end
    of the text, or if that is far (the longest known has 3,027 characters) to a blank line, and not over prose. What stands above
    all text is no footer.
    """
    start = 0
    head = _skip_footer(text, 0)
    notice = _NOTICE.search(text)
    prose = _PROSE.search(text)
    blank = text.find("\n\n")
    while match := _FOOTER.search(text, start or head):
        # what lies ahead of a footer is looked for once, however many footers there are
        if notice and notice.start() < match.end():
            notice = _NOTICE.search(text, match.end())
        end = notice.end() if notice else len(text)
        if end - match.start() > _LONGEST_FOOTER:
            if 0 <= blank < match.end():
                blank = text.find("\n\n", match.end())
            end = blank if blank >= 0 else text.find("\n", match.end())
            end = end if end >= 0 else len(text)
        if prose and prose.start() < match.end():
            prose = _PROSE.search(text, match.end())
        if prose and prose.start() < end and not (notice and end == notice.end()):
            end = _skip_footer(text, text.rfind("\n", 0, match.end()) + 1)
        colophon: dict[str, str] = {}
        for line in text[match.start() : end].split("\n"):
            if entry := _COLOPHON.match(line):
                colophon.setdefault(entry[1], entry[2].strip())
        yield _TYPISTS_NOTES.sub("", text[start : match.start()]), colophon
        start = end
    if start == 0 or text[start:].strip():
        yield text[start:], {}


def _skip_footer(text: str, at: int) -> int:
    """Where lines end that only a footer has, from the beginning of one on."""
    lines = _FOOTER_LINES.match(text, at)
    return lines.end() if lines else at


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
    """Title, subtitle, author, and whom the last lines name as translator or editor."""
    named: dict[str, str] = {}
    while len(head) > 1 and (match := _CONTRIBUTOR.match(head[-1])):
        named[_CONTRIBUTORS[match[2]]] = match[1]
        head = head[:-1]
    if head:
        named["title"] = head[0]
    if len(head) > 2 or (len(head) == 2 and not named.get("translator")):
        named["author"] = head[-1]
        named["subtitle"] = " ".join(head[1:-1])
    elif len(head) == 2:
        named["author"] = head[1]
    return named


def _drop_notes(text: str) -> str:
    """Text without notes, their external characters resolved; a line that held nothing but notes is none."""
    for _ in range(2):
        text = _GAIJI.sub(_gaiji, text)
        text = _NOTE.sub(_GAP, text)
        if "［＃" not in text:
            break
    else:
        text = "\n".join(_drop_nested_notes(line) if "［＃" in line else line for line in text.split("\n"))
    return _GAP_LINE.sub("", "\n" + text)[1:].replace(_GAP, "")


def _gaiji(match: re.Match[str]) -> str:
    return resolve_gaiji(match[0]).translate(_ESCAPES)


def _drop_nested_notes(line: str) -> str:
    """A line without its notes however deep they nest and whatever brackets stand in them; of what never closes the mark."""
    marks = list(_BRACKETS.finditer(line))
    partner = _match_brackets(marks, plain=True)
    if any(match[0] != "］" and match[0] != "［" and number not in partner for number, match in enumerate(marks)):
        # a plain ［ inside a note took the note's ］: leave plain brackets out of the matching
        partner = _match_brackets(marks, plain=False)
    pieces: list[str] = []
    at = 0
    for number, match in enumerate(marks):
        if match.start() < at or match[0] in "［］":
            continue
        pieces.append(line[at : match.start()])
        at = match.end()
        if number in partner:
            at = marks[partner[number]].end()
            note = line[match.start() : at]
            pieces.append(resolve_gaiji(note).translate(_ESCAPES) if note[0] == "※" else _GAP)
        elif match[0][0] == "※":
            pieces.append("※")
    pieces.append(line[at:])
    return _STRAY_NOTE.sub("", "".join(pieces))


def _match_brackets(marks: list[re.Match[str]], plain: bool) -> dict[int, int]:
    """For each opening bracket the number of its closing one."""
    partner: dict[int, int] = {}
    opened: list[int] = []
    for number, match in enumerate(marks):
        if match[0] == "］":
            if opened:
                partner[opened.pop()] = number
        elif plain or match[0] != "［":
            opened.append(number)
    return partner


def _parse_ruby(text: str, ruby: Ruby) -> str:
    """Text without readings, or with them in brackets; 《《…》》 and what stands behind no word is text, and loses its marks."""
    keep = ruby == "keep"
    text = _EMPHASIS.sub(r"\1", text)
    text = _BASE_ENDS_SO.sub(lambda match: match[3] or (match[1] or "") + _reading(match[2] if keep else ""), text)
    text = _BAR.sub("", text)
    text = _RUBY.sub("" if not keep else lambda match: _reading(match[1]), text)
    return text.replace("《", "").replace("》", "")


def _reading(text: str) -> str:
    return f"{_OPEN}{text}{_CLOSE}" if text else ""


def _parse_accents(line: str) -> str:
    """〔…〕 round Latin letters with accent marks is notation for é and its kin; round anything else a bracket."""
    tokens = _TORTOISE.split(line)
    opened: list[tuple[int, list[int]]] = []
    for at, token in enumerate(tokens):
        if token == "〔":
            opened.append((at, []))
        elif token == "〕" and opened:
            start, inside = opened.pop()
            if _is_accented([tokens[each] for each in inside]):
                for each in inside:
                    tokens[each] = _ACCENT.sub(_accent, tokens[each])
                tokens[start] = tokens[at] = ""
            if opened:
                opened[-1][1].append(at)
        elif token and opened:
            opened[-1][1].append(at)
    return "".join(tokens)


def _is_accented(tokens: list[str]) -> bool:
    """Whether there is an accent, or an empty token where a bracket inside had one, and nothing wide but some signs."""
    narrow = "".join(_READING.sub("", token) for token in tokens)
    wide = any(unicodedata.east_asian_width(each) in "WF" for each in narrow if each not in "＝（）")
    return not wide and any(not token or _ACCENT.search(token) for token in tokens)


def _accent(match: re.Match[str]) -> str:
    mark = match[0]
    if mark in _ACCENT_WORDS:
        return _ACCENT_WORDS[mark]
    letter = unicodedata.normalize("NFC", mark[0] + _ACCENT_MARKS[mark[1]])
    return letter if len(letter) == 1 else mark
