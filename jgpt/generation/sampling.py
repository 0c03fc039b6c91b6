"""From the logits of the next token to one id."""

import torch
from torch import Tensor

from jgpt.config import GenerateConfig


def sample(logits: Tensor, seen: Tensor, config: GenerateConfig, generator: torch.Generator) -> int:
    """Draw the next id.

    logits: float32 [V]; seen: int64 [S], the ids so far, for the repetition penalty. The penalty comes first, then the
    temperature, then top-k and top-p; at temperature 0 the likeliest id is taken (the lowest of equals).
    """
    if config.repetition_penalty != 1:
        occurred = seen.unique()
        values = logits[occurred]
        penalty = config.repetition_penalty
        logits = logits.index_put((occurred,), torch.where(values > 0, values / penalty, values * penalty))
    if config.temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits.double() / config.temperature, dim=-1)  # [V]
    ordered, ids = probabilities.sort(descending=True, stable=True)
    if config.top_k:
        ordered[config.top_k :] = 0
    if config.top_p < 1:
        before = ordered.cumsum(0) - ordered
        # at least the likeliest one stays
        ordered[before >= config.top_p * ordered.sum()] = 0
    choice = torch.multinomial(ordered, 1, generator=generator)
    return int(ids[choice])
