"""Where a model comes from: how long it was trained, and whose text it learned."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stage.errors import ArtifactError
from stage.folder import RUN
from stage.manifest import NAME, read_manifest

log = logging.getLogger(__name__)


@dataclass
class Origin:
    """What is known of a model's training."""

    run: Path
    """The folder of the run: that of the model or, for a checkpoint, two above."""
    counts: dict[str, Any] = field(default_factory=dict)
    """``steps``, ``tokens`` and, of a finished model, ``epochs``, as far as they are known."""
    licenses: list[dict[str, str]] = field(default_factory=list)
    """``source``, ``license`` and ``attribution`` of each source of the text."""


def find_origin(model: Path) -> Origin:
    """What the manifest of a model says or, for a checkpoint, its state and its run.

    Raises ArtifactError for a record that jgpt did not write.
    """
    run = model.absolute().parents[1] if model.absolute().parent.name == "checkpoints" else model
    file = next((run / name for name in (NAME, RUN) if (run / name).is_file()), None)
    if file is None:
        log.warning("%s: does not say what it was trained on; add that to README.md", model)
        return Origin(model)
    origin = Origin(run)
    try:
        record = json.loads(file.read_text("utf-8"))
        origin.counts = record.get("counts", {})
        if (model / "state.json").is_file():
            state = json.loads((model / "state.json").read_text("utf-8"))
            origin.counts = {"steps": state["step"], "tokens": state["tokens"]}
        origin.licenses = record.get("licenses", [])
        shards = [Path(entry["path"]) for entry in record["inputs"] if entry["role"] == "shards"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ArtifactError(f"{file}: it or the state.json of the checkpoint is not as jgpt wrote it") from None
    if not origin.licenses:  # an unfinished run does not have them yet
        beside = [origin.run.absolute().parent / place.name for place in shards]
        for place in (each for each in (*shards, *beside) if (each / NAME).is_file()):
            origin.licenses += [entry for entry in read_manifest(place).licenses if entry not in origin.licenses]
    if not origin.licenses:
        log.warning(
            "%s: the licences of the text that it was trained on are not recorded; add them to README.md", model
        )
    return origin
