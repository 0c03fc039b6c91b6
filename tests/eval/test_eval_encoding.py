"""Examples as rows of tokens."""

import pytest

from eval.encoding import answer, encode_example, make_row
from eval.examples import Example
from tokenizer import JapaneseTokenizer


@pytest.fixture
def tokenizer(tiny_run):
    return JapaneseTokenizer(tiny_run / "model")


def test_every_token_of_a_span_knows_its_characters(tokenizer):
    text = "𠮷野家の鯵は👨‍👩‍👧‍👦 が食べた。"
    row = make_row(["誰が？", text], tokenizer, 1000)
    assert any(map(tokenizer.is_byte, row.ids))
    for wanted in ("𠮷", "鯵", "👨‍👩‍👧‍👦", "食べた"):
        start = text.index(wanted)
        example = Example("1", {"q": "誰が？", "c": text}, answers=(wanted,), answer_start=start)
        rows = encode_example(example, "span", tokenizer, 1000)
        found = answer(rows.rows[0], text, *rows.target)
        # a piece may reach over the answer, a character never breaks
        assert wanted in found
        assert found in text
        if tokenizer.is_byte(row.ids[rows.target[0]]) and tokenizer.is_byte(row.ids[rows.target[1]]):
            assert found == wanted
    assert answer(row, text, row.parts.index(2), len(row.parts) - 2) == text


def test_the_longest_text_is_cut_at_its_end_and_counted(tokenizer):
    short, long = "神は光を見て", "王は民に法を与へた" * 10
    row = make_row([short, long], tokenizer, 20)
    ids = tokenizer.encode(short)
    assert len(row.ids) == 20
    assert row.ids[1 : 1 + len(ids)] == ids
    assert row.ids[-1] == tokenizer.eos_id
    kept = row.parts.count(2)
    assert row.ids[-1 - kept : -1] == tokenizer.encode(long)[:kept]
    assert row.cut == len(tokenizer.encode(long)) - kept
    lost = Example("1", {"q": short, "c": long}, answers=("法",), answer_start=len(long) - 4)
    assert encode_example(lost, "span", tokenizer, 20).target == (-1, -1)
