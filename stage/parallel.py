"""Run a function over many tasks in all cores, results in the order of the tasks."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from typing import TypeVar

from stage.errors import JgptError, UsageError
from stage.progress import progress

T = TypeVar("T")
R = TypeVar("R")


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
    description: str = "",
    unit: str = "file",
    quiet: bool = False,
) -> Iterator[R]:
    """Yield ``function(task)`` for each task, in the order of the tasks, however many processes work on them.

    At most twice as many tasks as workers are under way, so results do not pile up. An exception of the function is
    raised here; a worker that dies (out of memory, killed) raises JgptError.
    """
    workers = min(worker_count(workers), max(len(tasks), 1))
    with progress(total=len(tasks), description=description, unit=unit, quiet=quiet) as bar:
        if workers == 1:
            for task in tasks:
                result = function(task)
                bar.update()
                yield result
            return
        # spawn: the parent may hold threads (torch, Arrow) that do not survive a fork
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_in_worker)
        try:
            waiting = iter(tasks)
            running: deque[Future[R]] = deque()
            for task in waiting:
                with _interrupts_wait():
                    running.append(pool.submit(function, task))
                if len(running) < 2 * workers:
                    continue
                yield running.popleft().result()
                bar.update()
            while running:
                yield running.popleft().result()
                bar.update()
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
