"""Which markup a document bears, and the document without it."""

from typing import Any, NamedTuple

from corpora.aozora import is_aozora, parse_aozora, parse_line
from corpora.config import SourceConfig
from corpora.html import is_html, parse_html
from corpora.markdown import is_markdown, parse_markdown
from corpora.wikitext import is_wikitext, parse_wikitext
from stage.errors import JgptError

_MARKUPS = (
    (("《", "［＃", "底本"), "aozora", is_aozora),
    (("[[", "#", "＃"), "wikitext", is_wikitext),
    (("<",), "html", is_html),
    (("# ", "---"), "markdown", is_markdown),
)
STARTS = ("---", "\ufeff---")
SIGNS = tuple(sign for signs, _, _ in _MARKUPS for sign in signs if sign not in STARTS)
"""A text that holds none of these, and begins with none of those, is plain."""


class Stripped(NamedTuple):
    """Text without markup, metadata, and the reason why the document is rejected, if it is."""

    text: str
    meta: dict[str, Any]
    verdict: tuple[str, float] | None = None
    is_page: bool = False
    """Whether it was a page of the web."""
    is_repaired: bool = False
    """Whether the text had been read in a wrong encoding."""


def find_markup(text: str) -> str:
    """aozora, wikitext, html or markdown, in this order; plain where a text bears none of them."""
    for signs, name, is_one in _MARKUPS:
        if any(sign in text for sign in signs) and is_one(text):
            return name
    return "plain"


def strip_markup(text: str, meta: dict[str, Any], source: SourceConfig, known: str = "") -> Stripped:
    """Take the markup out that the source, or else its container (``known``), names, or that is found.

    Metadata of the record go before those of the document. What is rejected keeps its markup: redirects and disambiguation
    pages of a wiki, pages without prose, and HTML where its library is not installed and the source does not ask for it.
    """
    markup = source.markup if source.markup != "auto" else known or find_markup(text)
    if markup == "aozora":
        work = parse_aozora(text, ruby=source.ruby)
        given = {key: parse_line(value) if isinstance(value, str) else value for key, value in meta.items()}
        return Stripped(work.text, work.metadata | {key: value for key, value in given.items() if value != ""})
    if markup == "wikitext":
        article = parse_wikitext(text, str(meta.get("title") or ""))
        verdict = None if article.kind == "article" else (article.kind, 1.0)
        return Stripped(article.text if not verdict else text, article.metadata | meta, verdict)
    if markup == "html":
        try:
            page = parse_html(text, str(meta.get("url") or ""), code=source.code == "keep")
        except JgptError:
            if source.markup == "html":
                raise
            return Stripped(text, meta, ("html", 1.0))
        return Stripped(text if page.verdict else page.text, page.metadata | meta, page.verdict, is_page=True)
    if markup == "markdown":
        page = parse_markdown(text, code=source.code == "keep")
        return Stripped(text if page.verdict else page.text, page.metadata | meta, page.verdict)
    return Stripped(text, meta)
