import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from stage.errors import ArtifactError, InputError, JgptError, UsageError
from stage.parallel import run_over

pytestmark = pytest.mark.xdist_group("ray")
ROOT = Path(__file__).parents[2]


def test_results_come_in_the_order_of_the_tasks_from_every_node(
    ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def work(task: int) -> tuple[int, str, str, bool]:
        import ray

        import stage.errors

        time.sleep(0.2 if task else 0.6)
        here = Path(stage.errors.__file__).parents[1] == ROOT
        return task, ray.get_runtime_context().get_node_id(), os.getcwd(), here

    results = list(run_over(work, range(8), engine="ray", quiet=True))
    assert [task for task, *_ in results] == list(range(8))
    assert len({node for _, node, *_ in results}) == 2
    assert {folder for *_, folder, _ in results} == {str(tmp_path)} and all(here for *_, here in results)


@pytest.mark.parametrize("kind", [UsageError, InputError, ArtifactError, KeyError])
def test_an_error_in_a_task_arrives_as_itself(ray_cluster: str, kind: type[Exception]) -> None:
    def fail(task: int) -> int:
        if task == 2:
            raise kind("雪国.txt: 壊れている")
        return task

    results = run_over(fail, range(9), engine="ray", quiet=True)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(kind, match=r"雪国\.txt: 壊れている") as caught:
        next(results)
    assert caught.type is kind


def test_a_worker_that_is_killed_ends_in_one_line(ray_cluster: str, capfd: pytest.CaptureFixture[str]) -> None:
    def die(task: int) -> int:
        if task == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    with pytest.raises(
        JgptError, match=r"a worker process of Ray died \(WorkerCrashedError\), most likely for lack"
    ) as caught:
        list(run_over(die, range(9), engine="ray", quiet=True))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_node_that_does_not_see_the_files_is_named(ray_cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stage.ray_engine.os.getcwd", lambda: "/雪国")
    with pytest.raises(JgptError, match=f"the node {socket.gethostname()} does not see /雪国: all nodes must share"):
        list(run_over(str, [1], engine="ray", quiet=True))


def test_no_more_tasks_are_under_way_than_twice_the_cores(ray_cluster: str, tmp_path: Path) -> None:
    def note(task: int) -> None:
        (tmp_path / str(task)).touch()

    results = run_over(note, range(50), engine="ray", quiet=True)
    next(results)
    time.sleep(1)
    assert len(list(tmp_path.iterdir())) <= 4
    results.close()  # type: ignore[attr-defined]


def test_a_cluster_of_its_own_is_silent_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, time
        from pathlib import Path
        from stage.parallel import run_over

        def work(task):
            if task < 3:
                return f"第{task}話"
            Path(f"{task}.pid").write_text(str(os.getpid()))
            time.sleep(100)

        if __name__ == "__main__":
            try:
                for result in run_over(work, range(9), workers=1, engine="ray"):
                    print(result, flush=True)
            except KeyboardInterrupt:
                print("interrupted")
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "RAY_ADDRESS": "local"}
    settings = {"cwd": tmp_path, "env": environment, "encoding": "utf-8", "start_new_session": True}
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, str(script)], stdout=pipe, stderr=pipe, **settings)
    for _ in range(600):
        if (tmp_path / "3.pid").exists() and (tmp_path / "3.pid").read_text():
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30) == ("第0話\n第1話\n第2話\ninterrupted\n", "")
    assert not Path("/proc", (tmp_path / "3.pid").read_text()).exists()


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(JgptError, match=r"--engine ray: no cluster at RAY_ADDRESS=127\.0\.0\.1:1 \(.*refused\)"):
        list(run_over(str, [1], engine="ray", quiet=True))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"--engine ray: .*pip install 'jgpt\[ray\]'"):
        list(run_over(str, [1], engine="ray", quiet=True))
