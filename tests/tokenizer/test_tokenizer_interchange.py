import json
import random
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer import JapaneseTokenizer

ODD = [
    *"𠮷𠀋😀👨‍👩‍👧が゛ﾊﾟｶﾞ０９ＡｚＺ―…‥〜～「」（）、。！？・ーゝ々〆\u3000\ufeff\u200b\ufe0f\u0301é한ñ",
    *(" ", "  ", "    ", "\n", "\n\n", "\r\n", "\t", "\x00", "\x7f", "<", ">", "|", "0x41", "123", "かか", "ああああ"),
]
SPECIAL = ("<s>", "</s>", "<unk>", "<pad>", "<|")


@pytest.fixture(scope="session")
def other(tokenizer_folder: Path) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))


def fuzzed(training_text: str, count: int) -> list[str]:
    """Pieces of the text, odd characters and runs of one character, mixed."""
    draw = random.Random(1)
    found = []
    for _ in range(count):
        parts = []
        for _ in range(draw.randint(1, 6)):
            kind = draw.random()
            if kind < 0.5:
                start = draw.randrange(len(training_text))
                parts.append(training_text[start : start + draw.randint(1, 60)])
            elif kind < 0.8:
                parts.append("".join(draw.choices(ODD, k=draw.randint(1, 8))))
            else:
                parts.append(draw.choice(training_text) * draw.randint(2, 20))
        found.append("".join(parts))
    return found


def test_thousands_of_strings_have_the_same_ids_and_text_there(
    training_text: str, tokenizer: JapaneseTokenizer, other: tokenizers.Tokenizer
) -> None:
    texts = [text for text in fuzzed(training_text, 2500) if not any(mark in text for mark in SPECIAL)]
    assert len(texts) > 2000
    for text, encoding in zip(texts, other.encode_batch(texts, add_special_tokens=False), strict=True):
        ids = tokenizer.encode(text)
        assert encoding.ids == ids, text
        assert other.decode(ids, skip_special_tokens=False) == text


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_has_the_same_ids_and_text_there(
    text: str, tokenizer: JapaneseTokenizer, other: tokenizers.Tokenizer
) -> None:
    if not any(mark in text for mark in SPECIAL):
        ids = tokenizer.encode(text)
        assert other.encode(text).ids == ids
        assert other.decode(ids) == text


def test_the_vocabulary_is_the_same_there(tokenizer: JapaneseTokenizer, other: tokenizers.Tokenizer) -> None:
    assert other.get_vocab_size() == tokenizer.vocab_size
    assert [other.id_to_token(index) for index in range(tokenizer.vocab_size)] == [
        tokenizer.piece(index).replace("▁", " ") for index in range(tokenizer.vocab_size)
    ]


def test_specials_are_special_there_and_the_newline_is_not(other: tokenizers.Tokenizer) -> None:
    assert other.encode("<s><|user|>\n</s>").ids == [1, 5, 20, 2]
    assert other.decode([1, 5, 20, 2], skip_special_tokens=True) == "\n"


def test_the_configuration_names_the_specials(tokenizer_folder: Path) -> None:
    record = json.loads((tokenizer_folder / "tokenizer_config.json").read_text("utf-8"))
    assert [record[key] for key in ("unk_token", "bos_token", "eos_token", "pad_token")] == [
        "<unk>",
        "<s>",
        "</s>",
        "<pad>",
    ]
    assert record["clean_up_tokenization_spaces"] is False
