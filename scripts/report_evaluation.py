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
    if "language" in results:
        _language(page, results["language"])
    _tasks(page, results["tasks"])
    for name, reason in results.get("skipped", {}).items():
        page.note(f"{name}: left out; {reason}")


def _language(page: Page, language: Mapping[str, Any]) -> None:
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


def _tasks(page: Page, tasks: Mapping[str, Any]) -> None:
    charts: dict[str, list[Bar]] = defaultdict(list)
    readings = {}
    for name, task in tasks.items():
        metric = task["primary"]
        own, others = compared(task, metric)
        if own is None:
            readings[name] = "undefined: what the model predicts does not vary"
            continue
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
        for text in [
            *task["notes"],
            *(f"shares items with {leak['set']}: {leak['what']}" for leak in task.get("leaks", ())),
        ]:
            page.note(f"{name}: {text}")
    for name, task in tasks.items():
        page.details(f"{name}: every figure", _all_figures(task))
        if of := task.get("groups"):
            metric = task["primary"]
            named = list(next(iter(of.values()))["baselines"])
            rows = (
                (group, entry["items"], figure(entry[metric]), *(figure(entry["baselines"][other]) for other in named))
                for group, entry in of.items()
            )
            page.table((f"{name}: group", "Items", f"This model, {metric}", *named), rows)


def _source_row(name: str, record: Mapping[str, Any], baselines: list[str]) -> tuple[object, ...]:
    """A source of the held-out text: its size, and the bits that the model and the baselines need a character."""
    bits, others = compared(record, "bits_per_character")
    values = {other.label: f"{other.value:.2f}" for other in others}
    own = bits.written("{:.3f}".format)
    return (name, record["documents"], record["characters"], own, *(values.get(each, "") for each in baselines))


def compared(record: Mapping[str, Any], metric: str) -> tuple[Any, list[Mark]]:
    """A metric of the language or a task, None where it is undefined, and those baselines that have it."""
    own = record["metrics"][metric] if "metrics" in record else record[metric]
    baselines = {name: figures[metric] for name, figures in record["baselines"].items() if metric in figures}
    marks = [_mark(name, value) for name, value in baselines.items() if value["value"] is not None]
    return (None if own["value"] is None else _mark("", own)), marks


def _mark(label: str, figure: Mapping[str, Any]) -> Mark:
    return Mark(label, figure["value"], figure.get("low"), figure.get("high"))


def _reading(own: Mark, others: list[Mark]) -> str:
    """In words: where the model's interval lies against that of the best baseline."""
    if not others:
        return "there is no baseline"
    best = max(others, key=lambda other: other.value)
    if own.ends[0] > best.ends[1]:
        return f"above every baseline (best: {best.label})"
    if own.ends[1] < best.ends[0]:
        return f"below the baseline {best.label}"
    return f"{'above' if own.value > best.value else 'not above'} the baseline {best.label}; the intervals overlap"


def _all_figures(task: Mapping[str, Any]) -> dict[str, object]:
    return {
        f"{name}, {metric}" if name else metric: figure(value, 4)
        for name, figures in {"": task["metrics"], **task["baselines"]}.items()
        for metric, value in figures.items()
    } | {
        f"{entry['who']} ({entry['how']}, {entry['split']}), {metric}": entry[metric]
        for entry in task.get("published", ())
        for metric in task["metrics"]
        if metric in entry
    }


def figure(value: Mapping[str, Any], digits: int = 3) -> str:
    """A figure with its 95 % interval, where there is one."""
    return "undefined" if value["value"] is None else _mark("", value).written(f"{{:.{digits}f}}".format)
