"""What documents are measured by: models of text that the user trusts, trained and loaded as one folder (stage "trust")."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.blocks import normalize_all
from corpora.config import CorpusConfig, SourceConfig
from corpora.documents import STAGE as DOCUMENTS
from corpora.documents import iterate_texts
from corpora.parts import raw_documents
from corpora.perplexity import Ngrams, load_ngrams, train_ngrams
from corpora.quality import Quality, load_quality, train_quality
from corpora.rows import prepare
from corpora.sources import find_sources, hash_sources
from stage.errors import InputError, UsageError
from stage.folder import Made, write_folder
from stage.manifest import NAME, Input, Manifest, artifact_input, check_outputs, read_manifest
from stage.progress import progress

STAGE = "trust"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_NGRAMS, _QUALITY = "ngrams.safetensors", "quality.safetensors"
_EVERY, _HELD = 20, 500  # one of twenty documents is held out, 500 at most
_BATCH = 500  # documents normalised at once


class Trust(NamedTuple):
    """The models of a folder."""

    ngrams: Ngrams
    quality: Quality | None
    """None where there were no bad examples."""

    def measure(self, texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Perplexity, and quality where the folder has a classifier, [N] each; 0 for empty texts."""
        found = {"perplexity": np.nan_to_num(self.ngrams.perplexity(texts))}
        return found if self.quality is None else found | {"quality": np.nan_to_num(self.quality.score(texts))}


def load(folder: Path | str) -> Trust:
    """The models of a folder. Raises ArtifactError where it is none of that stage or not whole."""
    folder = Path(folder)
    check_outputs(folder, read_manifest(folder, STAGE))
    return Trust(
        load_ngrams(folder / _NGRAMS), load_quality(folder / _QUALITY) if (folder / _QUALITY).exists() else None
    )


@cache
def trusted(folder: str) -> Trust:
    """The models of a folder, loaded once a process."""
    return load(folder)


def train_trust(
    good: Sequence[str],
    out: Path | str,
    *,
    against: Sequence[str] = (),
    characters: int = 20_000_000,
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Train a model of character n-grams on files (or folders, or documents folders) of text that one trusts.

    With files of other text ``against``, such as a sample of the corpus that is to be judged, also a classifier that tells the two apart.
    The manifest has quantiles of perplexity and quality of held-out documents, to choose limits by. Markup is taken out and the text is
    normalised by ja-v1. ``characters`` bounds what the n-grams are counted in, and so memory: about 40 bytes each.

    Raises InputError for files that cannot be read or hold no text, ArtifactError as ``write_folder``.
    """
    if characters < 1:
        raise UsageError(f"--characters {characters}: must be 1 or more")
    return write_folder(
        out,
        stage=STAGE,
        parameters={"characters": characters},
        inputs=[*_inputs("good", good, quiet), *_inputs("against", against, quiet)],
        make=lambda folder: _make(folder, good, against, characters, quiet),
        overwrite=overwrite,
        need_bytes=50_000_000,
    )


def _make(folder: Path, good: Sequence[str], against: Sequence[str], characters: int, quiet: bool) -> Made:
    def texts(paths: Sequence[str], description: str) -> Iterator[str]:
        return iter(progress(_texts(paths), description=description, unit="document", quiet=quiet))

    held: list[str] = []
    try:
        ngrams = train_ngrams(_apart(texts(good, "counting"), held), characters=characters)
    except ValueError:
        raise InputError(f"{good[0]}: holds no text") from None
    ngrams.save(folder / _NGRAMS)
    counts = {"held_out_documents": len(held), "perplexity": _quantiles(ngrams.perplexity(held))}
    if against:
        held, others = [], list[str]()
        try:
            quality = train_quality(
                _apart(texts(good, "good text"), held), _apart(texts(against, "other text"), others)
            )
        except ValueError:
            raise InputError(f"{against[0]}: holds no text") from None
        quality.save(folder / _QUALITY)
        counts |= {"perplexity_of_others": _quantiles(ngrams.perplexity(others))}
        counts |= {"quality": _quantiles(quality.score(held)), "quality_of_others": _quantiles(quality.score(others))}
    return Made(counts=counts)


def _inputs(role: str, paths: Sequence[str], quiet: bool) -> list[Input]:
    found = []
    for path in paths:
        if _is_artifact(path):
            found.append(artifact_input(role, path, DOCUMENTS))
        else:
            inputs = hash_sources(find_sources(CorpusConfig([SourceConfig(path)])), workers=1, quiet=quiet)
            found += [replace(each, role=role) for each in inputs]
    return found


def _texts(paths: Sequence[str]) -> Iterator[str]:
    """Normalised texts without markup."""
    for path in paths:
        if _is_artifact(path):
            yield from iterate_texts(path)
            continue
        config = CorpusConfig([SourceConfig(path)])
        for source in find_sources(config):
            raw = (document for file, _ in source.files for document in raw_documents(source, file))
            plain = (prepare(document, source.config, config) for document in raw)
            texts = (each.text for each in plain if not each.verdict and each.text)
            while batch := list(islice(texts, _BATCH)):
                yield from normalize_all(batch)


def _apart(texts: Iterable[str], held: list[str]) -> Iterator[str]:
    """The texts but for some, which are put into a list."""
    for number, text in enumerate(texts, start=1):
        if number % _EVERY == 0 and len(held) < _HELD:
            held.append(text)
        else:
            yield text


def _is_artifact(path: str) -> bool:
    return (Path(path) / NAME).is_file()


def _quantiles(values: Any) -> dict[str, float]:
    values = values[np.isfinite(values)]
    return {f"{share:g}": round(float(np.quantile(values, share)), 4) for share in QUANTILES} if len(values) else {}
