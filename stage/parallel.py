"""Run a function over many tasks in all cores, results in the order of the tasks."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from multiprocessing import active_children, get_context, parent_process
from typing import Literal, TypeVar

from stage.errors import JgptError, UsageError
from stage.progress import progress

T = TypeVar("T")
R = TypeVar("R")
Engine = Literal["local", "ray"]
"""Where tasks run: in processes of this machine, or on a Ray cluster."""


def worker_count(workers: int) -> int:
    """How many processes to use: the cores that this process may run on when ``workers`` is 0; UsageError below that."""
    if workers < 0:
        raise UsageError(f"--workers {workers}: must be 0 (all cores) or more")
    if workers > 0:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_over(
    function: Callable[[T], R],
    tasks: Sequence[T],
    *,
    workers: int = 0,
    engine: Engine = "local",
    description: str = "",
    unit: str = "file",
    quiet: bool = False,
) -> Iterator[R]:
    """Yield ``function(task)`` for each task, in the order of the tasks, however many processes work on them.

    At most twice as many tasks as workers are under way, so results do not pile up. An exception of the function is
    raised here; a worker that dies (out of memory, killed) raises JgptError. With the engine ``ray``, workers on other
    nodes read and write the same paths, so these must be on a file system that all nodes share.
    """
    cores = worker_count(workers)
    processes = min(cores, max(len(tasks), 1))
    results: Generator[R, None, None]
    if engine == "ray":
        from stage.ray_engine import run_on_ray

        results = run_on_ray(function, tasks, workers, cores)
    elif processes == 1:
        results = (function(task) for task in tasks)
    else:
        results = _in_processes(function, tasks, processes)
    with (
        progress(total=len(tasks), description=description, unit=unit, quiet=quiet) as bar,
        closing(results),
    ):
        for result in results:
            bar.update()
            yield result


def _in_processes(function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Generator[R, None, None]:
    # spawn: the parent may hold threads (torch, Arrow) that do not survive a fork
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_in_worker)
    try:
        running: deque[Future[R]] = deque()
        for task in tasks:
            with _interrupts_wait():
                running.append(pool.submit(function, task))
            if len(running) >= 2 * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    except BrokenProcessPool:
        raise JgptError(
            "a worker process died, most likely for lack of memory: fewer --workers need less of it "
            '(a script of your own must start its work under if __name__ == "__main__")'
        ) from None
    except KeyboardInterrupt:
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_worker() -> None:
    """Ctrl-C reaches every process of the terminal, but the parent alone decides what it means; a worker ends when the parent has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold SIGINT back while workers start: they inherit that, and it would hit them before they can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
