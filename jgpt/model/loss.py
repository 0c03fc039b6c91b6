"""The output head and its cross-entropy in one, in pieces, so that the logits of a batch never exist whole."""

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 1024
"""Tokens a piece: enough for the matrix products, few enough that the logits stay near the processor."""
IGNORED = -100


def head_loss(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the targets that count, a float32 scalar.

    hidden: [N, C], in the dtype of the matrix products; weight: [V, C]; targets: int64 [N], -100 where none counts.
    Gradients are made on the way forward: for a row with probabilities p and target t, that of its logits is p - onehot(t).
    """
    if torch.is_grad_enabled():
        loss: Tensor = _HeadLoss.apply(hidden, weight, targets)
        return loss
    weight = weight.to(hidden.dtype)
    total = torch.zeros((), device=hidden.device)
    for rows, wanted in zip(hidden.split(ROWS), targets.split(ROWS), strict=True):
        total += F.cross_entropy((rows @ weight.t()).float(), wanted, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum()


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        small = weight.to(hidden.dtype)  # [V, C]
        counts = (targets != IGNORED).to(hidden.dtype)[:, None]  # [N, 1]
        targets = targets.clamp(min=0)[:, None]
        hidden_grad = torch.empty_like(hidden)
        weight_grad = torch.zeros_like(weight, dtype=torch.float32)
        loss = torch.zeros((), device=hidden.device)
        row = torch.arange(ROWS, device=hidden.device)[:, None]
        for start in range(0, len(hidden), ROWS):
            here = slice(start, start + ROWS)
            rows, wanted, count = hidden[here], targets[here], counts[here]
            grad = torch.softmax(rows @ small.t(), dim=-1)  # [n, V], the probabilities as yet
            right = grad.gather(1, wanted)  # [n, 1]
            loss -= (right.float().clamp(min=1e-37).log() * count).sum()
            grad[row[: len(rows)], wanted] = right - 1
            torch.mul(grad @ small, count, out=hidden_grad[here])
            weight_grad += grad.t() @ (rows * count)
        number = counts.sum(dtype=torch.float32)
        ctx.save_for_backward(hidden_grad, weight_grad, number)
        ctx.dtype = weight.dtype
        return loss / number

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[no-untyped-def]
        hidden_grad, weight_grad, number = ctx.saved_tensors
        scale = grads[0] / number
        return hidden_grad * scale.to(hidden_grad.dtype), (weight_grad * scale).to(ctx.dtype), None
