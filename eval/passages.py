"""An answer without a model: the name or number in whose neighbourhood a passage is most like the question.

After the sliding window of Richardson et al. (2013) with its distances, which is also the baseline of SQuAD (Rajpurkar et al., 2016).
There the candidates are constituents of parsed sentences; here they are runs of characters as names and numbers are written.
"""

import re
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eval.bags import grams
from eval.examples import Example
from eval.lexical import Idf

_QUOTED = r"(?<=「)[^「」]{1,20}(?=」)|(?<=『)[^『』]{1,30}(?=』)"
_KANJI = "㐀-䶿一-鿿々〇〆ヶ\U00020000-\U0003ffff"
_NUMBER = re.compile(
    rf"(?:約)?[0-9０-９][0-9０-９.,．，]*(?:[{_KANJI}ァ-ヺー]{{0,4}}[0-9０-９]+)*[{_KANJI}A-Za-z%％]*[ァ-ヺー]*"
)
_NAME = re.compile(rf"{_QUOTED}|[{_KANJI}ァ-ヺー・A-Za-zＡ-Ｚａ-ｚ0-9０-９]+")
_ASKS_NUMBER = re.compile(
    "何[年月日人歳世個本回番度台分時キメ%％ヶか]|いつ|いくつ|いくら|どのくらい|どれくらい|何パーセント"
)
_NEAR = 15  # characters on each side that speak for a candidate: of 15, 30 and 60 the best on JSQuAD's valid questions
_LONGEST = 30


def window(train: Sequence[Example] | None, test: Sequence[Example]) -> list[str]:
    """To each question (the first text) the candidate of its passage (the last) with the most of the question's bigrams near it, nearer ones more.

    Bigrams count by idf over the passages. Numbers alone are candidates where one is asked for; what the question says itself is none.
    """
    passages = dict.fromkeys(example.texts[-1] for example in test)
    idf = Idf(passages, partial(grams, size=2))
    return [_answer(example.texts[0], example.texts[-1], idf) for example in test]


def _answer(question: str, passage: str, idf: Idf) -> str:
    asked = set(idf.parts(question))
    told = np.array([idf(gram) if gram in asked else 0.0 for gram in idf.parts(passage)] or [0.0])
    numeric = bool(_ASKS_NUMBER.search(question))
    patterns = (_NUMBER, _NAME) if numeric else (_NAME,)
    for pattern in patterns:
        spans = [match.span() for match in pattern.finditer(passage) if match.group() not in question]
        spans = [(begin, end) for begin, end in spans if end - begin <= _LONGEST]
        if spans:
            begin, end = max(spans, key=lambda span: _support(told, *span))
            return passage[begin:end]
    return passage[:_LONGEST]


def _support(told: NDArray[np.float64], begin: int, end: int) -> float:
    """What the question's bigrams around a candidate weigh, falling evenly to nothing at the rim of its window."""
    before, after = told[max(0, begin - _NEAR) : begin][::-1], told[end : end + _NEAR]
    falling = 1 - np.arange(_NEAR) / _NEAR
    return float(before @ falling[: len(before)] + after @ falling[: len(after)])
