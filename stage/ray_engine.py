"""The tasks of ``run_over`` on a Ray cluster: ``--engine ray``."""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from stage.errors import JgptError, UsageError

T = TypeVar("T")
R = TypeVar("R")


def run_on_ray(function: Callable[[T], R], tasks: Sequence[T], workers: int, cores: int) -> Generator[R, None, None]:
    """Yield ``function(task)`` for each task, in their order, from the cluster that RAY_ADDRESS or ``ray start`` gives.

    Where there is none, one of ``cores`` CPUs is started here and shut down at the end. At most ``workers`` tasks are under
    way in a larger cluster, twice as many as there are CPUs where ``workers`` is 0. Raises as ``run_over`` does.
    """
    with _cluster(cores) as (ray, ours):
        # a task that was lost is not done again by itself: a node short of memory would lose it for ever
        submit = ray.remote(max_retries=0)(_at_home(os.getcwd(), str(Path(__file__).resolve().parents[1]))).remote
        running: deque[Any] = deque()
        try:
            for task in tasks:
                running.append(submit(ray.cloudpickle.dumps((function, task))))
                cpus = int(ray.cluster_resources().get("CPU", 1))  # a cluster may grow
                if len(running) >= (workers if 0 < workers < cpus else 2 * cpus):
                    yield _result(ray, running[0])
                    running.popleft()
            while running:
                yield _result(ray, running[0])
                running.popleft()
        finally:
            # where we leave the cluster, it ends our workers (ray.cancel can end the whole process, as of Ray 2.60);
            # in a session of the caller's, nothing of ours goes on behind their back
            if running and not ours:
                ray.wait(list(running), num_returns=len(running))


def _at_home(folder: str, code: str) -> Callable[[bytes], Any]:
    """What a worker does with a task: in the folder and with the code of this process; it returns a list of the result.

    Where the node does not see the folder, the name of the node is returned instead.

    Ray sends a function within a function by value: the worker needs nothing of jgpt before it knows where that is.
    """

    def run(pickled: bytes) -> Any:
        import os
        import pickle
        import socket
        import sys

        try:
            os.chdir(folder)
        except OSError:
            return socket.gethostname()
        if code not in sys.path:
            sys.path.insert(0, code)
        function, task = pickle.loads(pickled)
        return [function(task)]

    return run


def _result(ray: Any, reference: Any) -> Any:
    try:
        found = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise JgptError(
            f"a worker process of Ray died ({type(error).__name__}), most likely for lack of memory or with its node: "
            "fewer --workers need less memory"
        ) from None
    if isinstance(found, str):
        raise JgptError(
            f"--engine ray: the node {found} does not see {os.getcwd()}: all nodes must share its file system"
        )
    return found[0]


@contextmanager
def _cluster(cores: int) -> Iterator[tuple[Any, bool]]:
    """The ``ray`` package, connected, and whether by us; silent, for its messages on stdout would get among ours."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # no warning about a coming change
    try:
        ray: Any = import_module("ray")
        driver: Any = import_module("ray._private.worker")
    except ImportError:
        raise UsageError("--engine ray: the package ray is not installed: pip install 'jgpt[ray]'") from None
    talks = getattr(driver, "_worker_logs_enabled", True)
    driver._worker_logs_enabled = False  # what Ray prints of dead workers has no setting
    ours = not ray.is_initialized()
    try:
        if ours:
            _connect(ray, cores)
        yield ray, ours
    finally:
        if ours:
            ray.shutdown()
        driver._worker_logs_enabled = talks


def _connect(ray: Any, cores: int) -> None:
    address = os.environ.get("RAY_ADDRESS", "")
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL, "include_dashboard": False}
    try:
        host, _, port = address.rpartition(":")
        if port.isdecimal() and "//" not in host:
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would try for minutes
        try:
            ray.init(num_cpus=cores, **quiet)
        except ValueError:  # there is a cluster, and it has its own number
            ray.init(**quiet)
    except (OSError, RuntimeError, ValueError) as error:
        place = f"no cluster at RAY_ADDRESS={address}" if address else "no cluster could be reached or started"
        raise JgptError(f"--engine ray: {place} ({str(error).splitlines()[0]})") from None
