"""A page that shows what ``jgpt eval compare`` found: the differences drawn, and which items changed."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from scripts.report_evaluation import figure
from stage.page import Page
from stage.plots import Bar, Mark, bar_plot

_IDS = 60  # named at most


def write_comparison(found: Mapping[str, Any], out: Path) -> Path:
    """Write the page of a comparison, as ``eval.comparison.compare`` returns it."""
    page = Page("A and B, item by item", f"A is {found['a']}, B is {found['b']}", "比較")
    page.section("Tasks", "タスク")
    tasks: Mapping[str, Any] = found["tasks"]
    defined = {name: task for name, task in tasks.items() if None not in (task["a"], task["b"])}
    bars = [Bar(f"{name}, B", task["b"], marks=(Mark("A", task["a"]),)) for name, task in defined.items()]
    if bars:
        shares = all(0 <= value <= 1 for task in defined.values() for value in (task["a"], task["b"]))
        draw = partial(bar_plot, bars, show="{:.3f}".format, limit=1.0 if shares else None)
        page.figure(draw, "What stands for each task", "主な指標", "The sign on a bar is A.", wide=True)
    head = ("Task", "Metric", "Items", "A", "B", "B − A", "p", "p, corrected", "Test")
    page.table(head, (_row(name, task) for name, task in tasks.items()))
    page.note(
        "Intervals are 95 %, paired over items; p is corrected for the number of tasks, or of groups (Holm, 1979)."
    )
    for name, task in tasks.items():
        if groups := task.get("groups"):
            page.section(f"{name}, by group")
            page.table(("Group", *head[1:]), (_row(group, record) for group, record in groups.items()))
        _items(page, name, task)
    return page.write(out)


def _row(name: str, task: Mapping[str, Any]) -> tuple[object, ...]:
    values = (_number(task[side]) for side in ("a", "b"))
    p_values = (_number(task.get(key), 4) for key in ("p_value", "p_holm"))
    return (name, task["metric"], task["items"], *values, figure(task["difference"]), *p_values, task["test"])


def _items(page: Page, name: str, task: Mapping[str, Any]) -> None:
    """The items that changed, by id: licences may forbid more."""
    if "changed" in task:
        rows = {str(entry["id"]): f"{entry['a']} → {entry['b']} ({entry['change']:+.3f})" for entry in task["changed"]}
        page.details(f"{name}: items with the largest change", rows)
        return
    sides = {"A": task["only_a"], "B": task["only_b"]}
    rows = {
        f"only {side} is right: {len(ids)}": ", ".join(map(str, ids[:_IDS])) + (" …" if len(ids) > _IDS else "")
        for side, ids in sides.items()
    }
    page.details(f"{name}: items that changed", rows)


def _number(value: float | None, digits: int = 3) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
