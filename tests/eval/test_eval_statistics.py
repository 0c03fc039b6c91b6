import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eval.statistics
from eval.metrics import balanced_accuracy, macro_f1, pearson
from eval.statistics import (
    bootstrap,
    bootstrap_ratio,
    holm,
    mcnemar,
    paired_bootstrap,
)


def mean(values):
    """Of those at some places."""
    return lambda places: np.asarray(values)[places].mean(-1)


def bootstrap_mean(values, resamples, seed):
    return bootstrap(mean(values), len(values), resamples, seed)


def test_interval_of_a_share_is_near_the_normal_one():
    right = np.repeat([1.0, 0.0], [300, 700])
    interval = bootstrap_mean(right, 4000, seed=1)
    half = 1.96 * math.sqrt(0.3 * 0.7 / 1000)
    assert interval["value"] == pytest.approx(0.3)
    assert interval["low"] == pytest.approx(0.3 - half, abs=0.003)
    assert interval["high"] == pytest.approx(0.3 + half, abs=0.003)


def test_same_seed_same_interval_whatever_the_chunks(monkeypatch):
    values = np.arange(50.0)
    whole = bootstrap_mean(values, 300, seed=5)
    assert bootstrap_mean(values, 300, seed=5) == whole
    assert bootstrap_mean(values, 300, seed=6) != whole
    monkeypatch.setattr(eval.statistics, "_CELLS", 120)
    assert bootstrap_mean(values, 300, seed=5) == whole


def test_ratio_divides_sums_not_items():
    interval = bootstrap_ratio([1.0, 9.0], [1.0, 3.0], 100, seed=0)
    assert interval["value"] == pytest.approx(10 / 4)
    assert 1.0 <= interval["low"] <= interval["high"] <= 3.0


def test_a_single_item_has_no_interval():
    assert bootstrap_mean([0.5], 100, 0) == {"value": 0.5}


def test_class_metrics_of_a_known_confusion():
    confusion = np.array([[8.0, 2.0, 0.0], [1.0, 3.0, 0.0], [2.0, 0.0, 0.0]])
    assert float(balanced_accuracy(confusion)) == pytest.approx((0.8 + 0.75 + 0) / 3)
    f1 = [2 * 8 / (10 + 11), 2 * 3 / (4 + 5), 0]
    assert float(macro_f1(confusion)) == pytest.approx(sum(f1) / 3)


def test_classes_that_never_occur_do_not_count():
    confusion = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    assert float(balanced_accuracy(confusion)) == 1.0
    assert float(macro_f1(confusion)) == 1.0


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert 0 < mcnemar(1200, 1400) < 1e-3


def test_holm_steps_down_and_never_below_a_smaller_p_value():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # worked out by hand
    assert holm([0.9, None, 0.6]) == [1.0, None, 1.0]
    assert holm([]) == []


@given(st.lists(st.none() | st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_lies_between_the_p_value_and_bonferroni(p_values):
    corrected = holm(p_values)
    tests = [pair for pair in zip(p_values, corrected, strict=True) if pair[0] is not None]
    assert all(value <= found <= min(1, value * len(tests)) for value, found in tests)
    assert [found for _, found in sorted(tests)] == sorted(found for _, found in tests)
    assert [value is None for value in p_values] == [value is None for value in corrected]


def test_paired_bootstrap_of_means_is_near_the_normal_test():
    generator = np.random.default_rng(0)
    a = generator.normal(size=400)
    b = a + generator.normal(0.1, 1, 400)
    difference, p_value = paired_bootstrap(mean(a), mean(b), 400, 8000, seed=0)
    error = (b - a).std() / 20
    assert difference["value"] == pytest.approx((b - a).mean())
    assert difference["high"] - difference["low"] == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert p_value == pytest.approx(math.erfc((b - a).mean() / error / math.sqrt(2)), abs=0.02)
    back, same = paired_bootstrap(mean(b), mean(a), 400, 8000, seed=0)
    assert back["value"] == pytest.approx(-difference["value"]) and same == p_value


def test_paired_bootstrap_is_seeded_whatever_the_chunks_and_needs_two_items(monkeypatch):
    gold, a, b = np.random.default_rng(1).normal(size=(3, 30))

    def correlation(values):
        return lambda places: pearson(gold[places], np.asarray(values)[places])

    one, other, constant = map(correlation, (a, b, np.ones(30)))
    whole = paired_bootstrap(one, other, 30, 200, seed=3)
    monkeypatch.setattr(eval.statistics, "_CELLS", 1000)
    assert paired_bootstrap(one, other, 30, 200, seed=3) == whole
    assert paired_bootstrap(one, one, 30, 200, seed=3)[1] == 1.0
    assert paired_bootstrap(mean([1.0]), mean([2.0]), 1, 200, seed=0) == ({"value": 1.0}, None)
    assert paired_bootstrap(mean([]), mean([]), 0, 200, seed=0) == ({"value": None}, None)
    assert paired_bootstrap(one, constant, 30, 200, seed=0) == ({"value": None}, None)
