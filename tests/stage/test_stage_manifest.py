import json
from dataclasses import replace
from pathlib import Path

import pytest

from stage.errors import ArtifactError
from stage.manifest import (
    Input,
    Manifest,
    artifact_input,
    check_outputs,
    hash_outputs,
    read_manifest,
    write_json,
    write_manifest,
)


def make(folder: Path, text: str = "雪国\n", source: str = "本/雪国.txt", seconds: float = 1.5) -> Manifest:
    (folder / "下").mkdir(parents=True)
    (folder / "本文.txt").write_text(text, "utf-8")
    (folder / "下" / "log.jsonl").write_text(str(seconds), "utf-8")
    manifest = Manifest(
        stage="corpus",
        parameters={"sources": [{"path": source}], "share": 0.02, "名": "𠮷"},
        inputs=[Input("source", source, "ab" * 32)],
        outputs=hash_outputs(folder, ["下/log.jsonl"]),
        counts={"documents": 3},
        licenses=[{"source": source, "license": "CC BY-SA 4.0"}],
        seconds=seconds,
    )
    write_manifest(folder, manifest)
    return manifest


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = make(tmp_path / "a")
    assert read_manifest(tmp_path / "a", "corpus") == manifest
    assert read_manifest(str(tmp_path / "a")).data_sha256 == manifest.data_sha256
    assert json.loads((tmp_path / "a" / "manifest.json").read_text())["data_sha256"] == manifest.data_sha256
    assert [output.path for output in manifest.outputs] == ["下/log.jsonl", "本文.txt"]
    assert not list((tmp_path / "a").glob("*.partial"))


def test_a_file_name_that_is_not_utf8_survives(tmp_path: Path) -> None:
    name = b"\x90\xe1\x8d\x91.txt".decode("utf-8", "surrogateescape")  # 雪国 in Shift_JIS
    make(tmp_path / "a", source=name)
    assert read_manifest(tmp_path / "a").inputs[0].path == name


def test_the_data_hash_covers_data_and_neither_times_nor_paths(tmp_path: Path) -> None:
    first = make(tmp_path / "a")
    assert make(tmp_path / "別の所", source="別/雪国.txt", seconds=99).data_sha256 == first.data_sha256
    assert make(tmp_path / "c", text="雪國\n").data_sha256 != first.data_sha256
    renamed = [replace(output, path=f"別{output.path}") for output in first.outputs]
    assert replace(first, outputs=renamed).data_sha256 != first.data_sha256
    assert replace(first, outputs=first.outputs[::-1]).data_sha256 == first.data_sha256


def test_a_half_written_manifest_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("本文")
    (tmp_path / "manifest.json.partial").write_text("{")
    assert [output.path for output in hash_outputs(tmp_path)] == ["a"]


def test_input_finds_the_role(tmp_path: Path) -> None:
    manifest = make(tmp_path / "a")
    assert manifest.input("source").path == "本/雪国.txt"
    with pytest.raises(KeyError):
        manifest.input("tokenizer")


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "7", "{}", '{"schema": 1}', '{"name": "別の道具", "manifest_version": 3}', "\x00\x01"],
)
def test_what_is_no_manifest_of_ours_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json: is not a manifest written by jgpt"):
        read_manifest(tmp_path)


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes("雪国".encode("shift_jis"))
    with pytest.raises(ArtifactError, match="is not a manifest"):
        read_manifest(tmp_path)


def test_a_missing_or_superfluous_entry_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "a")
    file = tmp_path / "a" / "manifest.json"
    record = json.loads(file.read_text())
    for altered in (
        {key: value for key, value in record.items() if key != "inputs"},
        record | {"余計": 1},
        record | {"outputs": [{"path": "a"}]},
    ):
        file.write_text(json.dumps(altered))
        with pytest.raises(ArtifactError, match="is not a manifest"):
            read_manifest(tmp_path / "a")


def test_another_schema_is_named_even_with_other_entries(tmp_path: Path) -> None:
    make(tmp_path / "a")
    file = tmp_path / "a" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": 2, "new_entry": []}))
    with pytest.raises(ArtifactError, match="has schema 2, this jgpt reads 1"):
        read_manifest(tmp_path / "a")


def test_another_stage_is_named(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(ArtifactError, match="is a corpus folder, a tokenizer folder was expected"):
        read_manifest(tmp_path / "a", "tokenizer")


def test_missing_folders_files_and_unfinished_runs_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no such folder \(a corpus folder was expected\)"):
        read_manifest(tmp_path / "無い", "corpus")
    (tmp_path / "a.txt").write_text("本文")
    with pytest.raises(ArtifactError, match="is a file, a folder made by jgpt was expected"):
        read_manifest(tmp_path / "a.txt")
    (tmp_path / "空").mkdir()
    with pytest.raises(ArtifactError, match=r"has no manifest\.json; a corpus folder was expected"):
        read_manifest(tmp_path / "空", "corpus")
    (tmp_path / "空" / "run.json").write_text("{}")
    with pytest.raises(ArtifactError, match="was not finished: run that again"):
        read_manifest(tmp_path / "空", "corpus")


def test_outputs_that_are_missing_shortened_or_altered_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make(tmp_path / "a")
    file = tmp_path / "a" / "本文.txt"
    check_outputs(tmp_path / "a", manifest, deep=True)
    file.write_text("雪靄\n")  # as long as before
    for deep in (False, True):
        with pytest.raises(ArtifactError, match=r"本文\.txt: its content was changed"):
            check_outputs(tmp_path / "a", manifest, deep=deep)
    monkeypatch.setattr("stage.manifest._SMALL", 3)  # a large file is hashed only when that is asked for
    check_outputs(tmp_path / "a", manifest)
    file.write_text("雪")
    with pytest.raises(ArtifactError, match=r"本文\.txt: has 3 bytes, 7 were written"):
        check_outputs(tmp_path / "a", manifest)
    file.unlink()
    with pytest.raises(ArtifactError, match=r"本文\.txt is missing: make the folder anew"):
        artifact_input("corpus", tmp_path / "a", "corpus")


def test_an_artifact_as_input_is_known_by_its_data(tmp_path: Path) -> None:
    manifest = make(tmp_path / "a")
    found = artifact_input("corpus", tmp_path / "a", "corpus")
    assert found == Input("corpus", str(tmp_path / "a"), manifest.data_sha256)


def test_a_json_file_stays_whole_when_its_replacement_cannot_be_written(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"題": "雪国"})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"題": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"題": "雪国"}


def test_folders_are_named_as_people_call_them(tmp_path: Path) -> None:
    make(tmp_path / "a")
    for stage, name in (("shard", "shards"), ("pretrain", "model"), ("eval", "results")):
        with pytest.raises(ArtifactError, match=f"is a corpus folder, a {name} folder was expected"):
            read_manifest(tmp_path / "a", stage)
