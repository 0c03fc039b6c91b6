"""What training reads: one shards folder, several as one pool, or several by weight.

Every sample is a pure function of (seed, position). A rank of several takes the positions of its part of the global batch,
so ranks never overlap, and any number of them reads what one would.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jgpt.data.loader import Loader
from jgpt.data.shards import ShardSet, TokenStream, pooled, prompt_preset
from stage.errors import ArtifactError, UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WeightedShards:
    """A shards folder and its share of the samples."""

    folder: Path
    weight: float | None
    """Relative to the weights of the other folders; None where tokens are drawn alike, wherever they lie."""


def parse_shards(arguments: Sequence[str | Path]) -> list[WeightedShards]:
    """Shards as they are asked for: ``DIR`` or ``DIR:WEIGHT``. What exists is a folder, whatever colons are in its name.

    Raises UsageError for a weight that is not a positive number, for weights of some folders and not of others, and for
    a folder that is named twice.
    """
    if not arguments:
        raise UsageError("give the token shards to train on (--shards DIR)")
    found = [_parse(str(argument)) for argument in arguments]
    seen: set[Path] = set()
    for entry in found:
        if entry.folder.resolve() in seen:
            raise UsageError(
                f"--shards {entry.folder}: is named twice; give it once, with a weight to see it more often"
            )
        seen.add(entry.folder.resolve())
    without = [str(entry.folder) for entry in found if entry.weight is None]
    if 0 < len(without) < len(found):
        raise UsageError(f"--shards {without[0]}: has no weight while others have: give all one (DIR:WEIGHT) or none")
    return found


class Samples:
    """Samples by their position in training.

    Without weights the sources are one pool, each token once an epoch. With weights each source goes through epochs of its
    own, and the first n samples hold n times its share, for any n, to within as many samples as there are sources.
    """

    def __init__(self, sources: Sequence[tuple[ShardSet, float | None]], context_length: int, seed: int) -> None:
        """Raises InputError for a source, or a pool, shorter than a context; ArtifactError for sources that do not mix."""
        sets = [shards for shards, _ in sources]
        _check_mixing(sets)
        self.context_length = context_length
        self.vocab_size = sets[0].vocab_size
        self.normalization = prompt_preset(shards.normalization for shards in sets)
        entries = [entry for shards in sets for entry in shards.manifest.licenses]
        self.licenses = [entry for number, entry in enumerate(entries) if entry not in entries[:number]]
        self.folders = [str(shards.folder) for shards in sets]
        streams = [shards.split("train") for shards in sets]
        sizes = [len(stream) for stream in streams]
        self.tokens = sum(sizes)
        weights = [Fraction(str(weight)) for _, weight in sources if weight is not None]
        assert len(weights) in (0, len(sources)), "all sources have weights or none"
        whole = [(pooled(streams), ", ".join(self.folders))]
        read = list(zip(streams, self.folders, strict=True)) if weights else whole
        self._loaders = [Loader(stream, context_length, seed, name) for stream, name in read]
        self.windows = sum(loader.windows for loader in self._loaders)
        # of what the sources before it leave, each takes its part: numerator and denominator
        self._parts = [
            (weight / sum(weights[number:], Fraction())).as_integer_ratio() for number, weight in enumerate(weights)
        ] or [(1, 1)]
        shares = [float(count / sum(weights or sizes)) for count in weights or sizes]
        self._sources = list(zip(sizes, shares, strict=True))
        for folder, stream in zip(self.folders, streams, strict=True):
            _warn_of_short_documents(folder, stream, context_length)

    def batch(self, position: int, count: int) -> tuple[Tensor, Tensor]:
        """Samples number ``position`` to ``position + count``: ids and targets, int64 [count, T] each.

        Raises ArtifactError for ids beyond the vocabulary.
        """
        tokens = np.empty((count, self.context_length + 1), dtype=np.int64)  # [B, T + 1]
        for row in range(count):
            source, number = self._place(position + row)
            tokens[row] = self._loaders[source].window(number)
        if (largest := int(tokens.max())) >= self.vocab_size:
            row = int(tokens.max(axis=1).argmax())
            raise ArtifactError(
                f"{self._loaders[self._place(position + row)[0]].name}: holds id {largest}, beyond the vocabulary of "
                f"{self.vocab_size} pieces; write the shards anew with --overwrite"
            )
        rows = torch.from_numpy(tokens)
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()

    def epochs(self, samples: int) -> dict[str, float]:
        """How often each source has been read after so many samples, by folder."""
        read = []
        for loader, (part, whole) in zip(self._loaders, self._parts, strict=True):
            taken = samples * part // whole
            read.append(taken / loader.windows)
            samples -= taken
        return dict(zip(self.folders, read if len(read) > 1 else read * len(self.folders), strict=True))

    def describe(self, samples: int) -> list[str]:
        """A line a source: its size, its share of the samples, and how often so many samples read it."""
        several = len(self.folders) > 1
        return [
            f"data: {folder}, {tokens / 1e6:.1f}M tokens, "
            + (f"{share:.1%} of the samples, " if several else "")
            + f"{epochs:.1f} epochs"
            for (folder, epochs), (tokens, share) in zip(self.epochs(samples).items(), self._sources, strict=True)
        ]

    def _place(self, position: int) -> tuple[int, int]:
        """The loader that gives a sample, and the sample's number there: that whose count grows with this position."""
        for number, (part, whole) in enumerate(self._parts):
            taken = position * part // whole
            if (position + 1) * part // whole > taken:
                return number, taken
            position -= taken
        raise AssertionError("the last loader takes all that is left")


def _parse(argument: str) -> WeightedShards:
    folder, colon, text = argument.rpartition(":")
    if not colon or Path(argument).exists():
        return WeightedShards(Path(argument), None)
    try:
        weight = float(text)
    except ValueError:
        if not Path(folder).exists():
            return WeightedShards(Path(argument), None)  # a missing folder with a colon in its name
        weight = math.nan
    if not 0 < weight < math.inf:
        raise UsageError(f"--shards {argument}: the weight {text!r} is not a number above 0, as in {folder}:0.5")
    return WeightedShards(Path(folder), weight)


def _check_mixing(sets: Sequence[ShardSet]) -> None:
    first = sets[0]
    for other in sets[1:]:
        if other.tokenizer_sha256 != first.tokenizer_sha256:
            raise ArtifactError(
                f"{first.folder} and {other.folder}: were written with different tokenizers, so their ids mean different "
                "pieces: write both with the same --tokenizer"
            )
    if len({shards.normalization for shards in sets}) > 1:
        log.warning(
            "the shards were normalised differently (%s): prompts will be normalised by %s",
            ", ".join(f"{shards.folder}: {shards.normalization}" for shards in sets),
            prompt_preset(shards.normalization for shards in sets),
        )


def _warn_of_short_documents(folder: str, stream: TokenStream, context_length: int) -> None:
    lengths = np.diff(stream.document_starts, append=len(stream))
    if len(lengths) and (median := int(np.median(lengths))) < context_length:
        log.warning(
            "%s: half of its documents have at most %d tokens, so windows of %d span several documents: try a smaller "
            "--model.context_length",
            folder,
            median,
            context_length,
        )
