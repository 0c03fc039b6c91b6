"""Which tokens make up a batch: a pure function of (seed, position), so resuming is setting a number.

The stream of training tokens is cut into windows of one context and one token; neighbours share that token, so each is
predicted once. An epoch takes every window once in a shuffled order; the next epoch shifts the cuts and shuffles anew.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jgpt.data.shards import TokenStream
from stage.errors import InputError


class Loader:
    """Samples of a token stream by their position in training."""

    def __init__(self, stream: TokenStream, context_length: int, seed: int) -> None:
        self.stream = stream
        self.context_length = context_length
        self.seed = seed
        # one context fewer than fit, so that every shift of the cuts gives the same number of windows
        fitting = (len(stream) - 1) // context_length
        self.windows = fitting - 1 if fitting > 1 else fitting
        if self.windows < 1:
            raise InputError(
                f"the training split has {len(stream)} tokens, fewer than one context of {context_length} and a token: "
                "use more text or a smaller --model.context_length"
            )

    def batch(self, position: int, count: int) -> tuple[Tensor, Tensor]:
        """Samples number ``position`` to ``position + count``: inputs and targets, int64 [count, T] each."""
        rows = np.stack([self._sample(index) for index in range(position, position + count)])  # [B, T + 1]
        tokens = torch.from_numpy(rows.astype(np.int64))
        return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def _sample(self, position: int) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint32]:
        epoch, index = divmod(position, self.windows)
        room = len(self.stream) - 1 - self.windows * self.context_length
        shift = _number(self.seed, epoch, "shift") % (room + 1) if room else 0
        start = shift + shuffled(index, self.windows, _number(self.seed, epoch, "order")) * self.context_length
        return self.stream[start : start + self.context_length + 1]


def shuffled(index: int, count: int, key: int) -> int:
    """Place of ``index`` in a permutation of 0 … count - 1 that ``key`` chooses, without making the permutation.

    A four-round Feistel network (Luby and Rackoff 1988) over the next power of four, walked until it falls inside.
    """
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    keys = [(key >> (32 * turn)) & 0xFFFFFFFF for turn in range(4)]
    while True:
        left, right = index >> half, index & mask
        for turn in range(4):
            left, right = right, left ^ (_mix(right ^ (keys[turn] << 20)) & mask)
        index = (left << half) | right
        if index < count:
            return index


def _mix(value: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)


def _number(seed: int, epoch: int, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {epoch} {purpose}".encode()).digest()[:16], "big")
