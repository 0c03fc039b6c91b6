import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from stage.errors import UsageError
from stage.parallel import run_over

pytestmark = pytest.mark.xdist_group("ray")
ROOT = Path(__file__).parents[2]
ON_A_CLUSTER = """
import os, signal, sys, time
from pathlib import Path
import ray
from stage import errors
from stage.parallel import run_over

def place(task):
    time.sleep(0.6 if task == 0 else 0.2)  # others are done before the first
    return task, ray.get_runtime_context().get_node_id(), os.getcwd(), str(Path(errors.__file__).parents[1])

def note(task):
    Path(str(task)).touch()

def fail(task):
    number, kind = task
    if number == 2:
        raise kind("雪国.txt: 壊れている")
    return number

def die(task):
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)

def show(function, tasks):
    results = []
    try:
        for result in run_over(function, tasks, engine="ray"):
            results.append(result)
    except Exception as error:
        print(results[:2], type(error).__name__, error)

if __name__ == "__main__":
    address = os.environ.pop("RAY_ADDRESS")
    os.environ["RAY_ADDRESS"] = "127.0.0.1:1"
    show(note, range(2))
    os.environ["RAY_ADDRESS"] = address
    list(run_over(note, range(2), engine="ray"))
    print(ray.is_initialized())
    ray.init(log_to_driver=False, logging_level=50)
    places = list(run_over(place, range(8), engine="ray"))
    print([task for task, *_ in places], len({node for _, node, *_ in places}))
    print({folder for *_, folder, _ in places} == {os.getcwd()}, {code for *_, code in places} == {sys.argv[1]})
    results = run_over(note, range(50), engine="ray")
    next(results)
    time.sleep(1)
    print(len(list(Path().iterdir())) <= 4)
    results.close()
    for kind in (errors.UsageError, errors.InputError, errors.ArtifactError, KeyError):
        show(fail, [(number, kind) for number in range(9)])
    show(die, range(9))
    os.getcwd = lambda: "/雪国"
    show(note, range(2))
    print(ray.is_initialized())
"""


def test_a_cluster_gives_results_in_order_errors_as_they_are_and_one_line_for_a_dead_worker(
    ray_cluster: str, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "script.py").write_text(ON_A_CLUSTER, "utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "RAY_ADDRESS": ray_cluster}
    command = [sys.executable, str(tmp_path / "script.py"), str(ROOT)]
    done = subprocess.run(
        command, cwd=tmp_path / "work", env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("[] JgptError --engine ray: no cluster at RAY_ADDRESS=127.0.0.1:1 (")
    assert lines[1:5] == ["False", "[0, 1, 2, 3, 4, 5, 6, 7] 2", "True True", "True"]
    kinds = ("UsageError 雪国", "InputError 雪国", "ArtifactError 雪国", "KeyError '雪国")
    assert [line.partition(".txt")[0] for line in lines[5:9]] == [f"[0, 1] {kind}" for kind in kinds]
    assert "JgptError a worker process of Ray died (WorkerCrashedError), most likely for lack" in lines[9]
    seen = f"the node {socket.gethostname()} does not see /雪国: all nodes must share its file system"
    assert lines[10:] == [f"[] JgptError --engine ray: {seen}", "True"]
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_cluster_of_its_own_is_silent_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    if not find_spec("ray"):
        pytest.skip("needs Ray: pip install 'jgpt[ray]'")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal, time
        from pathlib import Path
        from stage.parallel import run_over

        def work(task):
            if task < 3:
                return f"第{task}話"
            Path(f"{task}.pid").write_text(str(os.getpid()))
            time.sleep(100)

        if __name__ == "__main__":
            # as at a terminal: what a shell starts in the background ignores the signal
            signal.signal(signal.SIGINT, signal.default_int_handler)
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
    assert process.communicate(timeout=180) == ("第0話\n第1話\n第2話\ninterrupted\n", "")
    assert not Path("/proc", (tmp_path / "3.pid").read_text()).exists()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"--engine ray: .*pip install 'jgpt\[ray\]'"):
        list(run_over(str, [1], engine="ray", quiet=True))
