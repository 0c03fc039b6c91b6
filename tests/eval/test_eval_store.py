import pytest

from eval.store import Store


def test_values_are_there_again_and_a_torn_line_is_dropped(tmp_path):
    file = tmp_path / "scores.jsonl"
    with Store(file) as store:
        store.put({"雪/0": [1.5, "𠮷"], "雪/256": None})
        store.put({"b": 2})
    for torn in (b'["c", [1', b'["c"', b"\xff\xfe\n", b'["c", 3]'):
        whole = file.read_bytes()
        file.write_bytes(whole + torn)
        with Store(file) as store:
            assert store.found == {"雪/0": [1.5, "𠮷"], "雪/256": None, "b": 2}
        assert file.read_bytes() == whole
    with Store(file) as store:
        store.put({"c": 3})
    with Store(file) as store:
        assert store.found["c"] == 3


@pytest.mark.parametrize("line", ["[1, 2, 3]\n", '{"a": 1}\n', "7\n"])
def test_lines_of_another_form_end_what_is_believed(tmp_path, line):
    file = tmp_path / "scores.jsonl"
    file.write_text('["a", 1]\n' + line + '["b", 2]\n', "utf-8")
    with Store(file) as store:
        assert store.found == {"a": 1}


def test_a_store_of_nothing_leaves_no_file(tmp_path):
    with Store(tmp_path / "scores.jsonl"):
        pass
    assert not list(tmp_path.iterdir())
