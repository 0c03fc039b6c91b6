"""Files of tasks, found and read."""

import json
from pathlib import Path

import pytest

from eval.multiple_choice import trivial_baselines
from eval.source import find_source
from eval.task import load_task
from stage.errors import InputError, UsageError

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "eval").is_dir(), reason="../shared/data/eval is not here")


def valid_file(root, task):
    return root / "jglue" / f"{task}-v1.3" / "valid-v1.3.json"


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


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.parquet"])
def test_tables_are_read_by_their_name(tmp_path, name, own_task):
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


def test_a_broken_table_names_the_line(tmp_path, own_task):
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
def test_no_cell_of_a_table_is_silently_dropped(tmp_path, content, message, own_task):
    (tmp_path / "x.csv").write_text(content, "utf-8")
    with pytest.raises(InputError, match=message):
        find_source(load_task(own_task(tmp_path, files={"test": "x.csv"})), "test", None).examples()


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
def test_answers_of_another_form_name_the_line(tmp_path, write_lines, answers, own_task):
    write_lines(tmp_path / "x.jsonl", [{"question": "何？", "passage": "甲と乙", "answers": answers}])
    span = {"kind": "span", "choices": ..., "label": ..., "fields": ["question", "passage"]}
    path = own_task(tmp_path, **span, files={"test": "x.jsonl"}, metrics=["f1"], primary="f1")
    with pytest.raises(InputError, match="line 1: field 'answers' must be a list of answers"):
        find_source(load_task(path), "test", None).examples()


def test_an_answer_may_be_a_bare_text(tmp_path, write_lines, own_task):
    write_lines(tmp_path / "x.jsonl", [{"question": "何？", "passage": "甲と乙", "answers": "甲と"}])
    span = {"kind": "span", "choices": ..., "label": ..., "fields": ["question", "passage"]}
    path = own_task(tmp_path, **span, files={"test": "x.jsonl"}, metrics=["f1"], primary="f1")
    (example,) = find_source(load_task(path), "test", None).examples()
    assert (example.answers, example.answer_start) == (("甲と",), 0)


def test_a_group_may_be_the_number_0(tmp_path, write_lines, own_task):
    rows = [{"question": "何？", "a": "甲", "b": "乙", "label": 0, "type": kind} for kind in (0, 1, None, False, "")]
    write_lines(tmp_path / "x.jsonl", rows)
    found = find_source(load_task(own_task(tmp_path, files={"test": "x.jsonl"}, group="type")), "test", None).examples()
    assert [example.group for example in found] == ["0", "1", "", "False", ""]


def test_half_a_surrogate_pair_names_the_line(tmp_path, own_task):
    (tmp_path / "x.jsonl").write_text('{"question": "\\ud800", "a": "甲", "b": "乙", "label": 0}\n', "utf-8")
    with pytest.raises(InputError, match="line 1: holds half of a surrogate pair"):
        find_source(load_task(own_task(tmp_path, files={"test": "x.jsonl"})), "test", None).examples()


@pytest.mark.parametrize("number", ["1e308", "1" + "0" * 400, '"1_0"'])
def test_numbers_whose_squares_are_infinite_are_none(tmp_path, number, own_task):
    (tmp_path / "x.jsonl").write_text(f'{{"question": "何？", "label": {number}}}\n', "utf-8")
    regression = {"kind": "regression", "choices": ..., "classes": {0: "零", 1: "一"}}
    path = own_task(tmp_path, **regression, files={"test": "x.jsonl"}, metrics=["pearson"], primary="pearson")
    with pytest.raises(InputError, match=r"line 1: field 'label' is \"?1.*must be a number"):
        find_source(load_task(path), "test", None).examples()


def test_a_data_set_in_the_hubs_format_is_read(tmp_path, write_lines, own_task):
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
