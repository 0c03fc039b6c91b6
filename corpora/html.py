"""The main text of a web page, and metadata. Pure.

Trafilatura finds the main text: headings, paragraphs, list items and rows of tables (cells parted by " | ") are lines of
their own, navigation, footers, banners, forms, comments and scripts go. Of ruby the readings go; marks of editing and of
references (Wikipedia's) too. A table of one row is taken for layout. What has no hundred characters of prose left (twenty in an <article>) (log-in
pages, lists of links, errors) is empty text with a verdict, and so is what is too large or too deep to be a page of text.
"""

import logging
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from corpora.markdown import Page
from stage.errors import JgptError

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_MOST_CHARS = 20_000_000
_MOST_TAGS = 100_000
"""Tags that open and close; the worst page costs half a dozen seconds."""
_MOST_ELEMENTS = 30_000
"""Several steps of the extraction cost the square of their number; line breaks and ruby, which books are full of, do not."""
_HEAD_CHARS = 20_000
_PROSE_CHARS = 100
_PROSE_LINE = 20
_META_CHARS = 1000

_START = re.compile(
    r"(?:\ufeff|\s|<\?xml[^>]{0,200}>|<!--(?:(?!-->).){0,5000}-->)*<(?:!doctype\s+html|html|head|body)\b[^<]*>\s*<[a-z!/?]",
    re.I | re.S,
)
_CONTROL = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff]")
# HTML lets the end tags of readings out, the parser does not know it
_OPEN_READING = re.compile(r"(<(r[tp])\b[^<>]*>[^<]*)(?=<(?:r[btp]|rtc)\b)", re.IGNORECASE)
_LAYOUT = ".//table[not(.//table) and not(.//th) and count(.//tr) <= 1]"
_CROWDED = f"boolean(count(//*[not(self::br or self::ruby or self::rb)]) > {_MOST_ELEMENTS})"
_DROPPED = ".//*[self::rt or self::rp or self::rtc or contains(@class, 'mw-editsection') or (self::sup and contains(@class, 'reference'))]"
_ROW = re.compile(r"^\| (.*?) ?\|[ \t]*$")
_RULE = re.compile(r"^\|(?:---\|)+$\n?", re.MULTILINE)
_PROSE_END = tuple("。．.！？!?」』）")

_METADATA = {
    "title": ("og:title", "dc.title", "title"),
    "author": ("author", "dc.creator", "article:author"),
    "date": ("article:published_time", "datepublished", "dc.date", "date"),
    "language": ("lang", "og:locale"),
    "url": ("canonical", "og:url"),
}


def is_html(text: str) -> bool:
    """Whether a text is a whole HTML page: it begins with a tag that begins pages and another one."""
    return _START.match(text[:_HEAD_CHARS]) is not None


def parse_html(text: str, url: str = "", *, code: bool = True) -> Page:
    """The main text of a page, and its title, author, date, language and url. ``code=False`` drops its ``<pre>`` blocks.

    ``url`` is where the page was found; the address that it gives itself goes before. An encoding that the page declares
    counts for nothing, as the text is decoded. Never raises for a text; raises JgptError where the library is missing.
    """
    extract = _extractor()
    if len(text) > _MOST_CHARS or text.count("<") > _MOST_TAGS:
        return Page("", verdict=("html_too_large", float(len(text))))
    tree = _parse(text)
    if tree is None:
        return Page("", verdict=("html_too_deep", 1.0))
    metadata = ({"url": url} if url else {}) | _read_metadata(tree)
    _drop(tree.xpath(_DROPPED) + ([] if code else list(tree.iter("pre"))))
    if tree.xpath(_CROWDED):
        return Page("", metadata, ("html_too_large", float(len(text))))
    for table in tree.xpath(_LAYOUT):
        for element in list(table.iter("table", "tbody", "tr", "td")):
            element.tag = "div"
    try:
        found = extract(tree, include_comments=False, include_tables=True) or ""
    except (ValueError, TypeError, AttributeError, RecursionError):  # its ways to stumble over broken trees
        found = ""
    lines = [_ROW.sub(r"\1", line).rstrip() for line in _RULE.sub("", found).split("\n")]
    prose = sum(len(line) for line in lines if len(line) >= _PROSE_LINE or line.endswith(_PROSE_END))
    if prose < (_PROSE_CHARS if tree.find(".//article") is None else _PROSE_LINE):
        return Page("", metadata, ("html_without_prose", float(prose)))
    return Page("\n".join(lines), metadata)


@cache
def _extractor() -> Any:
    try:
        from trafilatura import extract
    except ImportError:
        raise JgptError("markup: html: a library is not installed: pip install 'jgpt[web]'") from None
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return extract


def _parse(text: str) -> "HtmlElement | None":
    """The tree of a page; None for one that is deeper than the parser goes (2,048 elements)."""
    from lxml.etree import ParserError
    from lxml.html import Element, HTMLParser, document_fromstring

    data = _OPEN_READING.sub(r"\1</\2>", _CONTROL.sub("", text)).encode("utf-8", "replace")
    parser = HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        tree = document_fromstring(data, parser=parser)
    except ParserError:  # nothing is in it
        tree = Element("html")
    return None if any(entry.level_name == "FATAL" for entry in parser.error_log) else tree


def _drop(elements: "list[HtmlElement]") -> None:
    """Take elements out and leave what follows them, each parent once: one after another costs the square of their number."""
    dropped = set(elements)
    for parent in dict.fromkeys(element.getparent() for element in elements):
        before, texts = (parent, "text"), [parent.text or ""]
        for child in [*parent, None]:
            if child in dropped:
                texts.append(child.tail or "")
                parent.remove(child)
                continue
            if len(texts) > 1:
                setattr(*before, "".join(texts) or None)
            if child is not None:
                before, texts = (child, "tail"), [child.tail or ""]


def _read_metadata(tree: "HtmlElement") -> dict[str, str]:
    given: dict[str, str] = {}
    for meta in tree.iter("meta"):
        key = meta.get("property") or meta.get("name") or meta.get("itemprop") or ""
        given.setdefault(key.lower(), meta.get("content") or "")
    for link in tree.iter("link"):
        given.setdefault((link.get("rel") or "").lower(), link.get("href") or "")
    given["title"] = next((title.text_content() for title in tree.iter("title")), "")
    given["lang"] = (
        tree.get("lang") or tree.get("{http://www.w3.org/XML/1998/namespace}lang") or tree.get("xml:lang") or ""
    )
    found = {name: next((given[key] for key in keys if given.get(key)), "") for name, keys in _METADATA.items()}
    return {name: " ".join(value.split()) for name, value in found.items() if 0 < len(value) <= _META_CHARS}
