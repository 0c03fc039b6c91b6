"""Why documents are rejected, for people."""

import re

from corpora.characters import count_classes, japanese_share

_MENDS = {
    "empty": "the sources hold no text in the field or files that were read",
    "redirect": "pages that only lead to another hold no text",
    "disambiguation": "pages that only list others hold no text",
    "html": "pip install 'jgpt[web]' to read HTML, or say --markup plain to keep it as it is",
    "html_without_prose": "log-in pages, lists of links and errors hold less than 100 characters of prose",
    "html_too_large": "pages of over 20 million characters, 100,000 tags, or 30,000 besides br and ruby are not read: part them",
    "html_too_deep": "tags that stand in more than 2,000 others are not read",
    "markdown_too_large": "documents of over 3 million characters are not parsed: part them, or say --markup plain",
    "lone_surrogate": "the text holds broken \\ud8xx escapes: write it out again as UTF-8",
    "mojibake": "the text was read in a wrong encoding and characters are lost: make it anew from its source",
    "blocked_domain": "its url is in the list of --block_domains",
}


def mend(reason: str) -> str:
    """What lets documents in that were rejected for a reason."""
    return _MENDS.get(reason) or f"say --rules with another threshold than {reason}, or --rules none"


def measured(reason: str, measure: float) -> str:
    """What the measure of a rejected document says, where it says more than its reason."""
    if reason == "mojibake":
        return f"from character {measure:.0f} on"
    return f"{re.split('[<>]', reason)[0]} {measure:.6g}" if re.search("[<>]", reason) else ""


def has_lone_surrogate(text: str) -> bool:
    """Whether the text holds half of a surrogate pair, which no UTF-8 file can store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def japanese_ratio(text: str) -> float:
    """Share of hiragana, katakana and kanji among the letters (``characters.japanese_share``)."""
    return japanese_share(count_classes(text))
