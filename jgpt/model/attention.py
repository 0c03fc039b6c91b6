"""Causal attention by the faster way: explicit products for short contexts on a CPU, PyTorch's fused kernels elsewhere."""

import torch
import torch.nn.functional as F
from torch import Tensor

SHORT = 512
"""Tokens up to which explicit products in bfloat16 were faster on a CPU than the fused kernel; a quarter in float32."""


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q kᵀ / sqrt(D)) v (Vaswani et al. 2017): query [B, H, T, D], key and value [B, K, S, D] -> [B, H, T, D].

    H is a multiple of K: neighbouring query heads share a key head (Ainslie et al. 2023). ``mask`` bool [B or 1, 1, T, S],
    True where a query sees a key; without one a single query sees all, and queries of T = S tokens what precedes them.
    """
    times = query.size(2)
    if key.size(1) != query.size(1):
        repeats = query.size(1) // key.size(1)
        key, value = key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)
    short = SHORT if query.dtype == torch.bfloat16 else SHORT // 4
    if query.device.type == "cpu" and 1 < times == key.size(2) <= short and torch.is_grad_enabled():
        mixed: Tensor = _ShortAttention.apply(query, key, value, mask)
        return mixed
    causal = mask is None and times > 1
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)


class _ShortAttention(torch.autograd.Function):
    """Keeps the attention weights [B, H, T, T] for the way back instead of computing them again."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:  # type: ignore[no-untyped-def]
        batch, heads, times, size = query.shape
        if mask is None:
            mask = torch.ones(times, times, dtype=torch.bool, device=query.device).tril()
        else:
            mask = mask.expand(batch, heads, times, times).reshape(batch * heads, times, times)
        hidden = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -torch.inf)
        flat_query, flat_key = query.reshape(-1, times, size), key.reshape(-1, times, size)
        scores = torch.baddbmm(hidden, flat_query, flat_key.transpose(1, 2), alpha=size**-0.5)  # [B*H, T, T]
        weights = torch.softmax(scores, dim=-1).view(batch, heads, times, times)
        ctx.save_for_backward(query, key, value, weights)
        return weights @ value

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # type: ignore[no-untyped-def]
        query, key, value, weights = ctx.saved_tensors
        grad = grads[0]  # [B, H, T, D]
        scale = query.size(-1) ** -0.5
        weights_grad = grad @ value.transpose(-1, -2)  # [B, H, T, T]
        scores_grad = torch._softmax_backward_data(weights_grad, weights, -1, weights.dtype)
        return (
            (scores_grad @ key) * scale,
            (scores_grad.transpose(-1, -2) @ query) * scale,
            weights.transpose(-1, -2) @ grad,
            None,
        )
