"""Batches on the device, made while it works on those before."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from jgpt.data.mixture import Samples

A = TypeVar("A")
B = TypeVar("B")


def prefetched(
    samples: Samples, places: Iterable[tuple[int, int]], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Ids and targets, int64 [count, T] on the device, of each (position, count).

    For a GPU a thread makes the next batches, which are copied without waiting for the device. On a CPU a batch is made when
    it is asked for: that takes a thousandth of a step, and a thread would need one of the cores that do the step.
    """
    if device.type != "cuda":
        for position, count in places:
            ids, targets = samples.batch(position, count)
            yield ids.to(device), targets.to(device)
        return
    for ids, targets in made_ahead(lambda place: samples.batch(*place), places):
        yield ids.pin_memory().to(device, non_blocking=True), targets.pin_memory().to(device, non_blocking=True)


def made_ahead(make: Callable[[A], B], arguments: Iterable[A], most: int = 2) -> Iterator[B]:
    """``make`` of each argument, in order, made by a thread while those before are in use, at most ``most`` ahead.

    What ``make`` raises is raised where its result would have come. The thread ends with the iterator.
    """
    with ThreadPoolExecutor(1, "batches") as thread:
        waiting: deque[Future[B]] = deque()
        try:
            for argument in arguments:
                waiting.append(thread.submit(make, argument))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            thread.shutdown(cancel_futures=True)
