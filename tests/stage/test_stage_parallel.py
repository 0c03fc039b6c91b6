import operator
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stage.errors import ArtifactError, InputError, JgptError, UsageError
from stage.files import list_files, sha256_file
from stage.parallel import run_over, worker_count
from stage.progress import progress

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int, tmp_path: Path) -> None:
    files = []
    for number in range(12):
        # the first is by far the largest, so others are done before it
        (tmp_path / f"{number:02}").write_bytes(bytes([number]) * (30_000_000 if number == 0 else 10))
        files.append(str(tmp_path / f"{number:02}"))
    assert list(run_over(sha256_file, files, workers=workers, quiet=True)) == [sha256_file(file) for file in files]


@pytest.mark.parametrize("workers", [0, 1, 2, 8])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_workers_does_any_number_of_tasks(count: int, workers: int) -> None:
    assert list(run_over(operator.neg, range(count), workers=workers, quiet=True)) == [-task for task in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_of_the_user_comes_through_with_its_message(workers: int, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("一", "無い", "二")]
    for name in ("一", "二"):
        (tmp_path / name).write_text("雪国")
    results = run_over(sha256_file, files, workers=workers, quiet=True)
    assert next(results) == sha256_file(files[0])
    with pytest.raises(InputError, match="無い: no such file"):
        next(results)


@pytest.mark.parametrize("kind", [JgptError, UsageError, InputError, ArtifactError])
def test_every_kind_of_error_survives_the_way_between_processes(kind: type[JgptError], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        from stage import errors
        from stage.parallel import run_over

        def fail(task):
            raise errors.{kind.__name__}(f"{{task}}: 壊れている")

        if __name__ == "__main__":
            try:
                list(run_over(fail, ["雪国.txt", "b"], workers=2, quiet=True))
            except errors.JgptError as error:
                print(type(error).__name__, error, error.exit_status)
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == f"{kind.__name__} 雪国.txt: 壊れている {kind.exit_status}\n"


def test_a_worker_that_dies_ends_in_one_line() -> None:
    with pytest.raises(JgptError, match="a worker process died, most likely for lack of memory: fewer --workers"):
        list(run_over(os._exit, [9, 9, 9], workers=2, quiet=True))


def test_a_worker_killed_from_outside_ends_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal
        from stage.errors import JgptError, UsageError
        from stage.parallel import run_over

        def work(task):
            if task == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return task

        if __name__ == "__main__":
            seen = []
            try:
                for result in run_over(work, range(100), workers=2, quiet=True):
                    seen.append(result)
            except JgptError as error:
                assert seen == list(range(len(seen))) and len(seen) <= 5, seen
                print("died" if "worker process died" in str(error) else error)
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("died\n", "")


def test_one_worker_works_here_and_only_as_far_as_asked() -> None:
    done: list[int] = []
    results = run_over(done.append, [1, 2, 3], workers=1, quiet=True)
    next(results)
    assert done == [1]
    results.close()  # type: ignore[attr-defined]
    assert done == [1]


def test_stopping_early_ends_the_workers() -> None:
    results = run_over(operator.neg, range(1000), workers=2, quiet=True)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(results)


def test_zero_workers_means_all_cores() -> None:
    assert worker_count(3) == 3
    with pytest.raises(UsageError, match="--workers -1: must be 0"):
        worker_count(-1)
    assert worker_count(0) == len(os.sched_getaffinity(0))


def test_bars_are_silent_where_stderr_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("雪国")
    assert list(progress(list_files(str(tmp_path), (".txt",)), description="読む")) == [str(tmp_path / "a.txt")]
    assert list(run_over(operator.neg, [1], workers=1)) == [-1]
    assert capsys.readouterr().err == ""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = """
        import os, time
        from stage.parallel import run_over
        def sleep(file):
            open(file, "w").write(str(os.getpid()))
            time.sleep(100)
        if __name__ == "__main__":
            list(run_over(sleep, ["one", "two"], workers=2, quiet=True))
    """
    (tmp_path / "sleeping.py").write_text(textwrap.dedent(script))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "sleeping.py"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    wait_until(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in ("one", "two")))
    process.kill()
    # stderr ends when nobody holds it any more
    process.communicate(timeout=60)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited a minute in vain")
