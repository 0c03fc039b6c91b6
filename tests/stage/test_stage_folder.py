import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stage.errors import ArtifactError, InputError, JgptError, UsageError
from stage.folder import Made, difference, finish_run, read_run, run_folder, write_folder
from stage.manifest import MARKER, Input, Manifest, check_outputs, read_manifest
from stage.replacing import only_process, whole_file

ROOT = Path(__file__).parents[2]
SOURCE = Input("source", "本/雪国.txt", "ab" * 32)


def maker(text: str = "雪国", calls: list[str] | None = None) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        if calls is not None:
            calls.append(text)
        assert os.listdir(folder) == [MARKER]
        (folder / "本文.txt").write_text(text, "utf-8")
        return Made({"documents": 1}, [{"source": "雪国", "license": "unknown"}])

    return make


def never(folder: Path) -> Made:
    raise AssertionError("make must not be called")


def write(out: Path | str, make: Callable[[Path], Made] = never, **given: Any) -> Manifest:
    settings: dict[str, Any] = {"stage": "corpus", "parameters": {"min_chars": 20}, "inputs": [SOURCE]}
    return write_folder(out, make=make, **settings | given)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() if file.is_file() else b"" for file in folder.rglob("*")}


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    before = tree(folder)
    yield
    assert tree(folder) == before


@contextmanager
def process_holding(tmp_path: Path, code: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that has run the code, said so, and sleeps; killed with SIGKILL at the end."""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


STOP = "print('ready', flush=True); time.sleep(60)"
IN_MAKE = f"""
import sys, time
from pathlib import Path
from stage.folder import write_folder
from stage.manifest import Input
def make(folder):
    (folder / "本文.txt").write_text("途中")
    (folder / "下").mkdir()
    {STOP}
write_folder(Path(sys.argv[1]) / "out", stage="corpus", parameters={{"min_chars": 21}}, inputs=[], make=make, overwrite=True)
"""
BETWEEN_RENAMES = f"""
import sys, time
from pathlib import Path
import stage.replacing
from stage.folder import Made, write_folder
rename = Path.rename
def stopping(self, target):
    if self.name == "out.partial":
        {STOP}
    return rename(self, target)
Path.rename = stopping
def make(folder):
    (folder / "本文.txt").write_text("新しい")
    return Made()
write_folder(Path(sys.argv[1]) / "out", stage="corpus", parameters={{"min_chars": 21}}, inputs=[], make=make, overwrite=True)
"""
BEFORE_THE_DELETION = BETWEEN_RENAMES.replace("Path.rename = stopping", "").replace(
    "def make(folder)",
    f"def stop(folder, ignore_errors=False):\n    {STOP}\nstage.replacing.shutil.rmtree = stop\ndef make(folder)",
)


def test_a_folder_is_made_whole_with_its_manifest(tmp_path: Path) -> None:
    manifest = write(tmp_path / "深い" / "所" / "out", maker())
    out = tmp_path / "深い" / "所" / "out"
    assert sorted(os.listdir(out)) == ["manifest.json", "本文.txt"]
    assert os.listdir(out.parent) == ["out"]
    assert read_manifest(out) == manifest
    assert manifest.counts == {"documents": 1} and manifest.licenses[0]["source"] == "雪国"


def test_an_equal_request_finds_the_folder_up_to_date(tmp_path: Path) -> None:
    first = write(tmp_path / "out", maker())
    with untouched(tmp_path):
        assert write(tmp_path / "out") == first
        assert write(tmp_path / "out", overwrite=True) == first
        assert write(tmp_path / "out", inputs=[Input("source", "別の所/雪国.txt", SOURCE.sha256)]) == first


def test_parameters_with_tuples_are_still_equal_when_read_back(tmp_path: Path) -> None:
    parameters = {"betas": (0.9, 0.95), "nested": [{"suffixes": (".txt",)}]}
    first = write(tmp_path / "out", maker(), parameters=parameters)
    assert write(tmp_path / "out", parameters=parameters) == first == read_manifest(tmp_path / "out")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"parameters": {"min_chars": 10}}, "min_chars: 20, now 10"),
        ({"parameters": {"min_chars": 20, "seed": 1}}, "seed: not set, now 1"),
        ({"inputs": [Input("source", "本/雪国.txt", "cd" * 32)]}, r"another input \(source 本/雪国.txt\)"),
        ({"inputs": []}, "other inputs"),
        ({"inputs": [SOURCE, SOURCE]}, "other inputs"),
        ({"stage": "shard"}, "stage: corpus, now shard"),
    ],
)
def test_a_differing_request_is_refused_with_what_differs(given: dict[str, Any], named: str, tmp_path: Path) -> None:
    write(tmp_path / "out", maker())
    with untouched(tmp_path), pytest.raises(ArtifactError, match=named) as caught:
        write(tmp_path / "out", **given)
    assert ("--overwrite" in str(caught.value)) == ("stage" not in given)  # nobody is told to replace another stage
    assert "\n" not in str(caught.value)
    made = write(tmp_path / "out", maker("新しい"), overwrite=True, **given)
    assert (tmp_path / "out" / "本文.txt").read_text() == "新しい"
    assert read_manifest(tmp_path / "out") == made
    assert os.listdir(tmp_path) == ["out"]


def test_difference_names_nested_entries() -> None:
    old = {"model": {"depth": 4, "width": 256}, "sources": [{"path": "長い" * 60, "min": 1}, {"path": "b"}]}
    new = {"model": {"depth": 6, "width": 256}, "sources": [{"path": "長い" * 60, "min": 2}]}
    assert difference(old, new) == [
        "model.depth: 4, now 6",
        "sources.0.min: 1, now 2",
        "sources.1: {'path': 'b'}, now not set",
    ]
    assert difference(old, old) == []


def test_overwriting_twice_keeps_only_the_last(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "out", maker(f"第{number}版"), parameters={"seed": number}, overwrite=True)
        assert (tmp_path / "out" / "本文.txt").read_text() == f"第{number}版"
        assert os.listdir(tmp_path) == ["out"]


def test_a_damaged_folder_is_refused_and_rebuilt_with_overwrite(tmp_path: Path) -> None:
    first = write(tmp_path / "out", maker())
    (tmp_path / "out" / "本文.txt").unlink()
    with pytest.raises(ArtifactError, match=r"本文\.txt is missing: make the folder anew with --overwrite"):
        write(tmp_path / "out")
    assert write(tmp_path / "out", maker(), overwrite=True).data_sha256 == first.data_sha256
    assert (tmp_path / "out" / "本文.txt").read_text() == "雪国"


@pytest.mark.parametrize("name", ["卒業論文.txt", "manifest.json", "run.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_jgpt_did_not_make_is_never_touched(name: str, overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text('{"別の": "道具"}')
    with untouched(tmp_path):
        with pytest.raises(ArtifactError):
            write(tmp_path / "out", overwrite=overwrite)
        with pytest.raises(ArtifactError), run(tmp_path / "out", overwrite=overwrite):
            raise AssertionError("not reached")


def test_a_file_in_the_place_of_the_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("卒業論文")
    with untouched(tmp_path), pytest.raises(ArtifactError, match="out: is a file; --out names a folder"):
        write(tmp_path / "out", overwrite=True)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", maker())
    assert os.listdir(tmp_path) == ["out"]


def test_a_backup_of_the_user_beside_the_folder_stays(tmp_path: Path) -> None:
    write(tmp_path / "out", maker())
    shutil.copytree(tmp_path / "out", tmp_path / "out.old")
    with untouched(tmp_path / "out.old"):
        write(tmp_path / "out")
        write(tmp_path / "out", maker("新しい"), parameters={}, overwrite=True)
    shutil.rmtree(tmp_path / "out")
    write(tmp_path / "out", maker("また"), parameters={"seed": 1})
    assert sorted(os.listdir(tmp_path)) == ["out", "out.old"]


@pytest.mark.parametrize("out", [".", "/", "..", "a/.."])
def test_folders_that_cannot_be_renamed_are_refused(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match="give --out a new folder in it"):
        write(out)
    assert os.listdir(tmp_path) == ["here"]


def test_a_symbolic_link_keeps_pointing_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "大きな円盤").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "大きな円盤" / "corpus")
    for number in range(2):
        write(tmp_path / "out", maker(f"第{number}版"), parameters={"seed": number}, overwrite=True)
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "大きな円盤" / "corpus" / "本文.txt").read_text() == "第1版"
    assert os.listdir(tmp_path / "大きな円盤") == ["corpus"]


@pytest.mark.parametrize("error", [InputError("雪国.txt: byte 3 is not UTF-8"), KeyboardInterrupt(), ValueError("x")])
def test_a_make_that_fails_leaves_everything_as_it_was(error: BaseException, tmp_path: Path) -> None:
    def failing(folder: Path) -> Made:
        (folder / "下").mkdir()
        (folder / "下" / "本文.txt").write_text("途中")
        raise error

    with pytest.raises(type(error)):
        write(tmp_path / "新" / "out", failing)
    assert os.listdir(tmp_path / "新") == []
    write(tmp_path / "out", maker())
    with untouched(tmp_path), pytest.raises(type(error)):
        write(tmp_path / "out", failing, parameters={}, overwrite=True)
    write(tmp_path / "out", maker("新しい"), parameters={}, overwrite=True)
    assert (tmp_path / "out" / "本文.txt").read_text() == "新しい"


def test_a_process_killed_while_making_loses_nothing(tmp_path: Path) -> None:
    undisturbed = write(tmp_path / "out", maker())
    with process_holding(tmp_path, IN_MAKE):
        with pytest.raises(JgptError, match=r"out\.partial: another process is writing it"):
            write(tmp_path / "out", parameters={}, overwrite=True)
        assert write(tmp_path / "out") == undisturbed
    assert (tmp_path / "out.partial" / "本文.txt").read_text() == "途中"
    assert write(tmp_path / "out") == undisturbed
    write(tmp_path / "out", maker("新しい"), parameters={}, overwrite=True)
    assert sorted(tree(tmp_path)) == ["out", "out/manifest.json", "out/本文.txt"]


def test_a_process_killed_between_the_renames_leaves_the_old_folder(tmp_path: Path) -> None:
    first = write(tmp_path / "out", maker())
    with process_holding(tmp_path, BETWEEN_RENAMES):
        assert not (tmp_path / "out").exists()
        with pytest.raises(JgptError, match="another process is writing it"):
            write(tmp_path / "out")
    assert write(tmp_path / "out") == first
    assert (tmp_path / "out" / "本文.txt").read_text() == "雪国"
    write(tmp_path / "out", maker("また"), parameters={"min_chars": 21}, overwrite=True)
    assert sorted(tree(tmp_path)) == ["out", "out/manifest.json", "out/本文.txt"]


def test_a_process_killed_after_the_renames_leaves_the_new_folder(tmp_path: Path) -> None:
    write(tmp_path / "out", maker())
    with process_holding(tmp_path, BEFORE_THE_DELETION):
        assert len(os.listdir(tmp_path)) == 2
    assert write(tmp_path / "out", parameters={"min_chars": 21}, inputs=[]).stage == "corpus"
    assert (tmp_path / "out" / "本文.txt").read_text() == "新しい"
    assert os.listdir(tmp_path) == ["out"]


def test_stale_leftovers_do_not_get_into_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out.partial" / "下").mkdir(parents=True)
    (tmp_path / "out.partial" / "下" / "古い.txt").write_text("古い")
    (tmp_path / "out.partial" / "link").symlink_to(tmp_path)
    (tmp_path / "out.partial" / MARKER).touch()
    assert [output.path for output in write(tmp_path / "out", maker()).outputs] == ["本文.txt"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_partial_folder_of_the_user_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "卒業論文.txt").write_text("大切")
    with untouched(tmp_path):
        with pytest.raises(ArtifactError, match=r"out\.partial: holds files that jgpt did not write \(卒業論文\.txt\)"):
            write(tmp_path / "out", maker())
        with pytest.raises(ArtifactError, match="move them away first"), run(tmp_path / "out"):
            raise AssertionError("not reached")


def test_a_folder_with_the_name_for_replaced_ones_is_never_touched(tmp_path: Path) -> None:
    write(tmp_path / "out", maker())
    shutil.copytree(tmp_path / "out", tmp_path / ".out.replaced")
    with untouched(tmp_path):
        assert write(tmp_path / "out").stage == "corpus"
        with pytest.raises(ArtifactError, match=r"\.out\.replaced: is in the way and was not left by jgpt"):
            write(tmp_path / "out", parameters={}, overwrite=True)
    shutil.rmtree(tmp_path / "out")
    with untouched(tmp_path / ".out.replaced"):
        write(tmp_path / "out", maker("また"), parameters={"seed": 1})


@pytest.mark.parametrize("name", ["notes.txt", "下/notes.txt", "tok/manifest.json", "checkpoints/x", "tokenizer.json"])
def test_files_of_the_user_in_a_folder_are_never_deleted(name: str, tmp_path: Path) -> None:
    write(tmp_path / "out", maker())
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("大切")
    with untouched(tmp_path):
        with pytest.raises(ArtifactError, match=rf"did not write \({name}\): move them away first"):
            write(tmp_path / "out", parameters={}, overwrite=True)
        with pytest.raises(ArtifactError, match="move them away"), run(tmp_path / "out", overwrite=True):
            raise AssertionError("not reached")
        assert write(tmp_path / "out", overwrite=True).stage == "corpus"


def test_files_that_the_user_adds_during_the_work_are_never_deleted(tmp_path: Path) -> None:
    write(tmp_path / "out", maker())

    def adding(folder: Path) -> Made:
        for number in range(5):
            (tmp_path / "out" / f"{number}.txt").write_text("大切")
        return Made()

    with pytest.raises(ArtifactError, match=r"\(0\.txt, 1\.txt, 2\.txt, …\)"):
        write(tmp_path / "out", adding, parameters={}, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["out"]
    assert (tmp_path / "out" / "4.txt").read_text() == "大切" and (tmp_path / "out" / "本文.txt").read_text() == "雪国"


@pytest.mark.parametrize(
    ("out", "named"),
    [("c", "--out .*c: is the corpus that is read"), ("link", "is the corpus that is read"), (".", "holds the corpus")],
)
def test_what_is_read_is_never_replaced(out: str, named: str, tmp_path: Path) -> None:
    base = tmp_path / "run"
    write(base / "c", maker())
    (base / "link").symlink_to("c")
    given: dict[str, Any] = {"inputs": [Input("corpus", str(base / "c"), "ab" * 32)], "overwrite": True}
    with untouched(tmp_path):
        with pytest.raises(UsageError, match=f"{named}.*; choose another"):
            write(base / out, **given)
        with pytest.raises(UsageError, match=named), run(base / out, **given):
            raise AssertionError("not reached")


@pytest.mark.parametrize("out", ["吾" * 300, "loop", "loop/out", "~/zz", "a\0b", "", "a" * 250])
def test_places_that_cannot_be_are_named_in_one_line(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(JgptError) as caught:
        write(out)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert os.listdir(tmp_path) == ["loop"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_place_that_is_no_disk_is_named() -> None:
    with pytest.raises(JgptError, match="/proc/x: cannot be written there"):
        write("/proc/x", need_bytes=1000)


def test_too_little_disk_is_seen_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**12, 0, 3_000_000_000))
    with pytest.raises(JgptError, match=r"about 3\.5 GB of disk are needed there and 3\.0 GB are free"):
        write(tmp_path / "無い" / "out", need_bytes=3_500_000_000)
    with pytest.raises(JgptError, match="disk are needed"), run(tmp_path / "out", need_bytes=3_500_000_000):
        raise AssertionError("not reached")
    assert os.listdir(tmp_path) == []
    write(tmp_path / "out", maker(), need_bytes=2_900_000_000)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_ends_in_one_line_and_frees_what_was_written(number: int, tmp_path: Path) -> None:
    def filling(folder: Path) -> Made:
        (folder / "本文.txt").write_text("途中")
        raise OSError(number, os.strerror(number))

    with pytest.raises(JgptError, match="out: the disk is full; free some space"):
        write(tmp_path / "out", filling)
    assert os.listdir(tmp_path) == []
    with pytest.raises(JgptError, match="out: the disk is full"), run(tmp_path / "out"):
        raise OSError(number, os.strerror(number))


def test_other_errors_of_the_system_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def failing(folder: Path) -> Made:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        write(tmp_path / "out", failing)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o500)
    with pytest.raises(JgptError):
        write(tmp_path / "a" / "out")


@pytest.mark.parametrize("below", ["file/out", "file/a/b/out"])
def test_a_file_above_the_folder_is_named(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("卒業論文")
    with untouched(tmp_path), pytest.raises(UsageError, match="/file: is not a directory"):
        write(tmp_path / below)


def test_a_file_in_the_place_of_the_partial_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out.partial").write_text("卒業論文")
    with untouched(tmp_path), pytest.raises(UsageError, match=r"out\.partial: is not a directory"):
        write(tmp_path / "out")


# Folders of long stages, which are worked in and resumed


@contextmanager
def run(out: Path, **given: Any) -> Iterator[Manifest | None]:
    settings: dict[str, Any] = {"stage": "pretrain", "parameters": {"depth": 4, "betas": (0.9, 0.95)}, "inputs": []}
    with run_folder(out, **settings | given) as manifest:
        yield manifest


def finish(out: Path, **given: Any) -> Manifest:
    settings: dict[str, Any] = {"parameters": {"depth": 4, "betas": (0.9, 0.95)}, "inputs": [], "seconds": 1.23456}
    made = Made({"steps": 3}, not_data=["metrics.jsonl"])
    return finish_run(out, stage="pretrain", made=made, keep_out=["checkpoints"], **settings | given)


def unfinished(out: Path, **given: Any) -> None:
    with run(out, **given) as manifest:
        assert manifest is None
        assert os.listdir(out) == ["run.json"]
        (out / "checkpoints" / "step-1").mkdir(parents=True)
        (out / "checkpoints" / "step-1" / "model").write_text("重み")
        (out / "metrics.jsonl").write_text("{}")


def test_a_run_goes_on_where_it_was_left_and_is_then_up_to_date(tmp_path: Path) -> None:
    out = tmp_path / "out"
    unfinished(out)
    with pytest.raises(ArtifactError, match="was not finished"):
        read_manifest(out, "pretrain")
    assert read_run(out, "pretrain")["parameters"] == {"depth": 4, "betas": [0.9, 0.95]}
    with run(out) as manifest:
        assert manifest is None
        assert (out / "checkpoints" / "step-1" / "model").read_text() == "重み"
        (out / "model").write_text("重み")
        finished = finish(out)
    assert {output.path: output.data for output in finished.outputs} == {
        "metrics.jsonl": False,
        "model": True,
        "run.json": False,
    }
    assert finished.seconds == 1.235 and finished.counts == {"steps": 3}
    with untouched(tmp_path):
        with run(out) as manifest:
            assert manifest == finished
        with run(out, overwrite=True) as manifest:
            assert manifest == finished
    assert os.listdir(tmp_path) == ["out"]


def test_an_unfinished_run_of_the_same_parameters_goes_on_even_with_overwrite(tmp_path: Path) -> None:
    unfinished(tmp_path / "out")
    with run(tmp_path / "out", overwrite=True) as manifest:
        assert manifest is None and (tmp_path / "out" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"parameters": {"depth": 6, "betas": (0.9, 0.99)}}, r"betas\.1: 0\.95, now 0\.99; depth: 4, now 6"),
        ({"inputs": [Input("shards", "切片", "ab" * 32)]}, r"another input \(shards 切片\)"),
        ({"stage": "eval"}, "stage: pretrain, now eval"),
    ],
)
def test_an_unfinished_run_of_other_parameters_is_refused(given: dict[str, Any], named: str, tmp_path: Path) -> None:
    unfinished(tmp_path / "out")
    refused = pytest.raises(ArtifactError, match=f"holds an unfinished run with {named}")
    with untouched(tmp_path), refused, run(tmp_path / "out", **given):
        raise AssertionError("not reached")
    with run(tmp_path / "out", overwrite=True, **given) as manifest:
        assert manifest is None and os.listdir(tmp_path / "out") == ["run.json"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_short_stage_does_not_replace_an_unfinished_run_unasked(tmp_path: Path) -> None:
    unfinished(tmp_path / "out")
    with untouched(tmp_path), pytest.raises(ArtifactError, match="holds an unfinished pretrain run"):
        write(tmp_path / "out")
    write(tmp_path / "out", maker(), overwrite=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["manifest.json", "本文.txt"]


def test_only_files_of_a_run_are_replaced_with_it(tmp_path: Path) -> None:
    unfinished(tmp_path / "out")
    for name in ("plan.json", "metrics.jsonl.partial", "model.safetensors", "config.json", "tokenizer.model"):
        (tmp_path / "out" / name).write_text("{}")
    (tmp_path / "out" / "notes.txt").write_text("大切")
    with untouched(tmp_path), pytest.raises(ArtifactError, match=r"did not write \(notes\.txt\)"):
        write(tmp_path / "out", overwrite=True)
    (tmp_path / "out" / "notes.txt").unlink()
    write(tmp_path / "out", maker(), overwrite=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["manifest.json", "本文.txt"]


def test_a_damaged_finished_run_is_rebuilt_with_overwrite(tmp_path: Path) -> None:
    unfinished(tmp_path / "out")
    (tmp_path / "out" / "model").write_text("重み")
    finish(tmp_path / "out")
    (tmp_path / "out" / "model").write_text("")
    with pytest.raises(ArtifactError, match="make the folder anew with --overwrite"), run(tmp_path / "out"):
        raise AssertionError("not reached")
    with run(tmp_path / "out", overwrite=True) as manifest:
        assert manifest is None and os.listdir(tmp_path / "out") == ["run.json"]


LONGER = {"parameters": {"depth": 6, "betas": (0.9, 0.95)}}


def test_a_run_goes_on_with_other_parameters_where_these_may_change(tmp_path: Path) -> None:
    out = tmp_path / "out"
    unfinished(out)
    with run(out, may_change=["depth"], **LONGER) as manifest:
        assert manifest is None and (out / "metrics.jsonl").exists()
    assert read_run(out, "pretrain")["parameters"]["depth"] == 6
    for other in ({"parameters": {"depth": 6, "betas": (0.9, 0.99)}}, {"inputs": [Input("shards", "切片", "ab" * 32)]}):
        with untouched(tmp_path), pytest.raises(ArtifactError), run(out, may_change=["depth"], **LONGER | other):
            raise AssertionError("not reached")


def test_a_finished_run_that_goes_on_stays_whole_until_its_result_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    unfinished(out)
    (out / "model").write_text("重み")
    finished = finish(out)
    with untouched(tmp_path), pytest.raises(ArtifactError, match="depth: 4, now 6"), run(out, **LONGER):
        raise AssertionError("not reached")
    with run(out, may_change=["depth"], **LONGER) as manifest:
        assert manifest is None
        (out / "metrics.jsonl").write_text("{}\n{}")
        whole = read_manifest(out, "pretrain")
        check_outputs(out, whole, deep=True)
        assert (whole.parameters, whole.data_sha256) == (finished.parameters, finished.data_sha256)
    with run(out) as manifest:  # a kill later: who asks for the old one has it
        assert manifest == whole
    with run(out, **LONGER) as manifest:  # and who asks for the new one goes on
        assert manifest is None and (out / "metrics.jsonl").read_text() == "{}\n{}"
        (out / "manifest.json").unlink()
        (out / "model").write_text("新しい重み")
        longer = finish(out, **LONGER)
    with run(out, may_change=["depth"], **LONGER) as manifest:
        assert manifest == longer


def test_a_run_under_way_is_neither_joined_nor_replaced(tmp_path: Path) -> None:
    with run(tmp_path / "out"), untouched(tmp_path):
        with pytest.raises(JgptError, match="out: another process is writing it"), run(tmp_path / "out"):
            raise AssertionError("not reached")
        with pytest.raises(JgptError, match="out: another process is writing it"):
            write(tmp_path / "out", maker(), overwrite=True)
    with run(tmp_path / "out") as manifest:
        assert manifest is None


def test_a_killed_process_lets_go_of_its_run(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from stage.folder import run_folder
with run_folder(Path(sys.argv[1]) / "out", stage="pretrain", parameters={{"depth": 4, "betas": [0.9, 0.95]}}, inputs=[]):
    (Path(sys.argv[1]) / "out" / "manifest.json.partial").write_text("{{")
    {STOP}
"""
    held, refused = process_holding(tmp_path, code), pytest.raises(JgptError, match="another process")
    with held, refused, run(tmp_path / "out"):
        raise AssertionError("not reached")
    with run(tmp_path / "out") as manifest:
        assert manifest is None
        finish(tmp_path / "out")
    with run(tmp_path / "out") as manifest:
        assert manifest is not None and [output.path for output in manifest.outputs] == ["run.json"]


def test_read_run_names_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no pretrain run to go on with"):
        read_run(tmp_path / "無い", "pretrain")
    for content in ("{", "[]", "{}", '{"stage": "pretrain"}'):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(ArtifactError, match="holds no pretrain run"):
            read_run(tmp_path, "pretrain")
    (tmp_path / "run.json").write_text(json.dumps({"stage": "eval", "parameters": {}, "inputs": []}))
    with pytest.raises(ArtifactError, match="holds a run of the stage eval, not pretrain"):
        read_run(tmp_path, "pretrain")


def test_a_folder_can_be_held_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), only_process(tmp_path):
        raise KeyError
    with only_process(tmp_path):
        pass


def test_a_folder_renamed_while_waiting_for_it_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.partial").mkdir()
    monkeypatch.setattr("fcntl.flock", lambda *_: (tmp_path / "out.partial").rename(tmp_path / "out"))
    with pytest.raises(JgptError, match="another process is writing it"), only_process(tmp_path / "out.partial"):
        raise AssertionError("not reached")


# Pieces that outlive an interruption


def in_pieces(done: list[int], stop_at: int = 9, error: BaseException | None = None) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        assert sorted(os.listdir(folder)) == [MARKER, "parts", "run.json"]
        for number in range(3):
            piece = folder / "parts" / str(number)
            if not piece.exists():
                with whole_file(piece) as partial:
                    partial.write_text(f"第{number}話")
                    if number == stop_at:
                        (folder / "途中.txt").write_text("途中")
                        raise error or KeyboardInterrupt
                done.append(number)
        (folder / "本文.txt").write_text("".join((folder / "parts" / str(number)).read_text() for number in range(3)))
        return Made()

    return make


def test_finished_pieces_are_found_again_and_the_rest_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", in_pieces(done, 2), keep="parts")
    partial = tmp_path / "out.partial"
    assert sorted(tree(partial)) == [MARKER, "parts", "parts/0", "parts/1", "run.json", "途中.txt"]
    assert caplog.messages == [f"{partial}: keeps what is finished; the same command goes on with it"]
    (partial / "parts" / "2.12345678.partial").write_text("途中")
    manifest = write(tmp_path / "out", in_pieces(done), keep="parts")
    assert done == [0, 1, 2] and [output.path for output in manifest.outputs] == ["本文.txt"]
    assert sorted(tree(tmp_path)) == ["out", "out/manifest.json", "out/本文.txt"]
    assert caplog.messages[1] == f"{partial}: goes on with what an earlier run finished there"
    assert manifest.data_sha256 == write(tmp_path / "straight", in_pieces([]), keep="parts").data_sha256


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"parameters": {"min_chars": 10}}, "min_chars: 20, now 10"),
        ({"inputs": [Input("source", "本/雪国.txt", "cd" * 32)]}, "another input (source 本/雪国.txt)"),
        ({"stage": "shard"}, "stage: corpus, now shard"),
        ({}, "jgpt_version: 0.0.0, now "),
    ],
)
def test_pieces_of_another_request_are_dropped_with_a_word(
    given: dict[str, Any],
    named: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[int] = []
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if not given:
            patch.setattr("stage.folder.VERSION", "0.0.0")
        write(tmp_path / "out", in_pieces(done, 1), keep="parts")
    caplog.set_level("INFO")
    write(tmp_path / "out", in_pieces(done), keep="parts", **given)
    assert done == [0, 0, 1, 2]
    assert len(caplog.messages) == 1
    assert f"out.partial: what an earlier run left there is not gone on with: {named}" in caplog.messages[0]


def test_a_disk_that_fills_up_leaves_the_finished_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    with pytest.raises(JgptError, match="out: the disk is full; free some space and run the same command again"):
        write(tmp_path / "out", in_pieces(done, 1, OSError(errno.ENOSPC, "full")), keep="parts")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**12, 0, 1000))
    with pytest.raises(JgptError, match="disk are needed"):
        write(tmp_path / "other", in_pieces(done), keep="parts", need_bytes=1001)
    write(tmp_path / "out", in_pieces(done), keep="parts", need_bytes=1001)  # some of it is there already
    assert done == [0, 1, 2]


def test_without_a_finished_piece_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write(tmp_path / "out", in_pieces([], 0, InputError("雪国.txt: 壊れている")), keep="parts")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", ["rmtree", "rename"])
def test_a_whole_folder_that_was_not_yet_renamed_is_not_made_anew(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("stage.folder.shutil.rmtree" if place == "rmtree" else "stage.folder.replace_folder", killed)
        patch.setattr("stage.replacing.delete", killed)
        write(tmp_path / "out", in_pieces([]), keep="parts")
    first = read_manifest(tmp_path / "out.partial")
    assert write(tmp_path / "out", keep="parts") == first
    assert sorted(tree(tmp_path)) == ["out", "out/manifest.json", "out/本文.txt"]


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("古い")
    with pytest.raises(KeyError), whole_file(tmp_path / "a") as partial:
        partial.write_text("途中")
        raise KeyError
    assert tree(tmp_path) == {"a": "古い".encode()}
    with whole_file(tmp_path / "a") as one, whole_file(tmp_path / "a") as other:
        one.write_text("新しい")
        other.write_text("新しい")
    assert tree(tmp_path) == {"a": "新しい".encode()}
