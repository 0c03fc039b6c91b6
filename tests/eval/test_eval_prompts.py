"""What a model is asked, what guessing gets, and what is listed and shown."""

from pathlib import Path

import numpy as np
import pytest

from eval.config import TASK_FOLDER, task_names
from eval.examples import Example
from eval.listing import list_tasks, show_task
from eval.metrics import measure
from eval.models import TextScore
from eval.multiple_choice import item_scores, predict, trivial_baselines
from eval.prompts import FewShot, items, question_of, render
from eval.source import find_source
from eval.task import fill, load_task
from stage.errors import UsageError

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "eval").is_dir(), reason="../shared/data/eval is not here")


def made(name, root, shots=0, prompt="", **settings):
    task = load_task(name)
    examples = find_source(task, "valid", root).examples()
    pool = find_source(task, "train", root).examples() if shots else []
    return items(task, task.prompt(prompt), examples, FewShot(task, pool, shots, **settings), "ja-v1")


def test_items_of_a_question_task(jglue):
    found = made("jcommonsenseqa", jglue)
    first = found[0]
    assert len(found) == 4
    assert first.id == "0"
    assert first.context == "質問：空から降る冷たくて白いものは？\n答え：「"
    assert (first.choices, first.gold, first.closing) == (("雪", "雪山", "砂", "石", "油"), 0, "」")
    assert first.asked == [
        (first.context, ("雪」", "雪山」", "砂」", "石」", "油」")),
        ("答え：「", ("雪」", "雪山」", "砂」", "石」", "油」")),
    ]
    assert "どこ：山" in found[2].context


def test_items_of_a_classification_task(jglue):
    found = made("jnli", jglue)
    assert found[1].context == "前提：「猫が庭で寝ている」\n仮説：「猫が庭を走っている」\n二つの文の関係：「"
    assert found[1].choices == ("含意", "矛盾", "中立")
    assert [item.gold for item in found] == [0, 1, 2, 0, 2, 2]


def test_listed_choices_stand_in_the_prompt(jglue):
    first = made("jcommonsenseqa", jglue, prompt="listed")[0]
    assert first.context.endswith("選択肢：\n- 雪\n- 雪山\n- 砂\n- 石\n- 油\n回答：")
    assert first.context.startswith("与えられた選択肢")
    with pytest.raises(UsageError, match="task jcommonsenseqa has cloze, listed"):
        load_task("jcommonsenseqa").prompt("other")


@pytest.mark.parametrize("draw", ["fixed", "each"])
def test_solved_examples_never_repeat_the_question(jglue, draw):
    found = made("jcommonsenseqa", jglue, 3, draw=draw)
    for item in found:
        questions = [line for line in item.context.split("\n") if line.startswith("質問：")]
        assert len(questions) == 4
        assert len(set(questions)) == 4
    assert made("jcommonsenseqa", jglue, 3, draw=draw) == found
    assert made("jcommonsenseqa", jglue, 3, draw=draw, seed=1) != found


def test_each_question_can_have_its_own_examples():
    task = load_task("jcommonsenseqa")
    pool = [Example(str(n), {"question": f"第{n}問は？"}, ("甲", "乙"), n % 2) for n in range(50)]
    fixed, each = FewShot(task, pool, 3), FewShot(task, pool, 3, draw="each")
    new = Example("新", {"question": "𠮷は？"}, ("甲", "乙"), 0)
    assert fixed.examples(0, new) == fixed.examples(1, new)
    shown = [tuple(example.id for example in each.examples(number, new)) for number in range(20)]
    assert len(set(shown)) > 15
    assert {id for ids in shown for id in ids} <= {example.id for example in each.pool()}


def test_examples_of_classes_are_balanced(jglue):
    task = load_task("jnli")
    pool = find_source(task, "valid", jglue).examples()
    for draw in ("fixed", "each"):
        few_shot = FewShot(task, pool * 2, 3, draw=draw)
        shown = few_shot.examples(0, Example("x", {"sentence1": "あ", "sentence2": "い"}))
        assert sorted(example.label for example in shown) == [0, 1, 2]
        assert len({question_of(example) for example in shown}) == 3


def test_braces_in_a_field_mean_nothing():
    assert fill("文：{a}／{b}", {"a": "{b}", "b": "𠮷{x}"}) == "文：{b}／𠮷{x}"


def test_listing_and_prompts(jglue):
    assert [entry["name"] for entry in list_tasks()] == task_names()
    needs = {entry["name"] for entry in list_tasks() if entry["needs_data"]}
    assert needs == set(task_names()) - {"particle", "continuation"}
    assert "質問：空から降る" in show_task("jcommonsenseqa", jglue, count=1)
    assert "→ 雪」" in show_task("jcommonsenseqa", jglue, count=1)
    assert show_task("jcommonsenseqa", jglue, count=1, shots=2).count("質問：") == 3
    assert "{sentence1}" in show_task("jnli")
    for name in ("particle", "continuation"):
        assert "→" in show_task(name)
    with pytest.raises(UsageError, match="did you mean particle"):
        show_task("partikle")


def test_every_shipped_task_can_be_shown_and_says_where_it_is_from():
    for file in TASK_FOLDER.glob("*.yaml"):
        task = load_task(file.stem)
        assert task.source.startswith("https://") and task.license
        assert task.title in show_task(file.stem)
        for entry in task.published:
            assert set(entry) - {"who", "how", "split", "source"} <= set(task.metrics), file
            assert all(0 <= entry[metric] <= 1 for metric in task.metrics if metric in entry)
        for leak in task.leaks:
            assert set(leak) == {"set", "what"}


def test_trivial_baselines_come_from_the_items(jglue):
    task = load_task("jnli")
    gold = [item.gold for item in made("jnli", jglue)]
    found = trivial_baselines(gold, [3] * 6, [*task.metrics, "mcc"])
    assert found["random"]["accuracy"]["value"] == pytest.approx(1 / 3)
    assert found["majority"]["accuracy"]["value"] == pytest.approx(3 / 6)
    assert found["majority"]["balanced_accuracy"]["value"] == pytest.approx(1 / 3)
    assert found["majority"]["macro_f1"]["value"] == pytest.approx(2 / 3 / 3)
    assert found["majority"]["mcc"]["value"] == 0
    assert trivial_baselines([1.5, 2], [6, 6], ["pearson"])["majority"]["pearson"] == {"value": None}


def test_metrics_of_known_scores(jglue):
    found = made("jnli", jglue)
    rows = np.log(
        [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [0.4, 0.35, 0.25]]
    )
    neutral = np.log([0.6, 0.2, 0.2])
    scores = [
        item_scores(item, [[TextScore(float(value), 2) for value in each] for each in (row, neutral)])
        for item, row in zip(found, rows, strict=True)
    ]
    assert scores[0].pmi == pytest.approx(rows[0] - neutral)
    assert scores[0].per_character == pytest.approx(rows[0] / 3)
    assert scores[0].per_byte == pytest.approx(rows[0] / 9)
    assert scores[0].per_token == pytest.approx(rows[0] / 2)
    examples = [Example(item.id, {}, item.choices, item.gold) for item in found]

    def value(metric):
        return measure(metric, examples, predict(scores, metric), bootstrap=200, seed=0)

    assert value("accuracy")["value"] == pytest.approx(4 / 6)
    assert value("balanced_accuracy")["value"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert value("accuracy_pmi")["value"] == pytest.approx(5 / 6)
    assert value("accuracy")["low"] <= value("accuracy")["value"] <= value("accuracy")["high"]


def test_a_number_is_the_mean_over_the_grid():
    scores = [TextScore(float(np.log(share)), 1) for share in (0.2, 0.3, 0.5)]
    item = made_item("文", ("0", "1", "2"))
    assert predict([item_scores(item, [scores])], "spearman", (0.0, 1.0, 2.0)) == pytest.approx([1.3])


def made_item(context, choices):
    from eval.multiple_choice import Item

    return Item("1", context, choices, 0)


def test_a_shot_of_a_regression_has_the_nearest_number():
    task = load_task("jsts")
    shot = Example("1", {"sentence1": "猫がいる", "sentence2": "犬がいる"}, tuple("012345"), 3.6)
    assert "0から5）：「4」\n\n" in render(task, task.prompt(), shot, [shot])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("jnli", {"split": "dev"}, "--split dev: must be one of train, valid, test"),
        ("jnli", {"shots": -1}, "--shots -1: must be at least 0"),
        ("jnli", {"shots": 1}, "--shots 1: has no effect, they are shown with --data DIR"),
        ("jblimp", {"shots": 1}, "--shots 1: has no effect, task jblimp takes no examples"),
        ("particle", {"prompt": "cloze"}, "--prompt cloze: has no effect"),
        ("particle", {"split": "test"}, "--split test: has no effect"),
    ],
)
def test_show_refuses_what_it_would_ignore(name, settings, message):
    with pytest.raises(UsageError, match=message):
        show_task(name, **settings)
