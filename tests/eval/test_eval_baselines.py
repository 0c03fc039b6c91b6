import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bags import _least, grams
from eval.baselines import HONEST, honest_baseline
from eval.examples import Example
from eval.lexical import Idf, common_subsequence
from eval.metrics import measure
from eval.siblings import Siblings
from stage.errors import UsageError

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "eval"
needs_data = pytest.mark.skipif(not (DATA / "jglue").is_dir(), reason="../shared/data/eval/jglue is not here")
score = partial(measure, bootstrap=50, seed=0)
texts = st.text(st.sampled_from("猫犬が𠮷野ｶﾞが👨‍👩‍👧 　1１ー、。"), max_size=12)


def of_class(label, *fields):
    named = {f"sentence{number}": text for number, text in enumerate(fields, 1)}
    return Example("0", named, ("良", "悪"), label)


def question(choices, label, text="問い"):
    return Example("0", {"question": text}, tuple(choices), label)


def span(passage, asked, answer):
    return Example("0", {"question": asked, "context": passage}, answers=(answer,))


GOOD = ["今日は空が晴れて嬉しい", "𠮷野家の飯が旨くて嬉しい", "ｶﾞﾗｽの皿を貰って嬉しい👨‍👩‍👧"]
BAD = ["雨に濡れて悲しい", "皿が割れて悲しい", "財布を落として悲しい"]
FEELINGS = [of_class(label, text) for label, group in enumerate((GOOD, BAD)) for text in group]


@pytest.mark.parametrize("name", ["character_logistic", "naive_bayes"])
def test_classes_are_told_by_what_their_words_have_in_common(name):
    asked = [of_class(0, "花が咲いて嬉しい"), of_class(1, "花が枯れて悲しい"), of_class(0, "")]
    assert list(honest_baseline(name, FEELINGS, asked))[:2] == [0, 1]
    assert honest_baseline(name, FEELINGS, asked) == honest_baseline(name, FEELINGS, asked)


@pytest.mark.parametrize("name", ["character_logistic", "naive_bayes"])
@pytest.mark.parametrize("label", [0, 1])
def test_of_one_class_alone_that_is_the_answer(name, label):
    train = [of_class(label, text) for text in GOOD]
    assert honest_baseline(name, train, [of_class(0, BAD[0]), of_class(0, "👨‍👩‍👧")]) == [label, label]


def test_pairs_are_told_by_what_both_have():
    words = ["猫", "犬", "鳥", "𠮷田", "車", "船", "花", "ｶﾞﾗｽ"]
    same = [of_class(0, f"{word}がいる", f"{word}がいる") for word in words]
    other = [of_class(1, f"{one}がいる", f"{two}がいる") for one in words for two in words if one != two]
    train, asked = [*same * 4, *other], [of_class(0, "山がいる", "山がいる"), of_class(1, "犬がいる", "船がいる")]
    assert honest_baseline("character_logistic", train, asked) == [0, 1]


def test_the_minimum_of_a_convex_function_is_found():
    slopes = np.array([1.0, 30.0, 400.0])
    goal = np.array([2.0, -1.0, 0.5])
    found = _least(lambda at: (float((slopes * (at - goal) ** 2).sum()), 2 * slopes * (at - goal)), np.zeros(3))
    assert found == pytest.approx(goal, abs=0.02)


def test_cosine_needs_no_training_and_rare_characters_weigh_more():
    pairs = [("猫が庭で寝る", "猫が庭で眠る"), ("猫が庭で寝る", "𠮷田が庭で走る"), ("ｶﾞ", "👨‍👩‍👧"), ("", "")]
    asked = [Example(str(number), {"a": one, "b": two}) for number, (one, two) in enumerate(pairs)]
    found = honest_baseline("idf_cosine", None, asked)
    assert found[0] > found[1] > found[2] == found[3] == 0
    idf = Idf(["猫が", "犬が", "鳥が"], list)
    assert idf.cosine("猫が", "猫を") > idf.cosine("猫が", "犬が")


@given(texts, texts)
def test_likeness_is_symmetric_and_whole_for_equal_texts(one, other):
    idf = Idf([one, other], partial(grams, size=1))
    assert idf.cosine(one, other) == pytest.approx(idf.cosine(other, one))
    assert idf.covered(one, other) == idf.covered(other, one)
    assert idf.cosine(one, one) == pytest.approx(1.0 if one else 0.0)
    assert common_subsequence(one, one) == len(one)
    assert common_subsequence(one, other) == common_subsequence(other, one) == plain_subsequence(one, other)


def plain_subsequence(one, other):
    row = [0] * (len(other) + 1)
    for character in one:
        before = row
        row = [0]
        for place, against in enumerate(other):
            row.append(before[place] + 1 if character == against else max(row[-1], before[place + 1]))
    return row[-1]


def test_ridge_learns_and_stays_within_the_labels():
    words = ["猫が鳴く", "犬が走る", "𠮷田が歌ふ", "ｶﾞﾗｽが3枚ある", "船が2隻ゆく"]
    train = [Example("0", {"a": one, "b": two}, label=5.0 if one == two else 0.5) for one in words for two in words]
    asked = [Example("0", {"a": "鳥が飛ぶ", "b": "鳥が飛ぶ"}), Example("0", {"a": "鳥が飛ぶ", "b": "山も青い"})]
    alike, unlike = honest_baseline("lexical_ridge", train, asked)
    assert 5.0 >= alike > unlike >= 0.5
    constant = [Example("0", {"a": "", "b": ""}, label=2.0)] * 3
    assert honest_baseline("lexical_ridge", constant, asked) == pytest.approx([2.0, 2.0])


def test_crossing_out_leaves_what_no_sibling_has_for_answer():
    train = [question(["雪", "雨", "雹", "机", "窓"], 0)]
    asked = question(["雪", "雨", "雹", "靴", "𠮷"], 1)
    assert Siblings(train).crossed_out(asked) == {"雪": 1}
    # one that was never offered has better odds by itself, but stands in no sibling
    assert honest_baseline("crossing_out", train, [asked]) == [3]
    assert honest_baseline("siblings", train, [asked]) == [1]
    often_right = [question(["雹", "い", "ろ", "は", "に"], 0)] * 5
    assert honest_baseline("crossing_out", [*train, *often_right], [asked]) == [2]
    assert honest_baseline("siblings", [*train, *often_right], [asked]) == [2]


def test_choices_that_repeat_make_no_siblings():
    train = [question(["雪", "雪", "雪", "机", "窓"], 0)]
    asked = question(["雪", "雪", "雪", "靴", "𠮷"], 3)
    assert Siblings(train).of(asked) == []
    assert honest_baseline("siblings", train, [asked, asked]) == [0, 0]


def test_longest_and_shortest_take_the_first_of_equals():
    asked = [question(["雪", "👨‍👩‍👧", "窓枠", "机", "𠮷"], 0), question(["右", "左"], 1)]
    assert honest_baseline("longest", None, asked) == [1, 0]
    assert honest_baseline("shortest", None, asked) == [0, 0]


def test_a_span_is_a_name_or_number_near_the_words_of_the_question():
    passage = "山田太郎は京都で生まれた。弟の𠮷田次郎は一九二〇年に大阪へ移り、後に1935年に船会社を作った。"
    asked = [
        span(passage, "京都で生まれたのは誰か。", "山田太郎"),
        span(passage, "船会社を作ったのは何年か。", "1935年"),
        span("かなのみである", "それは？", "かな"),
        span("", "空か", "空"),
    ]
    found = honest_baseline("window", None, asked)
    assert list(found[:2]) == ["山田太郎", "1935年"]
    assert all(answer in example.texts[-1] for answer, example in zip(found, asked, strict=True))


def test_what_is_missing_is_told():
    with pytest.raises(UsageError, match="no baseline 'oracle'; there are longest"):
        honest_baseline("oracle", None, [])
    for name, baseline in HONEST.items():
        assert baseline.about and baseline.kinds
        assert list(honest_baseline(name, FEELINGS, [])) == []
        if baseline.needs_train:
            for none in (None, []):
                with pytest.raises(UsageError, match=f"{name} learns from training examples"):
                    honest_baseline(name, none, FEELINGS)


def json_lines(file):
    return [json.loads(line) for line in (DATA / file).read_text("utf-8").splitlines()]


@needs_data
def test_jcommonsenseqa_gives_its_answers_away():
    train, test = (
        [
            question([row[f"choice{place}"] for place in range(5)], row["label"])
            for row in json_lines(f"jglue/jcommonsenseqa-v1.3/{split}-v1.3.json")
        ]
        for split in ("train", "valid")
    )
    known = Siblings(train)
    assert sum(bool(known.of(example)) for example in test) == 633
    left = [[choice not in known.crossed_out(example) for choice in example.choices] for example in test]
    even = [of[example.label] / max(1, sum(of)) for of, example in zip(left, test, strict=True)]
    assert np.mean(even) == pytest.approx(0.237, abs=0.0005)  # crossing out, the rest by chance
    assert score("accuracy", test, honest_baseline("siblings", train, test))["value"] == pytest.approx(0.451, abs=0.001)


@needs_data
def test_jsts_without_training_and_with_lexical_measures():
    train, test = (
        [
            Example("0", {"a": row["sentence1"], "b": row["sentence2"]}, label=row["label"])
            for row in json_lines(f"jglue/jsts-v1.3/{split}-v1.3.json")
        ]
        for split in ("train", "valid")
    )
    found = honest_baseline("idf_cosine", None, test)
    assert [score(name, test, found)["value"] for name in ("pearson", "spearman")] == pytest.approx(
        [0.728, 0.729], abs=0.001
    )
    found = honest_baseline("lexical_ridge", train[::4], test)
    assert score("pearson", test, found)["value"] > 0.802


@needs_data
def test_jsquad_is_answered_by_a_window():
    whole = json.loads((DATA / "jglue/jsquad-v1.3/valid-v1.3.json").read_text("utf-8"))
    test = [
        Example(
            asked["id"],
            {"question": asked["question"], "context": part["context"].partition("[SEP] ")[2]},
            answers=tuple(answer["text"] for answer in asked["answers"]),
        )
        for page in whole["data"]
        for part in page["paragraphs"]
        for asked in part["qas"]
    ]
    found = honest_baseline("window", None, test)
    values = [score(name, test, found)["value"] for name in ("exact_match", "f1")]
    assert values == pytest.approx([0.424, 0.532], abs=0.001)


@needs_data
def test_chabsa_by_its_characters():
    train, test = (
        [
            of_class(int(row[1]), row[0])
            for row in csv.reader(
                (DATA / "chabsa-sentiment" / f"{split}.tsv").open(encoding="utf-8", newline=""),
                delimiter="\t",
                quoting=csv.QUOTE_NONE,
            )
        ]
        for split in ("train", "test")
    )
    assert score("accuracy", test, honest_baseline("character_logistic", train, test))["value"] > 0.82
