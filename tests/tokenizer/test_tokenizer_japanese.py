import io
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from stage.errors import ArtifactError, UsageError
from tokenizer import JapaneseTokenizer
from tokenizer.japanese import StreamDecoder

HARD = [
    "",
    "吾輩は猫である。名前はまだ無い。",
    "▁",
    "▁▁ ▁",
    " ▁ 猫▁ ",
    "▅と▅",
    "\x00",
    "猫\x00は\x00",
    "一行目\r\n二行目\r三行目\n\n\n",
    "\t\t表\t計算\t",
    " ",
    "  前に二つ",
    "後に三つ   ",
    "間に" + " " * 40 + "四十",
    "\u3000字下げ\u3000\u3000",
    "𠮷野家の𩸽と𠀋",
    "か゛き゜ が ぱ が",
    "ﾊﾟｿｺﾝとｶﾞﾗｽ",
    "👨‍👩‍👧‍👦と👍🏽と🇯🇵と☺️",
    "葛󠄀城市と辻󠄁さん",
    "<s>本文</s><unk><pad>",
    "<|user|>こんにちは<|assistant|><|reserved_3|>",
    "<0x41><0xE3>",
    "１２３4567890",
    "ＡＢＣ abc def foo(bar)",
    "\u200b\u200d\ufeff\u2028\u2029\x85\u00a0",
    "\ufffd\ufffe\uffff\U0010ffff\ufdd0",
    "الله 한국어 ελληνικά",
    "ー" * 3000,
    "ああああああああああああ",
]


@pytest.mark.parametrize("text", HARD)
def test_hard_texts_come_back_exactly(text: str, tokenizer: JapaneseTokenizer) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not any(tokenizer.is_control(index) for index in ids)
    assert b"".join(map(tokenizer.bytes_of, ids)) == text.encode()


@settings(deadline=None, max_examples=500)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_exactly_and_never_yields_a_special_piece(text: str, tokenizer: JapaneseTokenizer) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not any(tokenizer.is_control(index) for index in ids)


@settings(deadline=None, max_examples=300)
@given(parts=st.lists(st.sampled_from([*HARD, "猫", "は", "<s>", "\n", " ", "▁", "。", "𠮷", "1"]), max_size=8))
def test_hard_texts_side_by_side_come_back_exactly(parts: list[str], tokenizer: JapaneseTokenizer) -> None:
    text = "".join(parts)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode_batch([text, ""]) == [tokenizer.encode(text), []]


def test_every_piece_alone_comes_back(tokenizer: JapaneseTokenizer) -> None:
    for index in range(277, tokenizer.vocab_size):
        text = tokenizer.decode([index])
        assert text == tokenizer.piece(index).replace("▁", " ")
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_fixed_pieces_have_their_ids(tokenizer: JapaneseTokenizer) -> None:
    pieces = [tokenizer.piece(index) for index in range(277)]
    assert pieces[:7] == ["<unk>", "<s>", "</s>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>"]
    assert pieces[7:20] == [f"<|reserved_{number}|>" for number in range(3, 16)]
    assert pieces[20] == "\n"
    assert pieces[21:] == [f"<0x{byte:02X}>" for byte in range(256)]
    assert (tokenizer.unknown_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.padding_id) == (0, 1, 2, 3)
    assert [index for index in range(tokenizer.vocab_size) if tokenizer.is_control(index)] == list(range(20))
    assert [index for index in range(tokenizer.vocab_size) if tokenizer.is_byte(index)] == list(range(21, 277))
    assert tokenizer.piece_id("<|user|>") == 5 and tokenizer.piece_id("<unk>") == 0
    with pytest.raises(UsageError, match=r"no piece '<\|tool\|>'"):
        tokenizer.piece_id("<|tool|>")


def test_newlines_spaces_and_digits_have_pieces_of_their_own(tokenizer: JapaneseTokenizer) -> None:
    assert tokenizer.encode("\n\n") == [20, 20]
    assert not any(tokenizer.is_byte(index) for index in tokenizer.encode("猫は   眠った 1,234"))
    assert all(
        len(tokenizer.piece(index)) == 1 or not any(map(str.isdecimal, tokenizer.piece(index)))
        for index in range(277, tokenizer.vocab_size)
    )


def test_specials_stand_at_the_ends_only_when_asked_for(tokenizer: JapaneseTokenizer) -> None:
    ids = tokenizer.encode("<s>猫</s>")
    assert 1 not in ids and 2 not in ids
    assert tokenizer.encode("<s>猫</s>", begin=True, end=True) == [1, *ids, 2]
    assert tokenizer.encode("", begin=True) == [1]


def test_specials_are_shown_only_when_asked_for(tokenizer: JapaneseTokenizer) -> None:
    ids = [1, 5, *tokenizer.encode("猫"), 2, 3, 0]
    assert tokenizer.decode(ids) == "猫"
    assert tokenizer.decode(ids, special=True) == "<s><|user|>猫</s><pad><unk>"


@pytest.mark.parametrize(("text", "place"), [("\ud800", 0), ("猫▁犬▁\udfff", 4), ("あ" * 5000 + "\ud83d", 5000)])
def test_a_lone_surrogate_is_refused_at_its_place(text: str, place: int, tokenizer: JapaneseTokenizer) -> None:
    with pytest.raises(UsageError, match=f"character {place} of the text is a lone surrogate"):
        tokenizer.encode(text)


@pytest.mark.parametrize("index", [-1, -3000, 3000, 1 << 40])
def test_ids_out_of_range_are_refused(index: int, tokenizer: JapaneseTokenizer) -> None:
    for use in (lambda: tokenizer.decode([20, index]), lambda: tokenizer.piece(index)):
        with pytest.raises(UsageError, match=f"id {index} lies outside the vocabulary of 3000 pieces"):
            use()


def test_a_stream_gives_out_whole_characters_only(tokenizer: JapaneseTokenizer) -> None:
    text = "".join(HARD)
    decoder = StreamDecoder(tokenizer)
    shown = ""
    for index in tokenizer.encode(text):
        part = decoder.feed(index)
        assert text.startswith(part, len(shown))
        shown += part
    assert shown == text and decoder.flush() == ""


@settings(deadline=None)
@given(
    ids=st.lists(st.one_of(st.integers(0, 300), st.sampled_from([248, 171, 150, 261, 180])), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_a_stream_of_any_ids_equals_decoding_them_at_once(
    ids: list[int], cuts: list[int], tokenizer: JapaneseTokenizer
) -> None:
    decoder = StreamDecoder(tokenizer)
    bounds = [0, *sorted(min(cut, len(ids)) for cut in cuts), len(ids)]
    parts = [decoder.feed(*ids[start:end]) for start, end in pairwise(bounds)]
    assert "".join(parts) + decoder.flush() == tokenizer.decode(ids)


def test_an_incomplete_character_waits_and_then_becomes_a_replacement(tokenizer: JapaneseTokenizer) -> None:
    first, second, third = (21 + byte for byte in "猫".encode())
    decoder = StreamDecoder(tokenizer)
    assert [decoder.feed(first), decoder.feed(second), decoder.feed(third)] == ["", "", "猫"]
    assert decoder.feed(first, second) == "" and decoder.flush() == "\ufffd"
    assert tokenizer.decode([first, second]) == "\ufffd"
    assert tokenizer.decode([first, 20, second]) == "\ufffd\n\ufffd"


def test_pieces_show_each_token(tokenizer: JapaneseTokenizer) -> None:
    assert tokenizer.pieces("𠀋 ") == ["<0xF0>", "<0xA0>", "<0x80>", "<0x8B>", "▁"]


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "無い"):
        with pytest.raises(ArtifactError, match=r"holds no tokenizer\.model; a tokenizer, shards or model folder"):
            JapaneseTokenizer(folder)


@pytest.mark.parametrize("damage", ["empty", "text", "half", "altered"])
def test_a_damaged_model_is_refused(damage: str, tokenizer_folder: Path, tmp_path: Path) -> None:
    model = (tokenizer_folder / "tokenizer.model").read_bytes()
    content = {
        "empty": b"",
        "text": "吾輩は猫である。".encode() * 10,
        "half": model[: len(model) // 2],
        "altered": model.replace(b"<|user|>", b"<|uper|>"),
    }[damage]
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(
        ArtifactError, match=r"tokenizer\.model: (is not a SentencePiece model|was not trained by jgpt)"
    ):
        JapaneseTokenizer(tmp_path)


def test_a_model_of_another_maker_is_refused(training_text: str, tmp_path: Path) -> None:
    others: list[dict[str, Any]] = [{}, {"pad_id": 3, "byte_fallback": True}]
    for other in others:
        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(training_text.splitlines()[:300]),
            model_writer=written,
            model_type="bpe",
            vocab_size=1500,
            hard_vocab_limit=False,
            character_coverage=0.98,
            minloglevel=2,
            **other,
        )
        (tmp_path / "tokenizer.model").write_bytes(written.getvalue())
        with pytest.raises(ArtifactError, match="was not trained by jgpt"):
            JapaneseTokenizer(tmp_path)


def test_the_model_alone_is_enough(tokenizer_folder: Path, tokenizer: JapaneseTokenizer, tmp_path: Path) -> None:
    shutil.copy(tokenizer_folder / "tokenizer.model", tmp_path)
    assert JapaneseTokenizer(str(tmp_path)).encode("雪国であった。") == tokenizer.encode("雪国であった。")
