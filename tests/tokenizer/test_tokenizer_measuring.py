"""Opening tokenizers of others, and measuring any of them."""

import io
import math
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from stage.errors import ArtifactError
from tokenizer import JapaneseTokenizer, load, losses
from tokenizer.comparison import MEASURES, names_of, text_table, write_page
from tokenizer.measuring import Lines, cut_lines, efficiency, measure
from tokenizer.opening import HuggingFaceTokenizer, SentencePieceTokenizer
from tokenizer.words import Word, Words


@pytest.fixture(scope="module")
def others(training_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokenizers as others make them: SentencePiece with its defaults, and a byte-level BPE."""
    folder = tmp_path_factory.mktemp("others")
    lines = [line[:1000] for line in training_text.splitlines() if line.strip()]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=written, vocab_size=2500, minloglevel=3
    )
    (folder / "spiece.model").write_bytes(written.getvalue())
    bytewise = tokenizers.Tokenizer(models.BPE())
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytewise.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bytewise.train_from_iterator(
        lines[:200], trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    (folder / "bytes").mkdir()
    bytewise.save(str(folder / "bytes" / "tokenizer.json"))
    return folder


def test_each_kind_of_tokenizer_is_opened_and_says_what_it_loses(tokenizer_folder: Path, others: Path) -> None:
    ours, theirs, bytewise = load(tokenizer_folder), load(others), load(others / "bytes")
    assert isinstance(ours, JapaneseTokenizer) and losses(ours) == []
    assert isinstance(theirs, SentencePieceTokenizer)
    lost = losses(theirs)
    assert {
        "line ends",
        "runs of spaces",
        "ideographic spaces",
        "half-width kana",
        "characters outside the vocabulary",
    } <= set(lost)
    assert isinstance(bytewise, HuggingFaceTokenizer) and losses(bytewise) == []
    assert losses(load(tokenizer_folder / "tokenizer.json")) == []


WIDTHS = ["half-width kana", "full-width letters and digits", "circled and squared characters"]
SPACES = ["runs of spaces", "spaces at the beginning", "ideographic spaces"]
KINDS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    # as published models have been trained: settings, some of what they lose, and what they keep
    "rinna": ({}, [*WIDTHS, *SPACES, "line ends", "characters outside the vocabulary", "the sign ▁"], []),
    "llm-jp": (
        {
            "normalization_rule_name": "identity",
            "byte_fallback": True,
            "remove_extra_whitespaces": False,
            "max_sentencepiece_length": 8,
        }
        | {"user_defined_symbols": ["\n"], "allow_whitespace_only_pieces": True},
        ["the sign ▁"],
        [*WIDTHS, *SPACES, "line ends", "characters outside the vocabulary"],
    ),
    "bpe, nfkc": (
        {"model_type": "bpe", "normalization_rule_name": "nfkc", "byte_fallback": True},
        [*WIDTHS, *SPACES],
        ["line ends", "characters outside the vocabulary"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sentencepiece_models_of_others_are_opened_measured_and_judged(
    kind: str, tmp_path: Path, training_text: str
) -> None:
    settings, lost, kept = KINDS[kind]
    lines = [line[:1000] for line in training_text.splitlines()[::3] if line.strip()]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        vocab_size=2500,
        hard_vocab_limit=False,
        minloglevel=3,
        **settings,
    )
    (tmp_path / "其の.model").write_bytes(written.getvalue())
    tokenizer = load(tmp_path / "其の.model")
    found = losses(tokenizer)
    assert set(lost) <= set(found) and not set(kept) & set(found)
    figures = measure(tokenizer, cut_lines(["吾輩は猫である。", "𠮷野家で鷗外を読む。"]))
    assert (figures["unknown_share"] > 0) == (kind == "rinna") == (figures["byte_fallback_share"] == 0)
    assert 0.5 < figures["characters_per_token"] < 3 and 0.3 < figures["boundary_f1"] <= 1
    # without a whole number of tokens a text could not be encoded at all
    assert figures["loses"] == found and figures["tokens"] > 0


def test_what_a_tokenizer_json_cannot_write_is_unknown_and_parts_of_characters_are_bytes(
    tmp_path: Path, others: Path
) -> None:
    unigram = tokenizers.SentencePieceUnigramTokenizer()
    unigram.train_from_iterator(
        ["吾輩は猫である"] * 9, vocab_size=20, unk_token="<unk>", special_tokens=["<s>", "<unk>"], show_progress=False
    )
    unigram.save(str(tmp_path / "tokenizer.json"))
    opened = load(tmp_path)
    index = opened.encode("鷗")[-1]
    assert opened.piece(index) == "<unk>" and opened.is_unknown(index) and not opened.is_unknown(0)
    bytewise = load(others / "bytes")
    assert [bytewise.is_byte(index) for index in bytewise.encode("𠮷")] == [True] * 4
    assert not any(bytewise.is_byte(index) or bytewise.is_unknown(index) for index in bytewise.encode("the "))


def test_spans_are_those_of_the_original_text(tokenizer_folder: Path, others: Path) -> None:
    text = "吾輩は▁𠮷野家で👨‍👩‍👧を\n見た。"
    for tokenizer in (load(tokenizer_folder), load(tokenizer_folder / "tokenizer.json")):
        ids, spans = tokenizer.encode_with_spans(text)
        assert ids == tokenizer.encode(text)
        covered = ""
        for begin, end in dict.fromkeys(spans):
            covered += text[begin:end]
        assert covered == text
        assert all(end == begin + 1 for index, (begin, end) in zip(ids, spans, strict=True) if tokenizer.is_byte(index))
    ids, spans = load(others).encode_with_spans("①猫  です")
    assert spans[-1][1] == 6 and all(0 <= begin <= end <= 6 for begin, end in spans)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\xff"])
def test_what_is_no_tokenizer_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    for name in ("x.model", "tokenizer.json"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ArtifactError) as caught:
            load(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="holds neither"):
        load(tmp_path / "empty")
    with pytest.raises(ArtifactError, match="is not there"):
        load(tmp_path / "nothing")


def test_words_are_places_in_the_text_whatever_stands_between_them() -> None:
    text = "吾輩は  猫\0である。\u3000終 "
    words = Words().cut(text)
    assert [text[word.begin : word.end] for word in words] == ["吾輩", "は", "猫", "で", "ある", "。", "\u3000", "終"]
    assert [text[word.begin : word.end] for word in words if word.particle] == ["は"]
    assert Words().parted("私は 犬 ", "|").replace("|", "") == "私は 犬 "
    assert Words().parted("私は 犬", "|") == "私|は| |犬"


class Fixed:
    """A tokenizer that cuts where it is told: its ids are places in a list of pieces."""

    vocab_size = 8

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces

    def encode(self, text: str) -> list[int]:
        return list(range(len(self.pieces))) if text == "".join(self.pieces) else [0]

    def encode_batch(self, texts: Any) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def encode_with_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        ends = [sum(map(len, self.pieces[: place + 1])) for place in range(len(self.pieces))]
        return self.encode(text), list(zip([0, *ends], ends, strict=False))

    def decode(self, ids: Any) -> str:
        return "".join(self.pieces[index] for index in ids)

    def piece(self, index: int) -> str:
        return self.pieces[index]

    def is_byte(self, index: int) -> bool:
        return self.pieces[index] == "犬"

    def is_unknown(self, index: int) -> bool:
        return self.pieces[index] == "猫"


def test_measures_are_what_their_names_say() -> None:
    # words 私 は 猫 と 犬 を 見る 。 with the particles は, と and を
    text = "私は猫と犬を見る。"
    ends = [1, 2, 3, 4, 5, 6, 8, 9]
    words = [Word(begin, end, text[begin:end] in "はとを") for begin, end in zip([0, *ends], ends, strict=False)]
    pieces = ["私", "は", "猫", "と犬", "を見", "る。"]
    found = measure(Fixed(pieces), Lines([text], [words]))
    own, gold = {1, 2, 3, 5, 7}, set(ends[:-1])
    assert found["tokens"] == 6 and found["characters"] == 9
    assert found["characters_per_token"] == pytest.approx(9 / (6 + 2))  # 猫 is unknown and counts as its three bytes
    assert found["tokens_per_word"] == pytest.approx(8 / 8)
    assert found["unknown_share"] == pytest.approx(1 / 6, abs=1e-6) and found["byte_fallback_share"] == 0
    assert found["boundary_precision"] == pytest.approx(len(own & gold) / len(own))
    assert found["boundary_recall"] == pytest.approx(len(own & gold) / len(gold), abs=1e-6)
    assert found["crosses_word_share"] == pytest.approx(3 / 6) and found["particle_in_front_share"] == pytest.approx(
        2 / 6, abs=1e-6
    )
    assert found["punctuation_glued_share"] == pytest.approx(1 / 6, abs=1e-6)
    assert found["shannon_efficiency"] == pytest.approx(math.log(6) / math.log(8))
    assert found["vocabulary_used"] == 6 / 8 and found["round_trip_exact"] == 1.0
    assert set(MEASURES) <= set(found)


def test_efficiency_is_one_for_an_even_vocabulary_and_falls_with_unevenness() -> None:
    assert efficiency([5, 5, 5, 5], 4, 1.0) == pytest.approx(1.0) == efficiency([5, 5, 5, 5], 4, 2.5)
    assert efficiency([97, 1, 1, 1], 4, 2.5) < efficiency([97, 1, 1, 1], 4, 1.0) < 0.2
    shares = (0.5, 0.25, 0.25)
    renyi = math.log(sum(share**2.5 for share in shares)) / -1.5 / math.log(8)
    assert efficiency([2, 1, 1], 8, 2.5) == pytest.approx(renyi)


def test_real_tokenizers_are_told_apart(
    tokenizer_folder: Path, others: Path, training_text: str, tmp_path: Path
) -> None:
    lines = cut_lines([*(line for line in training_text[-4000:].splitlines() if line), "鰻𩸽魑魅魍魎"])
    tokenizers_by_name = {"ours": load(tokenizer_folder), "theirs": load(others), "bytes": load(others / "bytes")}
    figures = {name: measure(tokenizer, lines) for name, tokenizer in tokenizers_by_name.items()}
    assert figures["ours"]["round_trip_exact"] == 1.0 > figures["theirs"]["round_trip_exact"]
    assert figures["ours"]["unknown_share"] == 0 < figures["theirs"]["unknown_share"]
    assert figures["bytes"]["characters_per_token"] < figures["ours"]["characters_per_token"]
    table = text_table(figures)
    assert len({len(line) for line in table.splitlines()[1:-1] if "loses" not in line}) == 1
    assert "theirs loses line ends" in table and "nothing" in table
    page = write_page(tmp_path / "p.html", figures, tokenizers_by_name, "神は<言>へり", "a test").read_text("utf-8")
    assert page.count('class="pieces"') == 3 and "&lt;" in page and "<言>" not in page


def test_names_are_as_short_as_they_can_be() -> None:
    assert names_of(["a/x/t", "b/x/t"]) == ["a/x/t", "b/x/t"]
    assert names_of(["a/one", "b/two"]) == ["one", "two"]
    assert names_of(["t"]) == ["t"]
