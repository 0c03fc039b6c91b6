"""Encoders that are faster than SentencePiece are used only where they give its ids."""

import pytest

from stage.errors import JgptError, UsageError
from tokenizer import JapaneseTokenizer, encoders
from tokenizer.encoders import check_encoder, open_encoder, probing_texts
from tokenizer.opening import PROBES
from tokenizer.pieces import FIXED_PIECES


def test_probing_texts_hold_what_tells_encoders_apart(tokenizer_folder):
    tokenizer = JapaneseTokenizer(tokenizer_folder)
    texts = probing_texts(tokenizer, 500)
    assert texts == probing_texts(tokenizer, 500) != probing_texts(tokenizer, 500, seed=1)
    assert {*PROBES.values(), *FIXED_PIECES} <= set(texts)
    whole = "".join(texts[-500:])
    assert any("<s>" in text and text != "<s>" for text in texts)
    assert any(character > "\uffff" for character in whole) and "▁" in whole
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_batch(texts)] == texts


def test_gigatoken_gives_the_same_ids(tokenizer_folder):
    pytest.importorskip("gigatoken")
    tokenizer = JapaneseTokenizer(tokenizer_folder)
    check_encoder(tokenizer, tokenizer_folder, "gigatoken")
    encode = open_encoder(tokenizer, tokenizer_folder, "gigatoken")
    texts = probing_texts(tokenizer, 2000, seed=7)
    assert [ids.tolist() for ids in encode(texts)] == tokenizer.encode_batch(texts)
    assert [ids.tolist() for ids in encode(["▁", "▁▁"])] == tokenizer.encode_batch(["▁", "▁▁"])
    assert encode([]) == []


def test_an_encoder_that_differs_is_refused_with_the_text(tokenizer_folder, monkeypatch):
    tokenizer = JapaneseTokenizer(tokenizer_folder)

    def other(_tokenizer, _folder):
        return lambda texts: [
            ids[:-1] if "ｶﾞ" in text else ids for text, ids in zip(texts, tokenizer.encode_arrays(texts), strict=True)
        ]

    monkeypatch.setattr(encoders, "_gigatoken", other)
    with pytest.raises(UsageError, match="gives other ids than SentencePiece for 'ｶﾞﾗｽ'; use --encoder sentencepiece"):
        check_encoder(tokenizer, tokenizer_folder, "gigatoken")


def test_what_an_encoder_cannot_do_is_said(tokenizer_folder, unigram, monkeypatch):
    with pytest.raises(UsageError, match="--encoder tiktoken: known are sentencepiece, gigatoken"):
        open_encoder(JapaneseTokenizer(tokenizer_folder), tokenizer_folder, "tiktoken")
    with pytest.raises(UsageError, match="does BPE only"):
        check_encoder(JapaneseTokenizer(unigram), unigram, "gigatoken")
    monkeypatch.setitem(__import__("sys").modules, "gigatoken", None)
    with pytest.raises(JgptError, match=r"pip install 'jgpt\[fast\]'"):
        open_encoder(JapaneseTokenizer(tokenizer_folder), tokenizer_folder, "gigatoken")
