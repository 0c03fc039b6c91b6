import math

import numpy as np
import pytest

from eval.answers import exact_match, f1, normalised
from eval.examples import Example
from eval.metrics import mcc, measure, pearson, per_item, spearman


def test_answers_are_scored_as_jglue_scores_them():
    assert exact_match("小笠原諸島。", ["北海道", "小笠原諸島"]) == 1
    assert exact_match("JR　東日本", ["jr 東日本"]) == 1  # lower case, any white space is one space
    assert exact_match("１８６８年", ["1868年"]) == 0  # no NFKC in the official score
    assert normalised(exact_match)("「１８６８年」", ["1868年"]) == 1
    assert exact_match("、東京", ["東京"]) == 0  # punctuation stays


def test_f1_counts_characters_as_often_as_they_occur():
    # 本 twice on one side, once on the other: three of four, three of three
    assert f1("日本本土", ["日本土"]) == pytest.approx(2 * (3 / 4) * 1 / (3 / 4 + 1))
    assert f1("", ["東京"]) == 0
    assert f1("。", ["。。"]) == 1  # both empty once normalised
    assert f1("𠮷野家", ["吉野家", "𠮷野"]) == pytest.approx(4 / 5)


def test_correlation_of_a_constant_is_undefined_and_not_zero():
    examples = [Example(str(number), {"a": "文"}, label=float(number)) for number in range(20)]
    for metric in ("pearson", "spearman"):
        assert measure(metric, examples, [2.5] * 20, bootstrap=100, seed=0) == {"value": None}
        found = measure(metric, examples, [1.0] * 19 + [2.0], bootstrap=200, seed=0)
        assert found["value"] > 0.2
        assert found["low"] <= found["high"]


def test_spearman_shares_ranks_among_equals():
    gold, predicted = np.array([1.0, 2.0, 2.0, 4.0]), np.array([10.0, 30.0, 20.0, 20.0])
    # ranks 0 1.5 1.5 3 and 0 3 1.5 1.5, worked out by hand
    assert float(spearman(gold, predicted)) == pytest.approx(2.25 / math.sqrt(4.5 * 4.5))
    assert float(pearson(gold, gold * -2 + 1)) == pytest.approx(-1)


def test_mcc_of_two_classes_is_the_phi_coefficient():
    table = np.array([[6.0, 1.0], [2.0, 3.0]])
    phi = (6 * 3 - 1 * 2) / math.sqrt(7 * 5 * 8 * 4)
    assert float(mcc(table)) == pytest.approx(phi)
    assert float(mcc(np.array([[5.0, 0.0], [3.0, 0.0]]))) == 0


def test_items_have_their_share_of_means_alone():
    examples = [Example("1", {}, ("甲", "乙"), 0), Example("2", {}, ("甲", "乙"), 1)]
    assert per_item("accuracy_pmi", examples, [0, 0]).tolist() == [1, 0]
    assert per_item("mcc", examples, [0, 0]) is None
    spans = [Example("1", {}, answers=("東京", "東京都"))]
    assert per_item("f1", spans, ["東京都"]).tolist() == [1]
