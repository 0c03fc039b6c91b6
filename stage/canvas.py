"""The SVG canvas that plots are drawn on: elements, colours, the width of text, and places on an axis.

A picture scales to the width of its place (``viewBox``). Colours are variables of the page's CSS, which sets them for light and
dark: ``--plot-1`` to ``--plot-6``, ``--ink``, ``--soft``, ``--rule``, ``--paper``.
"""

import html
import math
import re
import unicodedata

from stage.numbers import log_ticks, nice_ticks

SIZE, SMALL = 12, 11  # of text
INK, SOFT, RULE, PAPER = "var(--ink)", "var(--soft)", "var(--rule)", "var(--paper)"
COLOURS = [f"var(--plot-{number})" for number in range(1, 7)]
_HALO = {"paint_order": "stroke", "stroke": PAPER, "stroke_width": "4", "stroke_linejoin": "round"}
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def escape(text: object) -> str:
    """Text for HTML and XML: markup escaped (quotes too), characters that XML forbids and lone surrogates as U+FFFD."""
    return html.escape(_NOT_XML.sub("\ufffd", str(text)), quote=True)


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def text_width(text: str) -> float:
    """Estimated width at the common size: ideographs and kana are one em wide, others a little over half."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return SIZE * (wide + 0.57 * (len(text) - wide))


def fit(text: str, room: float) -> str:
    """The text, or its beginning and … if it is wider than ``room``."""
    if text_width(text) <= room:
        return text
    while text and text_width(text + "…") > room:
        text = text[:-1]
    return text + "…"


class Scale:
    """Places values from ``low`` at ``start`` to ``high`` at ``stop`` (in pixels); ``log`` for a logarithmic axis."""

    def __init__(self, low: float, high: float, start: float, stop: float, log: bool = False) -> None:
        if high <= low:
            low, high = (low / 2, low * 2) if log else (low - 0.5, low + 0.5)
        self.low, self.high, self.start, self.stop, self.log = low, high, start, stop, log

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self, count: int) -> list[float]:
        return (log_ticks if self.log else nice_ticks)(self.low, self.high, count)


class Canvas:
    """Collects the elements of one picture; coordinates in CSS pixels, written with a tenth."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []

    def render(self) -> str:
        name = escape(self.title)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_written(self.width)} {_written(self.height)}" role="img" '
            f'aria-label="{name}" font-size="{SIZE}" style="width:100%;height:auto;display:block">'
            f"<title>{name}</title>{''.join(self.parts)}</svg>"
        )

    def add(self, tag: str, text: str = "", hint: str = "", **attributes: str | float) -> None:
        """An element: attributes with _ for -, empty ones left out; ``hint`` is shown under the pointer."""
        shown = {name.replace("_", "-"): _written(value) for name, value in attributes.items() if value != ""}
        written = "".join(f' {name}="{value}"' for name, value in shown.items())
        title = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(f"<{tag}{written}>{escape(text)}{title}</{tag}>")

    def line(
        self, x1: float, y1: float, x2: float, y2: float, stroke: str = RULE, thick: float = 1, dash: str = ""
    ) -> None:
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=thick, stroke_dasharray=dash)

    def text(
        self, x: float, y: float, text: str, anchor: str = "", fill: str = INK, size: float = SIZE, halo: bool = False
    ) -> None:
        """``halo`` keeps what lies beneath away from the letters."""
        more = _HALO if halo else {}
        self.add("text", text, x=x, y=y, text_anchor=anchor, fill=fill, font_size="" if size == SIZE else size, **more)

    def tick(self, x: float, y: float, text: str) -> None:
        """The number below an axis at ``x``, kept within the picture."""
        half = text_width(text) / 2
        self.text(min(max(x, half), self.width - half), y, text, "middle", SOFT)

    def bar(self, x: float, y: float, wide: float, tall: float, fill: str, hint: str = "", faint: bool = False) -> None:
        wide, tall, opacity = max(wide, 0.5), max(tall, 0), "0.45" if faint else ""
        self.add("rect", "", hint, x=x, y=y, width=wide, height=tall, rx=2, fill=fill, fill_opacity=opacity)

    def path(self, points: list[tuple[float, float]], stroke: str, faint: bool) -> None:
        line = {"d": "M" + "L".join(f"{_written(x)} {_written(y)}" for x, y in points), "fill": "none"}
        thick, opacity = (1, "0.35") if faint else (2, "")
        self.add("path", **line, stroke=stroke, stroke_width=thick, stroke_opacity=opacity, stroke_linejoin="round")

    def open_clip(self, x: float, y: float, wide: float, tall: float) -> None:
        """Hide what following elements draw outside of a box, until ``close_clip``."""
        x, y, wide, tall = (round(value, 1) for value in (x, y, wide, tall))
        self.parts.append(f'<svg x="{x}" y="{y}" width="{wide}" height="{tall}" viewBox="{x} {y} {wide} {tall}">')

    def close_clip(self) -> None:
        self.parts.append("</svg>")


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
