"""``particle``: a held-out sentence against the same one with one case particle exchanged.

Exchanging particles at random would measure how frequent the particle is (that alone finds up to 83 %). So the swaps
are drawn such that each A→B occurs exactly as often as B→A: a scorer that knows only the frequency of the particle, or
the length, gets half of them right. (A unigram over BPE pieces gets more: an exchange breaks merges, so its pieces see
the neighbours.) Pairs that are often both acceptable are left out. Of 90 other exchanges of the default corpus that
were read, about 3 stayed acceptable: the ceiling is near 97 %.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from eval.multiple_choice import Item
from eval.sentences import sentence_spans

PARTICLES = ("が", "を", "に", "へ", "と", "の", "で", "から", "より", "まで")
CONFUSABLE = (("が", "の"), ("に", "へ"), ("に", "で"), ("と", "に"), ("から", "より"), ("と", "の"))
"""Exchanges that are often acceptable: 神の造りし / 神が造りし, 家に帰る / 家へ帰る, 忍耐と信仰 / 忍耐の信仰."""

LEAST_SHARE = 0.01
"""Particles rarer than this are left out: what UniDic-lite takes for で or から in old text is mostly no particle."""

MAX_ITEMS = 1000
_SENTENCES = 5 * MAX_ITEMS  # read at most; a large corpus is sampled
_SHORTEST, _LONGEST = 8, 120  # characters
_NOUNS = ("名詞", "代名詞", "接尾辞")

PAIRS = tuple(pair for pair in combinations(PARTICLES, 2) if not {pair, pair[::-1]} & set(CONFUSABLE))


class _Sentence(NamedTuple):
    id: str
    text: str
    particles: list[tuple[int, str]]  # place, particle


def build_particle(texts: Sequence[str], *, seed: int = 0, limit: int = 0) -> tuple[list[Item], list[str]]:
    """Items from the documents, at most ``limit`` (0: 1000), and notes on how they came to be.

    One item a sentence; the right sentence stands first in half of them. The same texts and seed give the same items.
    """
    generator = np.random.default_rng(seed)
    sentences = keep_usual(_sentences(texts, generator))
    swaps = draw_swaps([sentence.particles for sentence in sentences], generator, min(limit or MAX_ITEMS, MAX_ITEMS))
    items = []
    for place, (number, at, old, new) in enumerate(swaps):
        sentence = sentences[number]
        changed = sentence.text[:at] + new + sentence.text[at + len(old) :]
        # A→B and B→A follow one another: both have their right sentence in the same place
        gold = (place // 2) % 2
        choices = (changed, sentence.text) if gold else (sentence.text, changed)
        group = "/".join(sorted((old, new)))
        items.append(Item(f"{sentence.id}:{old}>{new}@{at}", "", choices, gold, group=group))
    kinds = sorted({tuple(sorted((old, new))) for _, _, old, new in swaps})
    notes = [
        f"{len(items)} of {len(sentences)} sentences with case particles (UniDic-lite) were drawn",
        f"each A→B occurs as often as B→A; pairs {' '.join('/'.join(pair) for pair in kinds)}",
        "the frequency of the particle alone gets 50 %; the right sentence stands first in half of the items",
    ]
    return items, notes


def draw_swaps(
    sentences: Sequence[Sequence[tuple[int, str]]], generator: np.random.Generator, most: int
) -> list[tuple[int, int, str, str]]:
    """Exchanges (sentence, place, old, new), at most one a sentence, in pairs A→B, B→A.

    The rarest particles choose first, else を and に would use up the sentences of all others.
    """
    waiting: dict[str, list[tuple[int, int]]] = {particle: [] for particle in PARTICLES}
    for number in generator.permutation(len(sentences)):
        for at, particle in sentences[number]:
            if particle in waiting:
                waiting[particle].append((int(number), at))
    used: set[int] = set()

    def left(particle: str) -> bool:
        """Whether a sentence with the particle is left; those in use are dropped."""
        while waiting[particle] and waiting[particle][-1][0] in used:
            waiting[particle].pop()
        return bool(waiting[particle])

    swaps: list[tuple[int, int, str, str]] = []
    frequent_last = sorted(PARTICLES, key=lambda particle: (len(waiting[particle]), particle))
    for rare in frequent_last:
        partners = [pair[1 - pair.index(rare)] for pair in PAIRS if rare in pair]
        while left(rare) and len(swaps) + 2 <= most:
            one = waiting[rare].pop()
            used.add(one[0])
            open_partners = [partner for partner in partners if left(partner)]
            if not open_partners:
                used.discard(one[0])
                break
            partner = open_partners[int(generator.integers(len(open_partners)))]
            other = waiting[partner].pop()
            used.add(other[0])
            swaps += [(*one, rare, partner), (*other, partner, rare)]
    return swaps


def case_particles(text: str, tagger: Any) -> list[tuple[int, str]]:
    """Place and surface of each case particle (助詞-格助詞) that follows a noun and precedes no other particle.

    A tagger stops at U+0000, so what lies between is analysed piece by piece.
    """
    found = []
    begin = 0
    for piece in text.split("\0"):
        at = begin
        words = []
        for word in tagger(piece):
            at += len(word.white_space)
            words.append((at, word.surface, word.feature.pos1, word.feature.pos2))
            at += len(word.surface)
        for index, (place, surface, first, second) in enumerate(words):
            if (first, second) != ("助詞", "格助詞") or surface not in PARTICLES:
                continue
            # と言ふ, には: quoting, and what may stand beside another particle, are matters of their own
            before = words[index - 1][2] if index else ""
            after = words[index + 1][2] if index + 1 < len(words) else ""
            if before in _NOUNS and after != "助詞":
                found.append((place, surface))
        begin += len(piece) + 1
    return found


def keep_usual(sentences: Sequence["_Sentence"]) -> list["_Sentence"]:
    """The sentences with those particles only that hold ``LEAST_SHARE`` of all of them."""
    counts = Counter(particle for sentence in sentences for _, particle in sentence.particles)
    usual = {particle for particle, count in counts.items() if count >= LEAST_SHARE * counts.total()}
    kept = [
        sentence._replace(particles=[entry for entry in sentence.particles if entry[1] in usual])
        for sentence in sentences
    ]
    return [sentence for sentence in kept if sentence.particles]


def _sentences(texts: Sequence[str], generator: np.random.Generator) -> list[_Sentence]:
    """Different sentences of fit length with their particles, documents in drawn order."""
    import fugashi  # type: ignore[import-untyped,unused-ignore]

    tagger = fugashi.Tagger()
    found: list[_Sentence] = []
    seen: set[str] = set()
    for number in generator.permutation(len(texts)):
        text = texts[int(number)]
        for start, end in sentence_spans(text):
            sentence = text[start:end]
            if sentence in seen or not _SHORTEST <= len(sentence) <= _LONGEST:
                continue
            seen.add(sentence)
            if particles := case_particles(sentence, tagger):
                found.append(_Sentence(f"{number}:{start}", sentence, particles))
            if len(seen) >= _SENTENCES:
                return found
    return found
