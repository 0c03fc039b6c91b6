"""Declarations of tasks, and requests that they cannot fulfil."""

from pathlib import Path

import pytest

from eval.config import EvalConfig
from eval.grid import FinetuneConfig
from eval.listing import show_task
from eval.preparing import prepare
from eval.task import load_task
from stage.errors import InputError, UsageError

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "eval").is_dir(), reason="../shared/data/eval is not here")


def test_examples_without_a_training_file_are_a_usage_error(jglue):
    with pytest.raises(UsageError, match=r"--shots 3.*train-v1.3.json.*github.com/yahoojapan/JGLUE"):
        prepare(EvalConfig(tasks=["jnli"], shots=3), jglue, "ja-v1")
    with pytest.raises(UsageError, match=r"--method finetune.*train-v1.3.json"):
        prepare(EvalConfig(tasks=["jnli"], method="finetune"), jglue, "ja-v1")
    with pytest.raises(UsageError, match="only 5 different"):
        prepare(EvalConfig(tasks=["jcommonsenseqa"], shots=5), jglue, "ja-v1")
    with pytest.raises(UsageError, match="measured by likelihood or finetune"):
        prepare(EvalConfig(tasks=["jnli"], method="generate"), jglue, "ja-v1")


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


def test_a_task_of_ones_own_is_a_yaml_and_a_jsonl_file(tmp_path, write_lines, own_task):
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
def test_a_wrong_declaration_is_one_line(tmp_path, changes, message, own_task):
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


def test_numbers_of_a_task_file_are_texts_where_texts_are_asked_for(tmp_path, own_task):
    prompts = {"cloze": {"version": 1, "item": "{question}"}}
    task = load_task(
        own_task(tmp_path, kind="classification", choices=..., classes={0: 1, 1: 2}, prompts=prompts, fields="question")
    )
    assert (task.classes, task.prompt().version, task.fields) == ({0: "1", 1: "2"}, "1", ("question",))


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


def test_a_task_of_ones_own_may_lie_in_a_folder_called_tasks(tmp_path, write_lines, own_task):
    folder = tmp_path / "tasks"
    folder.mkdir()
    write_lines(folder / "stems.jsonl", [{"question": "甲と乙は？", "a": "甲", "b": "乙", "label": 0}])
    assert "→ 甲」" in show_task(own_task(folder))


def test_too_few_examples_to_tune_on_are_told_before_anything_is_measured(jglue):
    with pytest.raises(InputError, match=r"task jcommonsenseqa, .*5 training examples, .*are too few"):
        prepare(EvalConfig(tasks=["jcommonsenseqa"], method="finetune"), jglue, "ja-v1")


def test_items_whose_choices_are_equal_are_told(tmp_path, write_lines, own_task):
    rows = [{"question": "何？", "a": "甲", "b": other, "label": 0} for other in ("乙", "甲", "丙")]
    write_lines(tmp_path / "x.jsonl", rows)
    path = own_task(tmp_path, files={"valid": "x.jsonl"})
    (given,) = prepare(EvalConfig(tasks=[path]), None, "ja-v1").values()
    assert "1 items have choices that are equal, of which the first is taken" in given.notes
