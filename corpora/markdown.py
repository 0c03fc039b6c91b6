"""Markdown to the plain text that a reader sees, and metadata. Pure.

CommonMark with tables, strikethrough, footnotes, front matter, containers (``:::tip``), and the tags and comments of MDX.
Headings, list items (with their mark, two spaces deeper for each list round them) and rows of tables (cells parted by
" | ") are lines of their own, other blocks are parted by a blank line. A line end inside a paragraph goes between Japanese
characters and beside Japanese punctuation and is a space elsewhere, as in a browser; hard breaks stay. Links leave their
text, code its content, footnotes stand at the end. Images leave nothing: their alternative texts are not read on the page,
and name files and badges more often than they say something. Tags go and the text between them stays, and is Markdown.

Emphasis ends where its writer meant it to: CommonMark alone leaves the marks of **「鍵」**が standing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from itertools import pairwise
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.ruler import RuleOptionsType
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_DEEPEST = 100
_DEEPEST_LINK = 10
_MOST_STRAY = 10
"""Brackets of a paragraph without a partner up to which they are left to the parser, which sees code between brackets."""
_META_CHARS = 1000
_MOST_CHARS = 3_000_000
_MOST_CODE = 0.25
"""The share of lines that look like a program's, outside of fences, from which on a text is taken for one."""
_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n((?:[^\n]{0,2000}\n){0,200}?)---[ \t]*(?:\r?\n|\Z)")
_FIELD = re.compile(r"^([A-Za-z][\w-]*):[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)
_TITLE = re.compile(r"^(?:title|layout):", re.MULTILINE)
_YAML = re.compile(r"(?:\s|#[^\n]*\n)*+(?:---|\.\.\.|- |[\w\"'.-]+[ \t]*:(?:\s|\Z)|[{}]|\Z)")

_TAG = re.compile(
    r"""<(?:/?([A-Za-z][\w.:-]*+)(?:[\s/](?:[^<>"'{}]++|"[^"]*+"|'[^']*+'|\{(?:[^{}]++|\{[^{}]*+\})*+\}){0,99}+)?/?>|/?>)"""
)
_COMMENT = re.compile(r"<!--|\{/\*|<[?!](?=[A-Za-z])")
_COMMENTS = {"<!--": ("-->", 3000), "{/*": ("*/}", 1000), "<?": (">", 1000), "<!": (">", 1000)}
"""How a comment ends, and after how many characters at most."""
_BRACKET = re.compile(r"\\.|([\[\]])", re.DOTALL)
_RAW_BLOCK = re.compile(r"<(?:(script|style|textarea|pre)\b|!|\?)", re.IGNORECASE)
_BREAKING = re.compile(
    "blockquote|br|caption|d[dlt]|details|div|fig(caption|ure)|h[1-6r]|li|[ou]l|p|pre|section|summary|table|t(body|d|h|head|r)"
)
_CONTAINER = re.compile(r":{3,}[ \t]*(?:\{[^}]*\}|[A-Za-z-]*)[ \t]*(.*)")
_HEADING_ID = re.compile(r"(?<![ \t])[ \t]*+\{#[^{}]*\}$")
_ALERT = re.compile(r"^\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]")

_SOFT = "\0"  # stands in no text: the parser replaces it
_STRAY = "\0"  # a bracket that is no link's, in what the parser reads
_WIDE = "\u2e80-\u312f\u31a0-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff60\uffe0-\uffe6\U00020000-\U0003ffff"
_CJK = re.compile(f"[{_WIDE}]")
_JOINED = re.compile(
    f"(?<=[{_WIDE}…—]){_SOFT}(?=[{_WIDE}…—])|(?<=[、。，．！？：；」』）】〕]){_SOFT}|{_SOFT}(?=[「『（【〔])"
)
_BREAKS = re.compile(f"(?<![ \t{_SOFT}])[ \t{_SOFT}]*+\n[ \t\n{_SOFT}]*")

# What is_markdown looks for. A heading stands between blank lines, which few comments of programs do.
_FENCE = re.compile(r"^[ \t>]{0,20}(?:(?:[-*+]|\d{1,9}\.)[ \t]+)?(`{3,}|~{3,})(.*)$", re.MULTILINE)
_HEADING = re.compile(r"(?:\A\s*+|\n[ \t]*\n)#{1,6} +[^\s-][^\n]*+(?=\n[ \t]*\n|\s*+\Z)")
_NAMED_HEADING = re.compile(r"^#{1,6} .*[^ ] ?\{#[\w-]+\}$", re.MULTILINE)
_LINK = re.compile(
    r"(?<![\w\\\[\])])\[[^\[\]\n]{1,200}\]\((?:https?://|mailto:|\.{0,2}/|#|[\w./-]{1,200}\.\w)[^\s()]*\)", re.ASCII
)
_TABLE = re.compile(r"^ {0,3}\|.*\n {0,3}\|[ \t]*:?-{2,}:?[ \t]*\|[-:| \t]*$", re.MULTILINE)
_BOLD = re.compile(r"(?<![\w*/])\*\*(?![\s*/])[^*\n]{1,100}(?<!\s)\*\*(?![\w*/])", re.ASCII)
_PROGRAM = re.compile(r"\A\s*#!|^[ \t]*(?:\"{3}|'{3})|(?:\"{3}|'{3})[ \t]*$", re.MULTILINE)
_CODE = re.compile(
    r"""(?!.*\]\()[ \t]*+(?:
        (?:def|done|echo|else|end|fi|from|FROM|function|import|library|print|return|RUN|SELECT|use)\b[^\x80-\U0010ffff]*
        | [\w.$\[\]'"-]{1,99}[ ]?(?:=|:=|<-)(?!=).*
        | (?:-[ ])?[\w."-]{1,99}:(?:[ ].*)?
        | .*(?:[;{}(\\]|[\w"')]\):?)
        | [\])}]+,?
    )[ \t]*$""",
    re.ASCII | re.VERBOSE,
)


@dataclass
class Page:
    """A document without its markup."""

    text: str
    metadata: dict[str, str] = field(default_factory=dict)
    """What the document says of itself, its title among it."""
    verdict: tuple[str, float] | None = None
    """Why it is rejected, if it is, and the measure of that."""


def is_markdown(text: str) -> bool:
    """Whether a text is Markdown: front matter with a title, or prose with a heading and another sign outside of programs.

    In doubt it is not: marks that are left over do less harm than plain text whose lines are joined.
    """
    if "# " not in text and not text.startswith(("---", "\ufeff---")):
        return False  # what follows takes time
    fields, body = _part_front_matter(text.removeprefix("\ufeff").replace("\r", ""))
    if _TITLE.search(fields) and not _YAML.match(body):
        return True
    prose, fences = _read_prose(body)
    if not _HEADING.search(prose):
        return False
    lines = [line for line in prose.split("\n") if line.strip() and not line.startswith("#")]
    rest = "\n".join(lines)
    marked = (
        fences
        or _NAMED_HEADING.search(prose)
        or _LINK.search(rest)
        or _TABLE.search(rest)
        or ("\n##" in prose and _BOLD.search(rest))
    )
    code = sum(_CODE.match(line) is not None for line in lines)
    return bool(marked) and not _PROGRAM.search(prose) and code <= _MOST_CODE * len(lines)


def _part_front_matter(text: str) -> tuple[str, str]:
    """The fields of the front matter, empty where there is none, and the rest."""
    match = _FRONT_MATTER.match(text)
    return (match[1], text[match.end() :]) if match and _FIELD.search(match[1]) else ("", text)


def _read_prose(text: str) -> tuple[str, int]:
    """What stands outside of fences, and the number of fences; after one that is not closed stands nothing."""
    prose, start, fence, count = [], 0, "", 0
    for match in _FENCE.finditer(text):
        if not fence and "`" not in match[2]:
            fence = match[1]
            prose.append(text[start : match.end()])
        elif fence and match[1].startswith(fence) and not match[2].strip():
            fence, start, count = "", match.end(), count + 1
    return "".join(prose if fence else [*prose, text[start:]]), count


def parse_markdown(text: str, *, code: bool = True) -> Page:
    """The text of a document, and its title and what else its front matter says. ``code=False`` drops code blocks.

    A document that would take gigabytes of memory is empty, with a verdict. Never raises.
    """
    if len(text) > _MOST_CHARS:
        return Page("", verdict=("markdown_too_large", float(len(text))))
    fields, text = _part_front_matter(text.removeprefix("\ufeff"))
    metadata = _read_front_matter(fields) if fields else {}
    plain, before = [], ""
    for block, kind in _read_blocks(_parser().parse(text), code):
        plain += ["\n" if kind == before in ("li", "tr") else "\n\n", block]
        before = kind
        if kind == "h1":
            metadata.setdefault("title", block)
    return Page("".join(plain[1:]), metadata)


def _read_front_matter(text: str) -> dict[str, str]:
    """The short values that stand by themselves, as they are written."""
    try:
        entries = yaml.load(text, yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        entries = {name: value.strip("\"'") for name, value in _FIELD.findall(text)}
    short = entries.items() if isinstance(entries, dict) else ()
    return {str(name): value for name, value in short if isinstance(value, str) and 0 < len(value) <= _META_CHARS}


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt
    from mdit_py_plugins.footnote import footnote_plugin

    parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable(["table", "strikethrough"]).use(footnote_plugin)
    interrupts: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("fence", "container", _read_container, interrupts)
    parser.block.ruler.at("html_block", _read_raw_block, interrupts)
    parser.core.ruler.before("inline", "brackets", _hide_brackets)
    parser.inline.ruler.at("html_inline", _read_tag)
    parser.inline.ruler.at("emphasis", _read_emphasis)
    return parser


def _hide_brackets(state: "StateCore") -> None:
    """Brackets without a partner, or round very many others, are no links, and cost the parser the square of their number."""
    for token in state.tokens:
        if token.type == "inline" and token.content.count("[") > _DEEPEST_LINK:
            hidden: list[int] = []
            opened: list[tuple[int, int]] = []  # where, and how deep the brackets in it go
            deepest = 0
            for match in _BRACKET.finditer(token.content):
                if match[1] == "[":
                    opened.append((match.start(), deepest))
                    deepest = 0
                elif match[1] and opened:
                    start, before = opened.pop()
                    hidden += [start] if deepest >= _DEEPEST_LINK else []
                    deepest = max(before, deepest + 1)
            hidden += [start for start, _ in opened] if len(opened) > _MOST_STRAY else []
            cuts = [-1, *sorted(hidden), len(token.content)]
            token.content = _STRAY.join(token.content[a + 1 : b] for a, b in pairwise(cuts))


def _read_container(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
    """A line that opens or closes a container: the title that it may bear is text."""
    match = _CONTAINER.fullmatch(state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]])
    if match and not silent:
        state.line = start + 1
        token = state.push("inline", "", 0)
        token.content, token.map, token.children = match[1].strip("[]: \t"), [start, start + 1], []
    return match is not None


def _read_raw_block(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
    """HTML that holds no Markdown; what stands in other tags is parsed."""
    from markdown_it.rules_block import html_block

    raw = _RAW_BLOCK.match(state.src, state.bMarks[start] + state.tShift[start])
    return raw is not None and html_block(state, start, end, silent)


def _read_tag(state: "StateInline", silent: bool) -> bool:
    start, end, name = state.pos, -1, ""
    if comment := _COMMENT.match(state.src, start):
        closing, most = _COMMENTS[comment[0]]
        found = state.src.find(closing, comment.end(), comment.end() + most)
        end = found + len(closing) if found >= 0 else -1
    elif tag := _TAG.match(state.src, start):
        end, name = tag.end(), (tag[1] or "").lower()
    if end >= 0 and not silent:
        token = state.push("html_inline", "", 0)
        token.content, token.tag = state.src[start:end], name
    state.pos = max(start, end)
    return end >= 0


def _read_emphasis(state: "StateInline", silent: bool) -> bool:
    """CommonMark's rule; besides, * after a Japanese character may open, and before one close, whatever it encloses."""
    from markdown_it.rules_inline.emphasis import tokenize

    start = state.pos
    done = tokenize(state, silent)
    if done and state.src[start] == "*":
        before, after = state.src[max(start - 1, 0) : start], state.src[state.pos : state.pos + 1]
        for delimiter in state.delimiters[start - state.pos :]:
            delimiter.open |= bool(_CJK.match(before) and after.strip())
            delimiter.close |= bool(_CJK.match(after) and before.strip())
    return done


def _read_blocks(tokens: "list[Token]", code: bool) -> Iterator[tuple[str, str]]:
    """Each block that has text, with its kind: h1, li for what stands in lists, tr for a row, p for all else."""
    depth, mark, heading = 0, "", ""
    row: list[str] | None = None
    for token in tokens:
        if token.tag in ("ul", "ol"):
            depth += token.nesting
        elif token.type == "list_item_open":
            mark = "  " * (depth - 1) + (f"{token.info}{token.markup} " if token.info else "- ")
        elif token.type in ("fence", "code_block", "html_block"):
            raw = token.content.removesuffix("\n")
            if token.type == "html_block":
                is_code = (match := _RAW_BLOCK.match(raw.lstrip())) and match[1] and match[1].lower() == "pre"
                raw = unescape(_TAG.sub("", raw)).strip("\n") if is_code else ""
            if code and raw.strip():
                yield raw, "li" if depth else "p"
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            yield " | ".join(row or []).strip(), "tr"
            row = None
        elif token.nesting > 0:
            heading = token.tag
        elif token.type == "inline":
            line = _read_line(token.children or [])
            line = _HEADING_ID.sub("", line) if heading in ("h1", "h2", "h3", "h4", "h5", "h6") else line
            if row is not None:
                row.append(line.replace("\n", " "))
            elif line:
                yield mark + line, "li" if depth else "h1" if heading == "h1" else "p"
                mark = ""


def _read_line(tokens: "list[Token]") -> str:
    """The text of inline tokens, without readings of ruby."""
    text, hidden = "", ""
    for token in tokens:
        if token.type == "html_inline" and token.tag in ("rt", "rp"):
            hidden = "" if token.content.startswith("</") else token.tag
        elif token.type == "html_inline" and token.tag == "ruby":
            hidden = ""
        elif token.type == "hardbreak" or (token.type == "html_inline" and _BREAKING.fullmatch(token.tag)):
            text += "\n"
        elif token.type == "softbreak":
            text += _SOFT
        elif token.type in ("text", "code_inline") and not hidden:
            text += token.content.replace(_STRAY, "[")
    text = _BREAKS.sub("\n", _ALERT.sub("", text)).strip(f" \t\n{_SOFT}")
    return _JOINED.sub("", text).replace(_SOFT, " ")
