"""Sentences of Japanese text, as places in it."""

import re
from collections.abc import Iterator

_SENTENCE = re.compile(r"[^。！？\n]+(?:[。！？]+[」』）〉》】\]\")]*)?")


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence: up to 。！？ with the brackets that close after it, or to the end of the line.

    White space around a sentence is left out of it.
    """
    for match in _SENTENCE.finditer(text):
        sentence = match.group()
        start = match.start() + len(sentence) - len(sentence.lstrip())
        end = match.end() - (len(sentence) - len(sentence.rstrip()))
        if start < end:
            yield start, end
