import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from eval.config import TASK_FOLDER, EvalConfig, task_names
from eval.examples import Example
from eval.grid import FinetuneConfig
from eval.listing import list_tasks, show_task
from eval.metrics import measure
from eval.models import TextScore
from eval.multiple_choice import item_scores, predict, trivial_baselines
from eval.preparing import prepare
from eval.prompts import FewShot, items, question_of, render
from eval.source import find_source
from eval.task import fill, load_task
from stage.errors import InputError, UsageError

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "eval").is_dir(), reason="../shared/data/eval is not here")


def valid_file(root, task):
    return root / "jglue" / f"{task}-v1.3" / "valid-v1.3.json"


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


def test_examples_without_a_training_file_are_a_usage_error(jglue):
    with pytest.raises(UsageError, match=r"--shots 3.*train-v1.3.json.*github.com/yahoojapan/JGLUE"):
        prepare(EvalConfig(tasks=["jnli"], shots=3), jglue, "ja-v1")
    with pytest.raises(UsageError, match=r"--method finetune.*train-v1.3.json"):
        prepare(EvalConfig(tasks=["jnli"], method="finetune"), jglue, "ja-v1")
    with pytest.raises(UsageError, match="only 5 different"):
        prepare(EvalConfig(tasks=["jcommonsenseqa"], shots=5), jglue, "ja-v1")
    with pytest.raises(UsageError, match="measured by likelihood or finetune"):
        prepare(EvalConfig(tasks=["jnli"], method="generate"), jglue, "ja-v1")


def test_any_version_and_both_layouts_are_found(tmp_path, write_lines):
    task = load_task("jnli")
    write_lines(tmp_path / "jnli-v1.1" / "valid-v1.1.json", [])
    assert find_source(task, "valid", tmp_path).file.parent.name == "jnli-v1.1"
    (tmp_path / "jnli-v1.1" / "valid-v1.1.json").unlink()
    write_lines(tmp_path / "jglue" / "jnli-v1.10" / "valid-v1.10.json", [])
    write_lines(tmp_path / "jglue" / "jnli-v1.9" / "valid-v1.9.json", [])
    assert find_source(task, "valid", tmp_path).file.parent.name == "jnli-v1.10"


def test_missing_data_names_the_layout_and_where_it_is_had(tmp_path):
    task = load_task("jnli")
    with pytest.raises(
        UsageError, match=r"--data DIR.*jglue/jnli-v1.3/valid-v1.3.json.*https://github.com/yahoojapan/JGLUE"
    ):
        find_source(task, "valid", None)
    with pytest.raises(InputError, match="holds no valid file of jnli"):
        find_source(task, "valid", tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_source(task, "valid", tmp_path / "missing")
    with pytest.raises(UsageError, match="task xwinograd has only test, use --split test"):
        find_source(load_task("xwinograd"), "valid", tmp_path)


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
        find_source(load_task("jcommonsenseqa"), "valid", jglue).examples()
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
    file = tmp_path / "jnli-v1.3" / "valid-v1.3.json"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        find_source(load_task("jnli"), "valid", tmp_path).examples()


def test_unknown_tasks_show_the_nearest_names():
    with pytest.raises(UsageError, match=r"unknown task 'jcommonsenceqa': did you mean jcommonsenseqa or .*particle"):
        EvalConfig(tasks=["jcommonsenceqa"])
    assert EvalConfig(tasks=["particle,jnli"]).tasks == ["particle", "jnli"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"shots": -1},
        {"batch_tokens": 0},
        {"bootstrap": 5},
        {"split": "dev"},
        {"method": "guess"},
        {"draw": "each"},
        {"tasks": ["jnli", "jnli"]},
    ],
)
def test_settings_that_cannot_be_are_usage_errors(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        EvalConfig(**wrong)


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


QUESTION = {"title": "星", "context": "星 [SEP] ベガは七夕の織姫星である。𠮷田はベガを見た。", "id": "q1"}


def squad(root, *asked):
    file = root / "jglue" / "jsquad-v1.3" / "valid-v1.3.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    qas = [{"id": f"q{n}", "question": question, "answers": answers} for n, (question, answers) in enumerate(asked)]
    paragraph = {"context": QUESTION["context"], "qas": qas}
    file.write_text(json.dumps({"data": [{"title": "星", "paragraphs": [paragraph]}]}, ensure_ascii=False), "utf-8")
    return file


def test_answers_are_found_in_the_passage(tmp_path):
    squad(tmp_path, ("誰が見た？", [{"text": "𠮷田", "answer_start": 19}, {"text": "ベガ", "answer_start": 7}]))
    (example,) = find_source(load_task("jsquad"), "valid", tmp_path).examples()
    assert example.texts == ("誰が見た？", "星\nベガは七夕の織姫星である。𠮷田はベガを見た。")
    assert example.answers == ("𠮷田", "ベガ")
    assert example.texts[1][example.answer_start :].startswith("𠮷田")
    assert example.other == {"title": "星", "text": "ベガは七夕の織姫星である。𠮷田はベガを見た。"}
    file = squad(tmp_path, ("何？", []))
    with pytest.raises(InputError, match=r"question q0: field 'answers' must be a list of answers"):
        find_source(load_task("jsquad"), "valid", tmp_path).examples()
    file.write_text('{"data": [{"title": 1}]}')
    with pytest.raises(InputError, match="is not a SQuAD file"):
        find_source(load_task("jsquad"), "valid", tmp_path).examples()


def test_pairs_take_turns_and_a_pronoun_is_replaced(tmp_path, write_lines):
    rows = [
        {"ID": n, "good_sentence": f"本を{n}冊読んだ。", "bad_sentence": f"本が{n}冊読んだ。", "phenomenon": "格"}
        for n in range(3)
    ]
    write_lines(tmp_path / "jblimp" / "validated_minimal_pairs.jsonl", rows)
    found = find_source(load_task("jblimp"), "valid", tmp_path).examples()
    assert [example.choices[int(example.label)] for example in found] == [row["good_sentence"] for row in rows]
    assert [example.label for example in found] == [0, 1, 0]
    assert {example.group for example in found} == {"格"}
    lines = [
        ["en", "a", "x", "y", "[]", "[]", "[]"],
        [
            "jp",
            "a",
            "He slept.",
            "猫は犬を見た。彼は寝た。",
            '["猫", "は犬を見た。", "彼", "は寝た。"]',
            '["彼", [2, 3], ["彼"]]',
            '[["猫", [0, 1], ["猫"], false], ["犬", [1, 2], ["犬"], true]]',
        ],
    ]
    (tmp_path / "xwinograd").mkdir()
    file = tmp_path / "xwinograd" / "dataset.tsv"
    file.write_text("\n".join("\t".join(line) for line in lines), "utf-8")
    (example,) = find_source(load_task("xwinograd"), "test", tmp_path).examples()
    assert example.choices == ("猫は犬を見た。猫は寝た。", "猫は犬を見た。犬は寝た。")
    assert example.label == 1
    file.write_text(file.read_text("utf-8").replace("[2, 3]", "[2]"), "utf-8")
    with pytest.raises(InputError, match="line 2: is not as in XWinograd"):
        find_source(load_task("xwinograd"), "test", tmp_path).examples()


def test_splits_stand_in_a_column_or_come_from_a_hash(tmp_path, write_lines):
    header = "\tsentence_A_Ja\tsentence_B_Ja\tentailment_label_Ja\theuristics\tnumber_of_NPs\tsemtag\tsplit\n"
    body = [
        f"{n}\t文{n}\t句{n}\t{'non-' * (n % 2)}entailment\t甲\t2\tx\t{'test' if n > 5 else 'train'}\n" for n in range(8)
    ]
    (tmp_path / "janli").mkdir()
    (tmp_path / "janli" / "janli.tsv").write_text(header + "".join(body), "utf-8")
    task = load_task("janli")
    assert [len(find_source(task, split, tmp_path).examples()) for split in ("train", "test")] == [6, 2]
    rows = [
        {
            "id": f"peachy/{n}",
            "label": "peachy",
            "text": f"http://a\n2012-01-01\n題{n}\n　本文{n}です。\n\n【関連記事】\n広告",
        }
        for n in range(60)
    ]
    write_lines(tmp_path / "livedoor" / "articles.jsonl", rows)
    task = load_task("livedoor")
    parts = {split: find_source(task, split, tmp_path).examples() for split in ("train", "valid", "test")}
    ids = [example.id for part in parts.values() for example in part]
    assert sorted(ids) == sorted(row["id"] for row in rows)
    assert all(len(part) > 0 for part in parts.values())
    example = parts["train"][0]
    number = example.id.split("/")[1]
    assert example.fields == {"title": f"題{number}", "body": f"本文{number}です。"}


def own_task(folder, **changes):
    record = {
        "title": "十干: どれが先か",
        "kind": "choice",
        "source": "https://example.org/",
        "license": "CC0",
        "files": {"valid": "stems.jsonl", "train": "more.jsonl"},
        "fields": ["question"],
        "choices": ["a", "b"],
        "label": "label",
        "prompts": {"cloze": {"version": "1", "item": "問：{question}\n答：「", "closing": "」"}},
        "metrics": ["accuracy"],
        "primary": "accuracy",
    } | changes
    record = {key: value for key, value in record.items() if value is not ...}
    file = folder / "stems.yaml"
    file.write_text(yaml.safe_dump(record, allow_unicode=True), "utf-8")
    return str(file)


def test_a_task_of_ones_own_is_a_yaml_and_a_jsonl_file(tmp_path, write_lines):
    rows = [
        {"question": "甲と乙は？", "a": "甲", "b": "乙", "label": 0},
        {"question": "丙と丁は？", "a": "丁", "b": "丙", "label": 1},
    ]
    write_lines(tmp_path / "stems.jsonl", rows)
    path = own_task(tmp_path)
    (given,) = prepare(EvalConfig(tasks=[path]), None, "ja-v1").values()
    assert given.task.name == "stems"
    assert [entry.role for entry in given.inputs] == ["task", "data"]
    assert [example.choices[int(example.label)] for example in given.examples] == ["甲", "丙"]
    assert "→ 丙」" in show_task(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ["acuracy"]}, "unknown metric 'acuracy'"),
        ({"primary": "mcc"}, "primary metric 'mcc' is not among"),
        ({"kind": "quiz"}, "kind 'quiz' must be one of choice"),
        ({"name": "甲"}, "unknown entry 'name'; a task is named as its file is"),
        ({"choise": ["a"]}, "unknown entry 'choise'; did you mean choices"),
        ({"label": ...}, "needs label"),
        ({"license": ...}, "lacks license"),
        ({"files": {}}, "needs files or hub"),
        ({"files": "stems.jsonl"}, "entry files must be a mapping"),
        ({"prompts": {"cloze": {"item": "問"}}}, "prompt cloze: lacks version"),
        ({"prompts": {"cloze": {"version": "1", "item": "{qestion}"}}}, "names qestion"),
        ({"prompts": []}, "needs a prompt"),
        ({"choices": ["a"]}, "needs choices"),
        ({"format": "xml"}, "format 'xml' must be one of"),
        ({"title": ["十干"]}, "entry title must be text"),
        ({"label": {"a": 1}}, "entry label must be text"),
        ({"fields": [["question"]]}, "entry fields must be text"),
        ({"first_choice": "one"}, "entry first_choice must be a whole number"),
        ({"max_tokens": 0}, "max_tokens 0 must be at least 1"),
        ({"choices": ["a", "a"]}, "choices names a field twice"),
        ({"prompts": {"cloze": {"version": "1", "item": ["問"]}}}, "prompt cloze: entry item must be text"),
        ({"metrics": ["f1"], "primary": "f1"}, "metric f1 is none of a choice"),
        ({"kind": "pair", "prompts": ..., "metrics": ["accuracy", "accuracy_pmi"]}, "pmi needs the entry neutral"),
        ({"kind": "classification", "classes": {0: "甲", 1: "甲"}}, "two classes have the same word"),
        (
            {"kind": "regression", "metrics": ["pearson"], "primary": "pearson", "classes": {"甲": "一", 2: "二"}},
            "classes of a regression must be numbers",
        ),
        ({"files": {"dev": "stems.jsonl"}}, "files has dev; the splits are train, valid, test"),
        ({"files": {"valid": "/stems.jsonl"}}, "must be a name or pattern below the folder"),
        ({"files": {"valid": ["stems.jsonl"]}}, "entry files must be text"),
        ({"hub": {"name": "十干"}}, "hub needs name and splits"),
        ({"hash_split": {"of": 2, "valid": [0], "train": [1]}}, "hash_split needs files, and the entries field"),
        ({"hash_split": {"field": "a", "of": 2, "valid": [0]}}, "hash_split needs a list for each of train, valid"),
        ({"hash_split": {"field": "a", "of": 2, "valid": [0, 1], "train": [1]}}, "below 2, each in one of them"),
        ({"extract": {"question": {"field": "a"}}}, "question needs field and pattern"),
        ({"extract": {"question": {"field": "a", "pattern": "("}}}, "question has a broken regular expression"),
        ({"extract": {"question": {"field": "a", "pattern": "甲"}}}, r"needs a group, \(…\), or replace"),
        ({"extract": {"question": {"field": "a", "pattern": "甲", "replace": r"\1"}}}, "broken regular expression"),
        ({"published": [{"who": "甲"}]}, "published needs who, how, split and source"),
        ({"leaks": [{"set": "甲"}]}, "leaks needs set and what"),
    ],
)
def test_a_wrong_declaration_is_one_line(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message) as caught:
        load_task(own_task(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_declaration(tmp_path):
    with pytest.raises(UsageError, match="no such task file"):
        load_task(str(tmp_path / "none.yaml"))
    for content, message in (
        ("- 甲", "must hold the entries"),
        ("a: [", "is not YAML"),
        ("prompts: 甲", "prompts must be"),
        ("title: 2026-02-40", "is not YAML"),
    ):
        (tmp_path / "x.yaml").write_text(content, "utf-8")
        with pytest.raises(UsageError, match=message):
            load_task(str(tmp_path / "x.yaml"))


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.parquet"])
def test_tables_are_read_by_their_name(tmp_path, name):
    import pandas

    table = pandas.DataFrame(
        {"question": ["「甲」,と乙は？", "𠮷は？"], "a": ["甲", "乙"], "b": ["乙", "甲"], "label": [0, 1]}
    )
    if name.endswith("parquet"):
        table.to_parquet(tmp_path / name)
    else:
        table.to_csv(tmp_path / name, index=False, sep="\t" if name.endswith("tsv") else ",")
    path = own_task(tmp_path, files={"test": name})
    found = find_source(load_task(path), "test", None).examples()
    assert [(example.texts, example.label) for example in found] == [(("「甲」,と乙は？",), 0), (("𠮷は？",), 1)]


def test_a_broken_table_names_the_line(tmp_path):
    path = own_task(tmp_path, files={"test": "x.csv"})
    source = load_task(path)
    (tmp_path / "x.csv").write_text("question,a,b,label\n問,甲,乙\n", "utf-8")
    with pytest.raises(InputError, match=r"x.csv: line 2: has no field 'label'"):
        find_source(source, "test", None).examples()
    (tmp_path / "x.csv").write_bytes("question,a,b,label\n問,甲,乙,0\n".encode("shift_jis"))
    with pytest.raises(InputError, match="not UTF-8; convert it with iconv"):
        find_source(source, "test", None).examples()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("question,a,b,label\n問,甲,乙,0,1\n", "line 2: has 5 cells, the header 4"),
        ("question,a,a,b,label\n問,甲,丙,乙,0\n", "line 1: two columns have the same name"),
    ],
)
def test_no_cell_of_a_table_is_silently_dropped(tmp_path, content, message):
    (tmp_path / "x.csv").write_text(content, "utf-8")
    with pytest.raises(InputError, match=message):
        find_source(load_task(own_task(tmp_path, files={"test": "x.csv"})), "test", None).examples()


def test_numbers_of_a_task_file_are_texts_where_texts_are_asked_for(tmp_path):
    prompts = {"cloze": {"version": 1, "item": "{question}"}}
    task = load_task(
        own_task(tmp_path, kind="classification", choices=..., classes={0: 1, 1: 2}, prompts=prompts, fields="question")
    )
    assert (task.classes, task.prompt().version, task.fields) == ({0: "1", 1: "2"}, "1", ("question",))


@pytest.mark.parametrize(
    "answers",
    [
        5,
        None,
        {},
        [],
        [5],
        [["甲"]],
        [{"text": 5}],
        [{"text": "甲", "answer_start": "x"}],
        {"text": ["甲"], "answer_start": [1, 2]},
    ],
)
def test_answers_of_another_form_name_the_line(tmp_path, write_lines, answers):
    write_lines(tmp_path / "x.jsonl", [{"question": "何？", "passage": "甲と乙", "answers": answers}])
    span = {"kind": "span", "choices": ..., "label": ..., "fields": ["question", "passage"]}
    path = own_task(tmp_path, **span, files={"test": "x.jsonl"}, metrics=["f1"], primary="f1")
    with pytest.raises(InputError, match="line 1: field 'answers' must be a list of answers"):
        find_source(load_task(path), "test", None).examples()


def test_half_a_surrogate_pair_names_the_line(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"question": "\\ud800", "a": "甲", "b": "乙", "label": 0}\n', "utf-8")
    with pytest.raises(InputError, match="line 1: holds half of a surrogate pair"):
        find_source(load_task(own_task(tmp_path, files={"test": "x.jsonl"})), "test", None).examples()


@pytest.mark.parametrize("number", ["1e308", "1" + "0" * 400])
def test_numbers_whose_squares_are_infinite_are_none(tmp_path, number):
    (tmp_path / "x.jsonl").write_text(f'{{"question": "何？", "label": {number}}}\n', "utf-8")
    regression = {"kind": "regression", "choices": ..., "classes": {0: "零", 1: "一"}}
    path = own_task(tmp_path, **regression, files={"test": "x.jsonl"}, metrics=["pearson"], primary="pearson")
    with pytest.raises(InputError, match=r"line 1: field 'label' is 1.*must be a number"):
        find_source(load_task(path), "test", None).examples()


def test_a_data_set_in_the_hubs_format_is_read(tmp_path, write_lines):
    rows = [{"question": "甲は？", "a": "甲", "b": "乙", "label": 0}]
    write_lines(tmp_path / "set" / "validation.jsonl", rows)
    hub = {"name": str(tmp_path / "set"), "splits": {"valid": "validation"}}
    path = own_task(tmp_path, hub=hub, files=...)
    (example,) = find_source(load_task(path), "valid", "hub").examples()
    assert example.texts == ("甲は？",)
    with pytest.raises(UsageError, match="has only valid"):
        find_source(load_task(path), "train", "hub")
    path = own_task(tmp_path, hub=hub | {"name": str(tmp_path / "none")}, files=...)
    with pytest.raises(InputError, match="cannot be read as a data set"):
        find_source(load_task(path), "valid", "hub").examples()


@needs_data
def test_the_real_files_give_the_known_majority_baselines():
    for name, count, majority in (
        ("jcommonsenseqa", 1119, 240 / 1119),
        ("jnli", 2434, 1350 / 2434),
        ("jcola", 865, 726 / 865),
    ):
        found = find_source(load_task(name), "valid", DATA).examples()
        assert len(found) == count
        assert len({example.id for example in found}) == count
        golds, counts = [example.label for example in found], [len(example.choices) for example in found]
        assert trivial_baselines(golds, counts, ["accuracy"])["majority"]["accuracy"]["value"] == pytest.approx(
            majority
        )


@needs_data
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("jsts", {"train": 12451, "valid": 1457}),
        ("jsquad", {"valid": 4442}),
        ("jcola_ood", {"train": 6919, "valid": 685}),
        ("janli", {"train": 13680, "test": 720}),
        ("jnli_neg", {"train": 5494, "valid": 1363}),
        ("jcommonsensemorality", {"train": 13975, "valid": 1996, "test": 3992}),
        ("chabsa", {"train": 1970, "test": 843}),
    ],
)
def test_the_real_files_are_read_whole(name, sizes):
    for split, count in sizes.items():
        examples = find_source(load_task(name), split, DATA).examples()
        assert len(examples) == count
        if name == "jsquad":
            assert all(example.answer_start >= 0 for example in examples)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "finetune"}, "task particle is measured by likelihood"),
        ({"method": "generate", "tasks": "jsquad,continuation"}, "task continuation is measured by likelihood"),
        ({"split": "test"}, "task particle has only valid"),
        ({"max_characters": 9, "language": False}, "max_characters 9: has no effect"),
        ({"tasks": "jnli", "method": "finetune", "shots": 2}, "shots 2: has no effect with method finetune"),
        (
            {"tasks": "jnli", "method": "finetune", "prompt": "cloze"},
            "prompt cloze: has no effect with method finetune",
        ),
        ({"tasks": "jnli", "method": "finetune", "reference": True}, "reference: has no effect"),
        ({"tasks": "jnli", "finetune": FinetuneConfig(seeds=1)}, "no effect without --method finetune"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        EvalConfig(**settings)


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


def test_a_task_of_ones_own_may_lie_in_a_folder_called_tasks(tmp_path, write_lines):
    folder = tmp_path / "tasks"
    folder.mkdir()
    write_lines(folder / "stems.jsonl", [{"question": "甲と乙は？", "a": "甲", "b": "乙", "label": 0}])
    assert "→ 甲」" in show_task(own_task(folder))


def test_too_few_examples_to_tune_on_are_told_before_anything_is_measured(jglue):
    with pytest.raises(InputError, match="5 training examples are too few"):
        prepare(EvalConfig(tasks=["jcommonsenseqa"], method="finetune"), jglue, "ja-v1")
