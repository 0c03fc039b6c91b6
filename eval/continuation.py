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
        f"each of the {CHOICES} places holds the true sentence equally often",
    ]
    return items, notes


def _document_items(number: int, text: str, generator: np.random.Generator, made: int) -> list[Item]:
    spans = list(sentence_spans(text))
    sentences = [text[start:end] for start, end in spans]
    lengths = np.array([len(sentence) for sentence in sentences])
    fit = (lengths >= _SHORTEST) & (lengths <= _LONGEST)
    items: list[Item] = []
    for true in generator.permutation(np.flatnonzero(fit)):
        if len(items) >= _PER_DOCUMENT:
            break
        start = spans[true][0]
        begin = next(before for before, _ in spans if start - before <= CONTEXT)
        if start - begin < _LEAST_CONTEXT:
            continue
        context = text[begin:start]
        like = fit & (np.abs(lengths - lengths[true]) <= _LIKE * lengths[true])
        like[max(0, true - 1) : true + 2] = False
        drawn = [sentences[other] for other in generator.permutation(np.flatnonzero(like))]
        # equal to the true or the following sentence, or in sight: no wrong answers
        known = sentences[true : true + 2]
        others = [other for other in dict.fromkeys(drawn) if other not in known and other not in context]
        if len(others) < CHOICES - 1:
            continue
        gold = (made + len(items)) % CHOICES
        choices = (*others[:gold], sentences[true], *others[gold : CHOICES - 1])
        items.append(Item(f"{number}:{start}", context, choices, gold, neutral=""))
    return items
