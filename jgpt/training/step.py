"""One optimiser step: batches, loss, gradients, clipping, weights. Nothing in it waits for the device."""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from jgpt.config import TrainConfig
from jgpt.data.documents import document_mask
from jgpt.data.mixture import Samples
from jgpt.data.prefetch import prefetched
from jgpt.device import autocast
from jgpt.model.gpt import GPT
from jgpt.training.checkpoint import TrainingState
from jgpt.training.distributed import ALONE, Parallel, Ranks, parallel_kind, whole
from jgpt.training.optimizer import make_optimizers
from jgpt.training.plan import Plan
from jgpt.training.schedule import learning_rate_factor
from tokenizer.pieces import BEGIN_ID

SPIKE = 20.0
"""A gradient so many times as long as usual is left out."""
_MEMORY = 0.98


class TrainingStep:
    """A model and its optimisers; ``run(step)`` makes a step, in which each of several processes has a part of the batch.

    A step whose gradient is not finite, or a spike, is left out and counted: ``skipped`` in all, ``in_a_row`` since the last
    good one. ``losses`` collects the loss of each step (float32 scalars on the device) until somebody takes them: that of
    the samples that this process saw.
    """

    def __init__(
        self,
        model: GPT,
        samples: Samples,
        plan: Plan,
        train: TrainConfig,
        device: torch.device,
        seed: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self.model, self.samples, self.plan, self.train_config = model, samples, plan, train
        self.device, self.seed, self.ranks = device, seed, ranks
        self.micro_batch, self.accumulation = plan.split(ranks.count)
        self.dtype = torch.bfloat16 if plan.dtype == "bfloat16" else torch.float32
        self.parallel = Parallel(model, ranks, parallel_kind(train.parallel, model.config.parameters, ranks))
        self.optimizers = make_optimizers(model, train, self.dtype)
        self.losses: list[Tensor] = []
        self.norm = torch.zeros((), device=device)
        self.usual_norm = torch.zeros((), device=device)
        self.skipped = torch.zeros((), device=device)
        self.in_a_row = torch.zeros((), device=device)
        self._batches: Iterator[tuple[Tensor, Tensor]] | None = None
        self._next = -1
        self.waited = 0.0
        """Seconds that steps have waited for their samples, until somebody sets it back."""

    def compile(self, undo: bool = False) -> None:
        """Compile the blocks, all of which share the code, by way of a forward and a backward pass without consequences."""
        for block in self.model.blocks:
            block._compiled_call_impl = None
            if not undo:
                block.compile(dynamic=False)
        if not undo:
            self._gradients(0)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def run(self, step: int) -> None:
        """Optimiser step number ``step`` (from 0), a function of the weights, the seed and that number alone."""
        plan = self.plan
        decay_from = plan.decay_from if plan.settled else step + 1
        share = self.train_config.final_rate_share
        factor = learning_rate_factor(step, plan.steps, plan.warmup_steps, decay_from, share)
        loss = self._gradients(step)
        self._clip(step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.losses.append(loss)

    @property
    def learning_rate(self) -> float:
        """That of the matrices, now."""
        return float(self.optimizers[0].param_groups[0]["lr"])

    def remember(self, state: TrainingState) -> None:
        """Put what the next steps depend on, but for weights and optimisers, into the state."""
        state.usual_norm, state.skipped = float(self.usual_norm), int(self.skipped)
        state.skipped_in_a_row = int(self.in_a_row)

    def recall(self, state: TrainingState) -> None:
        """Take it back."""
        self.usual_norm.fill_(state.usual_norm)
        self.skipped.fill_(state.skipped)
        self.in_a_row.fill_(state.skipped_in_a_row)

    def _gradients(self, step: int) -> Tensor:
        """Add the gradient of a step's batch to the weights' ``grad``; returns the loss."""
        self.model.train()
        total = torch.zeros((), device=self.device)
        for turn, (ids, targets) in enumerate(self._take(step)):
            # dropout follows from the seed, the step and the place in its batch, whichever process comes to that place
            place = self.ranks.rank * self.accumulation + turn
            torch.manual_seed((self.seed * 1_000_003 + step + (place << 40)) & 0x7FFFFFFFFFFFFFFF)
            mask = None if self.train_config.across_documents else document_mask(ids, BEGIN_ID)
            with autocast(self.device, self.dtype):
                loss = self.parallel.loss(ids, targets, mask, last=turn == self.accumulation - 1)
            (loss / self.accumulation).backward()
            total += loss.detach() / self.accumulation
        return total

    def _take(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The micro-batches of a step; those of the steps after it are made meanwhile."""
        if self._batches is None or step != self._next:
            first = self.ranks.rank * self.accumulation
            places = (
                (later * self.plan.batch + (first + turn) * self.micro_batch, self.micro_batch)
                for later in range(step, 1 << 62)
                for turn in range(self.accumulation)
            )
            self._batches = prefetched(self.samples, places, self.device)
        self._next = step + 1
        for _ in range(self.accumulation):
            asked = time.perf_counter()
            batch = next(self._batches)
            self.waited += time.perf_counter() - asked
            yield batch

    def _clip(self, step: int) -> None:
        """Tell the optimisers by how much to divide the gradient, and whether to leave the step out."""
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True if self.device.type == "cuda" else None)
        norm = self.norm = whole(norm)
        warm = step >= self.plan.warmup_steps and self.usual_norm > 0
        bad = ~torch.isfinite(norm) | (warm & (norm > SPIKE * self.usual_norm))
        limit = self.train_config.gradient_clip or math.inf
        for optimizer in self.optimizers:
            optimizer.grad_scale = (norm / limit).clamp(min=1.0)  # type: ignore[attr-defined]
            optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        usual = torch.where(self.usual_norm > 0, torch.lerp(norm, self.usual_norm, _MEMORY), norm)
        self.usual_norm = torch.where(bad, self.usual_norm, usual)
        self.skipped += bad
        self.in_a_row = torch.where(bad, self.in_a_row + 1, 0.0)
