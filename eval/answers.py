"""Exact match and F1 of short answers, as JGLUE scores JSQuAD (Kurihara et al., 2022; JGLUE v1.3, fine-tuning patch).

Of the definitions in use this is the official one: lower case, 。 at the end dropped, white space collapsed; F1 over the
multiset of characters; the best of the accepted answers. No NFKC, no words, no edit distance.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 where the prediction is one of the answers, else 0."""
    return max(float(_official(prediction) == _official(answer)) for answer in answers)


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Harmonic mean of precision and recall over the characters, for the answer where it is best."""
    return max(_f1(_official(prediction), _official(answer)) for answer in answers)


def normalised(metric: Callable[[str, Sequence[str]], float]) -> Callable[[str, Sequence[str]], float]:
    """The same metric with both sides in NFKC and without quotation marks around them."""

    def found(prediction: str, answers: Sequence[str]) -> float:
        return metric(_plain(prediction), [_plain(answer) for answer in answers])

    return found


def _official(text: str) -> str:
    return " ".join(text.lower().rstrip("。").split())


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().strip("「」『』\"'").strip()


def _f1(prediction: str, answer: str) -> float:
    if not prediction or not answer:
        return float(prediction == answer)
    same = (Counter(prediction) & Counter(answer)).total()
    return 2 * same / (len(prediction) + len(answer))
