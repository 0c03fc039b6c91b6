"""One run of fine-tuning: batches, loss, optimiser steps; and what the fitted model answers."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eval.encoding import Rows, answer, collate
from eval.examples import Kind, Predictions
from eval.grid import FinetuneConfig, Setting
from jgpt.config import TrainConfig
from jgpt.device import autocast
from jgpt.heads import HeadedGPT, HeadKind, choose
from jgpt.training.optimizer import make_optimizers
from jgpt.training.schedule import learning_rate_factor

HEADS: dict[Kind, HeadKind] = {
    "choice": "choice",
    "pair": "choice",
    "classification": "classification",
    "regression": "regression",
    "span": "span",
}
_SORTED = 16  # batches within which examples are sorted by length
_SPAN = 48  # most tokens of a predicted span


class Scale:
    """The numbers of a regression, brought to mean 0 and deviation 1 on the training examples."""

    def __init__(self, train: Sequence[Rows]) -> None:
        labels = np.array([each.example.label for each in train], np.float64)
        self.mean = float(labels.mean())
        self.deviation = float(labels.std()) or 1.0


def fit(
    model: HeadedGPT,
    train: Sequence[Rows],
    setting: Setting,
    config: FinetuneConfig,
    *,
    most_tokens: float,
    dtype: torch.dtype,
    seed: int,
) -> None:
    """Train all weights on the examples; the same seed gives the same weights on the same machine."""
    device = model.gpt.device
    rate = setting.learning_rate
    rates = TrainConfig(
        optimizer=config.optimizer,
        learning_rate=rate,
        embedding_rate=rate * config.embedding_factor,
        head_rate=rate,
        vector_rate=rate,
        weight_decay=config.weight_decay,
        beta2=0.98,
    )
    optimizers = make_optimizers(model.gpt, rates, dtype)  # the head that predicts pieces has no gradient and stays
    head_rate = rate * config.head_factor
    optimizers.append(torch.optim.AdamW(model.head_parameters(), lr=head_rate, weight_decay=0.0, fused=True))
    optimizers[-1].param_groups[0]["peak"] = head_rate
    steps = number_of_steps(train, setting, config.batch, most_tokens)
    warmup = max(1, round(config.warmup_share * steps))
    scale = Scale(train)
    generator = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # of dropout
        model.train()
        for step, batch in zip(range(steps), _batches(train, config.batch, generator), strict=False):
            with autocast(device, dtype):
                loss = _loss(model, batch, scale, generator)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
            factor = learning_rate_factor(step, steps, warmup, warmup, 0.0)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * factor
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
    model.eval()


def number_of_steps(train: Sequence[Rows], setting: Setting, batch: int, most_tokens: float) -> int:
    """Steps of a run: its epochs, or as many as read ``most_tokens``."""
    passes = min(setting.epochs, most_tokens / sum(map(_read_tokens, train)))
    return max(1, math.ceil(passes * math.ceil(len(train) / batch)))


def _read_tokens(example: Rows) -> float:
    """Of a regression a step reads the one order or the other."""
    return example.tokens / (len(example.rows) if example.orders else 1)


def _batches(train: Sequence[Rows], size: int, generator: np.random.Generator) -> Iterator[list[Rows]]:
    """Batches without end, each epoch in another order; within some batches examples of like length stand together."""
    longest = [max(len(row.ids) for row in each.rows) for each in train]
    while True:
        order = generator.permutation(len(train))
        batches = []
        for begin in range(0, len(order), _SORTED * size):
            near = sorted(order[begin : begin + _SORTED * size], key=lambda place: longest[place])
            batches += [near[at : at + size] for at in range(0, len(near), size)]
        for number in generator.permutation(len(batches)):
            yield [train[place] for place in batches[number]]


def _loss(model: HeadedGPT, batch: list[Rows], scale: Scale, generator: np.random.Generator) -> Tensor:
    device = model.gpt.device
    if model.kind == "regression":
        rows = [each.rows[int(generator.integers(len(each.rows)))] for each in batch]
        found = model(*collate(rows, device))  # [B]
        labels = torch.tensor([each.example.label for each in batch], dtype=torch.float32, device=device)
        return F.mse_loss(found, (labels - scale.mean) / scale.deviation)
    found = model(*collate([row for each in batch for row in each.rows], device))
    if model.kind == "span":  # [B, T, 2]; answers that do not stand in their row teach nothing
        targets = torch.tensor([each.target for each in batch], device=device)  # [B, 2]
        known = targets[:, 0] >= 0
        # a sum of no elements is 0 and has a gradient
        return F.cross_entropy(found[known], targets[known]) if bool(known.any()) else found[known].sum()
    if model.kind == "choice":
        found = choose(found, [len(each.rows) for each in batch])
    return F.cross_entropy(found, torch.tensor([int(each.example.label) for each in batch], device=device))


@torch.no_grad()
def predict(model: HeadedGPT, test: Sequence[Rows], scale: Scale, *, batch: int, dtype: torch.dtype) -> Predictions:
    """What a model answers, in the order of the examples; a number is the mean of those of all orders of its texts."""
    model.eval()
    order = sorted(range(len(test)), key=lambda place: max(len(row.ids) for row in test[place].rows))
    answers: dict[int, int | float | str] = {}
    for begin in range(0, len(order), batch):
        places = order[begin : begin + batch]
        examples = [test[place] for place in places]
        with autocast(model.gpt.device, dtype):
            found = model(*collate([row for each in examples for row in each.rows], model.gpt.device)).cpu()
        answers.update(zip(places, _answers(model, examples, found, scale), strict=True))
    return [answers[place] for place in range(len(test))]  # type: ignore[return-value]


def _answers(model: HeadedGPT, examples: list[Rows], found: Tensor, scale: Scale) -> Sequence[int | float | str]:
    counts = [len(each.rows) for each in examples]
    if model.kind == "regression":
        return [float(each.mean()) * scale.deviation + scale.mean for each in found.split(counts)]
    if model.kind == "span":
        return [_span(each, logits) for each, logits in zip(examples, found, strict=True)]
    logits = choose(found, counts) if model.kind == "choice" else found
    return [int(place) for place in logits.argmax(-1)]


def _span(example: Rows, logits: Tensor) -> str:
    """The characters of the likeliest span, of at most ``_SPAN`` tokens: logits [T, 2]."""
    start, end = logits.unbind(-1)  # each [T]
    within = torch.ones(len(start), len(start), dtype=torch.bool).triu().tril(_SPAN - 1)
    scores = (start[:, None] + end[None, :]).masked_fill(~within, -torch.inf)  # [T, T]
    best = int(scores.argmax())
    first, last = best // len(start), best % len(start)
    if not math.isfinite(float(scores[first, last])):
        return ""  # nothing of the last text stayed
    return answer(example.rows[0], example.example.texts[-1], first, last)
