"""Measures on words as UniDic-lite cuts them. Slow: the words are cut once for all of them, and only where one is asked for."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.repetition import END, repeated_shares

STOPWORDS = frozenset("のにをはたてがとで年し・月れさ")
"""The words that FineWeb-2 (configs/jpn_Jpan.yml) found to be the commonest of Japanese."""


def measure_words(texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """All measures of words, each float64 [N]; 0 where there are no words."""
    documents = [_words_of(text) for text in texts]
    shares = {
        name: np.zeros(len(texts))
        for name in ("words", "word_mean", "word_letter_share", "word_newlines", "word_stopwords")
    }
    for number, (text, words) in enumerate(zip(texts, documents, strict=True)):
        spelt = [word for word in words if any(map(str.isalnum, word))]
        shares["words"][number] = len(spelt)
        shares["word_mean"][number] = sum(map(len, spelt)) / max(len(spelt), 1)
        shares["word_letter_share"][number] = sum(any(map(str.isalpha, word)) for word in spelt) / max(len(words), 1)
        shares["word_newlines"][number] = text.count("\n") / len(words) if words else 0.0
        shares["word_stopwords"][number] = len(STOPWORDS.intersection(words))
    # a separate word after each document ends it
    numbers = {word: number % END for number, word in enumerate(dict.fromkeys(chain.from_iterable(documents)))}
    units = [number for words in documents for number in (*map(numbers.__getitem__, words), END)]
    sizes = [size for words in documents for size in (*map(len, words), 0)]
    repeated = repeated_shares(np.array(units, np.uint16), np.array(sizes, np.int64))
    return shares | {f"word_{name}": values for name, values in repeated.items()}


def _words_of(text: str) -> list[str]:
    """The words of each line; white space is in none."""
    tagger = _tagger()
    lines = text.replace("\0", "\n").split("\n")  # MeCab stops at the former
    return [word for line in lines if line for word in tagger.parse(line).split()]


@cache
def _tagger() -> Any:
    import fugashi  # type: ignore[import-untyped,unused-ignore]

    return fugashi.Tagger("-Owakati")
