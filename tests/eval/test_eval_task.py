import json
from pathlib import Path

import numpy as np
import pytest

from eval.config import EvalConfig, task_names
from eval.listing import list_tasks, show_task
from eval.multiple_choice import ItemScores, measure, trivial_baselines
from eval.task import build_items, fill, load_task
from stage.errors import InputError, UsageError

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "eval"
needs_data = pytest.mark.skipif(not (DATA / "jglue").is_dir(), reason="../shared/data/eval/jglue is not here")


def valid_file(root, task):
    return root / "jglue" / f"{task}-v1.3" / "valid-v1.3.json"


def test_items_of_a_question_task(jglue):
    task = load_task("jcommonsenseqa")
    made = build_items(task, task.find(jglue, "valid"))
    first = made.items[0]
    assert len(made.items) == 4
    assert first.id == "0"
    assert first.context == "質問：空から降る冷たくて白いものは？\n答え：「"
    assert (first.choices, first.gold, first.closing) == (("雪", "雪山", "砂", "石", "油"), 0, "」")
    assert "どこ：山" in made.items[2].context


def test_items_of_a_classification_task(jglue):
    task = load_task("jnli")
    made = build_items(task, task.find(jglue, "valid"))
    assert made.items[1].context == "前提：「猫が庭で寝ている」\n仮説：「猫が庭を走っている」\n二つの文の関係：「"
    assert made.items[1].choices == ("含意", "矛盾", "中立")
    assert [item.gold for item in made.items] == [0, 1, 2, 0, 2, 2]


def test_solved_examples_never_repeat_the_question(jglue):
    task = load_task("jcommonsenseqa")
    made = build_items(task, task.find(jglue, "valid"), task.find_train(jglue, 3), shots=3)
    for item in made.items:
        questions = [line for line in item.context.split("\n") if line.startswith("質問：")]
        assert len(questions) == 4
        assert questions.count(questions[-1]) == 1
    again = build_items(task, task.find(jglue, "valid"), task.find_train(jglue, 3), shots=3)
    assert again == made


def test_examples_of_classes_are_balanced(jglue):
    task = load_task("jnli")
    rows = task.read(task.find(jglue, "valid"))
    pool = task.shot_pool(rows * 2, 3, seed=0)
    assert sorted(task.gold(row) for row in pool[:3]) == [0, 1, 2]
    assert len({task.question_key(row) for row in pool}) == len(pool)


def test_examples_without_a_training_file_are_a_usage_error(jglue):
    with pytest.raises(UsageError, match=r"--shots 3.*train-v1.3.json.*github.com/yahoojapan/JGLUE"):
        load_task("jnli").find_train(jglue, 3)
    with pytest.raises(UsageError, match="only 5 different"):
        task = load_task("jcommonsenseqa")
        build_items(task, task.find(jglue, "valid"), task.find_train(jglue, 5), shots=5)


def test_any_version_and_both_layouts_are_found(tmp_path, write_lines):
    task = load_task("jnli")
    write_lines(tmp_path / "jnli-v1.1" / "valid-v1.1.json", [])
    assert task.find(tmp_path, "valid").parent.name == "jnli-v1.1"
    write_lines(tmp_path / "jglue" / "jnli-v1.10" / "valid-v1.10.json", [])
    write_lines(tmp_path / "jglue" / "jnli-v1.9" / "valid-v1.9.json", [])
    assert task.find(tmp_path, "valid").parent.name == "jnli-v1.10"


def test_missing_data_names_the_layout_and_where_it_is_had(tmp_path):
    with pytest.raises(
        UsageError, match=r"--data DIR.*jglue/jnli-v1.3/valid-v1.3.json.*https://github.com/yahoojapan/JGLUE"
    ):
        load_task("jnli").find(None, "valid")
    with pytest.raises(InputError, match="holds no valid file of jnli"):
        load_task("jnli").find(tmp_path, "valid")
    with pytest.raises(InputError, match="no such folder"):
        load_task("jnli").find(tmp_path / "missing", "valid")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("choice3"), "line 2: has no field 'choice3'; its fields are q_id, question"),
        (lambda row: row.update(label=5), "line 2: field 'label' is 5, but must be one of 0, 1, 2, 3, 4"),
        (lambda row: row.update(label="1"), "line 2: field 'label' is \"1\""),
        (lambda row: row.update(label=True), "line 2: field 'label' is true"),
        (lambda row: row.update(choice1=" "), "line 2: field 'choice1' must be a text that is not empty"),
    ],
)
def test_wrong_fields_name_file_line_and_field(jglue, change, message, write_lines):
    file = valid_file(jglue, "jcommonsenseqa")
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    change(rows[1])
    write_lines(file, rows)
    with pytest.raises(InputError) as caught:
        load_task("jcommonsenseqa").read(file)
    assert str(caught.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"label": 1\n', "line 1: broken JSON"),
        ("質問".encode("shift_jis"), "line 1: not UTF-8"),
        (b"[1]\n", "line 1: holds list, not an object"),
        (b'{"label": ' + b"1" * 5000 + b"}", "line 1: JSON with a number that is too long"),
        (b"\n\n", "holds no items"),
        (b"", "holds no items"),
    ],
)
def test_broken_files_name_the_place(tmp_path, content, message):
    file = tmp_path / "valid.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_task("jnli").read(file)


def test_unknown_tasks_show_the_nearest_names():
    with pytest.raises(UsageError, match=r"unknown task 'jcommonsenceqa': did you mean jcommonsenseqa\?.*particle"):
        EvalConfig(tasks=["jcommonsenceqa"])
    assert EvalConfig(tasks=["particle,jnli"]).tasks == ["particle", "jnli"]


@pytest.mark.parametrize(
    "wrong", [{"shots": -1}, {"batch_tokens": 0}, {"bootstrap": 5}, {"split": "test"}, {"tasks": ["jnli", "jnli"]}]
)
def test_settings_that_cannot_be_are_usage_errors(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        EvalConfig(**wrong)


def test_braces_in_a_field_mean_nothing():
    assert fill("文：{a}／{b}", {"a": "{b}", "b": "𠮷{x}"}) == "文：{b}／𠮷{x}"


def test_listing_and_prompts(jglue):
    assert [entry["name"] for entry in list_tasks()] == task_names()
    assert {entry["name"] for entry in list_tasks() if entry["needs_data"]} == {"jcommonsenseqa", "jnli"}
    assert "質問：空から降る" in show_task("jcommonsenseqa", jglue, count=1)
    assert "→ 雪」" in show_task("jcommonsenseqa", jglue, count=1)
    assert "{sentence1}" in show_task("jnli")
    for name in ("particle", "continuation"):
        assert "→" in show_task(name)
    with pytest.raises(UsageError, match="did you mean particle"):
        show_task("partikle")


def test_trivial_baselines_come_from_the_items(jglue):
    task = load_task("jnli")
    items = build_items(task, task.find(jglue, "valid")).items
    found = trivial_baselines(items, task.metrics)
    assert found["random"]["accuracy"]["value"] == pytest.approx(1 / 3)
    assert found["majority"]["accuracy"]["value"] == pytest.approx(3 / 6)
    assert found["majority"]["balanced_accuracy"]["value"] == pytest.approx(1 / 3)
    assert found["majority"]["macro_f1"]["value"] == pytest.approx(2 / 3 / 3)


def test_metrics_of_known_scores(jglue):
    task = load_task("jnli")
    items = build_items(task, task.find(jglue, "valid")).items
    rows = np.log(
        [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [0.4, 0.35, 0.25]]
    )
    scores = [ItemScores(row, row / 3, row - np.log([0.6, 0.2, 0.2])) for row in rows]
    found = measure(items, scores, task.metrics, bootstrap=200, seed=0)
    assert found["accuracy"]["value"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"]["value"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert found["accuracy_pmi"]["value"] == pytest.approx(5 / 6)
    assert found["accuracy"]["low"] <= found["accuracy"]["value"] <= found["accuracy"]["high"]


@needs_data
def test_the_real_files_give_the_known_majority_baselines():
    for name, count, majority in (("jcommonsenseqa", 1119, 240 / 1119), ("jnli", 2434, 1350 / 2434)):
        task = load_task(name)
        made = build_items(task, task.find(DATA, "valid"))
        assert len(made.items) == count
        assert len({item.id for item in made.items}) == count
        assert trivial_baselines(made.items, ["accuracy"])["majority"]["accuracy"]["value"] == pytest.approx(majority)
