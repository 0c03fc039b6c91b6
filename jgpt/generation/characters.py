"""Keep generation to whole characters: a model that falls back to bytes may only write sequences that are UTF-8."""

from functools import lru_cache

import torch
from torch import Tensor

from tokenizer.japanese import JapaneseTokenizer


class CharacterGuard:
    """Follows the bytes of an unfinished character and rules out every piece that would break it."""

    def __init__(self, tokenizer: JapaneseTokenizer) -> None:
        self._tokenizer = tokenizer
        self._byte_ids = [tokenizer.piece_id(f"<0x{byte:02X}>") for byte in range(256)]
        self._pending = b""

    @property
    def unfinished(self) -> bool:
        """Whether a character has begun and lacks bytes."""
        return bool(self._pending)

    def restrict(self, logits: Tensor) -> Tensor:
        """Logits [V] with minus infinity for each piece that cannot follow, ids beyond the tokenizer's among them."""
        allowed = _next_bytes(self._pending)
        if self._pending:
            only = torch.full_like(logits, -torch.inf)
            ids = [self._byte_ids[byte] for byte in allowed]
            only[ids] = logits[ids]
            return only
        logits = logits.clone()
        logits[self._tokenizer.vocab_size :] = -torch.inf
        logits[[self._byte_ids[byte] for byte in range(256) if byte not in allowed]] = -torch.inf
        return logits

    def feed(self, index: int) -> None:
        """Take note of the piece that was chosen."""
        if not self._tokenizer.is_byte(index):
            self._pending = b""
            return
        self._pending += self._tokenizer.bytes_of(index)
        try:
            self._pending.decode("utf-8")
            self._pending = b""
        except UnicodeDecodeError:
            pass


@lru_cache(maxsize=4096)
def _next_bytes(pending: bytes) -> frozenset[int]:
    """The bytes that may follow an unfinished UTF-8 sequence (Unicode 16, table 3-7)."""
    return frozenset(byte for byte in range(256) if _may_begin(pending + bytes([byte])))


def _may_begin(sequence: bytes) -> bool:
    try:
        sequence.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
