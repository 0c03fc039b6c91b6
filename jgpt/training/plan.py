"""From one dial to a whole plan: everything that was left at 0, derived from the model, the data and the time there is."""

import json
import logging
import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import torch

from jgpt.config import ModelConfig, TrainConfig
from jgpt.device import free_memory
from jgpt.model.attention import SHORT
from jgpt.model.loss import ROWS
from jgpt.training.schedule import phases
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import write_json

log = logging.getLogger(__name__)
NAME = "plan.json"
USUAL_EPOCHS = 4.0
FIRST_LOOK = 10
"""Step at which the guess of the speed is compared with it."""
LENGTH = ("steps", "minutes", "epochs")
"""What of a training configuration may change when a run is extended."""


@dataclass
class Plan:
    """What a run does: fixed before its first step, written to ``plan.json``, obeyed when it goes on.

    Where minutes were given, the number of steps is a guess at first, made anew after some steps if it was a bad one. When the share of the time that comes before the decay
    is over, steps and decay are settled by the speed until then; the steps before are the same either way.
    """

    settled: bool
    """Whether ``steps`` is final."""
    batch: int
    """Sequences an optimiser step."""
    micro_batch: int
    """Sequences that go through the model at once; divides ``batch``."""
    dtype: str
    compiled: bool
    """Whether the blocks are compiled."""
    threads: int
    peak_flops: float
    """Operations a second of a matrix product on this machine."""
    seconds_per_step: float
    """Estimated from ``peak_flops``; as measured once the plan is settled."""
    steps: int = 0
    warmup_steps: int = 0
    decay_from: int = 0
    """Step from which the learning rate falls."""
    valid_every: int = 0
    checkpoint_every: int = 0
    log_every: int = 0
    asked: dict[str, float] = field(default_factory=dict)
    """The length that was asked for: steps, minutes and epochs."""
    ranks: int = 1
    """Processes for which ``compiled`` and ``threads`` were chosen; the rest holds for any number."""

    def set_steps(self, steps: int, train: TrainConfig, context_length: int, warmup: int = 0) -> None:
        """Set the number of steps and what follows from it; a run that is extended keeps its ``warmup``."""
        self.asked = {name: getattr(train, name) for name in LENGTH}
        self.steps = steps
        self.warmup_steps, self.decay_from = phases(steps, train, warmup)
        self._set_cadence(train, context_length)

    def look(self, step: int, seconds: float, train: TrainConfig, context_length: int, windows: int) -> bool:
        """After the first steps: guess the number of steps anew where the speed is far from what was thought of the machine.

        Returns whether it was.
        """
        measured = seconds / step
        if step != FIRST_LOOK or not self.seconds_per_step or 2 / 3 < measured / self.seconds_per_step < 1.5:
            return False
        self.seconds_per_step = measured
        steps = number_of_steps(train, windows, self.batch, measured)
        # a warm-up that would be over already is stretched, so that the rate does not leap
        warmup = max(phases(steps, train)[0], min(2 * step, steps // 5))
        self.set_steps(steps, train, context_length, warmup)
        return True

    def settle(self, step: int, seconds: float, train: TrainConfig, context_length: int, windows: int) -> bool:
        """Let the decay begin at ``step``, and end when the minutes there are do, given that ``seconds`` have gone.

        Returns whether it is time for that.
        """
        most = int(train.epochs * windows / self.batch) if train.epochs else math.inf
        early = (1 - train.decay_share) * min(1.0, most * seconds / (step * train.minutes * 60))
        if step < self.warmup_steps or seconds < early * train.minutes * 60:
            return False
        self.seconds_per_step = seconds / step
        self.steps = max(step + 1, int(min(train.minutes * 60 / self.seconds_per_step, most)))
        self.decay_from = step
        self.settled = True
        self._set_cadence(train, context_length)
        return True

    def _set_cadence(self, train: TrainConfig, context_length: int) -> None:
        self.valid_every = train.valid_every or max(1, self.steps // self._measurements(train, context_length))
        self.checkpoint_every = train.checkpoint_every or max(1, self.steps // 10)
        self.log_every = min(10, max(1, self.steps // 200))

    def _measurements(self, train: TrainConfig, context_length: int) -> int:
        """On the valid split: a pass costs a third of training on the same tokens, and all may cost a twentieth."""
        tokens = self.steps * self.batch * context_length
        return max(4, min(20, int(0.05 * 3 * tokens / max(1, train.valid_tokens))))

    def split(self, ranks: int) -> tuple[int, int]:
        """Sequences that go through the model at once, and how often in a step, in each of so many processes."""
        share = self.batch // ranks
        at_once = max(size for size in range(1, min(self.micro_batch, share) + 1) if share % size == 0)
        return at_once, share // at_once

    def write(self, folder: Path) -> None:
        """Write ``plan.json``."""
        write_json(folder / NAME, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Plan | None":
        """The plan of a run that began earlier, None when there is none."""
        file = folder / NAME
        if not file.is_file():
            return None
        try:
            record = json.loads(file.read_text("utf-8"))
            return cls(**{entry.name: record[entry.name] for entry in fields(cls)})
        except (ValueError, KeyError, TypeError):
            raise ArtifactError(f"{file}: is not a plan that this jgpt wrote; begin anew with --overwrite") from None


def derive_training(train: TrainConfig, model: ModelConfig) -> TrainConfig:
    """Fill in batch and learning rates for a derived model.

    Larger models take larger batches, and AdamW's rates fall with the square root of the width; Muon's does not depend on it.
    The embedding learns faster than the matrices because each of its rows is met rarely. Raises UsageError for a rate
    that would have no effect.

    Text that is read up to four times teaches nearly as much as new text, and little after that (Muennighoff et al. 2023).
    """
    if train.head_rate and model.tie_embeddings:
        raise UsageError("--train.head_rate has no effect on a head that is tied to the embedding: leave it out")
    classic = model.architecture == "gpt2"
    if train.bigram_init and (classic or model.tie_embeddings):
        raise UsageError("--train.bigram_init needs an untied head and an architecture other than gpt2: leave it out")
    narrower = math.sqrt(min(256 / model.width, 1.0))
    rate = (1e-3 if classic else 3e-3) * narrower
    return replace(
        train,
        batch_tokens=train.batch_tokens or 4096 * 2 ** round(math.log2(max(model.width / 256, 1.0))),
        learning_rate=train.learning_rate or (0.02 if train.optimizer == "muon" else rate),
        embedding_rate=train.embedding_rate or (rate if classic or model.tie_embeddings else 50 * rate),
        head_rate=train.head_rate or (rate if classic else 4 * rate),
        vector_rate=train.vector_rate or rate,
        epochs=train.epochs or (0.0 if train.steps else USUAL_EPOCHS),
    )


def batch_shape(train: TrainConfig, context_length: int) -> tuple[int, int]:
    """Sequences a step and at once, for a derived training configuration."""
    batch = max(1, round(train.batch_tokens / context_length))
    micro = min(train.micro_batch or max(1, 8192 // context_length), batch)
    while batch % micro:
        micro -= 1
    return batch, micro


def number_of_steps(train: TrainConfig, windows: int, batch: int, seconds_per_step: float) -> int:
    """Optimiser steps for a derived training configuration over ``windows`` samples an epoch."""
    if train.steps:
        return train.steps
    limits = []
    if train.epochs:
        limits.append(train.epochs * windows / batch)
    if train.minutes:
        limits.append(train.minutes * 60 / seconds_per_step)
    return max(1, int(min(limits)))


def memory_bytes(model: ModelConfig, micro_batch: int, sharing: int = 1) -> int:
    """Rough memory of a training step: weights, gradients, two means of them, and what is kept for the way back, in float32.

    ``sharing``: processes that each hold a part of all but the last.
    """
    tokens = micro_batch * model.context_length
    activations = tokens * model.depth * (22 * model.width + model.heads * min(model.context_length, SHORT))
    logits = 3 * ROWS * model.vocab_size
    return 4 * (4 * model.parameters // sharing + activations + logits)


def check_memory(model: ModelConfig, micro_batch: int, device: torch.device, sharing: int = 1) -> None:
    """Raise InputError when a step cannot fit into the memory there is."""
    need = memory_bytes(model, micro_batch, sharing)
    free = free_memory(device)
    if free is not None and need > free:
        raise InputError(
            f"a training step needs about {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free: "
            f"ask for a smaller --train.micro_batch (now {micro_batch}), --model.depth, --model.width (now {model.width}) or "
            "--model.context_length"
        )


def describe(
    model: ModelConfig, train: TrainConfig, plan: Plan, windows: int, device: str, parallel: str = ""
) -> list[str]:
    """The plan in words, a line a part; ``parallel``: how several processes share the model, ddp or fsdp."""
    tokens = plan.steps * plan.batch * model.context_length
    micro_batch, _ = plan.split(plan.ranks)
    each = f"{plan.ranks} processes ({parallel}), each " if parallel else ""
    memory = memory_bytes(model, micro_batch, plan.ranks if parallel == "fsdp" else 1)
    lines = [
        f"model: {model.architecture}, {model.depth} blocks, {model.width} wide, {model.heads} heads, context "
        f"{model.context_length}, {model.vocab_size} pieces: {model.parameters / 1e6:.1f}M parameters",
        f"training: {plan.steps} steps of {plan.batch} x {model.context_length} tokens (micro-batches of {micro_batch}): "
        f"{tokens / 1e6:.1f}M tokens, {plan.steps * plan.batch / windows:.1f} epochs",
        f"learning rates: matrices {train.learning_rate:.2g} ({train.optimizer}), embedding {train.embedding_rate:.2g}, "
        f"head {'tied' if model.tie_embeddings else f'{train.head_rate:.2g}'}; "
        f"dropout {model.dropout:g}, weight decay {train.weight_decay:g}",
        f"machine: {each}{device}, {plan.dtype}, {'compiled' if plan.compiled else 'not compiled'}, {plan.threads} threads, "
        f"{plan.peak_flops / 1e9:.0f} GFLOP/s at most, about {memory / 1e9:.1f} GB of memory",
    ]
    if plan.seconds_per_step:
        minutes = plan.steps * plan.seconds_per_step / 60
        sooner = (
            f"; {train.epochs:g} epochs end then, --train.epochs allows more" if minutes < 0.9 * train.minutes else ""
        )
        lines.append(f"time: about {minutes:.1f} minutes at {plan.seconds_per_step:.3f} s a step{sooner}")
    return lines
