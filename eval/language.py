"""Bits per character and per byte: how well a model predicts text, comparable across vocabularies."""

import lzma
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.config import EvalConfig
from eval.documents import Documents
from eval.models import LanguageModel
from eval.ngram import KneserNey
from eval.scoring import Numbers
from eval.statistics import bootstrap_ratio
from stage.errors import ArtifactError

DEFINITION = (
    "nats of the text and </s> / (ln 2 · code points of the stored text), each document alone after <s>, "
    "in windows of the context length with a stride of half of it; 95 % interval by bootstrap over documents"
)
_UNK = 0


@dataclass
class HeldOut:
    """The documents that are measured, each with its ids, its text and the source that it comes from."""

    ids: list[Numbers]
    texts: list[str]
    sources: list[str]


def held_out(documents: Documents, max_characters: int = 0, seed: int = 0) -> HeldOut:
    """Read the documents of a split: all, or as many as hold about ``max_characters``, drawn by seed.

    Raises ArtifactError for an empty split, and for ids that have no text.
    """
    order = np.arange(len(documents))
    if max_characters:
        order = np.random.default_rng(seed).permutation(len(documents))
    found = HeldOut([], [], [])
    left = max_characters or math.inf
    for number in order:
        ids = documents.ids(int(number))
        check_no_unknown(ids)
        text = documents[int(number)]
        if not text:
            continue  # without characters there is nothing to share its bits
        found.ids.append(ids)
        found.texts.append(text)
        found.sources.append(documents.source(int(number)))
        left -= len(text)
        if left <= 0:
            break
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
    texts: HeldOut, model: LanguageModel, ngrams: dict[str, KneserNey], config: EvalConfig
) -> dict[str, Any]:
    """The ``language`` part of ``results.json``: the model, n-gram models by name, and xz; the same for each of several sources."""
    requests = [(ids[:1], ids[1:]) for ids in texts.ids]
    own = model.score_texts(texts.texts, "bits per character")
    nats = {"": np.array([-score.log_probability for score in own])}
    nats |= {name: np.array([-values.sum() for values in ngram.score(requests)]) for name, ngram in ngrams.items()}
    everything = np.arange(len(texts.ids))
    definition = DEFINITION if model.scores_end else DEFINITION.replace(" and </s>", "", 1)
    if unscored := sum(score.unscored for score in own):
        definition += f"; {unscored} tokens that begin texts have no probability at this endpoint and count nothing"
    record = {"split": "valid", "definition": definition, **_figures(texts, nats, everything, config)}
    if len(names := dict.fromkeys(texts.sources)) > 1:
        of = np.array(texts.sources)
        record["sources"] = {name: _figures(texts, nats, everything[of == name], config) for name in names}
    return record


def _figures(texts: HeldOut, nats: dict[str, Numbers], chosen: Numbers, config: EvalConfig) -> dict[str, Any]:
    """Sizes, bits per character and bits per byte of some of the documents, and what the baselines need for them."""
    contents = [texts.texts[number] for number in chosen]
    characters, sizes = [len(text) for text in contents], [len(text.encode()) for text in contents]
    own, *others = (
        {
            "bits_per_character": bootstrap_ratio(bits, characters, config.bootstrap, config.seed),
            "bits_per_byte": bootstrap_ratio(bits, sizes, config.bootstrap, config.seed),
        }
        for bits in (each[chosen] / math.log(2) for each in nats.values())
    )
    compressed = 8 * _compressed_bytes(contents)
    # compressed alone: it has seen no training text, so this is a floor and not a peer
    xz = {
        "bits_per_character": {"value": compressed / sum(characters)},
        "bits_per_byte": {"value": compressed / sum(sizes)},
        "note": "lzma preset 9e over the same text in one stream, compressed alone, without the training text",
    }
    return {
        "documents": len(contents),
        "characters": sum(characters),
        "bytes": sum(sizes),
        "tokens": sum(len(texts.ids[number]) - 1 for number in chosen),  # all but each document's <s>
        **own,
        "baselines": dict(zip([name for name in nats if name], others, strict=True)) | {"xz": xz},
    }


def _compressed_bytes(texts: Sequence[str]) -> int:
    compressor = lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME)
    return sum(len(compressor.compress(f"{text}\n".encode())) for text in texts) + len(compressor.flush())
