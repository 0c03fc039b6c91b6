"""The training in a report: its curves, whether they are as they should be, and how the text grew."""

from functools import partial
from pathlib import Path
from typing import Any

from scripts.curves import measured, nearest_curve, verdict
from scripts.report_evaluation import compared
from scripts.run_folder import Run
from stage.numbers import compact
from stage.page import Page
from stage.plots import Mark, Series, line_plot, smooth

_CURVES = (
    "The thin line is what was logged, the strong one its moving average; the first steps may lie above the picture."
)
_CURVES_IN_BITS = (
    " Losses are turned into bits by the characters per token of their texts. The held-out curve is taken on a part of that text,"
    " in windows that do not overlap: jgpt eval gives the exact figure."
)
_SMALL = (
    ("learning_rate", 1, "Learning rate", "学習率", ""),
    ("grad_norm", 1, "Length of the gradient", "勾配ノルム", "before it is clipped"),
    ("skipped", 1, "Steps left out", "除外したステップ", "so far"),
    ("tokens_per_second", 1, "Speed", "速度", "tokens per second"),
    ("share_of_peak", 100, "Use of the machine", "演算性能の利用率", "% of its fastest matrix product"),
)
_MOST_TEXTS = 6  # of how a text grew


def training(page: Page, run: Run, metrics: list[dict[str, Any]], results: dict[str, Any] | None) -> None:
    """The section of a page about ``metrics.jsonl``."""
    page.section("Training", "学習")
    if "model" in run.missing:
        page.note("Training has not finished; the curves show what there is so far.")
    train = [line for line in metrics if line.get("loss") is not None]
    valid = [line for line in metrics if "valid_loss" in line]
    keys = ("bits_per_character", "valid_bits_per_character")
    in_bits = all(line.get(key) is not None for lines, key in zip((train, valid), keys, strict=True) for line in lines)
    train_key, valid_key = keys if in_bits else ("loss", "valid_loss")
    steps, losses = [line["step"] for line in train], [line[train_key] for line in train]
    smoothed = smooth(losses, min(15, len(losses) // 20))
    held_out = [line[valid_key] for line in valid]
    curves = [
        Series("", steps, losses, faint=True),
        Series("train", steps, smoothed),
        Series("held out", [line["step"] for line in valid], held_out, colour=1),
    ]
    references = []
    if results and "language" in results and in_bits:
        _, others = compared(results["language"], "bits_per_character")
        known = [other for other in others if other.label in ("5-gram", "xz")]
        references = [Mark(f"{other.label}: {other.value:.2f}", other.value) for other in known]
    top = None
    if len(train) >= 20:  # leave out the fall of the first steps, which would flatten the rest
        later = [loss for step, loss in zip(steps, smoothed, strict=True) if step >= steps[-1] * 0.03]
        top = max([*later, *held_out[1:], *(reference.value for reference in references)]) * 1.03
    if shown := [curve for curve in curves if curve.x]:
        unit = "bits per character" if in_bits else "nats per token"
        draw = partial(line_plot, shown, x_label="step", y_label=unit, references=references, y_high=top)
        page.figure(draw, "Loss", "損失", _CURVES + _CURVES_IN_BITS * in_bits, wide=True)
    _beside_reference(page, run, valid)
    _by_source(page, valid)
    for key, factor, heading, japanese, unit in _SMALL:
        told = [(line["step"], line[key] * factor) for line in metrics if line.get(key) is not None]
        if len(told) > 1 and any(value for _, value in told):
            draw = partial(line_plot, [_series("", told)], x_label="step", y_label=unit, y_low=0.0, height=190)
            page.figure(draw, heading, japanese)


def growth(page: Page, texts: list[dict[str, Any]]) -> None:
    """How the text after the first prompt of ``samples.jsonl`` grew with training."""
    texts = [text for text in texts if text["prompt"] == texts[0]["prompt"]]
    if len(texts) > 1:
        page.paragraph("What it wrote while it learned, with the same random numbers each time.")
        last, count = len(texts) - 1, min(len(texts), _MOST_TEXTS)
        for text in (texts[round(number * last / (count - 1))] for number in range(count)):
            page.sample(text["prompt"], text["text"], f"after {text['step']:,} steps, {compact(text['tokens'])} tokens")


def _beside_reference(page: Page, run: Run, valid: list[dict[str, Any]]) -> None:
    """ "Is my curve normal?": the held-out curve before those of the shipped recipe whose text is most like its own."""
    own, text = measured(valid), run.counts("shards")
    curve = nearest_curve(text)
    if curve is None or not own:
        return
    page.paragraph(f"Is this curve normal? {verdict(own, curve, text)}")
    begun = 0.03 * own[-1].tokens
    shown = [point.bits for points in (own, *curve.runs) for point in points if point.tokens >= begun]
    for unit, factor, heading, japanese in (
        ("tokens", 1, "Held-out text, by tokens", "トークン数と損失"),
        ("seconds", 1 / 60, "Held-out text, by time", "時間と損失"),
    ):
        ours, *theirs = ([(getattr(point, unit) * factor, point.bits) for point in run] for run in (own, *curve.runs))
        draw = partial(
            line_plot,
            [
                *(_series("", points, 5) for points in theirs[1:]),
                _series("reference", theirs[0], 5),
                _series("this run", ours, 1),
            ],
            x_label=unit if factor == 1 else "minutes",
            y_label="bits per character",
            y_low=0.98 * min(shown),
            y_high=1.02 * max(shown),
        )
        page.figure(draw, heading, japanese)


def _by_source(page: Page, valid: list[dict[str, Any]]) -> None:
    """The held-out texts of several sources, each by itself."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in valid:
        for source, figures in line.get("by_source", {}).items():
            if figures["valid_bits_per_character"] is not None:
                curves.setdefault(source, []).append((line["step"], figures["valid_bits_per_character"]))
    if curves:
        series = [_series(Path(source).name, points, number) for number, (source, points) in enumerate(curves.items())]
        draw = partial(line_plot, series, x_label="step", y_label="bits per character")
        page.figure(draw, "Held-out text, by source", "出典別の損失", wide=True)


def _series(label: str, points: list[tuple[float, float]], colour: int = 0) -> Series:
    return Series(label, [x for x, _ in points], [y for _, y in points], colour)
