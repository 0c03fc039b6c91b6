"""How well tokenizers cut Japanese text: measures that can be taken of any of them on the same lines.

Boundaries are compared with the words of UniDic-lite; precision and recall are over places inside a line. Efficiency is the
entropy of the pieces' frequencies over that of a vocabulary used evenly: Shannon's, and Renyi's of order 2.5, which Zouhar et al.
(2023) found to go with quality. None of this tells how well a model learns on the pieces; bits per character of a model does.
"""

import math
import time
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokenizer.japanese import Span
from tokenizer.opening import AnyTokenizer, losses
from tokenizer.words import Word, Words

RENYI_ORDER = 2.5


@dataclass(frozen=True)
class Lines:
    """Lines of text and the words in each, for all tokenizers that are measured."""

    texts: list[str]
    words: list[list[Word]]


def cut_lines(texts: Sequence[str]) -> Lines:
    """Find the words of some lines of text."""
    words = Words()
    return Lines(list(texts), [words.cut(text) for text in texts])


def measure(tokenizer: AnyTokenizer, lines: Lines) -> dict[str, Any]:
    """Every measure of a tokenizer on some lines, by name; shares are of its tokens unless the name says otherwise.

    Tokens that stand for something unknown are charged as the bytes of it wherever tokens are counted by size.
    """
    used = Counter[int]()
    tally = Counter[str]()
    started = time.perf_counter()
    encoded = tokenizer.encode_batch(lines.texts)
    encode_seconds = time.perf_counter() - started
    started = time.perf_counter()
    decoded = [tokenizer.decode(ids) for ids in encoded]
    decode_seconds = time.perf_counter() - started
    for text, words in zip(lines.texts, lines.words, strict=True):
        ids, spans = tokenizer.encode_with_spans(text)
        used.update(ids)
        for index, (begin, end) in zip(ids, spans, strict=True):
            if tokenizer.is_unknown(index):
                tally["unknown"] += 1
                tally["charged"] += max(1, len(text[begin:end].encode())) - 1
        _compare(text, spans, words, tally)
    tokens, size = used.total(), tokenizer.vocab_size
    characters, total_bytes = sum(map(len, lines.texts)), sum(len(text.encode()) for text in lines.texts)
    charged = tokens + tally["charged"]
    precision, recall = _ratio(tally["right"], tally["own"]), _ratio(tally["right"], tally["gold"])
    return {
        "vocab_size": size,
        "lines": len(lines.texts),
        "characters": characters,
        "tokens": tokens,
        "characters_per_token": _ratio(characters, charged),
        "bytes_per_token": _ratio(total_bytes, charged),
        "tokens_per_word": _ratio(charged, sum(map(len, lines.words))),
        "byte_fallback_share": _ratio(sum(count for index, count in used.items() if tokenizer.is_byte(index)), tokens),
        "unknown_share": _ratio(tally["unknown"], tokens),
        "boundary_precision": precision,
        "boundary_recall": recall,
        "boundary_f1": _ratio(2 * precision * recall, precision + recall),
        "crosses_word_share": _ratio(tally["crossing"], tokens),
        "punctuation_glued_share": _ratio(tally["glued"], tokens),
        "particle_in_front_share": _ratio(tally["particle"], tokens),
        "shannon_efficiency": efficiency(used.values(), size, 1.0),
        "renyi_efficiency": efficiency(used.values(), size, RENYI_ORDER),
        "vocabulary_used": _ratio(len(used), size),
        "round_trip_exact": _ratio(sum(map(str.__eq__, decoded, lines.texts)), len(lines.texts)),
        "loses": losses(tokenizer),
        "encode_megabytes_per_second": total_bytes / 1e6 / max(encode_seconds, 1e-9),
        "decode_megabytes_per_second": total_bytes / 1e6 / max(decode_seconds, 1e-9),
    }


def efficiency(counts: Any, vocab_size: int, order: float) -> float:
    """Renyi entropy of that order of the frequencies over log V; order 1 is Shannon's."""
    total = sum(counts)
    shares = [count / total for count in counts if count]
    if not shares or vocab_size < 2:
        return 0.0
    if order == 1:
        entropy = -math.fsum(share * math.log(share) for share in shares)
    else:
        entropy = math.log(math.fsum(share**order for share in shares)) / (1 - order)
    return abs(entropy) / math.log(vocab_size)


def _compare(text: str, spans: Sequence[Span], words: Sequence[Word], tally: Counter[str]) -> None:
    """Count the boundaries of a line that tokens and words share, and the tokens that mix what should be apart."""
    inside = range(1, len(text))
    own = {place for span in spans for place in span if place in inside}
    gold = sorted({place for word in words for place in word[:2] if place in inside})
    tally["own"] += len(own)
    tally["gold"] += len(gold)
    tally["right"] += len(own.intersection(gold))
    particles = {word.begin: word.end for word in words if word.particle}
    for begin, end in spans:
        if end - begin < 2:
            continue
        place = bisect_right(gold, begin)
        if place < len(gold) and gold[place] < end:
            tally["crossing"] += 1
            tally["particle"] += particles.get(begin, end) < end
        tally["glued"] += _is_glued(text[begin:end])


@lru_cache(1 << 16)
def _is_glued(surface: str) -> bool:
    """Whether punctuation and something else than punctuation and spaces stand in one token."""
    kinds = {unicodedata.category(character)[0] for character in surface if not character.isspace()}
    return "P" in kinds and len(kinds) > 1


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0.0
