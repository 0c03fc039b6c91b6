"""By option: 旧字体 to 新字体, and iteration marks to what they repeat. Pure: text in, text out.

The pairs are those of the table of 常用漢字 (Cabinet notice of 2010), which gives the former shape in brackets, where both have a code
point of their own. Old kana spelling stays: 今日 is not made of けふ.
"""

import re
from functools import cache
from pathlib import Path

_VOICING = str.maketrans(
    "かきくけこさしすせそたちつてとはひふへほうカキクケコサシスセソタチツテトハヒフヘホウ",
    "がぎぐげござじずぜぞだぢづでどばびぶべぼゔガギグゲゴザジズゼゾダヂヅデドバビブベボヴ",
)
_PLAIN = {new: old for old, new in _VOICING.items()}
_MARKS = re.compile("(?:[ゝゞヽヾ]|[〳〴]〵|[〱〲])(?![゛゜\u3099\u309a])")
_LETTER = re.compile("[ぁ-ゖァ-ヺ一-鿿々]?[ぁ-ゖァ-ヺ]")


@cache
def _pairs() -> dict[int, str]:
    lines = (Path(__file__).parent / "new_kanji.txt").read_text("utf-8").splitlines()
    pairs = "".join(line for line in lines if not line.startswith("#")).split()
    return {ord(pair[0]): pair[1] for pair in pairs}


NEW_KANJI = _pairs()


def without_iteration(text: str) -> str:
    """ゝゞヽヾ become the kana before them, 〳〵 and 〱 (くの字点) the two characters before them; 々 stays, as it is modern.

    >>> without_iteration("こゝろ、いすゞ、つく〴〵")
    'こころ、いすず、つくづく'
    """
    pieces: list[str] = []
    before = ""  # the last two characters so far
    at = 0
    for match in _MARKS.finditer(text):
        between = text[at : match.start()]
        before = (before + between)[-2:]
        new = _repeated(before, match[0])
        pieces += [between, new]
        before = (before + new)[-2:]
        at = match.end()
    return "".join([*pieces, text[at:]])


def _repeated(before: str, mark: str) -> str:
    """What a mark stands for; the mark itself where there is nothing to repeat."""
    single = mark in "ゝゞヽヾ"
    repeated = before[-1:] if single else before
    if not _LETTER.fullmatch(repeated) or (not single and len(repeated) < 2):
        return mark
    first = repeated[0].translate(_PLAIN) if single else repeated[0]
    return (first.translate(_VOICING) if mark[0] in "ゞヾ〴〲" else first) + repeated[1:]
