"""Tokenizers of other kinds than the default: unigram, characters, words, common kanji, user symbols, strings from Python."""

from pathlib import Path
from typing import Any

import pytest
import tokenizers

from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import read_manifest
from tests.tokenizer.test_tokenizer_interchange import fuzzed
from tokenizer import JapaneseTokenizer, train_tokenizer
from tokenizer.characters import common_kanji
from tokenizer.config import TokenizerConfig
from tokenizer.encoders import probing_texts
from tokenizer.pieces import FIXED
from tokenizer.words import Words

KINDS: dict[str, dict[str, Any]] = {
    "unigram": {"model": "unigram", "vocab_size": 2500},
    "char": {"model": "char", "vocab_size": 2000},
    "words": {"vocab_size": 2500},
    "symbols": {"user_symbols": ["<|考|>", "、、", "神は"], "vocab_size": 2500},
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kinds") / str(request.param)
    train_tokenizer(out, TokenizerConfig(**KINDS[request.param]), text=[str(text_file)], quiet=True)
    return out


def test_every_kind_is_lossless_and_the_same_in_hugging_face_tokenizers(kind: Path, training_text: str) -> None:
    tokenizer = JapaneseTokenizer(kind)
    other = tokenizers.Tokenizer.from_file(str(kind / "tokenizer.json"))
    other.encode_special_tokens = True  # names of special and byte pieces are text
    texts = [*fuzzed(training_text, 2000), *probing_texts(tokenizer, 1000)]
    texts += ["<|考|>神は、、、言へり神はは", "▁神は▁▁", "", " "]
    for text, encoding in zip(texts, other.encode_batch(texts, add_special_tokens=False), strict=True):
        ids = tokenizer.encode(text)
        assert encoding.ids == ids, text
        assert tokenizer.decode(ids) == other.decode(ids, skip_special_tokens=False) == text


def test_characters_are_one_token_each(text_file: Path, tmp_path: Path, training_text: str) -> None:
    counts = train_tokenizer(
        tmp_path / "t",
        TokenizerConfig(boundaries="none", model="char", vocab_size=60_000),
        text=[str(text_file)],
        quiet=True,
    ).counts
    tokenizer = JapaneseTokenizer(tmp_path / "t")
    assert counts["vocab_size"] < 10_000 and counts["merged_pieces"] == 0 and counts["character_coverage"] == 1.0
    text = training_text[:500].replace("▁", "")
    assert len(tokenizer.encode(text)) == len(text)


def test_no_piece_crosses_a_word_where_words_are_asked_for(text_file: Path, tmp_path: Path) -> None:
    lines = ["吾輩は猫である。", "東京へ行く人々は、朝早く出発した。", "彼は本を読んだ。"] * 200
    for name, boundaries in (("free", "none"), ("words", "mecab"), ("auto", "auto")):
        config = TokenizerConfig(vocab_size=308, boundaries=boundaries)  # type: ignore[arg-type]
        train_tokenizer(tmp_path / name, config, texts=lines, quiet=True)
    words = {line[word.begin : word.end] for line in lines for word in Words().cut(line)}
    assert (tmp_path / "words" / "tokenizer.model").read_bytes() == (tmp_path / "auto" / "tokenizer.model").read_bytes()
    free, bound = (JapaneseTokenizer(tmp_path / name) for name in ("free", "words"))
    longer = [
        {each.piece(index) for index in range(FIXED, each.vocab_size) if len(each.piece(index)) > 1}
        for each in (free, bound)
    ]
    assert any(not any(piece in word for word in words) for piece in longer[0])
    assert longer[1] and all(any(piece in word for word in words) for piece in longer[1])
    assert bound.decode(bound.encode(lines[1])) == lines[1]


def test_common_kanji_become_pieces_though_the_text_lacks_them(tmp_path: Path) -> None:
    assert len(common_kanji()) > 2990 and {"鬱", "𠮟", "頰", "渾"} <= set(common_kanji())
    lines = ["吾輩は猫である。名前はまだ無い。"] * 50
    counts = train_tokenizer(
        tmp_path / "t",
        TokenizerConfig(boundaries="none", vocab_size=3310, common_kanji=True, max_character_share=1.0),
        texts=lines,
        quiet=True,
    ).counts
    tokenizer = JapaneseTokenizer(tmp_path / "t")
    assert not any(tokenizer.is_byte(index) for index in tokenizer.encode("憂鬱𠮟巫"))
    assert counts["character_pieces"] > 2990


def test_rare_characters_are_left_to_bytes_when_asked(tmp_path: Path) -> None:
    lines = ["吾輩は猫である。"] * 30 + ["鰻と鱧"]
    for least, expected in ((1, False), (2, True)):
        config = TokenizerConfig(boundaries="none", vocab_size=298, min_character_count=least)
        train_tokenizer(tmp_path / f"{least}", config, texts=lines, quiet=True)
        tokenizer = JapaneseTokenizer(tmp_path / f"{least}")
        assert tokenizer.is_byte(tokenizer.encode("鱧")[0]) == expected
        assert tokenizer.decode(tokenizer.encode("鱧猫")) == "鱧猫"


def test_user_symbols_are_one_piece_and_keep_the_fixed_ids(tmp_path: Path) -> None:
    lines = ["♪♪歌う<|tool|>猫♪♪"] * 50
    symbols = ["<|tool|>", "♪♪", "♪"]
    train_tokenizer(
        tmp_path / "t",
        TokenizerConfig(boundaries="none", vocab_size=285, user_symbols=symbols),
        texts=lines,
        quiet=True,
    )
    tokenizer = JapaneseTokenizer(tmp_path / "t")
    assert [tokenizer.piece(index) for index in range(282, 285)] == symbols
    assert tokenizer.encode("♪♪♪猫<|tool|>")[:2] == [283, 284] and tokenizer.encode("<|tool|>") == [282]
    assert not any("♪" in tokenizer.piece(index) or "tool" in tokenizer.piece(index) for index in range(FIXED, 282))
    assert tokenizer.decode(tokenizer.encode(lines[0])) == lines[0]
    counts = read_manifest(tmp_path / "t").counts
    assert (counts["character_pieces"], counts["merged_pieces"]) == (4, 1)  # 歌 う 猫 and the space; 歌う
    assert tokenizer.piece(20) == "\n" and tokenizer.piece(21) == "<0x00>"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"user_symbols": [""]}, "user_symbols"),
        ({"user_symbols": ["a b"]}, "user_symbols"),
        ({"user_symbols": ["甲", "甲"]}, "twice"),
        ({"user_symbols": ["<s>"]}, "fixed piece <s>"),
        ({"user_symbols": ["<|"]}, "in the name of the fixed piece"),
        ({"user_symbols": ["あ" * 501]}, "longer than 500"),
        ({"model": "wordpiece"}, "known are bpe, unigram, char"),
        ({"boundaries": "sudachi"}, "known are auto, none, mecab"),
        ({"boundaries": "mecab", "model": "char"}, "no effect"),
        ({"min_character_count": 0}, "at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        TokenizerConfig(**wrong)


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_symbols_that_overlap_are_found_from_the_left_as_in_hugging_face_tokenizers(model: Any, tmp_path: Path) -> None:
    lines = [f"歌う猫{number}……歌う・・猫…ab・。" for number in range(60)]
    symbols = ["……", "・・", "・・・", "猫"]
    config = TokenizerConfig(boundaries="none", vocab_size=350, model=model, user_symbols=symbols, common_kanji=True)
    train_tokenizer(tmp_path / "t", config, texts=lines, quiet=True)
    tokenizer = JapaneseTokenizer(tmp_path / "t")
    other = tokenizers.Tokenizer.from_file(str(tmp_path / "t" / "tokenizer.json"))
    for text in ("………", "・・・・・", "猫・・猫……猫", "……▁……", "ab…", "・", ""):
        ids, spans = tokenizer.encode_with_spans(text)
        assert ids == tokenizer.encode(text) == tokenizer.encode_batch([text])[0] == other.encode(text).ids
        assert tokenizer.decode(ids) == text and all(text[begin:end] for begin, end in spans)


@pytest.mark.parametrize("model", ["bpe", "unigram", "char"])
def test_text_that_spells_special_pieces_is_learned_from_like_any_other(model: Any, tmp_path: Path) -> None:
    song = "色は匂へど散りぬるを我が世誰ぞ常ならむ有為の奥山今日越えて浅き夢見じ酔ひもせず"
    lines = [f"<|user|>{song[start % 30 :]}<|assistant|><s>{song[: start % 25]}<0x41>" for start in range(90)]
    counts = train_tokenizer(
        tmp_path / "t",
        TokenizerConfig(boundaries="none", vocab_size=380, model=model, max_character_share=1.0),
        texts=lines,
        quiet=True,
    ).counts
    tokenizer = JapaneseTokenizer(tmp_path / "t")
    assert counts["character_coverage"] == 1 and counts["byte_fallback_share"] == 0
    assert not any(
        tokenizer.is_byte(index) for index in tokenizer.encode("<|user|>か<|assistant|><0x41>".replace("か", "は"))
    )
    other = tokenizers.Tokenizer.from_file(str(tmp_path / "t" / "tokenizer.json"))
    other.encode_special_tokens = True
    for text in (*lines[:3], "<s>", "<|user|>", "<0x41><0x42>", "</s><unk>"):
        assert other.encode(text).ids == tokenizer.encode(text)


def test_text_that_nothing_is_left_of_is_refused(tmp_path: Path) -> None:
    config = TokenizerConfig(boundaries="none", vocab_size=300, min_character_count=1000)
    with pytest.raises(InputError, match="no text to learn from is left"):
        train_tokenizer(tmp_path / "t", config, texts=["歌う猫。"] * 30, quiet=True)
    kept = {}
    for seed in range(20):  # a sample of no byte keeps one line or none
        with pytest.raises(UsageError) as raised:
            train_tokenizer(
                tmp_path / "t",
                TokenizerConfig(boundaries="none", sample_megabytes=1e-7, seed=seed),
                texts=["歌う猫"] * 9,
                quiet=True,
            )
        kept[str(raised.value).split(":")[0]] = raised
    assert set(kept) == {"--sample_megabytes 1e-07", "--vocab_size 8000 is more than this text can fill"}
    with pytest.raises(InputError, match="lone surrogate"):
        train_tokenizer(
            tmp_path / "t", TokenizerConfig(boundaries="none", vocab_size=300), texts=["歌う\ud800猫"] * 30, quiet=True
        )


def test_strings_from_python_are_read_once_and_known_again(tmp_path: Path) -> None:
    lines = [f"第{number}話。猫は{number}回眠った。" for number in range(100)]
    config = TokenizerConfig(boundaries="none", vocab_size=300)
    first = train_tokenizer(tmp_path / "t", config, texts=iter(lines), quiet=True)
    assert train_tokenizer(tmp_path / "t", config, texts=iter(lines), quiet=True) == first
    assert first.inputs[0].role == "texts"
    with pytest.raises(ArtifactError, match="another input"):
        train_tokenizer(tmp_path / "t", config, texts=iter(lines[1:]), quiet=True)
    with pytest.raises(InputError, match="holds no text"):
        train_tokenizer(tmp_path / "empty", config, texts=iter([]), quiet=True)
    assert not (tmp_path / "empty").exists() and read_manifest(tmp_path / "t").data_sha256 == first.data_sha256


def test_text_of_one_character_a_long_line_and_nul_are_handled(tmp_path: Path) -> None:
    for name, text in (("one", "あ" * 100_000), ("line", "吾輩は猫である" * 300_000), ("nul", "猫\0は\0" * 1000)):
        with pytest.raises(UsageError, match=r"the largest that works is \d+"):
            train_tokenizer(
                tmp_path / name, TokenizerConfig(boundaries="none", vocab_size=3000), texts=[text], quiet=True
            )
    train_tokenizer(
        tmp_path / "nul", TokenizerConfig(boundaries="none", vocab_size=280), texts=["猫\0は\0" * 1000], quiet=True
    )
    tokenizer = JapaneseTokenizer(tmp_path / "nul")
    assert tokenizer.decode(tokenizer.encode("猫\0は")) == "猫\0は"
