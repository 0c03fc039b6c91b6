import math

import numpy as np
import pytest

import eval.statistics
from eval.metrics import balanced_accuracy, macro_f1
from eval.statistics import (
    bootstrap_confusion,
    bootstrap_mean,
    bootstrap_ratio,
    mcnemar,
)


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
    interval = bootstrap_confusion(confusion, macro_f1, 500, seed=0)
    assert interval["low"] < interval["value"] < interval["high"]


def test_classes_that_never_occur_do_not_count():
    confusion = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    assert float(balanced_accuracy(confusion)) == 1.0
    assert float(macro_f1(confusion)) == 1.0


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert 0 < mcnemar(1200, 1400) < 1e-3
