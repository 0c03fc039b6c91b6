"""Examples as rows of tokens for the heads of ``jgpt.heads``: ``<s> text line-end text </s>``."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eval.examples import Example, Kind
from jgpt.heads import BETWEEN_PART, PADDING_PART
from tokenizer import JapaneseTokenizer
from tokenizer.japanese import Span
from tokenizer.pieces import BEGIN_ID, END_ID, PADDING_ID


@dataclass(frozen=True)
class Row:
    """Tokens that go through the model together."""

    ids: list[int]
    parts: list[int]
    """For each token the number of its text from 1, 0 for pieces that stand between texts."""
    spans: list[Span]
    """For each token its characters in its text."""
    cut: int = 0
    """Tokens that were left out."""


@dataclass(frozen=True)
class Rows:
    """An example's rows: a choice has one for each choice, a regression of two texts one for each order, others one."""

    example: Example
    rows: tuple[Row, ...]
    orders: bool = False
    """Whether the rows are the same texts in other orders, of which a step reads one."""
    target: tuple[int, int] = (-1, -1)
    """Of a span: the tokens with which the first answer begins and ends; -1 where it does not stand in the row."""

    @property
    def cut(self) -> int:
        """Tokens that were left out, of all rows."""
        return sum(row.cut for row in self.rows)

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return sum(len(row.ids) for row in self.rows)


def encode_example(example: Example, kind: Kind, tokenizer: JapaneseTokenizer, most: int) -> Rows:
    """The rows of an example, each of at most ``most`` tokens: from the longest of its texts the last are left out."""
    texts = example.texts
    if kind == "choice":
        readings = [(*texts, choice) for choice in example.choices]
    elif kind == "pair":  # which of two texts: each stands alone
        readings = [(text,) for text in example.choices or texts]
    elif kind == "regression" and len(texts) == 2:
        readings = [texts, texts[::-1]]
    else:
        readings = [texts]
    rows = tuple(make_row(reading, tokenizer, most) for reading in readings)
    target = _target(example, rows[0], len(texts)) if kind == "span" else (-1, -1)
    return Rows(example, rows, kind == "regression" and len(rows) > 1, target)


def make_row(texts: Sequence[str], tokenizer: JapaneseTokenizer, most: int) -> Row:
    """One row of some texts."""
    encoded = [tokenizer.encode_with_spans(text) for text in texts]
    lengths = [len(ids) for ids, _ in encoded]
    room = max(0, most - len(texts) - 1)  # what <s>, the pieces between and </s> leave
    kept = _shortened(lengths, room)
    ids, parts, spans = [BEGIN_ID], [BETWEEN_PART], [(0, 0)]
    between = tokenizer.encode("\n")[:1]
    for number, ((found, places), length) in enumerate(zip(encoded, kept, strict=True), 1):
        if number > 1:
            ids, parts, spans = ids + between, [*parts, BETWEEN_PART], [*spans, (0, 0)]
        ids, parts, spans = ids + found[:length], parts + [number] * length, spans + places[:length]
    return Row([*ids, END_ID], [*parts, BETWEEN_PART], [*spans, (0, 0)], sum(lengths) - sum(kept))


def collate(rows: Sequence[Row], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and parts of some rows, both int64 [B, T], padded at the end."""
    longest = max(len(row.ids) for row in rows)
    ids = [row.ids + [PADDING_ID] * (longest - len(row.ids)) for row in rows]
    parts = [row.parts + [PADDING_PART] * (longest - len(row.ids)) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(parts, device=device)


def answer(row: Row, text: str, first: int, last: int) -> str:
    """The characters of a text that the tokens ``first`` to ``last`` of a row stand for."""
    return text[row.spans[first][0] : row.spans[last][1]]


def _shortened(lengths: list[int], room: int) -> list[int]:
    """How many tokens of each text stay: no text loses one while another is longer."""
    if sum(lengths) <= room:
        return lengths
    least, most = 0, max(lengths)  # the length to which the longest are cut
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if sum(min(each, middle) for each in lengths) <= room else (least, middle - 1)
    return [min(each, least) for each in lengths]


def _target(example: Example, row: Row, part: int) -> tuple[int, int]:
    begin = example.answer_start
    if begin < 0 or not example.answers:
        return -1, -1
    end = begin + len(example.answers[0])
    places = [
        place
        for place, (number, (start, stop)) in enumerate(zip(row.parts, row.spans, strict=True))
        if number == part and start < end and stop > begin
    ]
    whole = bool(places) and row.spans[places[-1]][1] >= end  # else its end was cut
    return (places[0], places[-1]) if whole else (-1, -1)
