"""Compare two results folders item by item: is the difference more than chance, and which items changed?"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.statistics import bootstrap_mean, mcnemar
from stage.errors import ArtifactError
from stage.manifest import check_outputs, read_manifest

_RESAMPLES = 1000


def compare(a: Path | str, b: Path | str, *, seed: int = 0) -> dict[str, Any]:
    """For each task that both folders hold: the primary metric of both, ``difference`` (b - a) with a paired bootstrap
    interval, the exact McNemar p-value, and the ids of the items that only ``a`` or only ``b`` has right.

    Returns {"a": path, "b": path, "tasks": {NAME: {"primary", "items", "a", "b", "p_value",
    "difference": {"value", "low", "high"}, "only_a": [id], "only_b": [id]}}}; the p-values are not corrected for the
    number of tasks. Raises ArtifactError when the folders have no task in common, or a task with other items.
    """
    results_a, samples_a = _read(Path(a))
    results_b, samples_b = _read(Path(b))
    common = [name for name in results_a["tasks"] if name in results_b["tasks"]]
    if not common:
        names = " against ".join(", ".join(results["tasks"]) or "none" for results in (results_a, results_b))
        raise ArtifactError(f"{a} and {b} have no task in common ({names}): evaluate both with the same tasks")
    compared = {}
    for name in common:
        lines_a, lines_b = samples_a.get(name, []), samples_b.get(name, [])
        _check_pairs(name, Path(a), Path(b), lines_a, lines_b)
        primary = results_a["tasks"][name]["primary"]
        if primary != results_b["tasks"][name]["primary"]:
            raise ArtifactError(
                f"{b}: task {name} has another primary metric than in {a}: evaluate both with the same version"
            )
        right_a, right_b = _right(lines_a), _right(lines_b)
        only_a, only_b = right_a & ~right_b, right_b & ~right_a
        compared[name] = {
            "primary": primary,
            "items": len(lines_a),
            "a": float(right_a.mean()),
            "b": float(right_b.mean()),
            "difference": bootstrap_mean(right_b.astype(float) - right_a.astype(float), _RESAMPLES, seed),
            "p_value": mcnemar(int(only_a.sum()), int(only_b.sum())),
            "only_a": [line["id"] for line, only in zip(lines_a, only_a, strict=True) if only],
            "only_b": [line["id"] for line, only in zip(lines_a, only_b, strict=True) if only],
        }
    return {"a": str(a), "b": str(b), "tasks": compared}


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    check_outputs(folder, read_manifest(folder, "eval"))
    samples: dict[str, list[dict[str, Any]]] = {}
    file = folder / "results.json"
    try:
        results = json.loads(file.read_text("utf-8"))
        file = folder / "samples.jsonl"
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                sample = json.loads(line)
                samples.setdefault(sample["task"], []).append(sample)
    except (OSError, ValueError, KeyError, TypeError):
        raise ArtifactError(f"{file}: is not as jgpt wrote it; evaluate anew with --overwrite") from None
    return results, samples


def _check_pairs(name: str, a: Path, b: Path, lines_a: list[dict[str, Any]], lines_b: list[dict[str, Any]]) -> None:
    mend = "evaluate both on the same shards, data, limit and seed"
    if len(lines_a) != len(lines_b):
        raise ArtifactError(f"{b}: task {name} has {len(lines_b)} items, {len(lines_a)} in {a}: {mend}")
    for one, other in zip(lines_a, lines_b, strict=True):
        if any(one[key] != other[key] for key in ("id", "gold", "choices")):
            raise ArtifactError(f"{b}: task {name}: item {other['id']} is not the item {one['id']} of {a}: {mend}")


def _right(lines: list[dict[str, Any]]) -> NDArray[np.bool_]:
    return np.array([line["prediction"] == line["gold"] for line in lines], np.bool_)
