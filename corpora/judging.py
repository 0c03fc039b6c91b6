"""Deciding whether a normalised document is kept."""

from corpora.characters import count_classes, japanese_share
from corpora.config import CorpusConfig

MENDS = {
    "empty": "the sources hold no text in the field or files that were read",
    "too_short": "lower --min_chars",
    "too_long": "raise --max_chars, or part the files with documents: line or blank",
    "not_japanese": "lower --min_japanese (0 switches the rule off)",
    "redirect": "pages that only lead to another hold no text",
    "disambiguation": "pages that only list others hold no text",
    "html": "pip install 'jgpt[web]' to read HTML, or say --markup plain to keep it as it is",
    "html_without_prose": "log-in pages, lists of links and errors hold less than 100 characters of prose",
    "html_too_large": "pages of over 20 million characters, 100,000 tags, or 30,000 besides br and ruby are not read: part them",
    "html_too_deep": "tags that stand in more than 2,000 others are not read",
    "lone_surrogate": "the text holds broken \\ud8xx escapes: write it out again as UTF-8",
    "mojibake": "the text was read in a wrong encoding and characters are lost: make it anew from its source",
}
"""Why a document is rejected, and what lets such documents in; ``corpora.build`` adds the reason ``duplicate``."""
MEASURES = {
    "too_short": "{:.0f} characters",
    "too_long": "{:.0f} characters",
    "not_japanese": "a share of {:.2f}",
    "mojibake": "from character {:.0f} on",
}
"""What the measure of a rejected document says, where it says more than its reason."""


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


def judge(text: str, ratio: float, config: CorpusConfig) -> tuple[str, float] | None:
    """(reason, measure) when a document with this Japanese ratio is to be rejected, None when it is kept."""
    if not text or text.isspace():
        return "empty", 0.0
    if len(text) < config.min_chars:
        return "too_short", float(len(text))
    if config.max_chars and len(text) > config.max_chars:
        return "too_long", float(len(text))
    if ratio < config.min_japanese:
        return "not_japanese", ratio
    return None
