"""nanoGPT's recipe for small models, on jgpt's shards and its preset ``gpt2``: what ``scripts.bench.pretraining`` measures against.

As documented there (``config/train_shakespeare_char.py`` and the README's command for a CPU): samples at random places with
replacement, AdamW in float32 with weight decay on everything that has two dimensions, a cosine after 100 steps of warm-up, eager
mode. Nothing of what jgpt sets up for the machine is used. The cosine runs over time, since nobody knows the number of steps before.

``strong`` gives the same recipe bfloat16, ``torch.compile`` and the fused AdamW.
"""

import argparse
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jgpt.config import ModelConfig
from jgpt.data.shards import ShardSet, TokenStream
from jgpt.device import autocast
from jgpt.model import attention
from jgpt.model.folder import save_model
from jgpt.model.gpt import GPT
from jgpt.training.metrics import NAME as METRICS
from jgpt.training.validation import ValidationLoss

STARTED_AT = "JGPT_BENCH_STARTED_AT"
"""The environment variable that says when the clock of a run began, in Unix time: just before its process did."""
DIVERGED = 99.0
"""The loss that is noted for a run whose loss is no longer a number: it ranks last, and JSON has no NaN."""


@dataclass(frozen=True)
class Recipe:
    """nanoGPT's settings; only those of the first group vary."""

    learning_rate: float = 1e-3
    minutes: float = 25.0
    seed: int = 1
    strong: bool = False
    points: int = 20
    """Measurements on the held-out tokens before the last one, evenly over the time."""

    depth: int = 6
    heads: int = 4
    width: int = 256
    context_length: int = 256
    batch: int = 12
    warmup_steps: int = 100
    final_rate_share: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1
    gradient_clip: float = 1.0
    valid_tokens: int = 61440

    def model(self, vocab_size: int) -> ModelConfig:
        """The shape of the model: a tied head, no biases, no dropout."""
        return ModelConfig(
            architecture="gpt2",
            depth=self.depth,
            width=self.width,
            heads=self.heads,
            context_length=self.context_length,
            tie_embeddings=True,
        ).derived(vocab_size)


def train(shards: ShardSet, recipe: Recipe, out: Path, started_at: float) -> None:
    """Train into a model folder until ``recipe.minutes`` have passed since ``started_at`` (Unix time), measuring not counted.

    Its metrics have a line a measurement, with the fields that ``jgpt pretrain`` writes. A run that diverges ends there.
    """
    budget = recipe.minutes * 60
    torch.manual_seed(recipe.seed)  # the places of the samples
    model = GPT(recipe.model(shards.vocab_size), recipe.seed).train()
    optimizer = make_optimizer(model, recipe)
    dtype = torch.bfloat16 if recipe.strong else torch.float32
    loss_of = torch.compile(_loss) if recipe.strong else _loss
    stream = shards.split("train")
    out.mkdir(parents=True)
    valid = ValidationLoss([(shards, None)], recipe.context_length, recipe.valid_tokens)
    watch = _Watch(model, valid, out / METRICS, started_at)
    tokens = step = points = 0
    warm_at = loss_there = 0.0
    while (now := watch.seconds) < budget and loss_there < DIVERGED:
        if now * recipe.points >= budget * points:
            points = int(now * recipe.points / budget) + 1
            loss_there = watch.measure(step, tokens, dtype, recipe.batch)
        if step <= recipe.warmup_steps:
            warm_at = now
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step, (now - warm_at) / (budget - warm_at))
        ids, targets = random_batch(stream, recipe.batch, recipe.context_length)
        with autocast(model.device, dtype):
            loss = loss_of(model, ids, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        tokens += ids.numel()
    watch.measure(step, tokens, dtype, recipe.batch)
    save_model(model, out, shards.folder)


class _Watch:
    """Measures on the held-out tokens, and a clock that stands still meanwhile."""

    def __init__(self, model: GPT, valid: ValidationLoss, metrics: Path, started_at: float) -> None:
        self.model, self.valid, self.metrics, self.started_at = model, valid, metrics, started_at
        self.measuring = 0.0

    @property
    def seconds(self) -> float:
        return time.time() - self.started_at - self.measuring

    def measure(self, step: int, tokens: int, dtype: torch.dtype, batch: int) -> float:
        begun = time.time()
        loss = self.valid.measure(self.model, dtype, batch)
        self.model.train()
        assert loss is not None, "the valid split is shorter than a context"
        loss = loss if math.isfinite(loss) else DIVERGED
        self.measuring += time.time() - begun
        record = {"step": step, "tokens": tokens, "time": time.time(), "valid_seconds": self.measuring}
        with self.metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record | {"valid_loss": loss}) + "\n")
        return loss


def learning_rate(recipe: Recipe, step: int, decayed: float) -> float:
    """Linear warm-up over steps, then a cosine over the share ``decayed`` of the time that was left after it."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / (recipe.warmup_steps + 1)
    lowest = recipe.learning_rate * recipe.final_rate_share
    return lowest + 0.5 * (1 + math.cos(math.pi * decayed)) * (recipe.learning_rate - lowest)


def random_batch(stream: TokenStream, batch: int, context_length: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, int64 [B, T] each, from places drawn with replacement."""
    starts = torch.randint(len(stream) - context_length, (batch,)).tolist()
    rows = [torch.from_numpy(stream[start : start + context_length + 1].astype("int64")) for start in starts]
    tokens = torch.stack(rows)  # [B, T + 1]
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def make_optimizer(model: GPT, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over two groups: weights of two dimensions, embeddings among them, decay and vectors do not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [each for each in parameters if each.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [each for each in parameters if each.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=recipe.strong or None)


def _loss(model: GPT, ids: Tensor, targets: Tensor) -> Tensor:
    logits = model(ids)  # [B, T, V], whole
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def main() -> None:
    """One run, in the process that ``scripts.bench.pretraining`` starts for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its metrics")
    parser.add_argument("--learning_rate", type=float, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--strong", action="store_true")
    parser.add_argument("--points", type=int, default=Recipe.points)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    attention.SHORT = 0  # nanoGPT's attention is always PyTorch's fused kernel
    if given.threads:
        torch.set_num_threads(given.threads)
    recipe = Recipe(given.learning_rate, given.minutes, given.seed, given.strong, given.points)
    train(ShardSet(given.shards), recipe, given.out, float(os.environ.get(STARTED_AT, time.time())))


if __name__ == "__main__":
    main()
