"""Plots as inline SVG: pure functions from numbers to a string, with the standard library alone.

``width`` is the width in CSS pixels for which text has its natural size: below ``WIDE`` the layout is that of a phone.
Every plot wants at least one value, and finite ones.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stage.canvas import COLOURS, INK, PAPER, SIZE, SMALL, SOFT, Canvas, Scale, colour, fit, text_width
from stage.numbers import bare, compact, digits, nice_ticks, percent, tick_texts

NARROW, WIDE, FULL = 344, 500, 1000
"""Widths to draw for: a phone, half and the whole of a desktop page."""

_SIGNS = "●■◆▲"  # tell marks apart without colour
_FEW = 40  # points that are marked with dots


@dataclass(frozen=True)
class Series:
    """A line of a line plot."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    """Index of the colour: 0 to 5."""
    faint: bool = False
    """Background of another series: pale, without a label, no part in the limits of y."""


@dataclass(frozen=True)
class Mark:
    """A value to compare with, and its interval if it has one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval, or the value twice."""
        return (self.value, self.value) if self.low is None or self.high is None else (self.low, self.high)

    def written(self, show: Callable[[float], str]) -> str:
        """Value and interval with ``show`` for the numbers."""
        low, high = self.ends
        interval = f"  [{show(low)} – {show(high)}]" if low < high else ""
        return f"{show(self.value)}{interval}".replace("\u00a0% –", " –")


@dataclass(frozen=True)
class Bar(Mark):
    """A row of a bar plot: its value, the interval around it, and the marks to compare it with."""

    marks: tuple[Mark, ...] = ()
    colour: int = 0
    faint: bool = False
    """Pale: a row that is there to compare with."""


def smooth(values: Sequence[float], reach: int) -> list[float]:
    """Moving average over ``reach`` values to either side, fewer at the start, where a curve falls steeply."""
    reaches = [min(reach, index) for index in range(len(values))]
    spans = (values[index - near : index + near + 1] for index, near in enumerate(reaches))
    return [sum(span) / len(span) for span in spans]


def line_plot(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "",
    references: Sequence[Mark] = (),
    y_low: float | None = None,
    y_high: float | None = None,
    width: int = WIDE,
    height: int = 0,
) -> str:
    """Lines over an axis of numbers, labelled at their ends, with dotted reference lines; few points get dots.

    What lies beyond ``y_low`` and ``y_high`` is clipped. Long series are thinned to what the eye can part.
    """
    drawn = [(entry, _points(entry, width)) for entry in series]
    named = [(entry, points[-1][1]) for entry, points in drawn if entry.label and not entry.faint]
    ys = [y for entry, points in drawn if not entry.faint for _, y in points] + [mark.value for mark in references]
    low, high = min(ys) if y_low is None else y_low, max(ys) if y_high is None else y_high
    margin = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    low, high = low - margin * (y_low is None), high + margin * (y_high is None or high <= low)
    ends = max((text_width(entry.label) + 10 for entry, _ in named), default=8.0)
    out = Canvas(width, height or (230 if width < WIDE else 300 if width < FULL else 340), title)
    xs = [x for _, points in drawn for x, _ in points]
    place_x, place_y = _axes(out, (min(xs), max(xs)), (low, high), width - ends, x_label, y_label)
    left, right, top, bottom = place_x.start, place_x.stop, place_y.stop, place_y.start
    out.open_clip(left - 3, top - 3, right - left + 6, bottom - top + 6)
    curve = []
    for entry, points in drawn:
        placed = [(place_x(x), place_y(y)) for x, y in points]
        curve += placed
        out.path(placed, colour(entry.colour), entry.faint)
        if len(points) <= _FEW and not entry.faint:
            for (x, y), (at, value) in zip(placed, points, strict=True):
                hint = f"{entry.label} {compact(at)}: {digits(value)}"
                out.add("circle", "", hint, cx=x, cy=y, r=3, fill=colour(entry.colour), stroke=PAPER)
    out.close_clip()
    for mark in references:
        if low <= mark.value <= high:
            y, wide = place_y(mark.value), text_width(mark.label)
            out.line(left, y, right, y, INK, dash="2 4")
            # the label stands at that end and side of the line which the fewest points of the curves cross
            places = [(x, base) for base in (y - 5, y + 13) for x in (right - 4 - wide, left + 6)]
            crossed = [
                sum(x - 6 <= at <= x + wide + 6 and base - 12 <= height <= base + 3 for at, height in curve)
                for x, base in places
            ]
            out.text(*places[crossed.index(min(crossed))], mark.label, size=SMALL, halo=True)
    named.sort(key=lambda end: -end[1])
    for y, (entry, _) in zip(_spread([place_y(y) for _, y in named], top, bottom), named, strict=True):
        out.text(right + 8, y + 4, entry.label, fill=colour(entry.colour))
    return out.render()


def bar_plot(
    bars: Sequence[Bar],
    *,
    title: str,
    show: Callable[[float], str] = compact,
    limit: float | None = None,
    axis: bool = True,
    width: int = WIDE,
) -> str:
    """Horizontal bars from zero with intervals as whiskers and marks to compare with; each row also says its figures.

    ``limit`` is the right end of the axis (default: the largest value); ``show`` writes a number.
    """
    reach = max(value for bar in bars for entry in (bar, *bar.marks) for value in (0.0, entry.value, *entry.ends))
    labels = min(max(text_width(bar.label) for bar in bars), width * 0.3)
    figures = max(text_width(bar.written(show)) for bar in bars)
    beside = width >= WIDE and labels + figures < width / 2  # else label and figures stand above the bar
    left, right = (labels + 14, width - figures - 12) if beside else (0.0, width - 1.0)
    scale = Scale(0, limit or reach * 1.02 or 1.0, left, right)
    order = list(dict.fromkeys(mark.label for bar in bars for mark in bar.marks))
    row = (30 if beside else 44) + (34 if order else 0)
    out = Canvas(width, row * len(bars) + (20 if axis else 0) + 2, title)

    def place(value: float) -> float:
        return min(max(scale(value), left), right)

    def whisker(entry: Mark, y: float, stroke: str, half: float, thick: float) -> None:
        low, high = map(place, entry.ends)
        if low < high:
            for x1, y1, x2, y2 in ((low, y, high, y), (low, y - half, low, y + half), (high, y - half, high, y + half)):
                out.line(x1, y1, x2, y2, stroke, thick)

    for tick in scale.ticks(5 if beside else 4) if axis else ():
        out.line(place(tick), 0, place(tick), out.height - 18)
        out.tick(place(tick), out.height - 4, bare(show(tick)))
    for index, bar in enumerate(bars):
        top = index * row + (7 if beside else 22) + (9 if order else 0)
        text = bar.written(show)
        base = top + 12 if beside else top - (16 if order else 7)
        out.text(0, base, fit(bar.label, left - 10 if beside else width - text_width(text) - 10), halo=not beside)
        out.text(width, base, text, "end", halo=not beside)
        out.bar(left, top, place(bar.value) - left, 16, colour(bar.colour), f"{bar.label}: {text}", bar.faint)
        whisker(bar, top + 8, PAPER, 0, 4)  # a light edge keeps the whisker visible on the bar
        whisker(bar, top + 8, INK, 4, 1.5)
        x = left
        for mark in bar.marks:
            slot, at = order.index(mark.label), place(mark.value)
            sign, fill = _SIGNS[slot % len(_SIGNS)], colour(slot + 1)
            # signs stand above and below the bar by turns, so that neighbours do not cover each other
            y = top + (21 if slot % 2 else -5)
            out.line(at, top - 3, at, top + 17, PAPER, 4)
            out.line(at, top - 3, at, top + 17, fill, 2)
            whisker(mark, y, fill, 2.5, 1)
            hint = f"{mark.label}: {mark.written(show)}"
            out.add("text", sign, hint, x=at, y=y + 3.5, text_anchor="middle", fill=fill, font_size=10)
            legend = f"{mark.label} {show(mark.value)}"
            out.text(x + 5, top + 38, sign, "middle", fill, 10)
            out.text(x + 14, top + 38, legend, fill=SOFT, size=SMALL, halo=True)
            x += 26 + text_width(legend) * SMALL / SIZE
    return out.render()


def histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    title: str,
    x_label: str = "",
    marks: Sequence[Mark] = (),
    log: bool = True,
    width: int = WIDE,
) -> str:
    """Vertical bars over bins, ``edges`` being one longer than ``counts`` (positive where the axis is logarithmic).

    ``marks`` are dashed vertical lines, such as thresholds; what lies beyond the axis is drawn at its end.
    """
    out = Canvas(width, 190 if width < WIDE else 240, title)
    place_x, place_y = _axes(out, (edges[0], edges[-1]), (0, max(*counts, 1)), width - 8, x_label, log=log)
    for (start, stop), count in zip(pairwise(edges), counts, strict=True):
        x, y, hint = place_x(start), place_y(count), f"{compact(start)} – {compact(stop)}: {count:,}"
        out.bar(x + 0.5, y, place_x(stop) - x - 1, place_y(0) - y, colour(0), hint)
    for row, mark in enumerate(marks):
        x, wide = place_x(min(max(mark.value, edges[0]), edges[-1])), text_width(mark.label) * SMALL / SIZE
        out.line(x, place_y.stop, x, place_y.start, INK, dash="4 3")
        beside = x + 5 if x + 5 + wide < width else x - 5 - wide
        out.text(beside, place_y.stop + 10 + 14 * row, mark.label, size=SMALL, halo=True)
    return out.render()


def share_bar(
    parts: Sequence[tuple[str, float]], *, title: str, show: Callable[[float], str] = compact, width: int = WIDE
) -> str:
    """One bar cut into shares of a whole, with a legend that gives each part's value and percentage."""
    whole = sum(value for _, value in parts) or 1.0
    columns = 1 if width < WIDE else 2 if width < FULL else 4
    rows = math.ceil(len(parts) / columns)
    out = Canvas(width, 36 + rows * 21, title)
    x, room = 0.0, width / columns - (18 if columns > 1 else 0)
    for index, (label, value) in enumerate(parts):
        fill, faint, wide = colour(index), index >= len(COLOURS), value / whole * width
        figures = f"{show(value)} · {percent(value / whole)}"
        out.bar(x, 0, max(wide - 1.5, 0.8), 24, fill, f"{label}: {figures}", faint)
        x += wide
        at, y = index // rows * width / columns, 46 + index % rows * 21
        out.bar(at, y - 9, 10, 10, fill, faint=faint)
        out.text(at + 16, y, fit(label, room - text_width(figures) - 26))
        out.text(at + room, y, figures, "end", SOFT)
    return out.render()


def _axes(
    out: Canvas,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    right: float,
    x_label: str,
    y_label: str = "",
    log: bool = False,
) -> tuple[Scale, Scale]:
    """Draw the ground of a plot up to ``right``: grid, ticks and names of the axes; returns the places of x and y."""
    ticks = nice_ticks(*y_range, 5)
    texts = tick_texts(ticks)
    left = 8 + max(map(text_width, texts), default=0)
    bottom = out.height - (36 if x_label else 22)
    place_x = Scale(*x_range, left, right, log)
    place_y = Scale(*y_range, bottom, 24 if y_label else 10)
    for tick, text in zip(ticks, texts, strict=True):
        out.line(left, place_y(tick), right, place_y(tick))
        out.text(left - 6, place_y(tick) + 4, text, "end", SOFT)
    out.line(left, bottom, right, bottom, SOFT)
    for tick in place_x.ticks(max(2, int((right - left) / 70))):
        out.line(place_x(tick), bottom, place_x(tick), bottom + 4, SOFT)
        out.tick(place_x(tick), bottom + 17, compact(tick))
    if x_label:
        out.text(right, out.height - 3, x_label, "end", SOFT)
    if y_label:
        out.text(0, 12, y_label, fill=SOFT)
    return place_x, place_y


def _points(series: Series, limit: int) -> list[tuple[float, float]]:
    """The points, at most ``limit``: further ones are averaged in neighbouring groups, the first and the last kept."""
    pairs = list(zip(series.x, series.y, strict=True))
    if len(pairs) <= limit:
        return pairs
    size = math.ceil(len(pairs) / limit)
    groups = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    means = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    return [pairs[0], *means[1:-1], pairs[-1]]


def _spread(wished: Sequence[float], top: float, bottom: float, gap: float = SIZE + 3) -> list[float]:
    """Ascending places at least ``gap`` apart, as near to the wished ones as pushing down and then up makes them."""
    placed: list[float] = []
    for y in wished:
        placed.append(max(y, placed[-1] + gap if placed else top))
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], bottom - gap * (len(placed) - 1 - index))
    return placed
