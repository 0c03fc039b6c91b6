"""Muon for the matrices of the blocks, AdamW for everything else, each kind of weight with a learning rate of its own."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from jgpt.config import TrainConfig
from jgpt.model.gpt import GPT
from jgpt.training.distributed import local, on_whole


def make_optimizers(model: GPT, config: TrainConfig, dtype: torch.dtype) -> list[torch.optim.Optimizer]:
    """The optimisers of a derived training configuration; every group has a ``name`` and its peak rate as ``peak``.

    | group     | weights                          | peak rate      | weight decay | by                      |
    |-----------|----------------------------------|----------------|--------------|-------------------------|
    | matrices  | linear layers of the blocks      | learning_rate  | weight_decay | Muon, or AdamW by option |
    | embedding | token and position embeddings    | embedding_rate | 0            | AdamW                   |
    | head      | untied output head               | head_rate      | 0            | AdamW                   |
    | vectors   | biases and gains                 | vector_rate    | 0            | AdamW                   |
    """
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "embedding": [], "head": [], "vectors": []}
    kinds: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            groups["vectors"].append(parameter)
        elif name.startswith(("embedding", "positions")):
            groups["embedding"].append(parameter)
        elif name.startswith("head"):
            groups["head"].append(parameter)
        else:
            groups["matrices"].append(parameter)
            kinds.setdefault(name.split(".", 2)[2], []).append(parameter)
    peaks = {
        "matrices": config.learning_rate,
        "embedding": config.embedding_rate,
        "head": config.head_rate,
        "vectors": config.vector_rate,
    }
    optimizers: list[torch.optim.Optimizer] = []
    if config.optimizer == "muon":
        del groups["matrices"]
        shape = model.config
        rows = {"mlp.expand.weight": [shape.mlp_width] * (2 if shape.gated else 1)}
        rows["attention.query_key_value.weight"] = [
            heads * shape.head_size for heads in (shape.heads, shape.kv_heads, shape.kv_heads)
        ]
        matrices = [
            {"params": parameters, "name": "matrices", "peak": peaks["matrices"], "rows": rows.get(kind)}
            for kind, parameters in kinds.items()
        ]
        optimizers.append(Muon(matrices, config.learning_rate, config.momentum, config.weight_decay, dtype))
    optimizers.append(
        torch.optim.AdamW(
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
    )
    return optimizers


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

    Each group holds matrices of one shape [R, C], which are orthogonalised together; ``rows`` says where a matrix consists of
    several (queries, keys and values). An update has the size sqrt(max(1, R / C)), so that one rate serves every width.
    As torch.optim's fused AdamW, it divides gradients by ``grad_scale`` and leaves out a step with ``found_inf``, both
    tensors on the device, so that nobody waits for them; the momentum then forgets a step.
    """

    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None

    def __init__(
        self, groups: list[dict[str, Any]], lr: float, momentum: float, weight_decay: float, dtype: torch.dtype
    ) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step down the gradients that the weights hold."""
        for group in self.param_groups:
            learning = [weight for weight in group["params"] if weight.grad is not None]
            if not learning:
                continue
            for weight in learning:
                if not self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
            # of weights that several processes share, all but the orthogonalisation is done by rows
            weights = [local(weight) for weight in learning]
            momenta = [local(self.state[weight]["momentum"]) for weight in learning]
            gradients = torch.stack([local(weight.grad) for weight in learning])  # [N, R, C]
            if self.grad_scale is not None and _matters(self.grad_scale, 1.0):
                gradients.div_(self.grad_scale)
            if self.found_inf is not None and _matters(self.found_inf, 0.0):
                gradients = torch.where(self.found_inf > 0, 0.0, gradients)
            torch._foreach_lerp_(momenta, list(gradients.unbind()), 1 - group["momentum"])
            update = gradients.lerp_(torch.stack(momenta), group["momentum"])  # Nesterov's
            update = on_whole(partial(self._orthogonal, rows=group["rows"]), update, learning[0])
            kept = 1 - group["lr"] * group["weight_decay"]
            if self.found_inf is not None and _matters(self.found_inf, 0.0):
                update *= self.found_inf == 0
                kept = torch.where(self.found_inf > 0, 1.0, kept)
            if group["weight_decay"]:
                torch._foreach_mul_(weights, kept)
            for weight, change in zip(weights, update.unbind(), strict=True):
                weight.add_(change, alpha=-group["lr"])

    def _orthogonal(self, update: Tensor, rows: list[int] | None) -> Tensor:
        parts = update.split(rows or update.size(1), dim=1)
        return torch.cat([orthogonal(part, self.dtype) for part in parts], dim=1)


def _matters(scalar: Tensor, neutral: float) -> bool:
    """Whether a scalar may differ from one that changes nothing; on a GPU nobody waits to find out."""
    return scalar.device.type != "cpu" or float(scalar) != neutral


def orthogonal(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Near U Vᵀ of each matrix U S Vᵀ, [N, R, C] of ``dtype``, times sqrt(max(1, R / C)).

    Five Newton-Schulz steps of X <- aX + (bA + cA²)X, A = X Xᵀ, with Jordan's coefficients, which take singular values of
    .01 to 1 to about .7 to 1.2; in ``dtype``, for which bfloat16 is exact enough.
    """
    tall = matrices.size(1) > matrices.size(2)
    x = matrices.transpose(1, 2) if tall else matrices
    x = x.to(dtype) / (x.norm(dim=(1, 2), keepdim=True) + 1e-7).to(dtype)
    for _ in range(5):
        a = x @ x.transpose(1, 2)
        b = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, b, x, beta=3.4445)
    x = x.transpose(1, 2) if tall else x
    return x * max(1.0, matrices.size(1) / matrices.size(2)) ** 0.5
