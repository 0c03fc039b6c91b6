"""A self-contained HTML page: text, key figures, tables, inline SVG and samples of Japanese, for a phone, a desk and paper.

The page loads nothing (a content security policy forbids it), needs no script, follows the reader's light or dark setting,
and escapes everything that it is given except the pictures, which come from ``stage.plots``.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stage.canvas import escape
from stage.errors import JgptError
from stage.plots import FULL, NARROW, WIDE


@dataclass(frozen=True)
class Tile:
    """A key figure: what it is (in English and, if given, Japanese), the figure with its unit, and a remark below."""

    label: str
    value: str
    unit: str = ""
    note: str = ""
    japanese: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Step:
    """A station of a chain: its names, its main figure, and its other facts, one a line."""

    name: str
    japanese: str
    value: str
    facts: tuple[str, ...] = ()
    missing: bool = False


@dataclass(frozen=True)
class Piece:
    """A stretch of a text that is shown cut up; ``raw`` is for what is not readable text (bytes, control pieces)."""

    text: str
    hint: str = ""
    raw: bool = False


class Page:
    """Collects the parts of a page in order; ``render`` gives the HTML, ``write`` puts it into a file whole."""

    def __init__(self, title: str, language: str = "en", *, subtitle: str = "", seal: str = "") -> None:
        """``seal``: one to four characters that stand as a stamp beside the title."""
        self.title, self.language, self.subtitle, self.seal = title, language, subtitle, seal
        self._parts: list[tuple[str, str]] = []
        self._sections: list[tuple[str, str]] = []

    def section(self, heading: str, japanese: str = "") -> None:
        """Begin a section; it also gets an entry in the row of links at the top."""
        name = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        name += f"-{len(self._sections)}" if name in (known for known, _ in self._sections) else ""
        self._sections.append((name, heading))
        self._add("heading", f'<h2 id="{name}">{_names(heading, japanese)}</h2>')

    def paragraph(self, text: str, language: str = "") -> None:
        """Running text; addresses in it become links."""
        self._add("text", f"<p{_lang(language)}>{_linked(text)}</p>")

    def note(self, text: str) -> None:
        """A quiet line: something that is missing, how something was counted."""
        self._add("text", f'<p class="note">{_linked(text)}</p>')

    def warning(self, text: str, language: str = "") -> None:
        """A paragraph that must not be overlooked."""
        self._add("text", f'<p class="warning" role="note"{_lang(language)}>{_linked(text)}</p>')

    def tiles(self, tiles: Sequence[Tile]) -> None:
        """Key figures side by side; strong ones are set larger."""
        cells = (
            f'<div class="tile{" strong" if tile.strong else ""}">'
            f"{_key_figure(tile.label, tile.japanese, tile.value, tile.unit, (tile.note,))}</div>"
            for tile in tiles
        )
        self._add("tiles", f'<div class="tiles">{"".join(cells)}</div>')

    def steps(self, steps: Sequence[Step]) -> None:
        """A chain of stations: side by side on a desk, one below the other on a phone."""
        cells = (
            f'<li class="{"missing" if step.missing else "made"}">'
            f"{_key_figure(step.name, step.japanese, step.value, '', step.facts)}</li>"
            for step in steps
        )
        self._add("steps", f'<ol class="steps">{"".join(cells)}</ol>')

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table for what is text; numbers stand to the right; a wide one scrolls within itself."""
        self._add("table", _table(head, rows))

    def figure(
        self, draw: Callable[..., str], heading: str, *, japanese: str = "", caption: str = "", wide: bool = False
    ) -> None:
        """A picture that ``draw(title=, width=)`` (a plot by ``functools.partial``) makes for a phone and for a desk.

        CSS shows the fitting one. Neighbours share a row unless ``wide``.
        """
        widths = {"narrow": NARROW, "roomy": WIDE} | ({"full": FULL} if wide else {})
        pictures = "".join(f'<div class="{name}">{draw(title=heading, width=widths[name])}</div>' for name in widths)
        kind = ' class="wide"' if wide else ""
        self._add("figure", f"<figure{kind}><h3>{_names(heading, japanese)}</h3>{pictures}{_caption(caption)}</figure>")

    def pieces(self, pieces: Sequence[Piece], heading: str, *, japanese: str = "", caption: str = "") -> None:
        """A text cut into coloured pieces; spaces and line ends in them are made visible."""
        cells = "".join(
            f'<span class="piece{" raw" if piece.raw else ""}" title="{escape(piece.hint)}">{escape(_visible(piece.text))}</span><wbr>'
            for piece in pieces
        )
        self._add(
            "figure",
            f'<figure class="wide"><h3>{_names(heading, japanese)}</h3><div class="pieces" lang="ja">{cells}</div>{_caption(caption)}</figure>',
        )

    def sample(self, prompt: str, text: str, caption: str = "", language: str = "ja") -> None:
        """A prompt and how it went on, told apart; Japanese text is set in vertical lines."""
        kind = "sample tate" if language == "ja" and _is_vertical(prompt + text) else "sample"
        self._add(
            "sample",
            f'<figure class="{kind}"><blockquote tabindex="0"{_lang(language)}><b>{escape(prompt)}</b>{escape(text)}</blockquote>'
            f"{_caption(caption)}</figure>",
        )

    def details(self, summary: str, rows: Mapping[str, object], japanese: str = "") -> None:
        """Names and values folded away under a summary; nested mappings become dotted names."""
        body = _table((), ((name, "—" if value is None else str(value)) for name, value in _flat(rows)))
        self._add("details", f"<details><summary>{_names(summary, japanese)}</summary>{body}</details>")

    def render(self) -> str:
        """The whole page as HTML."""
        subtitle = f'<p class="subtitle">{escape(self.subtitle)}</p>' if self.subtitle else ""
        seal = f'<span class="seal" lang="ja" aria-hidden="true">{escape(self.seal)}</span>' if self.seal else ""
        links = "".join(f'<a href="#{name}">{escape(heading)}</a>' for name, heading in self._sections)
        navigation = f'<nav aria-label="Sections">{links}</nav>' if len(self._sections) > 1 else ""
        return (
            f'<!doctype html>\n<html lang="{escape(self.language)}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
            f'<link rel="icon" href="data:,">\n<title>{escape(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n'
            f"<header>{seal}<div><h1>{escape(self.title)}</h1>{subtitle}</div></header>\n{navigation}\n"
            f"<main>\n{self._body()}\n</main>\n</body>\n</html>\n"
        )

    def write(self, path: Path | str) -> Path:
        """Write the page by rename, so that the file is either the old one or the new one, whole; raises JgptError."""
        path = Path(path)
        partial = path.with_name(path.name + ".partial")
        data = self.render().encode("utf-8")
        try:
            with partial.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise JgptError(
                f"{path}: cannot be written ({error.strerror}); choose another place for the page"
            ) from None
        return path

    def _add(self, kind: str, markup: str) -> None:
        self._parts.append((kind, markup))

    def _body(self) -> str:
        """The parts in order; runs of figures, samples and details each within one element."""
        out: list[str] = []
        open_kind = ""
        for kind, markup in [*self._parts, ("", "")]:
            group = kind if kind in ("figure", "sample", "details") else ""
            if group != open_kind:
                out += ["</div>"] if open_kind else []
                out += [f'<div class="{group}s">'] if group else []
                open_kind = group
            out.append(markup)
        return "\n".join(out)


def _names(text: str, japanese: str) -> str:
    return escape(text) + (f' <span class="ja" lang="ja">{escape(japanese)}</span>' if japanese else "")


def _key_figure(name: str, japanese: str, value: str, unit: str, remarks: Sequence[str]) -> str:
    unit = f' <span class="unit">{escape(unit)}</span>' if unit else ""
    lines = "".join(f'<div class="remark">{escape(remark)}</div>' for remark in remarks if remark)
    return f'<div class="label">{_names(name, japanese)}</div><div class="value">{escape(value)}{unit}</div>{lines}'


def _lang(language: str) -> str:
    return f' lang="{escape(language)}"' if language else ""


def _caption(text: str) -> str:
    return f"<figcaption>{_linked(text)}</figcaption>" if text else ""


def _linked(text: str) -> str:
    """Escaped text in which web addresses are links (they load nothing until someone follows them)."""
    address = r"(https?://[^\s<>\"'「」（）。、]+[^\s<>\"'「」（）。、.,;:!?)])"
    parts = re.split(address, str(text))
    return "".join(
        f'<a href="{escape(part)}" rel="noreferrer">{escape(part.partition("://")[2])}</a>'
        if index % 2
        else escape(part)
        for index, part in enumerate(parts)
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    names = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    return f'<div class="table" tabindex="0"><table>{top}<tbody>{body}</tbody></table></div>'


def _cell(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'<td class="number">{f"{value:,}" if isinstance(value, int) else f"{value:.4g}"}</td>'
    return f"<td>{_linked(str(value))}</td>"


def _flat(rows: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, object]]:
    for name, value in rows.items():
        if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
            value = {str(index): entry for index, entry in enumerate(value)}
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _visible(text: str) -> str:
    return text.replace("\n", "⏎").replace(" ", "␣").replace("\u3000", "□").replace("\t", "⇥")


def _is_vertical(text: str) -> bool:
    """Whether nearly all of a text is Japanese, so that vertical lines suit it."""
    letters = [character for character in text if not character.isspace()]
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in letters)
    return len(letters) > 0 and wide >= 0.9 * len(letters)


_STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")
