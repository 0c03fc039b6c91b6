"""The evaluation in a report: the held-out text and the tasks against their baselines."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any

from scripts.run_folder import Run, is_number
from stage.numbers import compact, percent
from stage.page import Page
from stage.plots import Bar, Mark, bar_plot


def evaluation(page: Page, run: Run) -> None:
    """The section of a page about ``results.json``."""
    page.section("Evaluation", "評価")
    language, tasks = run.results.get("language") or {}, run.results.get("tasks") or {}
    if not language and not tasks:
        page.note("results.json is missing or empty.")
        return
    if bits := mark(language.get("bits_per_character")):
        rows = [Bar("this model", bits.value, bits.low, bits.high)]
        rows += [
            Bar(other.label, other.value, other.low, other.high, colour=5, faint=True)
            for other in baselines(language, "bits_per_character")
        ]
        sizes = [
            f"{language[key]:,} {key}" for key in ("documents", "characters", "tokens") if is_number(language.get(key))
        ]
        page.figure(
            partial(bar_plot, rows, show="{:.2f}".format),
            "Bits per character, lower is better",
            japanese="一文字あたりのビット数",
            caption=f"Over {', '.join(sizes)}: {language.get('definition', 'as defined below')}.",
            wide=True,
        )
    charts: dict[str, list[Bar]] = defaultdict(list)
    for name, task in tasks.items():
        metric = _primary(task)
        if own := mark(task.get("metrics", {}).get(metric)):
            variant = metric.removeprefix("accuracy_") if metric.startswith("accuracy_") else ""
            label = f"{name} ({variant.replace('_', ' ')})" if variant else name
            charts["accuracy" if variant else metric].append(
                Bar(label, own.value, own.low, own.high, tuple(baselines(task, metric)))
            )
    for kind, bars in charts.items():
        shares = all(0 <= bar.value <= 1 for bar in bars)
        page.figure(
            partial(bar_plot, bars, show=percent if shares else compact, limit=1.0 if shares else None),
            f"{kind.replace('_', ' ').capitalize()}, higher is better",
            japanese="正解率" if kind == "accuracy" else "",
            caption="Whiskers are 95 % intervals; the signs stand where each baseline lies.",
            wide=True,
        )
    if tasks:
        page.table(
            ("Task", "What is asked", "Items", "What came out", "Source", "Licence"),
            [
                (
                    name,
                    task.get("title", "—").removeprefix(f"{name}: "),
                    task.get("items", "—"),
                    _reading(task),
                    task.get("source", "—"),
                    task.get("license", "—"),
                )
                for name, task in tasks.items()
            ],
        )
    for name, task in tasks.items():
        for text in task.get("notes", []):
            page.note(f"{name}: {text}")
    for name, reason in (run.results.get("skipped") or {}).items():
        page.note(f"{name}: left out; {reason}")
    for name, task in tasks.items():
        page.details(f"{name}: every figure", _all_figures(task))


def mark(figures: Any, label: str = "") -> Mark | None:
    """``{"value", "low", "high"}`` as a mark; None without a finite value."""
    if not isinstance(figures, Mapping) or not is_number(figures.get("value")):
        return None
    low, high = (value if is_number(value := figures.get(end)) else None for end in ("low", "high"))
    return Mark(label, figures["value"], low, high)


def baselines(holder: Mapping[str, Any], metric: str) -> list[Mark]:
    """The baselines that have a value for a metric, in their order."""
    marks = (mark(metrics.get(metric), name) for name, metrics in holder.get("baselines", {}).items())
    return [entry for entry in marks if entry]


def _primary(task: Mapping[str, Any]) -> str:
    return str(task.get("primary", "accuracy"))


def _reading(task: Mapping[str, Any]) -> str:
    """In words: where the model's interval lies against that of the best baseline."""
    own, others = mark(task.get("metrics", {}).get(_primary(task))), baselines(task, _primary(task))
    if own is None or not others:
        return "—"
    best = max(others, key=lambda other: other.value)
    if own.ends[0] > best.ends[1]:
        return f"above every baseline (best: {best.label})"
    if own.ends[1] < best.ends[0]:
        return f"below the baseline {best.label}"
    return f"{'above' if own.value > best.value else 'not above'} the baseline {best.label}; the intervals overlap"


def _all_figures(task: Mapping[str, Any]) -> dict[str, object]:
    rows: dict[str, object] = {}
    for name, metrics in {"": task.get("metrics", {}), **task.get("baselines", {})}.items():
        for metric, figures in metrics.items():
            entry = mark(figures)
            rows[f"{name}, {metric}" if name else metric] = entry.written("{:.4f}".format) if entry else "—"
    return rows
