"""Wikitext, the markup of Wikipedia, to the text that a reader sees. Pure, and linear in the length of the text.

Follows MediaWiki (https://www.mediawiki.org/wiki/Help:Formatting) and the templates of the Japanese Wikipedia as far as they
stand in sentences: a table says which arguments of theirs a reader sees. Other templates, tables, notes, pictures and
galleries are dropped; formulas stay as TeX and code as it is, for without them sentences have holes. Marks without a
partner are dropped and the text beside them is kept.
"""

import re
from dataclasses import dataclass, field

from corpora.wikitags import ASIDE, BREAK, EQUALS, GONE, decode_entities, take_out_tags
from corpora.wikitemplates import marks_disambiguation, show_template

_DEPTH = 50
"""Templates, links and tables may nest so deep; each level copies its text once, so this bounds the work."""

_REDIRECT = re.compile(r"\s*[#＃](?:REDIRECT|転送|リダイレクト)\s*+[:：]?\s*+\[\[\s*+:?([^\[\]|\n]+)", re.IGNORECASE)
_PARAMETER = re.compile(r"\{\{\{[^{}|\n]*+\|?([^{}\n]*+)\}\}\}")

# each begins with a character of its own, which makes the search fast
_MARK = re.compile(
    r"\||\n++[ \t:]*+\{\||\n++[ \t]*+\|\}(?!\}(?!\}))|\n+|\[\[+|\[(?:(?:https?:|ftp:)?//|mailto:)[^\s\[\]<>{}|\"]*|\]+"
    r"|\{\{+|\}\}+|<[Tt][Aa][Bb][Ll][Ee](?:\s[^<>]*)?>|</[Tt][Aa][Bb][Ll][Ee]\s*>"
)
_ROW = re.compile(r"\n[^\S\n]*+(?:[|!]|[\w-]+ *= *\").*")
_PICTURE = re.compile(r"\s*(?:file|image|media|ファイル|画像|メディア)\s*:", re.IGNORECASE)
_CATEGORY = re.compile(r"\s*(?:category|カテゴリ)\s*:\s*", re.IGNORECASE)
_INTERLANGUAGE = re.compile(r"(?!doi:)(?:[a-z]{2,3}(?:-[a-z]{1,10})*|simple):")
_SWITCH = re.compile(r"__(?:[A-Z]{3,25}|目次強制|目次非表示|目次|節編集非表示|全見出しを強制)__")
_QUOTES = re.compile(r"'{2,}")
_LIST = re.compile(r"[*#:;]+[ \t]*|-{4,}")
_BLANK = f" \t\u3000{GONE}{BREAK}"
_DOUBLED = re.compile(f"。{GONE}+(?=。)")
_SEPARATORS = " \t\u3000、，,;；:：/／・"
_HOLE = re.compile(f"([(（])?+(?<![{_SEPARATORS}])([{_SEPARATORS}]*+{GONE}[{_SEPARATORS}{GONE}]*+)([)）])?+")

_HEAD = 50_000
# [[ -z "$1" ]] of a shell and df[["a"]] are no links
_LINK = re.compile(r"(?<![A-Za-z0-9_)])\[\[[^\s\[\]|{}\"'$-][^\[\]|{}\n\"$]{0,100}(\|[^\[\]{}|\n\"$]{1,200})?\]\]")
_SIGN = re.compile(
    r"\[\[(?:Category|File|Image|カテゴリ|ファイル|画像):[^\[\]\n]|'''[^'\n]{1,100}'''"
    r"|\{\{[^\s{}|%=,;\"$][^{}|\n%=,;\"$]{0,40}(?:\||\}\})|^==[^=\n]{1,60}==$",
    re.MULTILINE | re.IGNORECASE,
)

_CUT = re.compile(
    "脚[注註]|[注註]釈?|本文注|出典|典拠|参照|(?:参考|引用)?文献|参考(?:資料|図書|書籍|リンク|サイト)"
    "|関連(?:項目|事項|文献|書籍|図書|資料|リンク)|外部(?:リンク|サイト)|ギャラリー|References|External links",
)
_AND = re.compile("および|及び|[・、，,/／＆&と]")


@dataclass
class Article:
    """A page without its markup."""

    text: str
    metadata: dict[str, str | list[str]] = field(default_factory=dict)
    """What is known: title, categories, redirect (where it leads)."""
    kind: str = "article"
    """article, redirect or disambiguation."""


def is_wikitext(text: str) -> bool:
    """Whether a text bears wikitext: a redirect, or links together with templates, bold text, headings or categories."""
    if is_redirect(text):
        return True
    head = text[:_HEAD]
    if "{%" in head:  # Jinja, Liquid
        return False
    linked = any(match[1] or not match[0].isascii() for match in _LINK.finditer(head))
    return linked and _SIGN.search(head) is not None


def is_redirect(text: str) -> bool:
    """Whether a page only leads to another."""
    return _REDIRECT.match(text) is not None


def parse_wikitext(text: str, title: str = "") -> Article:
    """The text of a page, and what it says of itself. Never raises: marks without a partner leave the text beside them.

    Sections of notes, sources and links are cut, wherever they stand; so are headings without text below them.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")
    text = re.sub("[\0-\3]", "", text)
    metadata: dict[str, str | list[str]] = {"title": title} if title else {}
    if match := _REDIRECT.match(text):
        return Article("", metadata | {"redirect": match[1].strip()}, "redirect")
    text, aside = take_out_tags(text)
    page = _Page(title)
    text = page.resolve(_PARAMETER.sub(r"\1", text))
    text = _QUOTES.sub(_apostrophes, _SWITCH.sub("", text)).replace(EQUALS, "=")
    text = re.sub(f"{ASIDE}(\\d+){ASIDE}", lambda match: aside[int(match[1])], _lay_out(text))
    text = re.sub("[\0-\3]", "", text).strip("\n")  # what comments in code left behind
    if page.categories:
        metadata["categories"] = list(page.categories)
    return Article(text, metadata, "disambiguation" if page.is_disambiguation else "article")


class _Frame:
    """A mark that is open: what it is, its finished parts and the pieces of the last."""

    __slots__ = ("kind", "mark", "parts", "pieces")

    def __init__(self, kind: str, mark: str) -> None:
        self.kind, self.mark = kind, mark
        self.parts: list[str] = []
        self.pieces: list[str] = []

    def close(self) -> list[str]:
        self.parts.append("".join(self.pieces))
        return self.parts


class _Page:
    """Templates, links and tables of a page, from the inside out, with a stack of those that are open."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.categories: dict[str, None] = {}
        self.is_disambiguation = False
        self.frames = [_Frame("", "")]

    def resolve(self, text: str) -> str:
        text = "\n" + text
        at = 0
        for match in _MARK.finditer(text):
            start, end = match.span()
            if at < start:
                self.frames[-1].pieces.append(text[at:start])
            at = end
            self._read(text[start:end])
        self.frames[-1].pieces.append(text[at:])
        self._abandon(1)
        return "".join(self.frames[0].pieces)

    def _read(self, mark: str) -> None:
        top = self.frames[-1]
        head, size = mark[0], len(mark)
        if head == "|":
            if top.kind in ("{{", "[["):
                top.parts.append("".join(top.pieces))
                top.pieces = []
            else:
                top.pieces.append(mark)
        elif head == "\n":
            self._end_line(mark.rstrip(" \t:{|}"))
            if mark.endswith("{|"):
                self._open("{|", mark)
            elif mark.endswith("}"):
                self._close("{|", ("{{",))
        elif head == "[" and size > 1 and mark[1] != "[":
            self._open("[", mark)
        elif head in "[{":
            top.pieces.append(mark[: size % 2])
            for _ in range(min(size // 2, _DEPTH)):
                self._open(mark[:2], mark[:2])
        elif head == "}":
            while size >= 2 and self._close("{{"):
                size -= 2
            self.frames[-1].pieces.append("}" * (size % 2))
        elif head == "]":
            while size:
                alone = self.frames[-1].kind == "["
                if (size == 1 and not alone) or not self._close("[" if alone else "[[", ("{{", "{|")):
                    break
                size -= 1 if alone else 2
            self.frames[-1].pieces.append("]" * (size % 2))
        elif mark[1] != "/":
            self._open("{|", mark)
        else:
            self._close("{|", ("{{",))

    def _end_line(self, lines: str) -> None:
        """A link keeps to its line, or if it has a label to its paragraph."""
        top = self.frames[-1]
        while top.kind == "[" or (top.kind == "[[" and (not top.parts or len(lines) > 1)):
            self._abandon(len(self.frames) - 1)
            top = self.frames[-1]
        top.pieces.append(lines)

    def _open(self, kind: str, mark: str) -> None:
        if len(self.frames) <= _DEPTH:
            self.frames.append(_Frame(kind, mark))

    def _close(self, kind: str, walls: tuple[str, ...] = ()) -> bool:
        """Close the innermost mark of a kind that no wall is round; marks that are open in it lack a partner."""
        for number in range(len(self.frames) - 1, 0, -1):
            if self.frames[number].kind == kind:
                self._abandon(number + 1)
                parts = self.frames.pop().close()
                if kind == "[[":
                    self._write(self._link(parts))
                elif kind == "{{":
                    self._write(self._template(parts))
                else:
                    self._write(parts[0].strip() or GONE if kind == "[" else GONE)
                return True
            if self.frames[number].kind in walls:
                break
        return False

    def _abandon(self, first: int) -> None:
        """Keep the text of all frames from a number on, whose marks lack a partner."""
        while len(self.frames) > first:
            frame = self.frames.pop()
            parts = frame.close()
            text = parts[-1]
            if frame.kind == "{|":
                text = _ROW.sub("", "\n" + text)[1:]
            elif frame.kind == "{{":
                text = "|".join(parts)
            elif frame.kind == "[" and not text.strip():
                text = frame.mark[1:]
            self._write(text)

    def _write(self, text: str) -> None:
        frame = self.frames[-1]
        frame.pieces.append(text.replace("=", EQUALS) if frame.kind == "{{" else text)

    def _link(self, parts: list[str]) -> str:
        if parts[0].startswith((" -", " $", ' "')):  # a test of a shell
            return f"[[{'|'.join(parts)}]]"
        target = parts[0].strip()
        if match := _CATEGORY.match(target):
            self.categories[target[match.end() :].replace(GONE, "").strip()] = None
            return GONE
        if _PICTURE.match(target) or _INTERLANGUAGE.match(target):
            return GONE
        if len(parts) > 1:
            return parts[1]
        target = target.removeprefix(":")
        return target[match.end() :] if (match := _INTERLANGUAGE.match(target)) else target

    def _template(self, parts: list[str]) -> str:
        """What a reader sees of a template in the sentence."""
        name = " ".join(parts[0].replace(GONE, "").replace("_", " ").split())
        if name.upper() in ("PAGENAME", "FULLPAGENAME"):
            return self.title
        if marks_disambiguation(name):
            self.is_disambiguation = True
            return GONE
        return show_template(name, parts[1:]) or GONE


def _lay_out(text: str) -> str:
    """Lines without list marks, headings only over text, holes mended, sections of notes and links cut."""
    lines: list[str] = []
    headings: list[tuple[int, str]] = []
    cut = 7  # the level of the section that is being cut; 7 for none
    for raw in text.split("\n"):
        line = raw.lstrip(GONE)
        bare = line.replace(GONE, "")
        if not bare.strip() and GONE in raw:
            continue
        if bare.startswith("=") and (heading := _heading(bare)):
            level = heading[0]
            if level <= cut:
                cut = level if all(_CUT.fullmatch(part.strip()) for part in _AND.split(heading[1])) else 7
                while headings and headings[-1][0] >= level:
                    headings.pop()
                headings.append(heading)
            continue
        if cut < 7:
            continue
        if match := _LIST.match(line):
            line = line[match.end() :]
            if not line.strip(_BLANK):
                continue
        line = _mend(decode_entities(line)) if GONE in line else decode_entities(line)
        parts = [part.lstrip(" \t").rstrip() for part in line.split(BREAK) if part.strip()]
        if parts and parts[0][0] in "。、" and lines and lines[-1] and not headings:
            lines.append(GONE + parts.pop(0))  # goes on with the line above
        if not line.strip(_BLANK) and lines and lines[-1]:
            lines.append("")
        if parts:
            for _, title in headings:
                lines += [title] if not lines or not lines[-1] else ["", title]
            headings.clear()
            lines += parts
    return "\n".join(lines).replace(f"\n{GONE}", "")


def _heading(line: str) -> tuple[int, str] | None:
    """Level and title of a heading."""
    line = line.replace(BREAK, " ").strip()
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    title = line[level:-level].strip() if level else ""
    return (level, decode_entities(title)) if title.strip("=") else None


def _mend(line: str) -> str:
    """A line without the holes that dropped marks left: empty brackets, separators at their edges or in pairs."""
    return _HOLE.sub(_fill_hole, _DOUBLED.sub("", line)).replace(GONE, "")


def _fill_hole(match: re.Match[str]) -> str:
    if match[1] or match[3]:
        return "" if match[1] and match[3] else match[1] or match[3]
    before, _, rest = match[2].partition(GONE)
    after = rest.rpartition(GONE)[2]
    return before if before.strip() or (before and not after.strip()) else after


def _apostrophes(match: re.Match[str]) -> str:
    """Two are italics, three bold, five both; the others are text."""
    size = len(match[0])
    return "'" if size == 4 else "'" * max(0, size - 5)
