"""A self-contained HTML page: text, key figures, tables, inline SVG and samples of Japanese, for a phone, a desk and paper.

The page loads nothing (a content security policy forbids it), needs no script, follows the reader's light or dark setting,
and escapes everything that it is given except the pictures, which come from ``stage.plots``.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stage.errors import JgptError
from stage.plots import FULL, NARROW, WIDE, escape


class Draw(Protocol):
    """Draws a picture for a width, as ``functools.partial(bar_plot, bars)`` does."""

    def __call__(self, *, title: str, width: int) -> str: ...


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

    def subsection(self, heading: str, japanese: str = "") -> None:
        self._add("heading", f"<h3>{_names(heading, japanese)}</h3>")

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
        cells = []
        for tile in tiles:
            unit = f' <span class="unit">{escape(tile.unit)}</span>' if tile.unit else ""
            note = f'<div class="remark">{escape(tile.note)}</div>' if tile.note else ""
            kind = "tile strong" if tile.strong else "tile"
            cells.append(
                f'<div class="{kind}"><div class="label">{_names(tile.label, tile.japanese)}</div>'
                f'<div class="value">{escape(tile.value)}{unit}</div>{note}</div>'
            )
        self._add("tiles", f'<div class="tiles">{"".join(cells)}</div>')

    def steps(self, steps: Sequence[Step]) -> None:
        """A chain of stations: side by side on a desk, one below the other on a phone."""
        cells = []
        for step in steps:
            facts = "".join(f"<div>{escape(fact)}</div>" for fact in step.facts)
            kind = ' class="missing"' if step.missing else ""
            cells.append(
                f'<li{kind}><div class="label">{_names(step.name, step.japanese)}</div>'
                f'<div class="value">{escape(step.value)}</div><div class="remark">{facts}</div></li>'
            )
        self._add("steps", f'<ol class="steps">{"".join(cells)}</ol>')

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> None:
        """A table for what is text; numbers stand to the right; a wide one scrolls within itself."""
        self._add("table", _table(head, rows, caption))

    def figure(self, draw: Draw, heading: str, *, japanese: str = "", caption: str = "", wide: bool = False) -> None:
        """A picture, drawn for a phone and for a desk; CSS shows the fitting one. Neighbours share a row unless ``wide``."""
        widths = {"narrow": NARROW, "roomy": WIDE} | ({"full": FULL} if wide else {})
        pictures = "".join(f'<div class="{name}">{draw(title=heading, width=widths[name])}</div>' for name in widths)
        below = f"<figcaption>{_linked(caption)}</figcaption>" if caption else ""
        kind = ' class="wide"' if wide else ""
        self._add("figure", f"<figure{kind}><h3>{_names(heading, japanese)}</h3>{pictures}{below}</figure>")

    def pieces(
        self,
        pieces: Sequence[Piece],
        heading: str,
        *,
        japanese: str = "",
        caption: str = "",
        language: str = "ja",
    ) -> None:
        """A text cut into coloured pieces; spaces and line ends in them are made visible."""
        cells = "".join(
            f'<span class="piece{" raw" if piece.raw else ""}" title="{escape(piece.hint)}">{escape(_visible(piece.text))}</span><wbr>'
            for piece in pieces
        )
        below = f"<figcaption>{_linked(caption)}</figcaption>" if caption else ""
        self._add(
            "figure",
            f'<figure class="wide"><h3>{_names(heading, japanese)}</h3><div class="pieces"{_lang(language)}>{cells}</div>{below}</figure>',
        )

    def sample(self, prompt: str, text: str, caption: str = "", language: str = "ja") -> None:
        """A prompt and how it went on, told apart; Japanese text is set in vertical lines."""
        kind = "sample tate" if language == "ja" and _is_vertical(prompt + text) else "sample"
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        self._add(
            "sample",
            f'<figure class="{kind}"><blockquote tabindex="0"{_lang(language)}><b>{escape(prompt)}</b>{escape(text)}</blockquote>'
            f"{below}</figure>",
        )

    def preformatted(self, text: str) -> None:
        """Text in a typewriter face with its own line breaks."""
        self._add("text", f"<pre>{escape(text)}</pre>")

    def details(self, summary: str, rows: Mapping[str, object], japanese: str = "") -> None:
        """Names and values folded away under a summary; nested mappings become dotted names."""
        body = _table((), ((name, "—" if value is None else str(value)) for name, value in _flat(rows)), "")
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


def _lang(language: str) -> str:
    return f' lang="{escape(language)}"' if language else ""


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


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    names = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    return f'<div class="table" tabindex="0"><table>{title}{top}<tbody>{body}</tbody></table></div>'


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


_STYLE = """
:root{color-scheme:light dark;--paper:#f7f5ef;--card:#fffefb;--ink:#20242a;--soft:#676c73;--rule:#e3dfd4;
--accent:#1f5f8b;--seal:#c03a23;
--plot-1:#1f5f8b;--plot-2:#c8442b;--plot-3:#3c7a52;--plot-4:#a8760a;--plot-5:#7459a6;--plot-6:#7b8188;
--sans:"Hiragino Sans","Hiragino Kaku Gothic ProN","Noto Sans JP","Noto Sans CJK JP","Yu Gothic",YuGothic,
Meiryo,system-ui,sans-serif;
--serif:"Hiragino Mincho ProN","Noto Serif JP","Noto Serif CJK JP","Yu Mincho",YuMincho,serif;
--mono:ui-monospace,"SFMono-Regular",Menlo,Consolas,"Noto Sans Mono CJK JP",monospace}
@media(prefers-color-scheme:dark){:root{--paper:#14161a;--card:#1b1e24;--ink:#e9e6df;--soft:#a0a5ad;
--rule:#30353d;--accent:#7db7e4;--seal:#d9593f;
--plot-1:#6fb0e0;--plot-2:#f28b6f;--plot-3:#86c79a;--plot-4:#e3b448;--plot-5:#b9a2e6;--plot-6:#a3a9b1}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:smooth}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0 auto;max-width:1120px;padding:28px max(16px,env(safe-area-inset-left)) 64px;
background:var(--paper);color:var(--ink);
font:16px/1.65 var(--sans);overflow-wrap:anywhere;line-break:strict}
:lang(ja){word-break:normal;line-break:strict;text-spacing-trim:trim-start}
svg{font-family:var(--sans);font-variant-numeric:tabular-nums}
header{display:flex;gap:16px;align-items:center}
h1{margin:0;font:600 clamp(24px,5.5vw,36px)/1.25 var(--serif);letter-spacing:.01em}
.subtitle{margin:4px 0 0;color:var(--soft);font-size:14px}
.seal{flex:none;writing-mode:vertical-rl;font:600 19px/1.15 var(--serif);letter-spacing:.04em;color:#fff8f0;
background:var(--seal);
padding:8px 6px;border-radius:5px}
nav{display:flex;gap:4px 18px;flex-wrap:wrap;margin:18px 0 0;padding:9px 0;border-block:1px solid var(--rule);
font-size:14px}
a{color:var(--accent);text-underline-offset:3px}
nav a{text-decoration:none;padding:2px 0}
nav a:hover{text-decoration:underline}
h2{margin:52px 0 14px;font:600 23px/1.35 var(--serif)}
h2 .ja{margin-left:.5em;font-size:.72em;font-weight:500;color:var(--soft)}
h3{margin:0 0 12px;font-size:15px;font-weight:600;line-height:1.4}
main>h3{margin:26px 0 10px}
h3 .ja,.label .ja,summary .ja{margin-left:.35em;font-size:.86em;font-weight:400;color:var(--soft)}
p{margin:0 0 12px;max-width:46em}
.note{color:var(--soft);font-size:14px}
.warning{border-left:4px solid var(--seal);background:var(--card);padding:10px 14px;border-radius:0 8px 8px 0;
font-size:14.5px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(146px,100%),1fr));gap:12px;margin:20px 0}
.tile,.steps li,figure,details{background:var(--card);border:1px solid var(--rule);border-radius:12px}
.tile{padding:14px 16px}
.label{font-size:13px;line-height:1.4;color:var(--ink);font-weight:600}
.value{display:flex;flex-wrap:wrap;align-items:baseline;column-gap:.3em;font-size:26px;line-height:1.25;font-weight:600;margin-top:4px;font-variant-numeric:tabular-nums;
letter-spacing:-.01em}
.unit{font-size:13px;font-weight:500;line-height:1.3;color:var(--soft);letter-spacing:0}
.remark{margin-top:4px;font-size:12.5px;line-height:1.5;color:var(--soft)}
.tile.strong{grid-column:span 2;background:color-mix(in srgb,var(--accent) 7%,var(--card));
border-color:color-mix(in srgb,var(--accent) 35%,var(--rule))}
.tile.strong .value{font-size:44px;line-height:1.1;color:var(--accent)}
.steps{list-style:none;margin:0 0 16px;padding:0;display:grid;grid-template-columns:1fr;gap:22px}
.steps li{position:relative;padding:11px 14px}
.steps .value{font-size:20px}
.steps .missing{opacity:.6;border-style:dashed}
.steps li+li::before{content:"";position:absolute;left:50%;top:-17px;width:9px;height:9px;margin-left:-5px;
border:solid var(--soft);border-width:0 2px 2px 0;transform:rotate(45deg)}
.figures{margin:14px 0;column-gap:14px}
.figures figure{margin-bottom:14px;break-inside:avoid}
.samples{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(330px,100%),1fr));gap:14px;margin:14px 0}
figure{margin:0;padding:14px 16px;min-width:0;container-type:inline-size;--paper:var(--card)}
figure .roomy,figure .full{display:none}
@container(min-width:440px){figure .roomy{display:block}figure .narrow{display:none}}
@container(min-width:760px){figure .full{display:block}figure.wide .roomy{display:none}}
figcaption{margin-top:10px;font-size:13px;line-height:1.6;color:var(--soft)}
.pieces{font-size:18px;line-height:2.05}
.piece{padding:3px 1px;margin-right:2px;border-radius:4px;white-space:pre-wrap;
background:color-mix(in srgb,var(--plot-1) 20%,transparent)}
.piece:nth-of-type(4n+2){background:color-mix(in srgb,var(--plot-4) 24%,transparent)}
.piece:nth-of-type(4n+3){background:color-mix(in srgb,var(--plot-3) 22%,transparent)}
.piece:nth-of-type(4n){background:color-mix(in srgb,var(--plot-2) 20%,transparent)}
.piece.raw{font:12px var(--mono);color:var(--soft)}
blockquote{margin:0;font:17px/2 var(--serif);white-space:pre-wrap;overflow-x:auto}
blockquote b{font-weight:700;color:var(--seal)}
.tate blockquote{writing-mode:vertical-rl;height:19.2em;width:100%;padding-bottom:.2em;letter-spacing:.03em}
pre{margin:0 0 12px;padding:12px 14px;overflow-x:auto;background:var(--card);border:1px solid var(--rule);
border-radius:8px;font:13px/1.6 var(--mono)}
.table{overflow-x:auto;margin:0 0 14px}
table{border-collapse:collapse;font-size:14px;line-height:1.5;min-width:60%;overflow-wrap:break-word}
caption{text-align:left;padding:0 0 6px;color:var(--soft);font-size:13px}
th,td{text-align:left;vertical-align:top;padding:7px 18px 7px 0;border-bottom:1px solid var(--rule)}
th{font-size:12.5px;color:var(--soft);font-weight:600;white-space:nowrap}
.table td:not(.number){min-width:8em}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
details{margin:0 0 8px;padding:0 16px}
summary{cursor:pointer;padding:11px 0;font-weight:600;font-size:15px}
details td{font:12.5px/1.5 var(--mono)}
details td:first-child{color:var(--soft)}
:focus-visible{outline:2px solid var(--accent);outline-offset:3px}
@media(max-width:480px){h2{margin-top:42px}.figures figure,.samples figure{padding:13px 12px}.tiles{
grid-template-columns:1fr 1fr;gap:10px}.tile{padding:12px}
.tile:last-child:nth-child(odd),.tile.strong:only-child,.tiles:has(.strong) .tile:last-child:nth-child(even){
grid-column:1/-1}
.tiles:has(.strong) .tile:last-child:nth-child(odd){grid-column:auto}}
@media(min-width:700px){.figures{columns:2}figure.wide{column-span:all}figure:not(.wide)+figure.wide{
margin-top:14px}.figures:has(>figure:only-child:not(.wide)){columns:1;max-width:560px}
.steps{grid-auto-flow:column;grid-auto-columns:minmax(0,1fr);grid-template-columns:none}
.steps li+li::before{left:-17px;top:50%;margin:-5px 0 0;transform:rotate(-45deg)}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--rule:#bbb}body{max-width:none;padding:0;
font-size:11pt}nav{display:none}
figure,.tile,.steps li,table{break-inside:avoid}.figures{columns:2}.tate blockquote{writing-mode:horizontal-tb;height:auto}
.table,blockquote{overflow:visible}h2,h3{break-after:avoid}*{print-color-adjust:exact;
-webkit-print-color-adjust:exact}}
"""
