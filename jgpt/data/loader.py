"""Which tokens make up a sample: a pure function of (seed, position), so resuming is setting a number.

The stream of training tokens is cut into windows of one context and one token; neighbours share that token, so each is
predicted once. An epoch takes every window once in a shuffled order; the next epoch shifts the cuts and shuffles anew.
"""

import hashlib
from functools import lru_cache

from jgpt.data.shards import TokenArray, TokenStream
from stage.errors import InputError


class Loader:
    """Windows of a token stream by their position in training."""

    def __init__(self, stream: TokenStream, context_length: int, seed: int, name: str) -> None:
        """``name`` says in messages what the stream is. Raises InputError for one shorter than a window."""
        self.stream = stream
        self.context_length = context_length
        self.seed = seed
        self.name = name
        # one context fewer than fit, so that every shift of the cuts gives the same number of windows
        fitting = (len(stream) - 1) // context_length
        self.windows = fitting - 1 if fitting > 1 else fitting
        if self.windows < 1:
            raise InputError(
                f"{name}: the training split has {len(stream)} tokens, fewer than one context of {context_length} and a "
                "token: use more text or a smaller --model.context_length"
            )

    def window(self, position: int) -> TokenArray:
        """Sample number ``position``: [T + 1] tokens of the files' dtype."""
        epoch, index = divmod(position, self.windows)
        shift, order = _draws(self.seed, epoch)
        room = len(self.stream) - 1 - self.windows * self.context_length
        start = shift % (room + 1) + shuffled(index, self.windows, order) * self.context_length
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


@lru_cache(maxsize=256)
def _draws(seed: int, epoch: int) -> tuple[int, int]:
    """What an epoch is shifted and shuffled by."""
    digests = (hashlib.sha256(f"{seed} {epoch} {purpose}".encode()).digest() for purpose in ("shift", "order"))
    shift, order = (int.from_bytes(digest[:16], "big") for digest in digests)
    return shift, order
