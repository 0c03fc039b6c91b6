"""The loss on held-out text, for watching a run."""

import logging
import math

import torch

from jgpt.data.shards import ShardSet, TokenStream
from jgpt.device import autocast
from jgpt.model.gpt import GPT

log = logging.getLogger(__name__)


class ValidationLoss:
    """Mean cross-entropy on the beginning of the valid split, for watching a run; `jgpt eval` gives the exact figure."""

    def __init__(self, shards: ShardSet, context_length: int, most_tokens: int) -> None:
        stream: TokenStream = shards.split("valid")
        self.context_length = context_length
        windows = min((len(stream) - 1) // context_length, max(1, most_tokens // context_length))
        self.tokens = (
            torch.from_numpy(stream[0 : max(windows, 0) * context_length + 1].astype("int64")) if windows > 0 else None
        )
        counts = shards.manifest.counts
        self._tokens_per_character = (
            counts["valid_tokens"] / counts["valid_characters"] if counts["valid_characters"] else None
        )
        self.last: float | None = None
        if self.tokens is None:
            log.warning(
                "the valid split is shorter than a context: training goes unwatched and keeps no best checkpoint"
            )

    @property
    def shown(self) -> str:
        """For the progress bar."""
        bits = self.bits_per_character(self.last) if self.last is not None else None
        return f"valid {bits:.3f} bits/character" if bits is not None else "no valid split"

    def bits_per_character(self, loss: float) -> float | None:
        """From nats a token, by the tokens and characters of the whole split."""
        return loss * self._tokens_per_character / math.log(2) if self._tokens_per_character else None

    @torch.no_grad()
    def measure(self, model: GPT, dtype: torch.dtype, batch: int) -> float | None:
        """Nats a token, None when the split is too short."""
        if self.tokens is None:
            return None
        model.eval()
        inputs = self.tokens[:-1].view(-1, self.context_length)
        targets = self.tokens[1:].view(-1, self.context_length)
        total = 0.0
        for start in range(0, len(inputs), batch):
            ids, wanted = (
                inputs[start : start + batch].to(model.device),
                targets[start : start + batch].to(model.device),
            )
            with autocast(model.device, dtype):
                _, loss = model(ids, wanted)
            assert loss is not None
            total += loss.item() * wanted.numel()
        self.last = total / targets.numel()
        return self.last
