"""The GPT, from token ids to logits. Read it from top to bottom.

Shapes: B batch, T time (tokens of a sequence), S tokens seen so far (T and those in the cache), C channels (width),
H heads, K heads of keys and values, D = C / H channels of a head, F channels inside the MLP, V vocabulary.

default: rotary positions (Su et al. 2021), RMSNorm without gains (Zhang and Sennrich 2019) also after the embedding,
QK-norm (Henry et al. 2020), squared ReLU (So et al. 2021), no biases, output projections that begin at zero.
llama: RMSNorm with gains, rotary positions, SwiGLU (Shazeer 2020), as Touvron et al. 2023. qwen3: llama with QK-norm (Qwen
Team 2025). gpt2: learned positions, LayerNorm and GELU, with or without biases (Radford et al. 2019).
Each can have dropout and a tied or untied head; all but gpt2 can share keys and values between heads.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jgpt.config import ModelConfig
from jgpt.model.attention import attend
from jgpt.model.cache import Cache, LayerCache
from jgpt.model.loss import head_loss


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) over the last dimension, in float32, with or without gains."""

    def __init__(self, size: int, gains: bool = False) -> None:
        super().__init__()
        self.size = (size,)
        self.weight = nn.Parameter(torch.ones(size)) if gains else None

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.size, self.weight, eps=1e-6).to(x.dtype)


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

    def forward(self, x: Tensor, start: int | Tensor) -> Tensor:
        """Turn x [B, H, T, D], whose first token stands at position ``start``, or whose tokens stand at those [B, T]."""
        at = start if isinstance(start, Tensor) else slice(start, start + x.size(2))
        cosine = self.cosine[at].to(x.dtype).unsqueeze(-3)  # [1, T, D/2] or [B, 1, T, D/2]
        sine = self.sine[at].to(x.dtype).unsqueeze(-3)
        first, second = x.chunk(2, dim=-1)  # each [B, H, T, D/2]
        return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


class Attention(nn.Module):
    """Causal multi-head self-attention (Vaswani et al. 2017), of grouped queries where there are fewer key heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        size = config.head_size
        self.query_key_value = nn.Linear(config.width, (config.heads + 2 * config.kv_heads) * size, bias=config.bias)
        self.output = nn.Linear(config.heads * size, config.width, bias=config.bias)
        normed = config.architecture in ("default", "qwen3")
        self.query_norm = RMSNorm(size, config.gated) if normed else nn.Identity()
        self.key_norm = RMSNorm(size, config.gated) if normed else nn.Identity()

    def forward(
        self,
        x: Tensor,
        rotary: Rotary | None,
        cache: LayerCache | None,
        mask: Tensor | None,
        positions: Tensor | None = None,
    ) -> Tensor:
        config = self.config
        batch, time, width = x.shape
        # [B, T, (H + 2 K) D] -> [B, H, T, D] and twice [B, K, T, D]
        split = self.query_key_value(x).view(batch, time, -1, config.head_size).transpose(1, 2)
        query, key, value = split.split([config.heads, config.kv_heads, config.kv_heads], dim=1)
        start = cache.length if cache is not None else 0
        if config.architecture == "qwen3":
            query, key = self.query_norm(query), self.key_norm(key)
        if rotary is not None:
            at = start if positions is None else positions
            query, key = rotary(query, at), rotary(key, at)
        if config.architecture == "default":
            query, key = self.query_norm(query), self.key_norm(key)
        if cache is not None:
            # [B, K, S, D]
            key, value = cache.append(key, value) if positions is None else cache.before(key, value)
        if mask is None and start and time > 1:  # new tokens after cached ones: token t sees the first start + t + 1
            mask = torch.ones(time, key.size(2), dtype=torch.bool, device=x.device).tril(diagonal=start)[None, None]
        y = attend(query, key, value, mask)  # [B, H, T, D]
        y = self.output(y.transpose(1, 2).reshape(batch, time, width))
        return F.dropout(y, config.dropout, self.training)


class MLP(nn.Module):
    """Two linear layers with a wider one between them; gated (SwiGLU) in llama and qwen3."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.expand = nn.Linear(config.width, config.mlp_width * (2 if config.gated else 1), bias=config.bias)
        self.output = nn.Linear(config.mlp_width, config.width, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.expand(x)  # [B, T, F], gated [B, T, 2 F]
        if self.config.gated:
            gate, up = hidden.chunk(2, dim=-1)
            hidden = F.silu(gate) * up
        elif self.config.architecture == "default":
            hidden = F.relu(hidden).square()
        else:
            hidden = F.gelu(hidden, approximate="tanh")
        return F.dropout(self.output(hidden), self.config.dropout, self.training)  # [B, T, C]


class Block(nn.Module):
    """Pre-norm transformer block: attention, then MLP, each added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = _norm(config)
        self.attention = Attention(config)
        self.mlp_norm = _norm(config)
        self.mlp = MLP(config)

    def forward(
        self,
        x: Tensor,
        rotary: Rotary | None,
        cache: LayerCache | None,
        mask: Tensor | None,
        positions: Tensor | None = None,
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotary, cache, mask, positions)
        return x + self.mlp(self.mlp_norm(x))


class GPT(nn.Module):
    """A GPT. ``model(ids)`` gives logits, ``model.loss(ids, targets)`` the loss.

    What the configuration leaves open is derived; it must name ``vocab_size``.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        assert config.vocab_size, "the size of the vocabulary must be known"
        self.config = config = config.derived(config.vocab_size, config.normalization)
        modern = config.architecture != "gpt2"
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.positions = None if modern else nn.Embedding(config.context_length, config.width)
        self.rotary = Rotary(config.head_size, config.context_length, config.rope_theta) if modern else None
        self.embedding_norm = RMSNorm(config.width) if config.architecture == "default" else nn.Identity()
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

        | weight                      | default, llama, qwen3       | gpt2                   |
        |-----------------------------|-----------------------------|------------------------|
        | embedding                   | N(0, 1)                     | N(0, .02)              |
        | positions                   | none                        | N(0, .02)              |
        | query_key_value, expand     | N(0, 1 / sqrt(C))           | N(0, .02)              |
        | output of attention and MLP | 0                           | N(0, .02 / sqrt(2 L))  |
        | head, untied                | 0                           | N(0, .02)              |
        | head, tied                  | N(0, .02), as the embedding | as the embedding       |
        | gains; biases               | 1; none                     | 1; 0                   |
        """
        config = self.config
        generator = torch.Generator().manual_seed(seed)

        def normal(weight: Tensor, deviation: float) -> None:
            # drawn on the CPU, so that every device begins alike
            values = torch.randn(weight.shape, generator=generator) * deviation
            with torch.no_grad():
                weight.copy_(values)

        modern = config.architecture != "gpt2"
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

    def hidden(
        self,
        ids: Tensor,
        cache: Cache | None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        streams: list[Tensor] | None = None,
    ) -> Tensor:
        """The stream after the last norm: ids int64 [B, T] -> [B, T, C]. With a cache, ids follow what it holds.

        mask: bool [B, 1, T, T], True where a token sees another; without one it sees itself and all before it.
        positions: int64 [B, T], for rows that are trees of tokens: branches lie beside each other in a row, and the mask keeps
        them apart. A cache is then of one sequence, goes before every row, and stays as it is.
        streams: a list that gets the stream [B, T, C] before the first block and after each.
        Raises ValueError when there are more positions than the context has.
        """
        start = cache.length if cache is not None else 0
        time = ids.size(1)
        if positions is None and start + time > self.config.context_length:
            raise ValueError(f"{start + time} tokens do not fit into a context of {self.config.context_length}")
        if positions is not None:
            assert mask is not None, "a tree needs a mask"
            mask = F.pad(mask, (start, 0), value=True)  # [B, 1, T, S]
        x = self.embedding(ids)  # [B, T, C]
        if self.positions is not None:
            x = x + (self.positions.weight[start : start + time] if positions is None else self.positions(positions))
            x = F.dropout(x, self.config.dropout, self.training)
        x = _in_compute_dtype(self.embedding_norm(x))
        for index, block in enumerate(self.blocks):
            if streams is not None:
                streams.append(x)
            x = block(x, self.rotary, cache.layers[index] if cache is not None else None, mask, positions)
        if streams is not None:
            streams.append(x)
        return self.final_norm(x)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits [B, T, V] of the token after each position: ids int64 [B, T], which follow what a cache holds."""
        return self.head(self.hidden(ids, cache))

    def loss(self, ids: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean cross-entropy in nats a token (float32), without logits that exist whole.

        ids: int64 [B, T]; targets: int64 [B, T], the next token at each position, -100 where none counts; mask as above.
        """
        return self.loss_of(self.hidden(ids, mask=mask), targets)

    def loss_of(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The same from the stream after the last norm [B, T, C], in the precision of an enclosing autocast."""
        return head_loss(_in_compute_dtype(hidden).flatten(0, 1), self.head.weight, targets.flatten())


def _norm(config: ModelConfig) -> nn.Module:
    if config.architecture == "gpt2":
        return nn.LayerNorm(config.width, bias=config.bias)
    return RMSNorm(config.width, gains=config.gated)


def _in_compute_dtype(x: Tensor) -> Tensor:
    """The residual stream in the precision of an enclosing autocast: half the memory to go through, and as good."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x
