"""``jgpt eval``."""

import json
from pathlib import Path
from typing import Any

from eval.config import EvalConfig
from scripts.arguments import Parser, build


def main(prog: str, arguments: list[str]) -> None:
    """A model to numbers."""
    parser = Parser(
        prog,
        "Measure bits per character on the valid split, and tasks; beside each figure a 95 % interval and the baselines.",
        [
            "jgpt eval --model my/model --out my/eval",
            "jgpt eval --model my/model --tasks jcommonsenseqa,jnli --data eval-data --out my/jglue",
            "jgpt eval tasks      jgpt eval show TASK      jgpt eval compare A B",
        ],
    )
    parser.config_file()
    parser.add_argument("--model", type=str, required=True, help="Model folder, or one of its checkpoints.")
    parser.add_argument("--out", type=str, required=True, help="Folder to write.")
    parser.flag(
        "data", str, None, "Folder of the tasks' files, laid out as upstream: DATA/jglue/jcommonsenseqa-v1.3/…."
    )
    parser.flag("shards", str, None, "Shards to measure on; default: those that the model was trained on.")
    parser.flag("tasks", str, ",".join(EvalConfig([]).tasks) or "particle,continuation", "Tasks, parted by commas.")
    parser.configuration(EvalConfig, skip=["tasks"])
    parser.flag("dtype", str, "auto", "Precision of the weights: float32 (auto) or bfloat16.")
    parser.common("device", "threads", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    config = build(EvalConfig, given, tasks=[given.tasks])
    import torch

    from eval import evaluate

    if given.threads:
        torch.set_num_threads(given.threads)
    evaluate(
        given.model,
        given.out,
        config,
        data=given.data,
        shards=given.shards,
        device=given.device,
        dtype=given.dtype,
        overwrite=given.overwrite,
        quiet=given.quiet,
    )
    print(summary(json.loads((Path(given.out) / "results.json").read_text("utf-8"))))


def summary(results: dict[str, Any]) -> str:
    """The figures of ``results.json`` as lines of text."""
    language = results["language"]
    lines = []
    for name in ("bits_per_character", "bits_per_byte"):
        lines.append(f"{name:<28} {figure(language[name])}   {_baselines(language['baselines'], name)}")
    for name, task in results["tasks"].items():
        primary = task["primary"]
        label = f"{name} {primary}"
        lines.append(f"{label:<28} {figure(task['metrics'][primary])}   {_baselines(task['baselines'], primary)}")
    return "\n".join(lines)


def figure(record: dict[str, Any]) -> str:
    """A figure with its 95 % interval, where there is one."""
    if record.get("value") is None:
        return "undefined"
    interval = f" [{record['low']:.3f}, {record['high']:.3f}]" if record.get("low") is not None else ""
    return f"{record['value']:.3f}{interval}"


def _baselines(baselines: dict[str, Any], metric: str) -> str:
    return ", ".join(f"{name} {figure(record[metric])}" for name, record in baselines.items() if metric in record)
