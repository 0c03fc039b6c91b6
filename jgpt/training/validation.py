"""The loss on held-out text, for watching a run."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from jgpt.data.documents import document_mask
from jgpt.data.shards import ShardSet
from jgpt.device import autocast
from jgpt.model.gpt import GPT
from jgpt.training.distributed import ALONE, Ranks
from stage.errors import ArtifactError
from tokenizer.pieces import BEGIN_ID

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Part:
    """What is read of one source."""

    name: str
    share: float
    characters_per_token: float
    ids: Tensor  # [N, T]
    targets: Tensor  # [N, T]


class ValidationLoss:
    """Mean cross-entropy on the beginning of the valid split of each source, for watching a run.

    Sources count by their weights or, without, by the sizes of their splits. Every window begins without context; `jgpt eval`
    gives the exact figures.
    """

    def __init__(
        self,
        sources: Sequence[tuple[ShardSet, float | None]],
        context_length: int,
        most_tokens: int,
        across_documents: bool = True,
    ) -> None:
        """Reads about ``most_tokens`` tokens, shared among the sources as they count, with attention as in training."""
        self.context_length, self.across_documents = context_length, across_documents
        self.last: float | None = None
        self.by_source: dict[str, dict[str, float | None]] = {}
        """With several sources: ``valid_loss`` and ``valid_bits_per_character`` of each when last measured, by folder."""
        streams = {shards.folder: shards.split("valid") for shards, _ in sources}
        short = [str(folder) for folder, stream in streams.items() if len(stream) <= context_length]
        used = [(shards, weight) for shards, weight in sources if str(shards.folder) not in short]
        if not used:
            log.warning(
                "%s: the valid split is shorter than a context: training goes unwatched and keeps no best checkpoint",
                ", ".join(short),
            )
        elif short:
            log.warning("%s: the valid split is shorter than a context and is not measured", ", ".join(short))
        counted = [weight or len(streams[shards.folder]) for shards, weight in used]
        self._parts: list[_Part] = []
        for (shards, _), count in zip(used, counted, strict=True):
            stream, share = streams[shards.folder], count / sum(counted)
            windows = min((len(stream) - 1) // context_length, max(1, int(share * most_tokens / context_length)))
            tokens = torch.from_numpy(stream[0 : windows * context_length + 1].astype("int64"))
            if int(tokens.max()) >= shards.vocab_size:
                raise ArtifactError(
                    f"{shards.folder}: its valid split holds ids beyond the vocabulary of {shards.vocab_size} pieces; "
                    "write the shards anew with --overwrite"
                )
            ids, targets = (part.view(windows, context_length) for part in (tokens[:-1], tokens[1:]))
            counts = shards.manifest.counts
            ratio = counts["valid_characters"] / counts["valid_tokens"]
            self._parts.append(_Part(str(shards.folder), share, ratio, ids, targets))

    @property
    def shown(self) -> str:
        """Bits per character, for the progress bar."""
        bits = self.bits_per_character(self.last) if self.last is not None else None
        return f"valid {bits:.2f}" if bits is not None else "no valid split"

    def bits_per_character(self, loss: float) -> float | None:
        """From nats a token, by the tokens and characters of the whole splits."""
        return _bits(loss, sum(part.share * part.characters_per_token for part in self._parts))

    @torch.no_grad()
    def measure(self, model: GPT, dtype: torch.dtype, batch: int, ranks: Ranks = ALONE) -> float | None:
        """Nats a token, ``batch`` windows at once; None when every split is too short. The ranks share the work."""
        if not self._parts:
            return None
        model.eval()
        with torch.compiler.set_stance("force_eager"):  # compiling for this would take longer than measuring
            losses = [self._mean_loss(model, part, dtype, batch, ranks) for part in self._parts]
        if len(losses) > 1:
            self.by_source = {
                part.name: {"valid_loss": loss, "valid_bits_per_character": _bits(loss, part.characters_per_token)}
                for part, loss in zip(self._parts, losses, strict=True)
            }
        self.last = sum(part.share * loss for part, loss in zip(self._parts, losses, strict=True))
        return self.last

    def _mean_loss(self, model: GPT, part: _Part, dtype: torch.dtype, batch: int, ranks: Ranks) -> float:
        losses = []
        batches = list(zip(part.ids.split(batch), part.targets.split(batch), strict=True))
        for first in range(0, len(batches), ranks.count):
            # each rank does as many: where none are left, the last once more
            ids, targets = batches[min(first + ranks.rank, len(batches) - 1)]
            filling = (0, 0, 0, batch - len(ids))  # so that the figure does not depend on the batch
            ids, targets = F.pad(ids, filling), F.pad(targets, filling, value=-100)  # [B, T]
            with autocast(model.device, dtype):
                ids = ids.to(model.device)
                mask = None if self.across_documents else document_mask(ids, BEGIN_ID)
                losses.append(model.loss(ids, targets.to(model.device), mask))
        # one wait for the device
        means = [mean for turn in zip(*ranks.all(torch.stack(losses).tolist()), strict=True) for mean in turn]
        return sum(mean * len(ids) for mean, (ids, _) in zip(means, batches, strict=False)) / len(part.ids)


def _bits(nats: float, characters_per_token: float) -> float | None:
    return nats / characters_per_token / math.log(2) if characters_per_token else None
