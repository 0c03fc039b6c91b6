"""How alike two texts are by their characters: a cosine that nobody trained, and a ridge regression on such measures."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eval.bags import grams
from eval.examples import Example

Table = NDArray[np.float64]
_SIZES = (1, 2, 3, 4)
_KANJI = re.compile(r"[㐀-䶿一-鿿々〇\U00020000-\U0003ffff]")
_KATAKANA = re.compile(r"[ァ-ヺー]+")
_NUMBERS = re.compile(r"[0-9０-９]+|[〇一二三四五六七八九十百千]+(?=[人匹頭羽台本枚個つ])")
_RUN = re.compile(r"[㐀-䶿一-鿿々〇\U00020000-\U0003ffff]+|[ァ-ヺー]+|[0-9０-９A-Za-zＡ-Ｚａ-ｚ]+")
_PENALTY = 30.0  # of the ridge: from 1 to 100 the correlation on JSTS changes by less than .001
_ENDING = 3  # characters: 。 and what is left of a verb


class Idf:
    """Inverse document frequencies of what ``parts`` finds in texts: ln((N + 1) / (texts with it + 1)) + 1."""

    def __init__(self, texts: Iterable[str], parts: Callable[[str], list[str]]) -> None:
        found = [set(parts(text)) for text in texts]
        self.parts = parts
        self._texts, self._seen = len(found), Counter(part for each in found for part in each)

    def __call__(self, part: str) -> float:
        return math.log((self._texts + 1) / (self._seen[part] + 1)) + 1

    def cosine(self, one: str, other: str) -> float:
        """Of the two texts' counts times idf; 0 where a text has no parts."""
        first, second = (Counter(self.parts(text)) for text in (one, other))
        same = sum(count * second[part] * self(part) ** 2 for part, count in first.items() if part in second)
        lengths = [sum((count * self(part)) ** 2 for part, count in each.items()) for each in (first, second)]
        return same / math.sqrt(math.prod(lengths)) if all(lengths) else 0.0

    def covered(self, one: str, other: str) -> tuple[float, float]:
        """What share of each text's parts, by idf, the other has too; the smaller first."""
        first, second = (set(self.parts(text)) for text in (one, other))
        # sorted: sums of the same numbers in another order differ in the last bit
        same, *each = (sum(self(part) for part in sorted(parts)) for parts in (first & second, first, second))
        least, most = sorted(same / weight if weight else 0.0 for weight in each)
        return least, most


def idf_cosine(train: Sequence[Example] | None, test: Sequence[Example]) -> list[float]:
    """Cosine of the idf-weighted characters of two texts; the frequencies are of the training texts where there are some."""
    idf = Idf((text for example in train or test for text in example.texts), list)
    return [idf.cosine(*_pair(example)) for example in test]


def lexical_ridge(train: Sequence[Example], test: Sequence[Example]) -> list[float]:
    """Ridge regression on the lexical measures of two texts, their squares and products; within the range of the labels."""
    texts = [text for example in train for text in example.texts]
    by_size = [Idf(texts, partial(grams, size=size)) for size in _SIZES]
    kanji, runs = Idf(texts, _KANJI.findall), Idf(texts, _RUN.findall)

    def measures(example: Example) -> list[float]:
        one, other = _pair(example)
        shorter, longer = sorted((len(one), len(other)))
        common = common_subsequence(one, other)
        return [
            *(idf.cosine(one, other) for idf in by_size),
            *(_jaccard(grams(one, size), grams(other, size)) for size in _SIZES),
            *by_size[0].covered(one, other),
            common / max(longer, 1),
            common / max(shorter, 1),
            math.log((longer + 1) / (shorter + 1)),
            math.log((longer + 1) * (shorter + 1)),
            kanji.cosine(one, other),
            runs.cosine(one, other),
            *runs.covered(one, other),
            _jaccard(_KATAKANA.findall(one), _KATAKANA.findall(other)),
            _jaccard(_NUMBERS.findall(one), _NUMBERS.findall(other)),
            float(one[-_ENDING:] == other[-_ENDING:]),
            *(float(_RUN.findall(one)[place] == _RUN.findall(other)[place]) for place in (slice(1), slice(-1, None))),
        ]

    known = np.array([measures(example) for example in train])  # [N, F]
    asked = np.array([measures(example) for example in test]).reshape(len(test), known.shape[1])
    labels = np.array([example.label for example in train], np.float64)
    found = _ridge(*_quadratic(known, asked), labels)
    return [float(value) for value in found.clip(labels.min(), labels.max())]


def common_subsequence(one: str, other: str) -> int:
    """Length of the longest common subsequence, a bit a character (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for place, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << place
    every = (1 << len(one)) - 1
    row = every
    for character in other:
        matched = row & places.get(character, 0)
        row = (row + matched | row - matched) & every
    return len(one) - row.bit_count()


def _pair(example: Example) -> tuple[str, str]:
    return example.texts[0], example.texts[-1]


def _jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    """Shared parts of all parts; 1 where there are none to differ in."""
    first, second = set(one), set(other)
    return len(first & second) / len(first | second) if first | second else 1.0


def _quadratic(known: Table, asked: Table) -> tuple[Table, Table]:
    """Measures [N, F] standardised by those of the training examples, with their products [N, F + F(F+1)/2]."""
    mean, spread = known.mean(0), known.std(0)
    first, second = np.triu_indices(known.shape[1])
    parts = ((table - mean) / np.where(spread > 0, spread, 1) for table in (known, asked))
    one, other = (np.hstack([part, part[:, first] * part[:, second]]) for part in parts)
    return one, other


def _ridge(known: Table, asked: Table, labels: Table) -> Table:
    """Hoerl and Kennard (1970), in closed form, on standardised columns: [M]."""
    mean, spread = known.mean(0), known.std(0)
    one, other = ((table - mean) / np.where(spread > 0, spread, 1) for table in (known, asked))
    gram = one.T @ one + _PENALTY * np.eye(one.shape[1])
    return np.asarray(other @ np.linalg.solve(gram, one.T @ (labels - labels.mean())) + labels.mean())
