"""A build that was interrupted goes on, and the engine makes no difference."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpora import build_corpus, parts
from corpora.config import CorpusConfig, SourceConfig
from corpora.part_files import read_part
from corpora.parts import PartTask, make_part
from corpora.sources import find_sources
from stage.errors import InputError, JgptError
from stage.manifest import Manifest, read_manifest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder of three files of 𠮷 and others, with documents that are rejected and repeated."""
    (tmp_path / "texts").mkdir()
    for number, count in enumerate((200, 0, 90)):
        stories = (f"第{number}部の第{line % 80}話であり、猫は𠮷野家で眠っていた。\n" * 3 for line in range(count))
        lines = [json.dumps({"text": text, "題": "猫"}, ensure_ascii=False) for text in (*stories, "短い", "")]
        (tmp_path / "texts" / f"{number}.jsonl").write_text("\n\n".join(lines), "utf-8")
    return tmp_path / "texts"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_BATCH_ROWS", 7)
    monkeypatch.setattr(parts, "_CHUNK_BYTES", 8000)


def build(texts: Path, out: Path, **given: Any) -> Manifest:
    return build_corpus(CorpusConfig([SourceConfig(str(texts))]), out, quiet=True, **{"workers": 1} | given)


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def assert_equal_folders(one: Path, other: Path) -> None:
    assert read_manifest(one).counts == read_manifest(other).counts
    found, expected = content(one), content(other)
    del found["manifest.json"], expected["manifest.json"]  # it tells how long it took
    assert found == expected


def failing(monkeypatch: pytest.MonkeyPatch, calls: int, error: BaseException) -> tuple[Callable[[], None], list[int]]:
    """Count the documents that are judged, and fail after some calls; the function lets it work again."""
    counted: list[int] = []
    judged = parts.judged_rows
    left = [calls]

    def counting(*given: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise error
        counted.append(len(given[0]))
        return judged(*given)

    monkeypatch.setattr(parts, "judged_rows", counting)
    return (lambda: left.__setitem__(0, 10**9)), counted


@pytest.mark.parametrize("calls", [1, 10, 30, 42])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), InputError("読めない")])
def test_an_interrupted_build_goes_on_within_a_file(
    calls: int, error: BaseException, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    build(texts, tmp_path / "straight")
    mend, counted = failing(monkeypatch, calls, error)
    with pytest.raises((KeyboardInterrupt, JgptError)):
        build(texts, tmp_path / "out")
    chunks = list((tmp_path / "out.partial" / "parts").iterdir()) if calls > 1 else []
    kept = sum(table.num_rows for file in chunks for table in read_part(file))
    assert 0 < kept <= sum(counted) if calls > 1 else not (tmp_path / "out.partial").exists()
    counted.clear()
    mend()
    build(texts, tmp_path / "out")
    assert sum(counted) == 296 - kept
    assert_equal_folders(tmp_path / "out", tmp_path / "straight")
    assert sorted(os.listdir(tmp_path)) == ["out", "straight", "texts"]


def test_a_failure_while_the_documents_are_written_costs_no_part(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    build(texts, tmp_path / "straight")
    _, counted = failing(monkeypatch, 10**9, KeyboardInterrupt())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("corpora.build.write_card", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        build(texts, tmp_path / "out")
    assert sum(counted) == 296 and (tmp_path / "out.partial" / "documents-00000.parquet").exists()
    build(texts, tmp_path / "out")
    assert sum(counted) == 296
    assert_equal_folders(tmp_path / "out", tmp_path / "straight")


def test_a_source_that_changed_is_read_anew(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, small_chunks: None
) -> None:
    mend, counted = failing(monkeypatch, 30, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        build(texts, tmp_path / "out")
    mend()
    counted.clear()
    with (texts / "2.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"text": "新しい話である。" * 5}))
    caplog.set_level("INFO")
    build(texts, tmp_path / "out")
    assert sum(counted) == 297
    assert "is not gone on with: another input (source" in caplog.messages[0]


def test_a_build_that_is_killed_again_and_again_ends_with_the_same_bytes(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    monkeypatch.setattr("corpora.sources._GROUP_BYTES", 1)
    build(texts, tmp_path / "straight")
    (tmp_path / "script.py").write_text(
        textwrap.dedent("""
        import sys, time
        import corpora.build, corpora.sources
        from corpora import parts
        from corpora.config import CorpusConfig, SourceConfig

        def slowly(function, seconds):
            def slow(*arguments):
                time.sleep(seconds)
                return function(*arguments)
            return slow

        parts._BATCH_ROWS, parts._CHUNK_BYTES = 7, 8000
        corpora.sources._GROUP_BYTES, corpora.build._SMALL_BYTES = 1, 0
        parts.judged_rows = slowly(parts.judged_rows, 0.02)
        corpora.build.write_card = slowly(corpora.build.write_card, 0.5)
        if __name__ == "__main__":
            corpora.build.build_corpus(CorpusConfig([SourceConfig(sys.argv[1])]), sys.argv[2], workers=int(sys.argv[3]))
        """)
    )
    command = [sys.executable, str(tmp_path / "script.py"), str(texts), str(tmp_path / "out")]
    work = tmp_path / "out.partial"
    chance = random.Random(1)
    for files, wanted, workers in (("parts/*.arrow", 1, "1"), ("parts/*.arrow", 5, "2"), ("documents-*", 1, "1")):
        process = subprocess.Popen(
            [*command, workers], env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
        )
        while len(list(work.glob(files))) < wanted and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "out").exists()
    subprocess.run([*command, "1"], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert_equal_folders(tmp_path / "out", tmp_path / "straight")
    assert not work.exists()


def test_a_part_of_other_settings_is_not_taken_for_ones_own(texts: Path, tmp_path: Path) -> None:
    sizes = []
    for rules in ("minimal", "minimal,chars>=200"):
        config = CorpusConfig([SourceConfig(str(texts), rules=rules)])
        (file,) = make_part(PartTask(tmp_path / "part", find_sources(config)[0], config))
        sizes.append(sum(table.column("reason").to_pylist().count("") for table in read_part(file)))
    assert sizes == [290, 0]


ON_RAY = """
import sys
from pathlib import Path
import corpora.sources
from corpora import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.parts import PartTask, make_part
from corpora.sources import find_sources, group_files
from stage.parallel import run_over

corpora.sources._GROUP_BYTES = 1
if __name__ == "__main__":
    config = CorpusConfig([SourceConfig("texts")])  # workers find relative paths too
    for engine in ("local", "ray"):
        Path(engine).mkdir()
        groups = group_files(find_sources(config)[0])
        tasks = [PartTask(Path(engine, str(number)), group, config) for number, group in enumerate(groups)]
        assert len(list(run_over(make_part, tasks, workers=2, engine=engine))) == 3
"""


@pytest.mark.xdist_group("ray")
def test_parts_and_folders_are_the_same_from_either_engine(ray_cluster: str, texts: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_ADDRESS": ray_cluster}
    (tmp_path / "script.py").write_text(ON_RAY)
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=environment, check=True)
    assert sorted(content(tmp_path / "local")) == [f"{number}-0000.arrow" for number in range(3)]
    assert content(tmp_path / "local") == content(tmp_path / "ray")
    build(texts, tmp_path / "a")
    command = [sys.executable, "-m", "scripts", "corpus", "build", "texts", "--out", "b", "--engine", "ray"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == ["b:"]
    assert_equal_folders(tmp_path / "a", tmp_path / "b")
    (texts / "1.jsonl").write_text('{"text": ')
    done = subprocess.run(
        [*command[:-3], "c", "--engine", "ray"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.splitlines()[-1].startswith("jgpt corpus build: texts/1.jsonl: line 1: broken JSON at column")
