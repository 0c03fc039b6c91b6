"""The evaluation in a report: the held-out text and the tasks against their baselines."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any

from stage.numbers import compact, percent
from stage.page import Page
from stage.plots import Bar, Mark, bar_plot


def evaluation(page: Page, results: Mapping[str, Any]) -> None:
    """The section of a page about ``results.json``."""
    page.section("Evaluation", "評価")
    language, tasks = results["language"], results["tasks"]
    bits, others = compared(language, "bits_per_character")
    rows = [Bar(other.label, other.value, other.low, other.high, colour=5, faint=True) for other in others]
    rows = [Bar("this model", bits.value, bits.low, bits.high), *rows]
    sizes = ", ".join(f"{language[key]:,} {key}" for key in ("documents", "characters", "tokens"))
    draw = partial(bar_plot, rows, show="{:.2f}".format)
    caption = f"Over {sizes}: {language['definition']}."
    page.figure(draw, "Bits per character, lower is better", "一文字あたりのビット数", caption, wide=True)
    if sources := language.get("sources"):
        baselines = [other.label for other in others]
        head = ("Source", "Documents", "Characters", "This model, bits per character", *baselines)
        page.table(head, (_source_row(name, record, baselines) for name, record in sources.items()))
    charts: dict[str, list[Bar]] = defaultdict(list)
    readings = {}
    for name, task in tasks.items():
        metric = task["primary"]
        own, others = compared(task, metric)
        readings[name] = _reading(own, others)
        kind, _, variant = metric.partition("_") if metric.startswith("accuracy_") else (metric, "", "")
        label = f"{name} ({variant.replace('_', ' ')})" if variant else name
        charts[kind].append(Bar(label, own.value, own.low, own.high, tuple(others)))
    for kind, bars in charts.items():
        shares = all(0 <= bar.value <= 1 for bar in bars)
        draw = partial(bar_plot, bars, show=percent if shares else compact, limit=1.0 if shares else None)
        heading = f"{kind.replace('_', ' ').capitalize()}, higher is better"
        caption = "Whiskers are 95 % intervals; the signs stand where each baseline lies."
        page.figure(draw, heading, "正解率" if kind == "accuracy" else "", caption, wide=True)
    if tasks:
        page.table(
            ("Task", "What is asked", "Items", "What came out", "Source", "Licence"),
            (
                (
                    name,
                    task["title"].removeprefix(f"{name}: "),
                    task["items"],
                    readings[name],
                    task["source"],
                    task["license"],
                )
                for name, task in tasks.items()
            ),
        )
    for name, task in tasks.items():
        for text in task["notes"]:
            page.note(f"{name}: {text}")
    for name, reason in results.get("skipped", {}).items():
        page.note(f"{name}: left out; {reason}")
    for name, task in tasks.items():
        page.details(f"{name}: every figure", _all_figures(task))


def _source_row(name: str, record: Mapping[str, Any], baselines: list[str]) -> tuple[object, ...]:
    """A source of the held-out text: its size, and the bits that the model and the baselines need a character."""
    bits, others = compared(record, "bits_per_character")
    values = {other.label: f"{other.value:.2f}" for other in others}
    own = bits.written("{:.3f}".format)
    return (name, record["documents"], record["characters"], own, *(values.get(each, "") for each in baselines))


def compared(record: Mapping[str, Any], metric: str) -> tuple[Mark, list[Mark]]:
    """A metric of the language or a task, and those baselines that have it."""
    own = record["metrics"][metric] if "metrics" in record else record[metric]
    baselines = {name: figures[metric] for name, figures in record["baselines"].items() if metric in figures}
    return _mark("", own), [_mark(name, figure) for name, figure in baselines.items()]


def _mark(label: str, figure: Mapping[str, Any]) -> Mark:
    return Mark(label, figure["value"], figure.get("low"), figure.get("high"))


def _reading(own: Mark, others: list[Mark]) -> str:
    """In words: where the model's interval lies against that of the best baseline."""
    best = max(others, key=lambda other: other.value)
    if own.ends[0] > best.ends[1]:
        return f"above every baseline (best: {best.label})"
    if own.ends[1] < best.ends[0]:
        return f"below the baseline {best.label}"
    return f"{'above' if own.value > best.value else 'not above'} the baseline {best.label}; the intervals overlap"


def _all_figures(task: Mapping[str, Any]) -> dict[str, object]:
    return {
        f"{name}, {metric}" if name else metric: _mark("", figure).written("{:.4f}".format)
        for name, figures in {"": task["metrics"], **task["baselines"]}.items()
        for metric, figure in figures.items()
    }
