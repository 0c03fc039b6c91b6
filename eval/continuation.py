"""``continuation``: the true next sentence against three of like length from the same document.

Like length and the same document, else the task would measure length and topic. The candidates still differ in how
probable they are by themselves (a rare name costs more bits than any context can save), so the primary metric is PMI:
how much more probable the context makes each of them.
"""

from collections.abc import Sequence

import numpy as np

from eval.multiple_choice import Item
from eval.sentences import sentence_spans

CHOICES = 4
CONTEXT = 200  # characters, about
MAX_ITEMS = 1000
_SHORTEST, _LONGEST = 8, 120  # characters of a candidate
_LEAST_CONTEXT = 30  # characters
_PER_DOCUMENT = 50
_LIKE = 0.1  # share by which lengths may differ


def build_continuation(texts: Sequence[str], *, seed: int = 0, limit: int = 0) -> tuple[list[Item], list[str]]:
    """Items from the documents, at most ``limit`` (0: 1000), and notes on what was left out.

    The same texts and seed give the same items; the place of the true sentence goes round evenly.
    """
    generator = np.random.default_rng(seed)
    most = min(limit or MAX_ITEMS, MAX_ITEMS)
    items: list[Item] = []
    read = without = 0
    for number in generator.permutation(len(texts)):
        if len(items) >= most:
            break
        found = _document_items(int(number), texts[int(number)], generator, len(items))
        read += 1
        without += not found
        items += found[: most - len(items)]
    notes = [
        f"{len(items)} items from {read - without} documents",
        f"{without} documents had no sentence with {CHOICES - 1} others of like length",
        f"each place holds the true sentence in a {CHOICES}th of the items",
    ]
    return items, notes


def _document_items(number: int, text: str, generator: np.random.Generator, made: int) -> list[Item]:
    spans = list(sentence_spans(text))
    lengths = np.array([end - start for start, end in spans])
    fit = (lengths >= _SHORTEST) & (lengths <= _LONGEST)
    items: list[Item] = []
    for true in generator.permutation(np.flatnonzero(fit)):
        if len(items) >= _PER_DOCUMENT:
            break
        start, end = spans[true]
        begin = context_begin(spans, int(true))
        if start - begin < _LEAST_CONTEXT:
            continue
        context, sentence = text[begin:start], text[start:end]
        like = fit & (np.abs(lengths - lengths[true]) <= _LIKE * lengths[true])
        like[max(0, true - 1) : true + 2] = False
        following = text[slice(*spans[true + 1])] if true + 1 < len(spans) else ""
        others = _draw_others(text, spans, np.flatnonzero(like), generator, {sentence, following}, context)
        if others is None:
            continue
        gold = (made + len(items)) % CHOICES
        choices = (*others[:gold], sentence, *others[gold:])
        items.append(Item(f"{number}:{start}", context, choices, gold, neutral=""))
    return items


def context_begin(spans: Sequence[tuple[int, int]], true: int) -> int:
    """Where the context of a sentence begins: that of the first sentence within ``CONTEXT`` characters before it."""
    start = spans[true][0]
    begin = start
    for before in range(true - 1, -1, -1):
        if start - spans[before][0] > CONTEXT:
            break
        begin = spans[before][0]
    return begin


def _draw_others(
    text: str,
    spans: Sequence[tuple[int, int]],
    like: np.ndarray[tuple[int], np.dtype[np.int64]],
    generator: np.random.Generator,
    taken: set[str],
    context: str,
) -> list[str] | None:
    """Different sentences that do not stand in the context already, or None when there are too few."""
    others: list[str] = []
    for other in generator.permutation(like):
        candidate = text[spans[other][0] : spans[other][1]]
        if candidate in taken or candidate in context:
            continue
        others.append(candidate)
        taken.add(candidate)
        if len(others) == CHOICES - 1:
            return others
    return None
