"""A self-contained HTML page: text, key figures, tables, inline SVG and samples of Japanese, for a phone, a desk and paper.

The page loads nothing (a content security policy forbids it), needs no script, follows the reader's light or dark setting,
and escapes everything that it is given except the pictures, which come from ``stage.plots``.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from stage.canvas import escape
from stage.errors import JgptError
from stage.plots import FULL, NARROW, WIDE

_STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")
_VISIBLE = str.maketrans({"\n": "⏎", " ": "␣", "\u3000": "□", "\t": "⇥"})
_ADDRESS = re.compile(r"(https?://[^\s<>\"'「」（）。、]+[^\s<>\"'「」（）。、.,;:!?)])")


@dataclass(frozen=True)
class Figure:
    """A key figure: what it is, in English and Japanese, the figure with its unit, and remarks below, one a line."""

    label: str
    japanese: str
    value: str
    unit: str = ""
    remarks: Sequence[str] = ()
    kind: str = ""
    """``strong`` for a tile that is set larger, ``missing`` for a step that was not made."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a text that is shown cut up; ``raw`` is for what is not readable text (bytes, control pieces)."""

    text: str
    hint: str = ""
    raw: bool = False


class Page:
    """Collects the parts of a page in order; ``render`` gives the HTML, ``write`` puts it into a file whole."""

    def __init__(self, title: str, subtitle: str, seal: str) -> None:
        """``seal``: one to four characters that stand as a stamp beside the title."""
        self.title, self.subtitle, self.seal = title, subtitle, seal
        self._parts: list[tuple[str, str]] = []  # each with the class of the element that it shares with its neighbours
        self._links: list[str] = []

    def section(self, heading: str, japanese: str = "") -> None:
        """Begin a section; it also gets an entry in the row of links at the top."""
        name = heading.lower().replace(" ", "-")
        self._links.append(f'<a href="#{escape(name)}">{escape(heading)}</a>')
        self._add(f'<h2 id="{escape(name)}">{_names(heading, japanese)}</h2>')

    def paragraph(self, text: str) -> None:
        """Running text; addresses in it become links."""
        self._add(f"<p>{_linked(text)}</p>")

    def note(self, text: str) -> None:
        """A quiet line: something that is missing, how something was counted."""
        self._add(f'<p class="note">{_linked(text)}</p>')

    def warning(self, text: str, language: str) -> None:
        """A paragraph that must not be overlooked."""
        self._add(f'<p class="warning" role="note" lang="{language}">{_linked(text)}</p>')

    def tiles(self, figures: Iterable[Figure]) -> None:
        """Key figures side by side."""
        cells = (f'<div class="tile {figure.kind}">{_key_figure(figure)}</div>' for figure in figures)
        self._add(f'<div class="tiles">{"".join(cells)}</div>')

    def steps(self, figures: Iterable[Figure]) -> None:
        """A chain of stations: side by side on a desk, one below the other on a phone."""
        cells = (f'<li class="{figure.kind}">{_key_figure(figure)}</li>' for figure in figures)
        self._add(f'<ol class="steps">{"".join(cells)}</ol>')

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table for what is text; numbers stand to the right; a wide one scrolls within itself."""
        names = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
        self._add(_table(f"<thead><tr>{names}</tr></thead>", rows))

    def figure(
        self, draw: Callable[..., str], heading: str, japanese: str, caption: str = "", wide: bool = False
    ) -> None:
        """A picture that ``draw(title=, width=)`` (a plot by ``functools.partial``) makes for a phone and for a desk.

        CSS shows the fitting one. Neighbours share a row unless ``wide``.
        """
        widths = {"narrow": NARROW, "roomy": WIDE} | ({"full": FULL} if wide else {})
        pictures = (f'<div class="{name}">{draw(title=heading, width=width)}</div>' for name, width in widths.items())
        self._figure("wide" if wide else "", heading, japanese, "".join(pictures), caption)

    def pieces(self, pieces: Iterable[Piece], heading: str, japanese: str, caption: str) -> None:
        """A text cut into coloured pieces; spaces and line ends in them are made visible."""
        cells = (
            f'<span class="piece{" raw" if piece.raw else ""}" title="{escape(piece.hint)}">'
            f"{escape(piece.text.translate(_VISIBLE))}</span><wbr>"
            for piece in pieces
        )
        self._figure("wide", heading, japanese, f'<div class="pieces" lang="ja">{"".join(cells)}</div>', caption)

    def sample(self, prompt: str, text: str, caption: str = "") -> None:
        """A prompt and how it went on, told apart; Japanese text is set in vertical lines."""
        kind = "sample tate" if _is_vertical(prompt + text) else "sample"
        quote = f'<blockquote tabindex="0" lang="ja"><b>{escape(prompt)}</b>{escape(text)}</blockquote>'
        self._add(f'<figure class="{kind}">{quote}{_caption(caption)}</figure>', "samples")

    def details(self, summary: str, rows: Mapping[str, object], japanese: str = "") -> None:
        """Names and values folded away under a summary; nested mappings become dotted names."""
        body = _table("", ((name, "—" if value is None else str(value)) for name, value in _flat(rows)))
        self._add(f"<details><summary>{_names(summary, japanese)}</summary>{body}</details>")

    def render(self) -> str:
        """The whole page as HTML; neighbouring figures, and samples, each within one element."""
        title, body = escape(self.title), ""
        for group, parts in groupby(self._parts, key=lambda part: part[0]):
            markup = "\n".join(markup for _, markup in parts)
            body += f'<div class="{group}">\n{markup}\n</div>\n' if group else f"{markup}\n"
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
            f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n'
            f'<header><span class="seal" lang="ja" aria-hidden="true">{escape(self.seal)}</span>'
            f'<div><h1>{title}</h1><p class="subtitle">{escape(self.subtitle)}</p></div></header>\n'
            f'<nav aria-label="Sections">{"".join(self._links)}</nav>\n'
            f"<main>\n{body}</main>\n</body>\n</html>\n"
        )

    def write(self, path: Path) -> Path:
        """Write the page by rename, so that the file is either the old one or the new one, whole; raises JgptError."""
        partial = path.with_name(path.name + ".partial")
        try:
            partial.write_text(self.render(), "utf-8")
            partial.replace(path)
        except OSError as error:
            with suppress(OSError):  # where no file can be there is none
                partial.unlink()
            raise JgptError(
                f"{path}: cannot be written ({error.strerror}); choose another place for the page"
            ) from None
        return path

    def _add(self, markup: str, group: str = "") -> None:
        self._parts.append((group, markup))

    def _figure(self, kind: str, heading: str, japanese: str, content: str, caption: str) -> None:
        heading = f"<h3>{_names(heading, japanese)}</h3>"
        self._add(f'<figure class="{kind}">{heading}{content}{_caption(caption)}</figure>', "figures")


def _names(text: str, japanese: str) -> str:
    return escape(text) + (f' <span class="ja" lang="ja">{escape(japanese)}</span>' if japanese else "")


def _key_figure(figure: Figure) -> str:
    unit = f' <span class="unit">{escape(figure.unit)}</span>' if figure.unit else ""
    lines = "".join(f'<div class="remark">{escape(remark)}</div>' for remark in figure.remarks if remark)
    label = f'<div class="label">{_names(figure.label, figure.japanese)}</div>'
    return f'{label}<div class="value">{escape(figure.value)}{unit}</div>{lines}'


def _caption(text: str) -> str:
    return f"<figcaption>{_linked(text)}</figcaption>" if text else ""


def _linked(text: str) -> str:
    """Escaped text in which web addresses are links (they load nothing until someone follows them)."""
    parts = [escape(part) for part in _ADDRESS.split(text)]
    parts[1::2] = [f'<a href="{part}" rel="noreferrer">{part.partition("://")[2]}</a>' for part in parts[1::2]]
    return "".join(parts)


def _table(head: str, rows: Iterable[Sequence[object]]) -> str:
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="table" tabindex="0"><table>{head}<tbody>{body}</tbody></table></div>'


def _cell(value: object) -> str:
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f"<td>{_linked(str(value))}</td>"


def _flat(rows: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, object]]:
    for name, value in rows.items():
        if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
            value = {str(index): entry for index, entry in enumerate(value)}
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_vertical(text: str) -> bool:
    """Whether nearly all of a text is Japanese, so that vertical lines suit it."""
    letters = "".join(text.split())
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in letters)
    return len(letters) > 0 and wide >= 0.9 * len(letters)
