"""Compare two results folders item by item: is the difference more than chance, and which items changed?"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.examples import Example, grouped
from eval.metrics import CONFUSION, CORRELATION, TEXT, per_item, statistic
from eval.statistics import holm, mcnemar, paired_bootstrap
from stage.errors import ArtifactError
from stage.manifest import check_outputs, read_manifest

Line = Mapping[str, Any]
Seeds = Sequence[list[Any]]
"""What a model answers to each item, of a fine-tuned one for each seed."""
_RESAMPLES = 10_000
_SHOWN = 20  # items with the largest change


def compare(a: Path | str, b: Path | str, *, seed: int = 0) -> dict[str, Any]:
    """For each task that both folders hold what ``compare_task`` finds, the p-values also corrected for the number of tasks.

    Returns {"a": path, "b": path, "tasks": {NAME: {..., "p_holm"}}} (Holm, 1979). Raises ArtifactError when the folders have no task in
    common, or a task with other items.
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
        primary, other = (results["tasks"][name]["primary"] for results in (results_a, results_b))
        if primary != other:
            raise ArtifactError(
                f"{b}: task {name} has another primary metric ({other}) than in {a} ({primary}): "
                "evaluate both with the same version and --method"
            )
        compared[name] = compare_task(primary, lines_a, lines_b, seed=seed)
    return {"a": str(a), "b": str(b), "tasks": _corrected(compared)}


def compare_task(metric: str, a: Sequence[Line], b: Sequence[Line], *, seed: int = 0) -> dict[str, Any]:
    """Two answers to each item of a task, as ``samples.jsonl`` holds them: lines with ``id``, ``gold`` (``answers`` of spans), ``prediction``,
    and ``predictions`` where there are those of several seeds: figures are then means over them, and right is what more than half of them have.

    Returns {"metric", "items", "a", "b", "difference": b - a with its interval, "p_value", "test"}. Where items are right or wrong the
    test is McNemar's, exact, for accuracies and exact match of one seed, a paired bootstrap for everything else; ``only_a`` and
    ``only_b`` are the ids that one alone has right. Otherwise it is the bootstrap, and ``changed`` has the items with the largest
    change: of F1, or of the distance to the right number, which counts as a gain where b is nearer; of several seeds the first's
    answer is shown. If lines have a ``group``,
    ``groups`` has the same figures of each, their p-values corrected for the number of groups.
    """
    examples = [_example(line) for line in a]
    answers = [_seeds(lines) for lines in (a, b)]
    found = _figures(metric, examples, answers, seed) | _changes(metric, examples, answers)
    if not (places := grouped(examples)):
        return found
    groups = {
        name: _figures(
            metric,
            [examples[place] for place in of],
            [[[each[place] for place in of] for each in seeds] for seeds in answers],
            seed,
        )
        for name, of in sorted(places.items())
    }
    return found | {"groups": _corrected(groups)}


def _figures(metric: str, examples: Sequence[Example], answers: Sequence[Seeds], seed: int) -> dict[str, Any]:
    one, other = (statistic(metric, examples, *seeds) for seeds in answers)
    values = [float(each(np.arange(len(examples)))) for each in (one, other)]
    difference, p_value = paired_bootstrap(one, other, len(examples), _RESAMPLES, seed)
    test = "paired bootstrap"
    right = _right(metric, examples, answers)
    if right is not None and metric not in CONFUSION and all(len(seeds) == 1 for seeds in answers):
        test = "exact McNemar"
        p_value = mcnemar(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()))
    a, b = (None if np.isnan(value) else value for value in values)
    return {
        "metric": metric,
        "items": len(examples),
        "a": a,
        "b": b,
        "difference": difference,
        "p_value": p_value,
        "test": test,
    }


def _changes(metric: str, examples: Sequence[Example], answers: Sequence[Seeds]) -> dict[str, Any]:
    """The ids that only one has right, or the items with the largest change."""
    ids = [example.id for example in examples]
    if (right := _right(metric, examples, answers)) is not None:
        only = {"only_a": right[0] & ~right[1], "only_b": right[1] & ~right[0]}
        return {name: [ids[place] for place in np.flatnonzero(flags)] for name, flags in only.items()}
    if metric in CORRELATION:
        gold = np.array([example.label for example in examples], np.float64)
        values = [-np.abs(np.array(seeds, np.float64) - gold).mean(0) for seeds in answers]
    else:
        values = [_mean(metric, examples, seeds) for seeds in answers]
    gain = values[1] - values[0]
    order = np.argsort(-np.abs(gain), kind="stable")[:_SHOWN]
    shown = [
        {"id": ids[place], "a": answers[0][0][place], "b": answers[1][0][place], "change": float(gain[place])}
        for place in order.tolist()
        if gain[place]
    ]
    return {"changed": shown}


def _right(
    metric: str, examples: Sequence[Example], answers: Sequence[Seeds]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Which items each has right; None where items are not right or wrong but more or less so."""
    if metric in CORRELATION or (metric in TEXT and not metric.startswith("exact_match")):
        return None
    of = metric if metric in TEXT else "accuracy"
    a, b = (_mean(of, examples, seeds) > 0.5 for seeds in answers)
    return a, b


def _mean(metric: str, examples: Sequence[Example], seeds: Seeds) -> NDArray[np.float64]:
    """What each item counts, [N]."""
    return np.array([per_item(metric, examples, each) for each in seeds], np.float64).mean(0)


def _seeds(lines: Sequence[Line]) -> list[list[Any]]:
    of_items = [line.get("predictions") or [line["prediction"]] for line in lines]
    return [list(each) for each in zip(*of_items, strict=True)]


def _corrected(records: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Records with their p-values corrected for how many there are."""
    corrected = holm([record["p_value"] for record in records.values()])
    return {name: record | {"p_holm": value} for (name, record), value in zip(records.items(), corrected, strict=True)}


def _example(line: Line) -> Example:
    """Of a line what metrics read."""
    gold = line["gold"]
    answers = line.get("answers") or ([gold] if isinstance(gold, str) else gold if isinstance(gold, list) else ())
    label = gold if isinstance(gold, int | float) else 0
    return Example(str(line["id"]), {}, label=label, answers=tuple(answers), group=str(line.get("group") or ""))


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


def _check_pairs(name: str, a: Path, b: Path, lines_a: Sequence[Line], lines_b: Sequence[Line]) -> None:
    mend = "evaluate both on the same shards, data, limit and seed"
    if len(lines_a) != len(lines_b):
        raise ArtifactError(f"{b}: task {name} has {len(lines_b)} items, {len(lines_a)} in {a}: {mend}")
    for one, other in zip(lines_a, lines_b, strict=True):
        if any(one.get(key) != other.get(key) for key in ("id", "gold", "answers", "choices", "group", "texts")):
            raise ArtifactError(f"{b}: task {name}: item {other['id']} is not the item {one['id']} of {a}: {mend}")
