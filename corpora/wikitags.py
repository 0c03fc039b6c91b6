"""The tags of wikitext: notes, pictures and their like are taken out, code is set aside, the text in others stays."""

import html
import re

# What stands in the text while it is parsed: a piece set aside, = in an argument, something dropped, a line break.
ASIDE, EQUALS, GONE, BREAK = "\0\1\2\3"

_RAW = "nowiki|pre|math|chem|ce|source|syntaxhighlight"
_SET_ASIDE = (
    f"ref|{_RAW}|gallery|timeline|imagemap|score|hiero|graph|mapframe|maplink|templatedata|templatestyles|inputbox"
    "|categorytree|rp"
)
_OPAQUE = re.compile(rf"<(/?)({_SET_ASIDE})(?=[\s/>])([^<>]*)>", re.IGNORECASE)
_LINES = "br|hr|p|div|li|ul|ol|dl|dt|dd|tr|caption|blockquote|center|poem|h[1-6]"
_INLINE = (
    "abbr|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|includeonly|indicator|ins|kbd|langconvert|mark|noinclude|onlyinclude"
    "|q|rb|rbc|references|rt|rtc|ruby|s|samp|section|small|span|strike|strong|sub|sup|tbody|td|tfoot|th|thead|time|tt|u|var|wbr"
)
_TAG = re.compile(rf"</?(?:({_LINES})|{_INLINE}|{_SET_ASIDE})(?:[\s/][^<>]*)?>", re.IGNORECASE)
_READING = re.compile(r"<rt(?:\s[^<>]*)?>([^<>]{0,200})(?:</rt\s*>)?", re.IGNORECASE)
_RAISED = re.compile(r"<su([pb])>([0-9+\-−]{1,9})</su\1>", re.IGNORECASE)
_SUPERSCRIPT = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_SUBSCRIPT = str.maketrans("0123456789+-−", "₀₁₂₃₄₅₆₇₈₉₊₋₋")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][0-9A-Za-z]{1,31});")


def take_out_tags(text: str) -> tuple[str, list[str]]:
    """A text without comments and tags, and the pieces of code that its marks ``ASIDE number ASIDE`` stand for."""
    text, aside = _set_aside(_drop_comments(text))
    text = _RAISED.sub(lambda match: match[2].translate(_SUPERSCRIPT if match[1] in "pP" else _SUBSCRIPT), text)
    return _TAG.sub(lambda match: BREAK if match[1] else "", _READING.sub(r"（\1）", text)), aside


def decode_entities(text: str) -> str:
    """Entities as their characters, once; a space that does not break is a space."""
    if "&" not in text:
        return text
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text).replace("\xa0", " ")


def _drop_comments(text: str) -> str:
    end = text.rfind("-->") + 3
    if end < 3:
        return text.replace("<!--", "")
    return re.sub(r"<!--.*?-->", GONE, text[:end], flags=re.DOTALL) + text[end:].replace("<!--", "")


def _set_aside(text: str) -> tuple[str, list[str]]:
    """Drop notes, galleries and their like; code and formulas go to a list, out of reach of what follows."""
    tags = list(_OPAQUE.finditer(text))
    last = {tag[2].lower(): number for number, tag in enumerate(tags) if tag[1]}
    pieces: list[str] = []
    aside: list[str] = []
    opened: re.Match[str] | None = None
    at = 0
    for number, tag in enumerate(tags):
        name = tag[2].lower()
        if opened and name != opened[2].lower():
            continue
        if opened and tag[1]:
            pieces += text[at : opened.start()], GONE
            at = tag.end()
            if name in _RAW.split("|"):
                pieces[-1] = f"{ASIDE}{len(aside)}{ASIDE}"
                inside = text[opened.end() : tag.start()]
                aside.append(decode_entities(inside) if name in ("nowiki", "pre") else inside.strip())
            opened = None
        elif not tag[1] and tag[3].endswith("/"):
            pieces += text[at : tag.start()], GONE
            at, opened = tag.end(), None
        elif not tag[1]:
            # one that is open already lacks its end
            opened = tag if last.get(name, -1) > number else None
    return "".join([*pieces, text[at:]]), aside
