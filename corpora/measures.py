"""Measures of documents, which rules (``corpora.rules``) compare with thresholds. Each is computed once and may be stored."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from stage.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHARACTERS = {
    "chars": "characters",
    "japanese_ratio": "share of kana and kanji among the letters; 0 where kanji come with next to no kana (Chinese)",
    "japanese_share": "share of kana and kanji among all characters that are no white space",
    "japanese_chars": "number of kana and kanji",
    "hiragana_share": "share of hiragana among kana and kanji",
    "katakana_share": "share of katakana among kana and kanji",
    "kanji_share": "share of kanji among kana and kanji",
    "digit_share": "share of digits and other numerals among all characters that are no white space",
    "punctuation_share": "share of punctuation marks among all characters that are no white space",
    "alphanumeric_share": "share of letters of any script, digits and numerals among all characters that are no white space",
    "kuten_per_250": "number of 。 for every 250 characters",
    "run": "longest run of one character, white space aside",
}
_SENTENCES = {
    "mean_sentence": "mean length of the sentences in characters; 。．！？!? and line ends end one",
    "max_sentence": "length of the longest sentence in characters",
    "ellipsis_share": "share of the sentences that end in …, ‥, ・・・ or ...",
}
_LINES = {
    "mean_line": "mean length of the lines in characters; empty lines count in no measure of lines",
    "max_line": "length of the longest line in characters",
    "newline_share": "share of line ends among all characters",
    "short_line_share": "share of the lines of up to 10 characters",
    "line_punctuation_share": "share of the lines that end in 。．！？…, a closing bracket or quotation mark, half-width ones too",
    "ellipsis_line_share": "share of the lines that end in …, ‥, ・・・ or ...",
    "bullet_share": "share of the lines that begin with a bullet (・ ● ※ * - …)",
    "duplicate_line_share": "share of the lines that have occurred before in the document",
    "duplicate_line_chars": "share of the characters in such lines among those of all lines",
    "duplicate_paragraph_share": "share of the paragraphs (parted by blank lines) that have occurred before in the document",
    "duplicate_paragraph_chars": "share of the characters in such paragraphs among those of all paragraphs",
}
_SENTENCE_REPETITION = {
    "duplicate_sentence_share": "share of the sentences that have occurred before in the document",
    "duplicate_sentence_chars": "share of the characters in such sentences among those of all sentences",
}
_TOP = "share of the characters (white space aside) that the {n}-gram of {units} covers which covers most; 0 if none occurs twice"
_DUPLICATE = (
    "share of the characters (white space aside) in {n}-grams of {units} that have occurred before in the document"
)


def _repetition(units: str) -> dict[str, str]:
    return {f"top_{n}": _TOP.format(n=n, units=units) for n in (2, 3, 4)} | {
        f"duplicate_{n}": _DUPLICATE.format(n=n, units=units) for n in range(5, 11)
    }


_REPETITION = _repetition("characters") | {
    f"repeated_{n}": f"share of the different {n}-grams of characters that occur more than once" for n in range(5, 11)
}
_COMPRESSION = {
    "compression": "bytes that zlib packs the UTF-8 into (level 9) by its bytes; small where much is repeated"
}
_LANGUAGE = {
    "language_score": "probability that the document is Japanese: 1 where kana make it plain, else what fastText's lid.176 says"
}
_WORDS = {
    "words": "number of words (UniDic-lite) with a letter or digit; all measures of words are slow",
    "word_mean": "mean length of those words in characters",
    "word_letter_share": "share of the words with a letter, of all words and marks",
    "word_newlines": "line ends by words and marks",
    "word_stopwords": "how many of の に を は た て が と で 年 し ・ 月 れ さ occur",
} | {f"word_{name}": meaning for name, meaning in _repetition("words").items()}

_GIVEN = {
    "ng_hits": "number of words of a list (--ng_words) that occur",
    "ng_share": "share of the characters that such words cover",
    "perplexity": "perplexity per character by a 5-gram model of text that you trust (--trust)",
    "quality": "probability of being such text, by a linear classifier (--trust)",
}
ASKS = {"ng_hits": "ng_words", "ng_share": "ng_words", "perplexity": "trust", "quality": "trust"}
"""Measures that are computed where a setting is given, and the setting."""

CHEAP = (*_CHARACTERS, *_SENTENCES, *_LINES)
"""Measures that are always computed."""

MEASURES = (
    _CHARACTERS | _SENTENCES | _LINES | _SENTENCE_REPETITION | _REPETITION | _COMPRESSION | _LANGUAGE | _WORDS | _GIVEN
)
"""The meaning of each measure."""


def measure(texts: Sequence[str], names: Collection[str] = ()) -> "dict[str, NDArray[np.float64]]":
    """The cheap measures and those named, each float64 [N], of N normalised documents; always numbers, for empty documents too.

    Raises UsageError for a measure that does not exist, or whose package is missing.
    """
    check_measures(names)
    from corpora.repetition import lines_of, paragraphs_of, repeated_parts, repeated_shares, sentences_of
    from corpora.surface import Block, measure_surface

    block = Block.of(texts)
    found = measure_surface(block)
    found |= _repeated("line", repeated_parts(texts, lines_of))
    # where no line occurs twice, no paragraph does
    looked_at = found["duplicate_line_share"] > 0
    found |= _repeated("paragraph", repeated_parts(texts, paragraphs_of, looked_at))
    if not _SENTENCE_REPETITION.keys().isdisjoint(names):
        found |= _repeated("sentence", repeated_parts(texts, sentences_of))
    if asked := _REPETITION.keys() & set(names):
        found |= repeated_shares(block.units(), longest=max(int(name.split("_")[1]) for name in asked))
    if not _COMPRESSION.keys().isdisjoint(names):
        found["compression"] = _compression(texts)
    if not _LANGUAGE.keys().isdisjoint(names):
        from corpora.language import language_scores

        found["language_score"] = language_scores(texts, block.counts)
    if not _WORDS.keys().isdisjoint(names):
        from corpora.word_measures import measure_words

        found |= measure_words(texts)
    return {name: found[name] for name in MEASURES if name in found and (name in CHEAP or name in names)}


def check_measures(names: Iterable[str]) -> None:
    """Raises UsageError for a measure that does not exist."""
    for name in names:
        if name not in MEASURES:
            near = get_close_matches(name, MEASURES, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "docs/measures.md lists them all"
            raise UsageError(f"there is no measure {name!r}: {hint}")


def _repeated(kind: str, shares: "tuple[NDArray, NDArray]") -> "dict[str, NDArray[np.float64]]":
    return {f"duplicate_{kind}_share": shares[0], f"duplicate_{kind}_chars": shares[1]}


def _compression(texts: Sequence[str]) -> "NDArray[np.float64]":
    import zlib

    import numpy as np

    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    return np.array([len(zlib.compress(text, 9)) / len(text) if text else 0.0 for text in encoded])
