"""``jgpt eval``, and below it compare, tasks and show."""

import json
from pathlib import Path
from typing import Any

from eval.config import INTRINSIC, EvalConfig
from scripts.arguments import Parser, build, shared
from stage.errors import UsageError


def evaluate(prog: str, arguments: list[str]) -> None:
    """A model to numbers."""
    parser = Parser(
        prog,
        "Measure bits per character on the valid split, and tasks; beside each figure a 95 % interval and the baselines.",
        [
            "jgpt eval --model my/model --out my/eval",
            "jgpt eval --model my/model --tasks jcommonsenseqa,jnli --data eval-data --out my/jglue",
            "jgpt eval --model my/model --tasks jsts --method finetune --data eval-data --out my/jsts",
            "jgpt eval --model http://localhost:8000/v1 --tasks jcola --data eval-data --out their/jcola",
            "jgpt eval tasks      jgpt eval show TASK      jgpt eval compare A B",
        ],
    )
    parser.config_file()
    known = "Model folder, one of its checkpoints, a folder of Hugging Face's form, or the address of an endpoint."
    parser.flag("model", str, ..., known)
    parser.common("out")
    upstream = (
        "Folder of the tasks' files, laid out as upstream: DATA/jglue/jcommonsenseqa-v1.3/…; hub: the Hugging Face hub."
    )
    parser.flag("data", str, None, upstream)
    parser.add_argument(
        "--shards",
        type=str,
        nargs="+",
        default=None,
        help="Shards to measure on; default: those that the model was trained on.",
    )
    parser.flag("tasks", str, ",".join(INTRINSIC), "Tasks, parted by commas.")
    parser.configuration(EvalConfig, skip=["tasks"])
    parser.flag("endpoint_model", str, "", "Name of the model at an endpoint that serves several.")
    parser.flag("endpoint_parallel", int, 4, "Requests to an endpoint at a time.")
    parser.flag("dtype", str, "auto", "Precision of the weights: float32 (auto) or bfloat16.")
    parser.common("device", "threads", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    config = build(EvalConfig, given, tasks=[given.tasks])
    from eval import evaluate as measure
    from scripts.loading import limit_threads

    limit_threads(given.threads)
    more = {"data": given.data, "shards": given.shards, "dtype": given.dtype}
    more |= {"endpoint_model": given.endpoint_model, "endpoint_parallel": given.endpoint_parallel}
    measure(given.model, given.out, config, **more, **shared(given, skip="threads"))
    print(summary(json.loads((Path(given.out) / "results.json").read_text("utf-8"))))


def eval_compare(prog: str, arguments: list[str]) -> None:
    """Two results, item by item."""
    parser = Parser(
        prog,
        "Compare two results on the items that both answered: difference of the primary metric (B - A) with a paired bootstrap "
        "interval, its p-value (exact McNemar for accuracies, else of the bootstrap) as it is and corrected for the number of "
        "tasks, and which items changed. JSON on stdout.",
        ["jgpt eval compare runs/a/eval runs/b/eval", "jgpt eval compare a b --html difference.html > difference.json"],
    )
    parser.add_argument("a", type=str, help="Results folder.")
    parser.add_argument("b", type=str, help="Results folder.")
    parser.flag("seed", int, 0, "Draws the resamples.")
    parser.flag("html", str, None, "Page to write, with the differences drawn and the items that changed.")
    parser.common("overwrite", "quiet")
    given = parser.parse_args(arguments)
    if given.html and Path(given.html).suffix.lower() not in (".html", ".htm"):
        parser.error(f"--html {given.html}: names the page to write, which ends in .html")
    if given.html and Path(given.html).exists() and not given.overwrite:
        raise UsageError(f"--html {given.html}: is there already; --overwrite replaces it")
    from eval.comparison import compare

    found = compare(given.a, given.b, seed=given.seed)
    if given.html:
        from scripts.report_comparison import write_comparison

        write_comparison(found, Path(given.html))
    print(json.dumps(found, ensure_ascii=False, indent=1))


def eval_tasks(prog: str, arguments: list[str]) -> None:
    """The tasks there are."""
    parser = Parser(prog, "List the tasks that --tasks takes.", ["jgpt eval tasks", "jgpt eval tasks --json"])
    parser.flag("json", bool, False, "Print JSON.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from eval.listing import list_tasks

    tasks = list_tasks()
    if given.json:
        print(json.dumps(tasks, ensure_ascii=False, indent=1))
        return
    for task in tasks:
        needs = "needs --data" if task["needs_data"] else "from any corpus"
        print(
            f"{task['name']:<22} {needs:<16} {','.join(task['methods']):<20} {','.join(task['splits']):<17} {task['title']}"
        )


def eval_show(prog: str, arguments: list[str]) -> None:
    """Rendered prompts of a task."""
    example = "jgpt eval show jcommonsenseqa --data eval-data"
    parser = Parser(prog, "Print a task's first items as the model sees them.", [example])
    parser.add_argument("task", type=str, help="A task of `jgpt eval tasks`, or a YAML file of your own.")
    parser.flag("data", str, None, "Folder of the tasks' files, or hub.")
    parser.flag("count", int, 3, "How many items.")
    parser.flag("prompt", str, "", "Form of the prompt; default: the first, without --data all.")
    parser.flag("shots", int, 0, "Solved examples before each question.")
    parser.flag("split", str, "valid", "Split to show; the last one of tasks that have no such split.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from eval.listing import show_task

    more = {name: getattr(given, name) for name in ("count", "prompt", "shots", "split")}
    print(show_task(given.task, given.data, **more))


def summary(results: dict[str, Any]) -> str:
    """The figures of ``results.json`` as lines of text."""
    names = ("bits_per_character", "bits_per_byte")
    language = results.get("language", {})
    rows = [(name, name, language, language["baselines"]) for name in names if language]
    for name, record in language.get("sources", {}).items():
        rows.append((f"  {name}", names[0], record, record["baselines"]))
    for name, task in results["tasks"].items():
        rows.append((f"{name} {task['primary']}", task["primary"], task["metrics"], task["baselines"]))
    lines = []
    for label, metric, own, baselines in rows:
        others = (f"{name} {figure(record[metric])}" for name, record in baselines.items() if metric in record)
        lines.append(f"{label:<28} {figure(own[metric])}   {', '.join(others)}")
    return "\n".join(lines)


def figure(record: dict[str, Any]) -> str:
    """A figure with its 95 % interval, where there is one."""
    if record["value"] is None:
        return "undefined"
    interval = f" [{record['low']:.3f}, {record['high']:.3f}]" if "low" in record else ""
    return f"{record['value']:.3f}{interval}"
