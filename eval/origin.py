"""The shards that a model was trained on: where they lie now, and whether they are what they were."""

import json
from collections.abc import Sequence
from pathlib import Path

from stage.errors import ArtifactError, UsageError
from stage.manifest import NAME as MANIFEST
from stage.manifest import Input, read_manifest


def shards_of(model: Path, shards: Path | str | Sequence[Path | str] | None) -> list[Path]:
    """The shards asked for, or those that the model was trained on, which must still be what they were."""
    if shards is not None:
        return given_shards(shards)
    recorded = _recorded_shards(model)
    if not recorded:
        raise UsageError(f"{model}: does not say what it was trained on: name the shards with --shards DIR")
    return [_found(model, entry) for entry in recorded]


def given_shards(shards: Path | str | Sequence[Path | str] | None) -> list[Path]:
    """Those that were named."""
    places = [Path(place) for place in ([shards] if isinstance(shards, str | Path) else shards or [])]
    for number, place in enumerate(places):
        if place.resolve() in [other.resolve() for other in places[:number]]:
            raise UsageError(f"--shards {place}: is named twice")
    return places


def _found(model: Path, recorded: Input) -> Path:
    """Where shards that a model was trained on lie now."""
    changed = None
    # a run folder that was moved as a whole holds the shards beside the model
    for place in (Path(recorded.path), model.absolute().parent / Path(recorded.path).name):
        if (place / MANIFEST).is_file():
            if read_manifest(place, "shard").data_sha256 == recorded.sha256:
                return place
            changed = changed or place
    if changed:
        raise ArtifactError(
            f"{changed}: has changed since {model} was trained on it, so the model may know its validation text: "
            "name shards with --shards DIR if you want them nevertheless"
        )
    raise UsageError(
        f"{recorded.path}: the shards that {model} was trained on are not there: name them with --shards DIR"
    )


def _recorded_shards(model: Path) -> list[Input]:
    """What the manifest of the model says, or for a checkpoint the run two folders above."""
    for folder in (model, *model.absolute().parents[:2]):
        for name in (MANIFEST, "run.json"):
            if (folder / name).is_file():
                try:
                    entries = json.loads((folder / name).read_text("utf-8"))["inputs"]
                    return [Input(**entry) for entry in entries if entry["role"] == "shards"]
                except (ValueError, KeyError, TypeError):
                    raise ArtifactError(f"{folder / name}: is not as jgpt wrote it") from None
    return []
