"""Several processes that train one model, as torchrun starts them: who they are, what they agree on, how they share it.

Each runs the same program. What is measured, decided or written is rank 0's. A process alone goes the same way: then there
is nothing to agree on, and each function here gives back what it got.
"""

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from jgpt.device import choose_device
from jgpt.model.gpt import GPT
from stage.errors import JgptError, UsageError

T = TypeVar("T")
SHARDED_FROM = 500_000_000
"""Parameters from which --train.parallel auto shards: their weights, gradients and optimiser take 16 bytes each."""
_TIMEOUT = timedelta(minutes=20)
"""Longer than rank 0 takes for a checkpoint or for checking a folder, while the others wait."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a run and which of them this is. All must call the methods below, and at the same point."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that logs and writes."""
        return self.rank == 0

    def share(self, value: T) -> T:
        """What rank 0 has; the others wait for it."""
        box = [value]
        if self.count > 1:
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def all(self, value: T) -> list[T]:
        """What each has, by rank."""
        values = [value] * self.count
        if self.count > 1:
            dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        """Whether one says so. Cheap, and without waiting for a GPU: the processes' CPUs agree."""
        if self.count == 1:
            return flag
        said = torch.tensor(int(flag))
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return bool(said)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes of each element."""
        if self.count > 1:
            dist.all_reduce(values)
            values = values / self.count
        return values


ALONE = Ranks()


@contextlib.contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """The processes that torchrun started, for the time of a run, and this one's device; without torchrun a process alone.

    The first process that fails says why. The others, for which that ends the run too, end quietly: SystemExit.
    """
    target = choose_device(device)
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE, target
        return
    if target.type not in ("cpu", "cuda") or target.index is not None:
        raise UsageError(f"--device {target}: under torchrun it is cpu or cuda, of which each process takes its own")
    if target.type == "cuda":
        target = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(target)
    store, rank, count = next(dist.rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if target.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_TIMEOUT)
    if rank:
        logging.disable(logging.WARNING)
    # gloo has no all-to-all; what is done in its place is as right
    logging.getLogger("torch.distributed.tensor").setLevel(logging.ERROR)
    try:
        yield Ranks(rank, count), target
    except BaseException as error:
        if _told(store):
            raise SystemExit(getattr(error, "exit_status", 1)) from None
        if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error)):
            raise JgptError(
                f"rank {rank} lost another process of the run ({str(error).splitlines()[0]}); when the cause is mended, "
                "the same command goes on from the last checkpoint"
            ) from None
        raise
    finally:
        # threads of gloo that have yet to drop what was sent last need the interpreter for it, and abort when it is going
        time.sleep(0.1)
        dist.destroy_process_group()


@contextlib.contextmanager
def of_first(ranks: Ranks, context: contextlib.AbstractContextManager[T]) -> Iterator[T]:
    """A context that rank 0 alone enters, when all have come here, and whose value all get."""
    ranks.any(False)
    if not ranks.leads:
        yield ranks.share(cast(T, None))
        return
    with context as value:
        yield ranks.share(value)


class Parallel:
    """The loss of a model that several processes train; their gradients are means over the processes.

    kind: "ddp", each holds the whole model (Li et al. 2020), or "fsdp", each holds a part of every weight, its gradient and
    its optimiser state (Rajbhandari et al. 2020, ZeRO; Zhao et al. 2023); "" for a process alone.
    """

    def __init__(self, model: GPT, ranks: Ranks, kind: str) -> None:
        self.model, self.kind = model, kind
        self._copies: DistributedDataParallel | None = None
        if kind == "ddp":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # newer versions have another name for this argument
                self._copies = DistributedDataParallel(
                    _Loss(model), broadcast_buffers=False, gradient_as_bucket_view=True
                )
        elif kind == "fsdp":
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

            mesh = init_device_mesh(model.device.type, (ranks.count,))
            for block in model.blocks:
                fully_shard(block, mesh=mesh)
            # the loss uses the head's weight itself, which must stay whole until the way back
            fully_shard(model, mesh=mesh, reshard_after_forward=False)
            register_fsdp_forward_method(model, "loss")
            model.register_load_state_dict_pre_hook(_take_parts)

    def loss(self, ids: Tensor, targets: Tensor, mask: Tensor | None, last: bool) -> Tensor:
        """``model.loss``; only the ``last`` of the micro-batches of a step exchanges gradients on the way back."""
        if self._copies is not None:
            with contextlib.nullcontext() if last else self._copies.no_sync():
                loss: Tensor = self._copies(ids, targets, mask)
                return loss
        if self.kind == "fsdp":
            self.model.set_requires_gradient_sync(last)  # type: ignore[operator] # a method from fully_shard
        return self.model.loss(ids, targets, mask)

    def release(self) -> None:
        """Give back what a pass without a way back has gathered: the weights are in parts again."""
        if self.kind == "fsdp":
            self.model.reshard()  # type: ignore[operator]


def parallel_kind(asked: str, parameters: int, ranks: Ranks) -> str:
    """How processes share a model of so many parameters, where ``asked`` is auto, ddp or fsdp."""
    if ranks.count == 1:
        return ""
    return asked if asked != "auto" else "fsdp" if parameters >= SHARDED_FROM else "ddp"


def in_parts(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor, of which each process holds a part. Importing that class would take most of a second."""
    return hasattr(tensor, "to_local")


def local(tensor: Tensor) -> Tensor:
    """What of a tensor this process holds, sharing its memory."""
    return tensor.to_local() if in_parts(tensor) else tensor  # type: ignore[attr-defined]


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the parts of all processes, all of which must call this."""
    return tensor.full_tensor() if in_parts(tensor) else tensor  # type: ignore[attr-defined]


def parted_like(tensor: Tensor, other: Tensor) -> Tensor:
    """This process's part of a whole tensor, on the device of ``other``; all of one that has another shape or is in parts."""
    if not in_parts(other) or in_parts(tensor) or tensor.shape != other.shape:
        return tensor.to(other.device)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(other, DTensor), "nothing else has parts"
    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements, src_data_rank=None)


def gathered(tensors: Iterable[tuple[str, Tensor]], ranks: Ranks) -> dict[str, Tensor]:
    """Whole tensors by name, on the CPU of rank 0; the others get nothing, and never hold more than one of them."""
    found = {}
    for name, tensor in tensors:
        tensor = whole(tensor.detach())
        if ranks.leads:
            found[name] = tensor.to("cpu").contiguous()
    return found


def on_whole(change: Callable[[Tensor], Tensor], rows: Tensor, weight: Tensor) -> Tensor:
    """``change`` of stacked matrices [N, R, C], of which ``rows`` are here if the ``weight`` [R, C] of each is sharded.

    Then each process gets, changes and gives back some whole matrices.
    """
    if not in_parts(weight):
        return change(rows)
    from torch.distributed.tensor import DTensor, Shard

    assert isinstance(weight, DTensor), "nothing else has parts"
    mesh, shape = weight.device_mesh, torch.Size((len(rows), *weight.shape))
    stride = (weight.numel(), *weight.stride())
    parts = DTensor.from_local(rows, mesh, [Shard(1)], shape=shape, stride=stride)
    changed = change(parts.redistribute(placements=[Shard(0)]).to_local())
    parts = DTensor.from_local(changed, mesh, [Shard(0)], shape=shape, stride=stride)
    return parts.redistribute(placements=[Shard(1)]).to_local()


class _Loss(nn.Module):
    """DistributedDataParallel calls ``forward``."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, targets: Tensor, mask: Tensor | None) -> Tensor:
        return self.model.loss(ids, targets, mask)


def _take_parts(model: nn.Module, tensors: dict[str, Any], *_: object) -> None:
    """Before whole tensors are loaded into a sharded model."""
    for name, parameter in model.state_dict().items():
        if name in tensors:
            tensors[name] = parted_like(tensors[name], parameter)


def _told(store: dist.Store) -> bool:
    """Whether another process has failed before this one, and said why."""
    try:
        return store.add("failed", 1) > 1
    except RuntimeError:  # the store went with the process that held it
        return True
