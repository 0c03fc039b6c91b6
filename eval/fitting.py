"""One run of fine-tuning: batches, loss, optimiser steps; and what the fitted model answers."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eval.encoding import Row, Rows, answer, collate
from eval.examples import Kind, Predictions
from eval.grid import FinetuneConfig, Setting
from jgpt.config import TrainConfig
from jgpt.device import autocast
from jgpt.heads import HeadedGPT, HeadKind, choose
from jgpt.training.optimizer import make_optimizers
from jgpt.training.schedule import learning_rate_factor
from stage.errors import InputError
from stage.progress import progress

HEADS: dict[Kind, HeadKind] = {
    "choice": "choice",
    "pair": "choice",
    "classification": "classification",
    "regression": "regression",
    "span": "span",
}
_SORTED = 16  # batches within which examples are sorted by length
_SPAN = 48  # most tokens of a predicted span
_COMMON = 1 << 15  # tokens in which what all have in common is looked for
_AT_ONCE = 4096  # tokens whose activations are in memory together: some 0.4 MB each in a net of 17M weights


class Scale:
    """The numbers of a regression, brought to mean 0 and deviation 1 on the training examples."""

    def __init__(self, train: Sequence[Rows]) -> None:
        labels = np.array([each.example.label for each in train], np.float64)
        self.mean = float(labels.mean())
        self.deviation = float(labels.std()) if np.ptp(labels) else 1.0


def fit(
    model: HeadedGPT,
    train: Sequence[Rows],
    setting: Setting,
    config: FinetuneConfig,
    *,
    most_tokens: float,
    dtype: torch.dtype,
    seed: int,
    quiet: bool = True,
) -> None:
    """Train all weights on the examples; the same seed gives the same weights on the same machine.

    Raises InputError when of no span's example the answer is among the tokens that stayed.
    """
    device = model.gpt.device
    if model.kind == "span":  # answers that do not stand in their row teach nothing
        train = [each for each in train if each.target[0] >= 0]
        if not train:
            raise InputError(
                f"no answer is among the tokens that stay of its text, with at most {config.tokens} a row (--finetune.tokens) and "
                f"a context of {model.gpt.config.context_length}"
            )
    rate = setting.learning_rate
    size = float(model.gpt.embedding.weight.detach().square().mean().sqrt())
    rates = TrainConfig(
        optimizer="muon",
        learning_rate=rate,
        embedding_rate=rate * config.embedding_factor * size,
        head_rate=rate,
        vector_rate=rate,
        weight_decay=config.weight_decay,
        beta2=0.98,
    )
    optimizers = make_optimizers(model.gpt, rates, dtype)  # the head that predicts pieces has no gradient and stays
    optimizers.append(torch.optim.AdamW(model.head_parameters(), lr=rate, weight_decay=0.0, fused=True))
    optimizers[-1].param_groups[0]["peak"] = rate
    steps = number_of_steps(train, setting, config.batch, most_tokens)
    warmup = max(1, round(config.warmup_share * steps))
    scale = Scale(train)
    generator = np.random.default_rng(seed)
    model.eval()
    with autocast(device, dtype):
        model.find_common(_first_rows(train, config.batch, device))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # of dropout
        model.train()
        batches = _batches(train, config.batch, generator)
        for step in progress(range(steps), description=str(setting), unit="step", quiet=quiet, leave=False):
            batch = next(batches)
            for part in _parts(batch):
                rows: list[tuple[Row, ...]] = [each.rows for each in part]
                if model.kind == "regression":  # the one order of the texts or the other
                    rows = [(each[int(generator.integers(len(each)))],) for each in rows]
                loss = _loss(model, _outputs(model, part, rows, dtype), part, scale)
                (loss * (len(part) / len(batch))).backward()
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


def _first_rows(train: Sequence[Rows], size: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Ids and parts of the first examples, of ``_COMMON`` tokens or some more."""
    tokens = 0
    for begin in range(0, len(train), size):
        for part in _parts(list(train[begin : begin + size])):
            yield collate([row for each in part for row in each.rows], device)
            tokens += sum(each.tokens for each in part)
        if tokens >= _COMMON:
            return


def _parts(batch: list[Rows]) -> Iterator[list[Rows]]:
    """A batch in parts of at most ``_AT_ONCE`` padded tokens, or of one example."""
    rows = max(len(each.rows) for each in batch)
    longest = max(len(row.ids) for each in batch for row in each.rows)
    size = max(1, _AT_ONCE // (rows * longest))
    return (batch[begin : begin + size] for begin in range(0, len(batch), size))


@torch.no_grad()
def predict(
    model: HeadedGPT, test: Sequence[Rows], scale: Scale, *, batch: int, dtype: torch.dtype
) -> tuple[Predictions, float]:
    """What a model answers, in the order of the examples, and its mean loss on them.

    A number is the mean of those of all orders of its texts.
    """
    model.eval()
    order = sorted(range(len(test)), key=lambda place: max(len(row.ids) for row in test[place].rows))
    answers: dict[int, int | float | str] = {}
    total = 0.0
    for begin in range(0, len(order), batch):
        places = order[begin : begin + batch]
        examples = [test[place] for place in places]
        found = _outputs(model, examples, [each.rows for each in examples], dtype)
        total += float(_loss(model, found, examples, scale)) * len(examples)
        answers.update(zip(places, _answers(model, examples, found.cpu(), scale), strict=True))
    return [answers[place] for place in range(len(test))], total / len(test)  # type: ignore[return-value]


def _outputs(model: HeadedGPT, examples: Sequence[Rows], rows: Sequence[Sequence[Row]], dtype: torch.dtype) -> Tensor:
    """Of N examples with these rows: logits [N, K] of classes or choices, numbers [N], or logits [N, T, 2] of a span."""
    device = model.gpt.device
    with autocast(device, dtype):
        found = model(*collate([row for each in rows for row in each], device))
    counts = [len(each) for each in rows]
    if model.kind == "choice":
        return choose(found, counts)
    if model.kind == "regression":
        return torch.stack([numbers.mean() for numbers in found.split(counts)])
    return found


def _loss(model: HeadedGPT, found: Tensor, examples: Sequence[Rows], scale: Scale) -> Tensor:
    """The mean loss of these outputs: squared error of standardised numbers, else cross-entropy in nats."""
    device = found.device
    labels = [each.example.label for each in examples]
    if model.kind == "regression":
        numbers = (np.array(labels, np.float64) - scale.mean) / scale.deviation
        return F.mse_loss(found, torch.tensor(numbers, dtype=torch.float32, device=device))
    if model.kind == "span":
        targets = torch.tensor([each.target for each in examples], device=device)  # [N, 2]
        known = targets[:, 0] >= 0
        return F.cross_entropy(found[known], targets[known]) if bool(known.any()) else 0.0 * model.head.bias.sum()
    return F.cross_entropy(found, torch.tensor([int(label) for label in labels], device=device))


def _answers(model: HeadedGPT, examples: list[Rows], found: Tensor, scale: Scale) -> Sequence[int | float | str]:
    if model.kind == "regression":
        return [float(number) * scale.deviation + scale.mean for number in found]
    if model.kind == "span":
        return [_span(each, logits) for each, logits in zip(examples, found, strict=True)]
    return [int(place) for place in found.argmax(-1)]


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
