"""Keys and values of tokens already seen, so that each new token costs one step and not the whole text again."""

import torch
from torch import Tensor

from jgpt.config import ModelConfig


class LayerCache:
    """Keys and values of one block, in memory laid out once for a whole context."""

    def __init__(self, config: ModelConfig, batch: int, device: torch.device, dtype: torch.dtype) -> None:
        shape = (batch, config.kv_heads, config.context_length, config.head_size)  # [B, K, context, D]
        self.keys = torch.empty(shape, device=device, dtype=dtype)
        self.values = torch.empty(shape, device=device, dtype=dtype)
        self.length = 0

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of new tokens [B, K, T, D]; returns all of them [B, K, S, D], in the dtype of the new ones."""
        end = self.length + key.size(2)
        self.keys[:, :, self.length : end] = key
        self.values[:, :, self.length : end] = value
        self.length = end
        return self.keys[:, :, :end].to(key.dtype), self.values[:, :, :end].to(value.dtype)

    def before(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Those held, of one sequence, before those of each of several rows [B, K, T, D]: [B, K, S, D]; none is added."""
        keys = self.keys[:, :, : self.length].to(key.dtype).expand(len(key), -1, -1, -1)
        values = self.values[:, :, : self.length].to(value.dtype).expand(len(value), -1, -1, -1)
        return torch.cat((keys, key), 2), torch.cat((values, value), 2)


class Cache:
    """One ``LayerCache`` a block."""

    def __init__(
        self, config: ModelConfig, batch: int, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.layers = [LayerCache(config, batch, device, dtype) for _ in range(config.depth)]

    @property
    def length(self) -> int:
        """Tokens that are held."""
        return self.layers[0].length

    def cut(self, length: int) -> None:
        """Forget the tokens after the first ``length``."""
        assert length <= self.length
        for layer in self.layers:
            layer.length = length
