"""From one dial to a whole plan: everything that was left at 0, derived from the model, the data and the time there is."""

import json
import logging
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch

from jgpt.config import ModelConfig, TrainConfig
from jgpt.training.schedule import phases
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import write_json

log = logging.getLogger(__name__)
NAME = "plan.json"


@dataclass
class Plan:
    """What a run does: fixed before its first step, written to ``plan.json``, obeyed when it goes on.

    Where minutes were given, the speed measured at first is a guess: the number of steps is settled when the learning rate
    begins to fall, by the time that the run has taken until then. The steps before are the same either way.
    """

    steps: int
    warmup_steps: int
    decay_from: int
    """Step from which the learning rate falls."""
    settled: bool
    """Whether ``steps`` is final."""
    batch: int
    """Sequences an optimiser step."""
    micro_batch: int
    """Sequences that go through the model at once; divides ``batch``."""
    dtype: str
    threads: int
    valid_every: int
    checkpoint_every: int
    log_every: int
    seconds_per_step: float
    """As measured before the first step; 0 where nothing was measured."""

    def set_steps(self, steps: int, train: TrainConfig) -> None:
        """Set the number of steps and what follows from it."""
        self.steps = steps
        self.warmup_steps, self.decay_from = phases(steps, train)
        self.valid_every = train.valid_every or max(1, steps // 20)
        self.checkpoint_every = train.checkpoint_every or max(1, steps // 10)
        self.log_every = min(10, max(1, steps // 200))

    def settle(self, step: int, seconds: float, train: TrainConfig, windows: int) -> None:
        """Fit what is left of the run to the minutes there are, given that ``step`` steps took ``seconds``."""
        left = (train.minutes * 60 - seconds) / (seconds / step)
        most = train.epochs * windows / self.batch if train.epochs else math.inf
        self.steps = max(step + 1, int(min(step + left, most)))
        self.settled = True

    @property
    def accumulation(self) -> int:
        """Micro-batches an optimiser step."""
        return self.batch // self.micro_batch

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

    Larger models take larger batches and lower rates: the rate of the matrices falls with the square root of the width.
    The embedding learns faster than the matrices because each of its rows is met rarely. Raises UsageError for a rate
    that would have no effect.
    """
    if train.head_rate and model.tie_embeddings:
        raise UsageError("--train.head_rate has no effect on a head that is tied to the embedding: leave it out")
    classic = model.architecture == "gpt2"
    wider = max(model.width / 256, 1.0)
    rate = train.learning_rate or (1e-3 if classic else 3e-3) / math.sqrt(wider)
    return replace(
        train,
        batch_tokens=train.batch_tokens or 2048 * 2 ** round(math.log2(wider)),
        learning_rate=rate,
        embedding_rate=train.embedding_rate or (rate if classic else 10 * rate),
        head_rate=train.head_rate or (rate if classic else 2 * rate),
        epochs=train.epochs or (0.0 if train.steps or train.minutes else 4.0),
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


def memory_bytes(model: ModelConfig, micro_batch: int) -> int:
    """Rough memory of a training step: weights, gradients, AdamW's two means, activations and logits, in float32."""
    tokens = micro_batch * model.context_length
    activations = tokens * model.depth * model.width * 34
    logits = tokens * model.vocab_size * 3
    return 4 * (4 * model.parameters + activations + logits)


def check_memory(model: ModelConfig, micro_batch: int, device: torch.device) -> None:
    """Raise InputError when a step cannot fit into the memory there is."""
    need = memory_bytes(model, micro_batch)
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        try:
            with open("/proc/meminfo") as stream:
                free = next(int(line.split()[1]) * 1024 for line in stream if line.startswith("MemAvailable"))
        except (OSError, StopIteration):
            return
    if need > free:
        raise InputError(
            f"a training step needs about {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free: "
            f"ask for a smaller --train.micro_batch (now {micro_batch}), --model.depth, --model.width (now {model.width}) or "
            "--model.context_length"
        )


def describe(model: ModelConfig, train: TrainConfig, plan: Plan, windows: int, device: str) -> list[str]:
    """The plan in words, a line a part."""
    tokens = plan.steps * plan.batch * model.context_length
    lines = [
        f"model: {model.architecture}, {model.depth} blocks, {model.width} wide, {model.heads} heads, context "
        f"{model.context_length}, {model.vocab_size} pieces: {model.parameters / 1e6:.1f}M parameters",
        f"training: {plan.steps} steps of {plan.batch} x {model.context_length} tokens (micro-batches of {plan.micro_batch}): "
        f"{tokens / 1e6:.1f}M tokens, {plan.steps * plan.batch / windows:.1f} epochs",
        f"learning rates: matrices {train.learning_rate:.2g}, embedding {train.embedding_rate:.2g}, head {train.head_rate:.2g}; "
        f"dropout {model.dropout:g}, weight decay {train.weight_decay:g}",
        f"machine: {device}, {plan.dtype}, {plan.threads} threads, about {memory_bytes(model, plan.micro_batch) / 1e9:.1f} GB of memory",
    ]
    if plan.seconds_per_step:
        lines.append(
            f"time: about {plan.steps * plan.seconds_per_step / 60:.1f} minutes at {plan.seconds_per_step:.3f} s a step"
        )
    return lines
