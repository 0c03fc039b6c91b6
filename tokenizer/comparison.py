"""Tokenizers side by side: a table for a terminal, and a page that also shows a passage as each of them cuts it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stage.numbers import percent
from stage.page import Page, Piece
from tokenizer.opening import AnyTokenizer


def _decimals(places: int) -> Callable[[float], str]:
    return f"{{:.{places}f}}".format


MEASURES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "vocab_size": ("pieces", "{:,}".format),
    "characters_per_token": ("characters per token", _decimals(3)),
    "bytes_per_token": ("bytes per token", _decimals(3)),
    "tokens_per_word": ("tokens per UniDic word", _decimals(3)),
    "byte_fallback_share": ("byte fallback, of tokens", percent),
    "unknown_share": ("unknown, of tokens", percent),
    "boundary_precision": ("word boundaries, precision", _decimals(3)),
    "boundary_recall": ("word boundaries, recall", _decimals(3)),
    "boundary_f1": ("word boundaries, F1", _decimals(3)),
    "crosses_word_share": ("crossing a word boundary", percent),
    "punctuation_glued_share": ("punctuation glued to a word", percent),
    "particle_in_front_share": ("particle merged in front", percent),
    "shannon_efficiency": ("Shannon efficiency", _decimals(3)),
    "renyi_efficiency": ("Rényi efficiency (2.5)", _decimals(3)),
    "vocabulary_used": ("vocabulary used here", percent),
    "round_trip_exact": ("lines that round-trip", percent),
    "encode_megabytes_per_second": ("encode, MB/s on one core", _decimals(1)),
    "decode_megabytes_per_second": ("decode, MB/s on one core", _decimals(1)),
}
"""Key in ``measure``'s record: what people call it, and how it is written."""


def rows(figures: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A row a measure, a column a tokenizer, the names of the measures first."""
    written = [
        [label, *(show(record[key]).replace("\u00a0", " ") for record in figures.values())]
        for key, (label, show) in MEASURES.items()
    ]
    return [
        *written,
        ["loses", *(f"{len(record['loses'])} kinds" if record["loses"] else "nothing" for record in figures.values())],
    ]


def text_table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The measures as an aligned table; below it, what each tokenizer loses."""
    body = [["", *figures], *rows(figures)]
    widths = [max(len(row[column]) for row in body) for column in range(len(body[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in body]
    lines += [f"{name} loses {', '.join(record['loses'])}" for name, record in figures.items() if record["loses"]]
    return "\n".join(line.rstrip() for line in lines)


def write_page(
    file: Path,
    figures: Mapping[str, Mapping[str, Any]],
    tokenizers: Mapping[str, AnyTokenizer],
    passage: str,
    about: str,
) -> Path:
    """Write the page; ``about`` says which text was measured. Raises JgptError when it cannot be written."""
    page = Page("Tokenizers compared", about, seal="分割")
    page.section("A passage", "分割の例")
    for name, tokenizer in tokenizers.items():
        ids, spans = tokenizer.encode_with_spans(passage)
        cut = [_piece(tokenizer, index, passage[begin:end]) for index, (begin, end) in zip(ids, spans, strict=True)]
        page.pieces(cut, name, "", f"{len(ids)} tokens for {len(passage)} characters.")
    page.section("Measures", "指標")
    page.table(["", *figures], rows(figures))
    for name, record in figures.items():
        page.note(f"{name}: loses {', '.join(record['loses'])}." if record["loses"] else f"{name}: loses nothing.")
    page.section("About these numbers", "読み方")
    page.paragraph(
        "Word boundaries are those of UniDic-lite, inside lines. A token crosses a word boundary when one lies within it. Unknown "
        "tokens count as the bytes of what they stand for in characters and bytes per token and tokens per word. Efficiency is the "
        "entropy of the tokens over that of a vocabulary used evenly. What a tokenizer loses was found with one text for each kind."
    )
    page.paragraph(
        "Fewer tokens are not better in themselves: bits per character of a model trained on them are what counts."
    )
    return page.write(file)


def _piece(tokenizer: AnyTokenizer, index: int, surface: str) -> Piece:
    raw = tokenizer.is_byte(index) or tokenizer.is_unknown(index) or not surface
    return Piece(tokenizer.piece(index) if raw else surface, f"id {index}", raw)


def names_of(paths: Sequence[str]) -> list[str]:
    """Short names for paths: as many of the last parts as tell them apart."""
    for count in range(1, max((len(Path(path).parts) for path in paths), default=0) + 1):
        short = ["/".join(Path(path).parts[-count:]) for path in paths]
        if len(set(short)) == len(set(paths)):
            return short
    return list(paths)
