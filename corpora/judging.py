"""Measuring a normalised document and deciding whether it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from corpora.characters import count_classes, japanese_share
from corpora.config import CorpusConfig

REASONS = ("empty", "too_short", "too_long", "not_japanese", "lone_surrogate", "duplicate")
"""Why a document is rejected; ``duplicate`` is found when all documents are together (``corpora.build``)."""

MENDS = {
    "empty": "the sources hold no text in the field or files that were read",
    "too_short": "lower --min_chars",
    "too_long": "raise --max_chars, or part the files with documents: line or blank",
    "not_japanese": "lower --min_japanese (0 switches the rule off)",
    "lone_surrogate": "the text holds broken \\ud8xx escapes: write it out again as UTF-8",
    "duplicate": "switch --deduplicate off",
}
"""What lets documents of each reason in."""


@dataclass(frozen=True)
class Measures:
    """What is known of a text."""

    chars: int
    """Code points."""
    japanese_ratio: float
    """Share of hiragana, katakana and kanji among the letters (``characters.japanese_share``)."""


def has_lone_surrogate(text: str) -> bool:
    """Whether the text holds half of a surrogate pair, which no UTF-8 file can store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def measure(text: str) -> Measures:
    """The measures of a text."""
    return Measures(len(text), japanese_share(count_classes(text)))


def judge(text: str, measures: Measures, config: CorpusConfig) -> tuple[str, float] | None:
    """(reason, measure) when the document is to be rejected, None when it is kept."""
    if not text or text.isspace():
        return "empty", 0.0
    if measures.chars < config.min_chars:
        return "too_short", float(measures.chars)
    if config.max_chars and measures.chars > config.max_chars:
        return "too_long", float(measures.chars)
    if measures.japanese_ratio < config.min_japanese:
        return "not_japanese", measures.japanese_ratio
    return None
