"""Comparisons of lines as samples.jsonl holds them; those of whole folders are in test_eval_evaluate.py."""

import json

import numpy as np
import pytest

from eval.comparison import compare, compare_task
from eval.statistics import mcnemar
from stage.errors import ArtifactError
from stage.folder import Made, write_folder

WORDS = ["雪", "𠮷野", "ｶﾞﾗｽ", "👨‍👩‍👧", "東京都"]


def labels(predictions, gold, groups=()):
    groups = groups or [""] * len(gold)
    return [
        {"task": "t", "id": f"問{number}", "gold": right, "prediction": answer, "choices": WORDS}
        | ({"group": group} if group else {})
        for number, (right, answer, group) in enumerate(zip(gold, predictions, groups, strict=True))
    ]


def spans(predictions, answers):
    return [
        {"task": "s", "id": f"問{number}", "gold": right[0], "answers": right, "prediction": answer}
        for number, (answer, right) in enumerate(zip(predictions, answers, strict=True))
    ]


def write_results(folder, tasks):
    """A results folder of {NAME: (primary, lines)}."""

    def make(out):
        lines = [line | {"task": name} for name, (_, of) in tasks.items() for line in of]
        (out / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        primaries = {name: {"primary": primary} for name, (primary, _) in tasks.items()}
        (out / "results.json").write_text(json.dumps({"tasks": primaries}), "utf-8")
        return Made()

    write_folder(folder, stage="eval", parameters={}, inputs=[], make=make)
    return folder


def test_accuracies_are_tested_by_mcnemar_and_the_changed_items_named():
    gold = [0, 1, 2, 3, 4, 0]
    found = compare_task("accuracy_pmi", labels([0, 1, 0, 0, 0, 0], gold), labels([0, 0, 2, 3, 0, 0], gold))
    assert (found["metric"], found["items"], found["test"]) == ("accuracy_pmi", 6, "exact McNemar")
    assert (found["a"], found["b"]) == (3 / 6, 4 / 6)
    assert (found["only_a"], found["only_b"]) == (["問1"], ["問2", "問3"])
    assert found["p_value"] == mcnemar(1, 2)
    assert found["difference"]["low"] <= found["difference"]["value"] == pytest.approx(1 / 6)
    assert "changed" not in found and "groups" not in found


def test_of_several_seeds_the_figures_are_means_and_right_is_what_most_have():
    gold = [0, 1, 2, 3]
    one, other = labels([0, 0, 0, 0], gold), labels([0, 1, 0, 3], gold)
    for line, second, third in zip(other, [0, 1, 2, 0], [1, 1, 0, 0], strict=True):
        line["predictions"] = [line["prediction"], second, third]  # 3, 3 and 1 right
    found = compare_task("accuracy", one, other)
    assert (found["a"], found["b"]) == (1 / 4, pytest.approx(7 / 12))
    assert found["difference"]["value"] == pytest.approx(1 / 3) and found["test"] == "paired bootstrap"
    assert (found["only_a"], found["only_b"]) == ([], ["問1"])
    numbers = labels([1.0, 2.0, 4.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    nearer = labels([1.0, 2.0, 4.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    nearer[2]["predictions"] = [4.0, 3.0]
    for place in (0, 1, 3):
        nearer[place]["predictions"] = [nearer[place]["prediction"]] * 2
    assert [(each["id"], each["change"]) for each in compare_task("pearson", numbers, nearer)["changed"]] == [
        ("問2", 0.5)
    ]


@pytest.mark.parametrize("metric", ["mcc", "balanced_accuracy", "macro_f1"])
def test_what_is_no_mean_of_items_is_tested_by_the_bootstrap(metric):
    generator = np.random.default_rng(0)
    gold = generator.integers(0, 3, 200)
    better = np.where(generator.random(200) < 0.9, gold, 0).tolist()
    worse = np.where(generator.random(200) < 0.4, gold, 0).tolist()
    found = compare_task(metric, labels(worse, gold.tolist()), labels(better, gold.tolist()))
    assert found["test"] == "paired bootstrap"
    assert found["difference"]["value"] == pytest.approx(found["b"] - found["a"])
    assert found["difference"]["low"] > 0 and found["p_value"] < 0.001
    assert len(found["only_b"]) > len(found["only_a"])
    same = compare_task(metric, labels(worse, gold.tolist()), labels(worse, gold.tolist()))
    assert (same["difference"], same["p_value"]) == ({"value": 0.0, "low": 0.0, "high": 0.0}, 1.0)
    assert same["only_a"] == same["only_b"] == []


def test_of_one_class_alone_coefficients_are_0_and_correlations_undefined():
    assert compare_task("mcc", labels([0] * 4, [0] * 4), labels([0, 1, 0, 0], [0] * 4))["p_value"] == 1.0
    found = compare_task(
        "pearson", labels([2.5] * 4, [0.0, 1.0, 2.0, 3.0]), labels([0.0, 1.0, 2.5, 3.0], [0.0, 1.0, 2.0, 3.0])
    )
    assert found["a"] is None and found["b"] == pytest.approx(0.98, abs=0.01)
    assert found["difference"] == {"value": None} and found["p_value"] is None
    assert json.loads(json.dumps(found)) == found


def test_numbers_show_the_items_that_moved_nearest_and_farthest():
    generator = np.random.default_rng(1)
    gold = generator.uniform(0, 5, 100).tolist()
    noisy, near = ((np.array(gold) + generator.normal(0, spread, 100)).tolist() for spread in (3, 0.3))
    noisy[7], near[7] = 100.0, gold[7]
    found = compare_task("spearman", labels(noisy, gold), labels(near, gold))
    assert found["p_value"] < 0.001 and found["test"] == "paired bootstrap"
    assert found["changed"][0] == {"id": "問7", "a": 100.0, "b": gold[7], "change": pytest.approx(100 - gold[7])}
    sizes = [abs(item["change"]) for item in found["changed"]]
    assert len(sizes) == 20 and sizes == sorted(sizes, reverse=True)
    assert "only_a" not in found
    assert compare_task("spearman", labels(gold, gold), labels(gold, gold))["changed"] == []


def test_spans_are_compared_by_their_accepted_answers():
    answers = [["東京都", "東京"], ["𠮷野家"], ["ｶﾞﾗｽ"]]
    a, b = spans(["東京", "吉野家", ""], answers), spans(["東京", "𠮷野家", "ｶﾞﾗｽ窓"], answers)
    found = compare_task("f1", a, b)
    assert found["a"] == pytest.approx((1 + 2 / 3 + 0) / 3) and found["test"] == "paired bootstrap"
    assert [item["id"] for item in found["changed"]] == ["問2", "問1"]
    exact = compare_task("exact_match", a, b)
    assert (exact["a"], exact["b"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert (exact["only_a"], exact["only_b"], exact["test"]) == ([], ["問1"], "exact McNemar")


def test_groups_are_tested_and_corrected_among_themselves():
    gold, groups = [0] * 24, ["主語", "目的語", ""] * 8
    a, b = labels([1] * 24, gold, groups), labels([0, 1, 1] * 8, gold, groups)
    found = compare_task("accuracy", a, b)
    assert list(found["groups"]) == ["other", "主語", "目的語"]
    subject = found["groups"]["主語"]
    assert (subject["items"], subject["a"], subject["b"]) == (8, 0.0, 1.0)
    assert subject["p_value"] == mcnemar(0, 8) and subject["p_holm"] == pytest.approx(3 * mcnemar(0, 8))
    assert found["groups"]["目的語"]["p_holm"] == 1.0
    assert "only_a" not in subject and len(found["only_b"]) == 8


def test_items_of_no_group_stay_apart_from_a_group_of_that_name():
    lines = labels([0] * 3, [0] * 3, ["other", "", "0"])
    assert set(compare_task("accuracy", lines, lines)["groups"]) == {"other", "(other)", "0"}


def test_folders_are_corrected_for_the_number_of_tasks(tmp_path):
    gold = [0] * 12
    worse, better, equal = labels([1] * 10 + [0] * 2, gold), labels([0] * 12, gold), labels([0, 1] * 6, gold)
    tasks = {"jcola": ("mcc", equal), "jcommonsenseqa": ("accuracy", worse)}
    a = write_results(tmp_path / "a", tasks)
    b = write_results(tmp_path / "b", tasks | {"jcommonsenseqa": ("accuracy", better), "other": ("accuracy", worse)})
    found = compare(a, b)["tasks"]
    assert list(found) == ["jcola", "jcommonsenseqa"]
    assert found["jcommonsenseqa"]["p_holm"] == 2 * found["jcommonsenseqa"]["p_value"] == 2 * mcnemar(0, 10)
    assert found["jcola"]["p_value"] == found["jcola"]["p_holm"] == 1.0
    assert compare(a, b) == compare(a, b)


@pytest.mark.parametrize("change", [{"gold": 1}, {"id": "別"}, {"choices": WORDS[:2]}, {"group": "主語"}])
def test_other_items_are_refused(tmp_path, change):
    lines = labels([0, 0], [0, 0])
    a = write_results(tmp_path / "a", {"t": ("accuracy", lines)})
    b = write_results(tmp_path / "b", {"t": ("accuracy", [lines[0], lines[1] | change])})
    with pytest.raises(ArtifactError, match="is not the item 問1"):
        compare(a, b)
    other = write_results(tmp_path / "c", {"t": ("mcc", lines)})
    with pytest.raises(ArtifactError, match="another primary metric"):
        compare(a, other)
