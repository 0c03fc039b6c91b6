"""Plots as inline SVG: pure functions from numbers to a string, with the standard library alone.

Every picture scales to the width of its place (``viewBox``) and takes its colours from CSS variables (``--plot-1`` to
``--plot-6``, ``--ink``, ``--soft``, ``--rule``, ``--paper``), so a page can set them for light and dark; each variable has a fallback.
``width`` is the width in CSS pixels for which text has its natural size: below ``WIDE`` the layout is that of a phone.
Values that are not finite are left out; a picture with nothing to draw says so.
"""

import html
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

NARROW, WIDE, FULL = 344, 500, 1000
"""Widths to draw for: a phone, half and the whole of a desktop page."""

_SIZE = 12  # of text
_SMALL = 11
_COLOURS = ("#1f5f8b", "#c8442b", "#3c7a52", "#a8760a", "#7459a6", "#6d737a")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Series:
    """A line of a line plot."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    """Index of the colour: 0 to 5."""
    faint: bool = False
    """Background of another series: pale, not in the legend, no part in the limits of y."""
    dots: bool = False
    """Mark every point (for few points)."""


@dataclass(frozen=True)
class Mark:
    """A value to compare with, and its interval if it has one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Bar:
    """A row of a bar plot: its value, the interval around it, and the marks to compare it with."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    marks: tuple[Mark, ...] = ()
    colour: int = 0
    faint: bool = False
    """Pale: a row that is there to compare with."""


def escape(text: object) -> str:
    """Text for HTML and XML: markup escaped (quotes too), characters that XML forbids and lone surrogates as U+FFFD."""
    return html.escape(_NOT_XML.sub("\ufffd", str(text)), quote=True)


def compact(value: float) -> str:
    """A number in three digits or so: 950, 31.1 k, 1.45 M; — when it is not finite."""
    if not math.isfinite(value):
        return "—"
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit * 0.9995:
            return f"{_digits(value / (1e3 if unit == 'k' else limit))}\u00a0{unit}"
    return f"{value:,.0f}" if value == int(value) else _digits(value)


def duration(seconds: float) -> str:
    """Seconds for people: 0.4 s, 48 s, 3 min 05 s, 2 h 10 min."""
    if not math.isfinite(seconds):
        return "—"
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}\u00a0s"
    if whole < 3600:
        return f"{whole // 60}\u00a0min {whole % 60:02}\u00a0s"
    return f"{round(whole / 60) // 60}\u00a0h {round(whole / 60) % 60:02}\u00a0min"


def percent(share: float) -> str:
    """A share of one: 34.2 %; small ones in two digits, 0.012 %."""
    if not math.isfinite(share):
        return "—"
    return f"{100 * share:.2g}\u00a0%" if 0 < abs(share) < 0.0005 else f"{100 * share:.1f}\u00a0%"


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers (1, 2, 2.5 or 5 times a power of ten) from ``low`` to ``high``, both inclusive."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers for a logarithmic axis: 1, 2 and 5 times the powers of ten if they are few, else the powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) <= count:
            return ticks
    return ticks[:: math.ceil(len(ticks) / count)]


def smooth(values: Sequence[float], reach: int) -> list[float]:
    """Moving average over ``reach`` values to either side, fewer at the start, where a curve falls steeply.

    Values that are not finite do not enter it.
    """
    sums, counts = [0.0], [0]
    for value in values:
        finite = math.isfinite(value)
        sums.append(sums[-1] + (value if finite else 0.0))
        counts.append(counts[-1] + finite)
    out = []
    for index in range(len(values)):
        side = min(reach, index)
        start, stop = index - side, min(index + side + 1, len(values))
        count = counts[stop] - counts[start]
        out.append((sums[stop] - sums[start]) / count if count else math.nan)
    return out


def line_plot(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "",
    references: Sequence[Mark] = (),
    log_x: bool = False,
    y_limits: tuple[float | None, float | None] = (None, None),
    width: int = WIDE,
    height: int | None = None,
) -> str:
    """Lines over an axis of numbers, labelled at their ends (wide) or in a legend (narrow), with dashed reference lines.

    What ``y_limits`` cut off is clipped. Long series are thinned to what the eye can part.
    """
    drawn = [(entry, _points(entry, log_x, limit=width)) for entry in series]
    drawn = [(entry, points) for entry, points in drawn if points]
    references = [mark for mark in references if math.isfinite(mark.value)]
    height = height or (230 if width < WIDE else 300 if width < FULL else 340)
    if not drawn:
        return _nothing(title, width)
    xs = [x for _, points in drawn for x, _ in points]
    strong = [pair for pair in drawn if not pair[0].faint] or drawn
    ys = [y for _, points in strong for _, y in points] + [mark.value for mark in references]
    y_low, y_high = _limits(ys, y_limits)
    x_low, x_high = _span(min(xs), max(xs), log_x)
    y_ticks = nice_ticks(y_low, y_high, 5)
    tick_texts = _tick_texts(y_ticks)
    legend = [entry for entry, _ in drawn if entry.label and not entry.faint]
    at_ends = width >= WIDE and 0 < len(legend) <= 4
    left = 8 + max((_text_width(text) for text in tick_texts), default=0)
    right = width - (10 + max(_text_width(entry.label) for entry in legend) if at_ends else 8)
    out = _Canvas(width, height, title)
    top = 24.0 if y_label else 10.0
    if y_label:
        out.text(0, 12, y_label, soft=True)
    if legend and not at_ends:
        top = out.legend([(entry.label, entry.colour) for entry in legend], top) + 8
    bottom = height - (36 if x_label else 22)

    def place_x(value: float) -> float:
        at = math.log(value / x_low) / math.log(x_high / x_low) if log_x else (value - x_low) / (x_high - x_low)
        return left + at * (right - left)

    def place_y(value: float) -> float:
        return bottom - (value - y_low) / (y_high - y_low) * (bottom - top)

    for tick, text in zip(y_ticks, tick_texts, strict=True):
        out.line(left, place_y(tick), right, place_y(tick))
        out.text(left - 6, place_y(tick) + 4, text, anchor="end", soft=True)
    room = max(2, int((right - left) / 70))
    x_ticks = log_ticks(x_low, x_high, room) if log_x else nice_ticks(x_low, x_high, room)
    out.line(left, bottom, right, bottom, colour=_var("soft"))
    for tick in x_ticks:
        out.line(place_x(tick), bottom, place_x(tick), bottom + 4, colour=_var("soft"))
        text = compact(tick)
        half = _text_width(text) / 2
        out.text(min(max(place_x(tick), half), width - half), bottom + 17, text, anchor="middle", soft=True)
    if x_label:
        out.text(right, height - 3, x_label, anchor="end", soft=True)
    out.open_clip(left - 3, top - 3, right - left + 6, bottom - top + 6)
    for entry, points in drawn:
        placed = [(place_x(x), place_y(y)) for x, y in points]
        out.path(placed, _colour(entry.colour), faint=entry.faint)
        if entry.dots or len(points) == 1:
            for (x, y), (at, value) in zip(placed, points, strict=True):
                out.dot(x, y, _colour(entry.colour), f"{entry.label} {compact(at)}: {_digits(value)}")
    out.close_clip()
    curve = [(place_x(x), place_y(y)) for _, points in drawn for x, y in points]
    for mark in references:
        if y_low <= mark.value <= y_high:
            y = place_y(mark.value)
            out.line(left, y, right, y, colour=_var("ink"), dash="2 4")
            out.text(*_free_place(curve, _text_width(mark.label), left + 6, right - 4, y), mark.label, small=True)
    if at_ends:
        ends = [(place_y(points[-1][1]), entry) for entry, points in drawn if entry in legend]
        ends.sort(key=lambda end: end[0])
        for y, (_, entry) in zip(_spread([y for y, _ in ends], _SIZE + 3, top, bottom), ends, strict=True):
            out.text(right + 8, y + 4, entry.label, colour=_colour(entry.colour))
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
    bars = [bar for bar in bars if math.isfinite(bar.value)]
    if not bars:
        return _nothing(title, width)
    reach = [0.0]
    entries: list[Bar | Mark] = [*bars, *(mark for bar in bars for mark in bar.marks)]
    for entry in entries:
        reach += [value for value in (entry.value, entry.high) if value is not None and math.isfinite(value)]
    end = limit or max(reach) * 1.02 or 1.0
    labels = max(_text_width(bar.label) for bar in bars)
    values = max(_text_width(_interval(bar, show)) for bar in bars)
    beside = width >= WIDE and min(labels, width * 0.3) + values < width / 2  # else label and value above the bar
    left = min(labels, width * 0.3) + 14 if beside else 0.0
    right = width - (values + 12 if beside else 1.0)
    order = list(dict.fromkeys(mark.label for bar in bars for mark in bar.marks))
    marked = bool(order)
    row = (30.0 if beside else 44.0) + (34 if marked else 0)
    height = row * len(bars) + (20 if axis else 0) + 2
    out = _Canvas(width, height, title)

    def place(value: float) -> float:
        return left + min(max(value / end, 0.0), 1.0) * (right - left)

    if axis:
        for tick in nice_ticks(0, end, 5 if beside else 4):
            out.line(place(tick), 0, place(tick), height - 18)
            text = _bare(show(tick))
            half = _text_width(text) / 2
            out.text(min(max(place(tick), half), width - half), height - 4, text, anchor="middle", soft=True)
    for index, bar in enumerate(bars):
        top = index * row + (7 if beside else 22) + (9 if marked else 0)
        middle = top + 8
        if beside:
            out.text(0, middle + 4, _fit(bar.label, left - 10))
            out.text(width, middle + 4, _interval(bar, show), anchor="end")
        else:
            value = _interval(bar, show)
            above = top - (16 if marked else 7)
            out.text(0, above, _fit(bar.label, width - _text_width(value) - 10), halo=True)
            out.text(width, above, value, anchor="end", halo=True)
        hint = f"{bar.label}: {_interval(bar, show)}"
        out.bar(left, top, place(bar.value) - left, 16, _colour(bar.colour), hint, faint=bar.faint)
        out.whisker(bar.low, bar.high, middle, place, _var("ink"))
        for mark in bar.marks:
            if math.isfinite(mark.value):
                slot = order.index(mark.label)
                out.mark(place(mark.value), top, slot, f"{mark.label}: {_interval(mark, show)}")
                out.whisker(mark.low, mark.high, _sign_height(top, slot), place, _colour(slot + 1), thin=True)
        if bar.marks:
            out.mark_legend(
                [(mark.label, show(mark.value), order.index(mark.label)) for mark in bar.marks],
                left,
                top + 38,
            )
    return out.render()


def histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    title: str,
    x_label: str = "",
    log_x: bool = False,
    width: int = WIDE,
) -> str:
    """Vertical bars over bins: ``edges`` is one longer than ``counts``; ``log_x`` for edges in a geometric row."""
    height = 190 if width < WIDE else 240
    if not counts or len(edges) != len(counts) + 1 or not any(counts):
        return _nothing(title, width)
    ticks = nice_ticks(0, max(counts), 4)
    left = 8 + max(_text_width(compact(tick)) for tick in ticks)
    right, top, bottom = width - 8.0, 10.0, height - (36.0 if x_label else 22.0)
    low, high = _span(edges[0], edges[-1], log_x)
    out = _Canvas(width, height, title)

    def place(value: float) -> float:
        at = math.log(value / low) / math.log(high / low) if log_x else (value - low) / (high - low)
        return left + at * (right - left)

    for tick in ticks:
        y = bottom - tick / max(counts) * (bottom - top)
        out.line(left, y, right, y)
        out.text(left - 6, y + 4, compact(tick), anchor="end", soft=True)
    for start, stop, count in zip(edges, edges[1:], counts, strict=False):
        tall = count / max(counts) * (bottom - top)
        out.bar(
            place(start) + 0.5,
            bottom - tall,
            place(stop) - place(start) - 1,
            tall,
            _colour(0),
            f"{compact(start)} – {compact(stop)}: {count:,}",
        )
    out.line(left, bottom, right, bottom, colour=_var("soft"))
    room = max(2, int((right - left) / 70))
    for tick in log_ticks(low, high, room) if log_x else nice_ticks(low, high, room):
        out.line(place(tick), bottom, place(tick), bottom + 4, colour=_var("soft"))
        half = _text_width(compact(tick)) / 2
        out.text(min(place(tick), width - half), bottom + 17, compact(tick), anchor="middle", soft=True)
    if x_label:
        out.text(right, height - 3, x_label, anchor="end", soft=True)
    return out.render()


def share_bar(
    parts: Sequence[tuple[str, float]],
    *,
    title: str,
    show: Callable[[float], str] = compact,
    width: int = WIDE,
) -> str:
    """One bar cut into shares of a whole, with a legend that gives each part's value and percentage."""
    parts = [(label, value) for label, value in parts if math.isfinite(value) and value > 0]
    whole = sum(value for _, value in parts)
    if not parts:
        return _nothing(title, width)
    columns = 1 if width < WIDE else 2 if width < FULL else 4
    rows = math.ceil(len(parts) / columns)
    out = _Canvas(width, 36 + rows * 21, title)
    x = 0.0
    for index, (label, value) in enumerate(parts):
        wide = value / whole * width
        text = f"{label}: {show(value)}, {percent(value / whole)}"
        out.bar(x, 0, max(wide - 1.5, 0.8), 24, _colour(index), text, faint=index >= len(_COLOURS))
        x += wide
        column, line = index // rows, index % rows
        at, y = column * width / columns, 46 + line * 21
        room = width / columns - 18
        out.square(at, y - 9, _colour(index), faint=index >= len(_COLOURS))
        figures = f"{show(value)} · {percent(value / whole)}"
        out.text(at + 16, y, _fit(label, room - _text_width(figures) - 8))
        out.text(at + room + (18 if columns == 1 else 0), y, figures, anchor="end", soft=True)
    return out.render()


class _Canvas:
    """Collects the elements of one picture; coordinates in CSS pixels, written with a tenth."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []

    def render(self) -> str:
        name = escape(self.title)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(self.width)} {_n(self.height)}" role="img" '
            f'aria-label="{name}" font-size="{_SIZE}" style="width:100%;height:auto;display:block">'
        )
        return f"{head}<title>{name}</title>{''.join(self.parts)}</svg>"

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = "", dash: str = "", thick: float = 1
    ) -> None:
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{colour or _var("rule")}" stroke-width="{_n(thick)}"{dashes}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "start",
        soft: bool = False,
        small: bool = False,
        colour: str = "",
        halo: bool = False,
    ) -> None:
        fill = colour or _var("soft" if soft else "ink")
        more = f' text-anchor="{anchor}"' if anchor != "start" else ""
        more += f' font-size="{_SMALL}"' if small else ""
        if halo or small:
            more += f' paint-order="stroke" stroke="{_var("paper")}" stroke-width="4" stroke-linejoin="round"'
        self.parts.append(f'<text x="{_n(x)}" y="{_n(y)}" fill="{fill}"{more}>{escape(text)}</text>')

    def bar(self, x: float, y: float, wide: float, tall: float, colour: str, hint: str, faint: bool = False) -> None:
        more = ' fill-opacity="0.45"' if faint else ""
        self.parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(wide, 0.5))}" height="{_n(max(tall, 0))}" rx="2" fill="{colour}"{more}>'
            f"<title>{escape(hint)}</title></rect>"
        )

    def square(self, x: float, y: float, colour: str, faint: bool = False) -> None:
        more = ' fill-opacity="0.45"' if faint else ""
        self.parts.append(f'<rect x="{_n(x)}" y="{_n(y)}" width="10" height="10" rx="2" fill="{colour}"{more}/>')

    def dot(self, x: float, y: float, colour: str, hint: str) -> None:
        self.parts.append(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="3" fill="{colour}" stroke="{_var("paper")}"><title>{escape(hint)}</title></circle>'
        )

    def path(self, points: Sequence[tuple[float, float]], colour: str, faint: bool) -> None:
        commands = "".join(f"{'L' if index else 'M'}{_n(x)} {_n(y)}" for index, (x, y) in enumerate(points))
        more = 'stroke-width="1" stroke-opacity="0.35"' if faint else 'stroke-width="2"'
        self.parts.append(
            f'<path d="{commands}" fill="none" stroke="{colour}" {more} stroke-linejoin="round" stroke-linecap="round"/>'
        )

    def whisker(
        self,
        low: float | None,
        high: float | None,
        y: float,
        place: Callable[[float], float],
        colour: str,
        thin: bool = False,
    ) -> None:
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
            return
        half, thick = (2.5, 1.0) if thin else (4.0, 1.5)
        if not thin:  # a light edge keeps the whisker visible on the bar
            self.line(place(low), y, place(high), y, colour=_var("paper"), thick=4)
        self.line(place(low), y, place(high), y, colour=colour, thick=thick)
        for value in (low, high):
            self.line(place(value), y - half, place(value), y + half, colour=colour, thick=thick)

    def mark(self, x: float, top: float, slot: int, hint: str) -> None:
        """A tick across the bar with a sign at its end, whose shape tells the marks apart without colour."""
        colour = _colour(slot + 1)
        self.line(x, top - 3, x, top + 17, colour=_var("paper"), thick=4)
        self.line(x, top - 3, x, top + 17, colour=colour, thick=2)
        self.parts.append(f"<g>{_sign(x, _sign_height(top, slot), slot)}<title>{escape(hint)}</title></g>")

    def mark_legend(self, entries: Iterable[tuple[str, str, int]], x: float, y: float) -> None:
        for label, value, slot in entries:
            self.parts.append(_sign(x + 5, y - 4, slot))
            self.text(x + 14, y, f"{label} {value}", soft=True, small=True)
            x += 14 + _text_width(f"{label} {value}") * _SMALL / _SIZE + 12

    def legend(self, entries: Sequence[tuple[str, int]], y: float) -> float:
        """Coloured strokes with labels in rows from ``y`` downwards; returns the lower end."""
        x, y = 0.0, y + 10
        for label, colour in entries:
            wide = 20 + _text_width(label)
            if x and x + wide > self.width:
                x, y = 0.0, y + 18
            self.line(x, y - 4, x + 14, y - 4, colour=_colour(colour), thick=3)
            self.text(x + 20, y, label)
            x += wide + 16
        return y

    def open_clip(self, x: float, y: float, wide: float, tall: float) -> None:
        box = f"{_n(x)} {_n(y)} {_n(wide)} {_n(tall)}"
        self.parts.append(
            f'<svg x="{_n(x)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(tall)}" viewBox="{box}" overflow="hidden">'
        )

    def close_clip(self) -> None:
        self.parts.append("</svg>")


def _sign(x: float, y: float, slot: int) -> str:
    shapes = (
        f'<circle cx="{_n(x)}" cy="{_n(y)}" r="3.5" fill="{_colour(slot + 1)}"/>',
        f'<rect x="{_n(x - 3.2)}" y="{_n(y - 3.2)}" width="6.4" height="6.4" fill="{_colour(slot + 1)}"/>',
        f'<path d="M{_n(x)} {_n(y - 4.5)}l4.5 4.5l-4.5 4.5l-4.5 -4.5z" fill="{_colour(slot + 1)}"/>',
        f'<path d="M{_n(x)} {_n(y - 4.5)}l4.5 8h-9z" fill="{_colour(slot + 1)}"/>',
    )
    return shapes[slot % len(shapes)]


def _sign_height(top: float, slot: int) -> float:
    """Signs stand above and below the bar by turns, so that neighbours (random, majority) do not cover each other."""
    return top + (21 if slot % 2 else -5)


def _free_place(
    curve: Sequence[tuple[float, float]], wide: float, left: float, right: float, y: float
) -> tuple[float, float]:
    """Where a label of a horizontal line at ``y`` stands: the end and side with the fewest points of the curves in it."""

    def hidden(place: tuple[float, float]) -> int:
        x, base = place
        return sum(x - 6 <= at <= x + wide + 6 and base - 12 <= height <= base + 3 for at, height in curve)

    return min(((x, base) for base in (y - 5, y + 13) for x in (right - wide, left)), key=hidden)


def _nothing(title: str, width: int) -> str:
    out = _Canvas(width, 48, title)
    out.text(width / 2, 28, "no figures to draw", anchor="middle", soft=True)
    return out.render()


def _points(series: Series, log_x: bool, limit: int) -> list[tuple[float, float]]:
    """The finite points, at most ``limit``: further ones are averaged in neighbouring groups, the last point kept."""
    pairs = [
        (x, y)
        for x, y in zip(series.x, series.y, strict=False)
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not log_x)
    ]
    if len(pairs) <= limit:
        return pairs
    size = math.ceil(len(pairs) / limit)
    groups = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    thinned = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    return [pairs[0], *thinned[1:-1], pairs[-1]]


def _limits(values: Sequence[float], wished: tuple[float | None, float | None]) -> tuple[float, float]:
    low = min(values) if wished[0] is None else wished[0]
    high = max(values) if wished[1] is None else wished[1]
    margin = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return low - (margin if wished[0] is None else 0), high + (margin if wished[1] is None or high <= low else 0)


def _span(low: float, high: float, log: bool) -> tuple[float, float]:
    if high > low:
        return low, high
    return (low / 2, low * 2) if log else (low - 0.5, high + 0.5)


def _spread(wished: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Ascending places at least ``gap`` apart, as near to the wished ones as pushing down and then up makes them."""
    placed: list[float] = []
    for y in wished:
        placed.append(max(y, placed[-1] + gap) if placed else max(y, top))
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], bottom if index == len(placed) - 1 else placed[index + 1] - gap)
    return placed


def _tick_texts(ticks: Sequence[float]) -> list[str]:
    """Ticks with as many decimals as the steps between them need; large ones in short form."""
    if len(ticks) < 2 or max(abs(tick) for tick in ticks) >= 1e4:
        return [_bare(compact(tick)) for tick in ticks]
    step = ticks[1] - ticks[0]
    if step < 1e-3:
        return [f"{tick:.3g}" for tick in ticks]
    decimals = next(count for count in range(5) if abs(step * 10**count - round(step * 10**count)) < 1e-6 or count == 4)
    return [f"{tick:,.{decimals}f}" if tick else "0" for tick in ticks]


def _bare(text: str) -> str:
    """A number without decimals that are zero."""
    return re.sub(r"\.0+(?!\d)", "", text)


def _interval(entry: Bar | Mark, show: Callable[[float], str]) -> str:
    if entry.low is None or entry.high is None or not (math.isfinite(entry.low) and math.isfinite(entry.high)):
        return show(entry.value)
    return f"{show(entry.value)}  [{show(entry.low)} – {show(entry.high)}]".replace("\u00a0% –", " –")


def _digits(value: float) -> str:
    """Three significant digits, no exponent for everyday sizes."""
    if value == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 6)}f}"


def _text_width(text: str) -> float:
    """Estimated width at the common size: ideographs and kana are one em wide, others a little over half."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return _SIZE * (wide + 0.57 * (len(text) - wide))


def _fit(text: str, room: float) -> str:
    if _text_width(text) <= room:
        return text
    while text and _text_width(text + "…") > room:
        text = text[:-1]
    return text + "…"


def _colour(index: int) -> str:
    return f"var(--plot-{index % len(_COLOURS) + 1},{_COLOURS[index % len(_COLOURS)]})"


def _var(name: str) -> str:
    return {
        "ink": "var(--ink,#222)",
        "soft": "var(--soft,#666)",
        "rule": "var(--rule,#ddd)",
        "paper": "var(--paper,#fff)",
    }[name]


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
