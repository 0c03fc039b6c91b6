"""The GPT, from token ids to logits. Read it from top to bottom.

Shapes: B batch, T time (tokens of a sequence), S tokens seen so far (T and those in the cache), C channels (width),
H heads, D = C / H channels of a head, V vocabulary.

default: rotary positions (Su et al. 2021), RMSNorm without gains (Zhang and Sennrich 2019) also after the embedding,
QK-norm (Henry et al. 2020), squared ReLU (So et al. 2021), no biases, output projections that begin at zero.
gpt2: learned positions, LayerNorm and GELU (Radford et al. 2019), with or without biases, dropout, a tied or untied head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jgpt.config import ModelConfig
from jgpt.model.cache import Cache, LayerCache


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) over the last dimension, in float32, without gains."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), (x.size(-1),), eps=1e-6).to(x.dtype)


class Rotary(nn.Module):
    """Rotary positions: pairs of channels (d, d + D/2) are turned by an angle that grows with the position."""

    cosine: Tensor  # [context, D/2]
    sine: Tensor  # [context, D/2]

    def __init__(self, head_size: int, context_length: int, theta: float) -> None:
        super().__init__()
        frequencies = theta ** -(torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)  # [D/2]
        angles = torch.outer(torch.arange(context_length, dtype=torch.float32), frequencies)  # [context, D/2]
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, x: Tensor, start: int) -> Tensor:
        """Turn x [B, H, T, D], whose first token stands at position ``start``."""
        time = x.size(2)
        cosine = self.cosine[start : start + time].to(x.dtype)  # [T, D/2]
        sine = self.sine[start : start + time].to(x.dtype)
        first, second = x.chunk(2, dim=-1)  # each [B, H, T, D/2]
        return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


class Attention(nn.Module):
    """Causal multi-head self-attention (Vaswani et al. 2017)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.modern = config.architecture == "default"
        self.query_key_value = nn.Linear(config.width, 3 * config.width, bias=config.bias)
        self.output = nn.Linear(config.width, config.width, bias=config.bias)
        self.norm = RMSNorm()

    def forward(self, x: Tensor, rotary: Rotary | None, cache: LayerCache | None) -> Tensor:
        batch, time, width = x.shape
        # [B, T, 3C] -> three of [B, H, T, D]
        query, key, value = (
            part.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in self.query_key_value(x).split(width, dim=-1)
        )
        start = cache.length if cache is not None else 0
        if rotary is not None:
            query, key = rotary(query, start), rotary(key, start)
        if self.modern:
            query, key = self.norm(query), self.norm(key)
        if cache is not None:
            key, value = cache.append(key, value)  # [B, H, S, D]
        seen = key.size(2)
        mask = None
        if start and time > 1:  # several new tokens after cached ones: token t sees the first start + t + 1
            mask = torch.ones(time, seen, dtype=torch.bool, device=x.device).tril(diagonal=start)
        y = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=start == 0 and time > 1,
        )  # [B, H, T, D]
        y = y.transpose(1, 2).reshape(batch, time, width)
        return F.dropout(self.output(y), self.dropout, self.training)


class MLP(nn.Module):
    """Two linear layers, four times as wide between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.modern = config.architecture == "default"
        self.expand = nn.Linear(config.width, 4 * config.width, bias=config.bias)
        self.output = nn.Linear(4 * config.width, config.width, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.expand(x)  # [B, T, 4C]
        hidden = F.relu(hidden).square() if self.modern else F.gelu(hidden, approximate="tanh")
        return F.dropout(self.output(hidden), self.dropout, self.training)  # [B, T, C]


class Block(nn.Module):
    """Pre-norm transformer block: attention, then MLP, each added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = _norm(config)
        self.attention = Attention(config)
        self.mlp_norm = _norm(config)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rotary: Rotary | None, cache: LayerCache | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotary, cache)
        return x + self.mlp(self.mlp_norm(x))


class GPT(nn.Module):
    """A GPT of a derived configuration. ``forward(ids, targets)`` gives logits and loss."""

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        assert config.width and config.heads and config.vocab_size, "a derived configuration is needed"
        self.config = config
        modern = config.architecture == "default"
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.positions = None if modern else nn.Embedding(config.context_length, config.width)
        self.rotary = Rotary(config.width // config.heads, config.context_length, config.rope_theta) if modern else None
        self.embedding_norm = RMSNorm() if modern else nn.Identity()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_norm = _norm(config)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight
        self.init_weights(seed)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def init_weights(self, seed: int) -> None:
        """Set every weight; the same seed gives the same weights.

        | weight                      | default             | gpt2                   |
        |-----------------------------|---------------------|------------------------|
        | embedding                   | N(0, 1)             | N(0, .02)              |
        | positions                   | none                | N(0, .02)              |
        | query_key_value, expand     | N(0, 1 / sqrt(C))   | N(0, .02)              |
        | output of attention and MLP | 0                   | N(0, .02 / sqrt(2 L))  |
        | head, untied                | 0                   | N(0, .02)              |
        | head, tied                  | N(0, .02), as the embedding | as the embedding |
        | biases; gains of LayerNorm  | none                | 0; 1                   |
        """
        config = self.config
        generator = torch.Generator().manual_seed(seed)

        def normal(weight: Tensor, deviation: float) -> None:
            # drawn on the CPU, so that every device begins alike
            values = torch.randn(weight.shape, generator=generator) * deviation
            with torch.no_grad():
                weight.copy_(values)

        modern = config.architecture == "default"
        normal(self.embedding.weight, 1.0 if modern and not config.tie_embeddings else 0.02)
        if self.positions is not None:
            normal(self.positions.weight, 0.02)
        for block in self.blocks:
            assert isinstance(block, Block)
            for inner in (block.attention.query_key_value, block.mlp.expand):
                normal(inner.weight, config.width**-0.5 if modern else 0.02)
            for output in (block.attention.output, block.mlp.output):
                normal(output.weight, 0.0 if modern else 0.02 / math.sqrt(2 * config.depth))
        if not config.tie_embeddings:
            normal(self.head.weight, 0.0 if modern else 0.02)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    def hidden(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """The stream after the last norm: ids int64 [B, T] -> [B, T, C]. With a cache, ids follow what it holds.

        Raises ValueError when there are more positions than the context has.
        """
        start = cache.length if cache is not None else 0
        time = ids.size(1)
        if start + time > self.config.context_length:
            raise ValueError(f"{start + time} tokens do not fit into a context of {self.config.context_length}")
        x = self.embedding(ids)  # [B, T, C]
        if self.positions is not None:
            x = x + self.positions.weight[start : start + time]
            x = F.dropout(x, self.config.dropout, self.training)
        x = self.embedding_norm(x)
        for index, block in enumerate(self.blocks):
            x = block(x, self.rotary, cache.layers[index] if cache is not None else None)
        return self.final_norm(x)

    def forward(
        self, ids: Tensor, targets: Tensor | None = None, cache: Cache | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Logits and loss.

        ids: int64 [B, T]; targets: int64 [B, T], the next token at each position, -100 where none counts.
        Returns logits [B, T, V] and, with targets, the mean cross-entropy in nats a token (float32).
        """
        logits = self.head(self.hidden(ids, cache))  # [B, T, V]
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100)


def _norm(config: ModelConfig) -> nn.Module:
    return RMSNorm() if config.architecture == "default" else nn.LayerNorm(config.width, bias=config.bias)
