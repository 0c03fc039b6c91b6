"""Bits per character and per byte: how well a model predicts text, comparable across vocabularies."""

import lzma
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.config import EvalConfig
from eval.documents import Documents
from eval.ngram import KneserNey
from eval.scoring import ModelScorer, Numbers, Scores
from eval.statistics import bootstrap_ratio
from stage.errors import ArtifactError

DEFINITION = (
    "nats of the text and </s> / (ln 2 · code points of the stored text), each document alone after <s>, "
    "in windows of the context length with a stride of half of it; 95 % interval by bootstrap over documents"
)
_UNK = 0


@dataclass
class HeldOut:
    """The documents that are measured."""

    ids: list[Numbers]
    characters: list[int]
    bytes: list[int]
    compressed_bytes: int


def held_out(documents: Documents, max_characters: int = 0, seed: int = 0) -> HeldOut:
    """Read the documents of a split: all, or as many as hold about ``max_characters``, drawn by seed.

    Raises ArtifactError for an empty split, and for ids that have no text.
    """
    order = np.arange(len(documents))
    if max_characters:
        order = np.random.default_rng(seed).permutation(len(documents))
    found = HeldOut([], [], [], 0)
    compressor = lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME)
    left = max_characters or math.inf
    for number in order:
        ids = documents.ids(int(number))
        check_no_unknown(ids)
        text = documents[int(number)]
        if not text:
            continue  # without characters there is nothing to share its bits
        raw = text.encode()
        found.ids.append(ids)
        found.characters.append(len(text))
        found.bytes.append(len(raw))
        found.compressed_bytes += len(compressor.compress(raw + b"\n"))
        left -= len(text)
        if left <= 0:
            break
    found.compressed_bytes += len(compressor.flush())
    if not found.ids:
        raise ArtifactError("the shards hold no validation text: build the corpus with a valid split")
    return found


def check_no_unknown(ids: Numbers) -> None:
    """The one rule for ``<unk>``: it would be charged as its bytes, but shards with byte fallback never hold it.

    Where it occurs nevertheless its bytes are lost, and with them every figure per character: ArtifactError.
    """
    if (ids == _UNK).any():
        raise ArtifactError("the shards hold <unk>: train the tokenizer with byte fallback and write them anew")


def language_record(
    texts: HeldOut, scorer: ModelScorer, ngrams: dict[str, KneserNey], config: EvalConfig
) -> dict[str, Any]:
    """The ``language`` part of ``results.json``: the model, n-gram models by name, and xz."""
    requests = [(ids[:1], ids[1:]) for ids in texts.ids]
    own = _bits(texts, scorer.score(requests, "bits per character"), config)
    baselines: dict[str, Any] = {name: _bits(texts, ngram.score(requests), config) for name, ngram in ngrams.items()}
    # compressed alone: it has seen no training text, so this is a floor and not a peer
    baselines["xz"] = {
        "bits_per_character": {"value": 8 * texts.compressed_bytes / sum(texts.characters)},
        "bits_per_byte": {"value": 8 * texts.compressed_bytes / sum(texts.bytes)},
        "note": "lzma preset 9e over the same text in one stream, compressed alone, without the training text",
    }
    return {
        "split": config.split,
        "documents": len(texts.ids),
        "characters": sum(texts.characters),
        "bytes": sum(texts.bytes),
        "tokens": sum(len(ids) - 1 for ids in texts.ids),  # all but each document's <s>
        "definition": DEFINITION,
        **own,
        "baselines": baselines,
    }


def _bits(texts: HeldOut, scores: Sequence[Scores], config: EvalConfig) -> dict[str, Any]:
    """Bits per character and byte of documents from the log-probabilities of their tokens."""
    bits = np.array([-values.sum() for values in scores]) / math.log(2)
    return {
        "bits_per_character": bootstrap_ratio(bits, texts.characters, config.bootstrap, config.seed),
        "bits_per_byte": bootstrap_ratio(bits, texts.bytes, config.bootstrap, config.seed),
    }
