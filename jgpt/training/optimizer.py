"""AdamW with a learning rate for each kind of weight."""

import torch
from torch import nn

from jgpt.config import TrainConfig
from jgpt.model.gpt import GPT


def make_optimizer(model: GPT, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) over four groups, each with its peak rate as ``peak``.

    | group     | weights                          | peak rate      | weight decay |
    |-----------|----------------------------------|----------------|--------------|
    | matrices  | linear layers of the blocks      | learning_rate  | weight_decay |
    | embedding | token and position embeddings    | embedding_rate | 0            |
    | head      | untied output head               | head_rate      | 0            |
    | vectors   | biases and gains                 | learning_rate  | 0            |
    """
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "embedding": [], "head": [], "vectors": []}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            groups["vectors"].append(parameter)
        elif name.startswith(("embedding", "positions")):
            groups["embedding"].append(parameter)
        elif name.startswith("head"):
            groups["head"].append(parameter)
        else:
            groups["matrices"].append(parameter)
    peaks = {
        "matrices": config.learning_rate,
        "embedding": config.embedding_rate,
        "head": config.head_rate,
        "vectors": config.learning_rate,
    }
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "name": name,
                "peak": peaks[name],
                "weight_decay": config.weight_decay if name == "matrices" else 0.0,
            }
            for name, parameters in groups.items()
            if parameters
        ],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=1e-8,
        fused=True,
    )
