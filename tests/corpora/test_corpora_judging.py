import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.characters import CLASSES, count_classes, japanese_share
from corpora.config import CorpusConfig, SourceConfig, source_names
from corpora.judging import MENDS, has_lone_surrogate, japanese_ratio, judge
from corpora.splitting import choose_valid, cut_tail, splits_tails
from stage.errors import UsageError

SOURCE = SourceConfig("a.txt")


def config(**fields: float) -> CorpusConfig:
    return CorpusConfig([SOURCE], **fields)  # type: ignore[arg-type]


@given(st.text())
def test_every_character_is_counted_once(text: str) -> None:
    assert count_classes(text).sum() == len(text)


def test_characters_fall_into_their_classes() -> None:
    counts = dict(zip(CLASSES, count_classes("ひらカター漢𠮷々abcé한1２、。 　👩\t"), strict=True))
    assert counts == {
        "hiragana": 2,
        "katakana": 3,
        "kanji": 3,
        "latin": 4,
        "other_letter": 1,
        "digit": 2,
        "punctuation": 2,
        "space": 3,
        "other": 1,
    }


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("吾輩は猫である。", 1.0),
        ("abc", 0.0),
        ("ねこ犬abc12", 0.5),
        ("我是一只猫，还没有名字。", 0.0),
        ("123。、", 0.0),
        ("", 0.0),
    ],
)
def test_japanese_share_is_that_of_letters_and_chinese_has_none(text: str, share: float) -> None:
    assert japanese_share(count_classes(text)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "fields", "verdict"),
    [
        ("", {}, ("empty", 0.0)),
        (" \n　", {}, ("empty", 0.0)),
        ("短い文。", {}, ("too_short", 4.0)),
        ("長い文である。" * 10, {"max_chars": 50}, ("too_long", 70.0)),
        ("This is an English document.", {}, ("not_japanese", 0.0)),
        ("This is an English document.", {"min_japanese": 0.0}, None),
        ("吾輩は猫である。名前はまだ無い。どこで生れたか。", {}, None),
    ],
)
def test_documents_are_judged_with_reason_and_measure(
    text: str, fields: dict[str, float], verdict: tuple[str, float] | None
) -> None:
    assert judge(text, japanese_ratio(text), config(**fields)) == verdict
    assert verdict is None or verdict[0] in MENDS


def test_lone_surrogates_are_seen_and_astral_kanji_are_not_taken_for_them() -> None:
    assert has_lone_surrogate("猫\ud83d") and not has_lone_surrogate("𠮷👩")


def test_a_share_of_the_documents_is_held_out_whatever_their_order() -> None:
    digests = np.random.default_rng(0).integers(0, 2**63, 10_000).astype(np.uint64)
    valid = choose_valid(digests, config())
    assert 150 < valid.sum() < 250
    assert (choose_valid(digests[::-1], config())[::-1] == valid).all()
    assert (choose_valid(digests, config(seed=1)) != valid).any()
    # a document stays on its side when others come or go
    assert (choose_valid(digests[:5000], config()) == valid[:5000]).all()


def test_at_least_the_smallest_number_is_held_out() -> None:
    digests = np.random.default_rng(0).integers(0, 2**63, 100).astype(np.uint64)
    assert choose_valid(digests, config()).sum() == 20
    assert choose_valid(digests, config(valid_share=0.0, valid_min_documents=0)).sum() == 0


def test_few_documents_are_cut_instead() -> None:
    assert splits_tails(49, config()) and not splits_tails(50, config())
    assert not splits_tails(3, config(valid_share=0.0, valid_min_documents=0))


@pytest.mark.parametrize(
    "line",
    ["吾輩は猫である。\n", "吾輩は猫である。", "吾輩は猫であり", "👩\u200d👩\u200d👧", "か\u3099", "葛\U000e0100"],
)
def test_a_tail_is_about_a_twentieth_and_no_character_is_cut(line: str) -> None:
    text = line * 200
    cut = cut_tail(text.strip("\n"))
    assert cut is not None
    head, tail = cut
    assert 0.03 < len(tail) / len(text) < 0.11
    assert (head + "\n" + tail if line.endswith("\n") else head + tail) == text.strip("\n")
    assert unicodedata.combining(tail[0]) == 0 and tail[0] not in "\u200d\U000e0100" and head[-1] != "\u200d"
    if "。" in line:
        assert head.endswith("。")


@given(st.text())
def test_cutting_loses_nothing_but_line_ends(text: str) -> None:
    if cut := cut_tail(text):
        assert (cut[0] + cut[1]).replace("\n", "") == text.replace("\n", "")
        assert cut[0].strip() and cut[1].strip()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_chars": -1}, "--min_chars -1: must be 0 or more"),
        ({"min_chars": 30, "max_chars": 20}, "--max_chars 20: must not be smaller"),
        ({"min_japanese": 1.5}, "a share from 0 to 1"),
        ({"valid_share": 1.0}, "--valid_share 1.0: must be"),
        ({"limit": -3}, "--limit -3: must be"),
        ({"limit": 10**20}, "fit into 63 bits"),
        ({"min_chars": None}, "--min_chars has no value: must be a whole number"),
        ({"min_chars": 2.5}, "--min_chars is 2.5: must be a whole number"),
        ({"min_chars": True}, "--min_chars is True: must be a whole number"),
        ({"min_japanese": "半分"}, "--min_japanese is '半分': must be a number"),
        ({"deduplicate": None}, "--deduplicate has no value: must be true or false"),
    ],
)
def test_contradictory_settings_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"path": " "}, "needs a path"),
        ({"path": "a", "markup": "tex"}, "--markup tex: must be one of auto, plain, aozora, wikitext, html, markdown"),
        ({"path": "a", "normalization": "nfkc"}, "there is no normalisation preset 'nfkc'"),
        ({"path": "a", "documents": "page"}, "--documents page: must be"),
        ({"path": "a", "markup": None}, "--markup None: must be"),
        ({"path": "a", "license": None}, "--license has no value: must be text"),
        ({"path": "a", "name": 3}, "--name is 3: must be text"),
        ({"path": "a", "name": "a/b"}, "must not contain /"),
        ({"path": "embedded:genji"}, "the only embedded corpus"),
    ],
)
def test_impossible_sources_are_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SourceConfig(**fields)  # type: ignore[arg-type]


def test_no_source_and_equal_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no source"):
        CorpusConfig([])
    with pytest.raises(UsageError, match="sources must be a list"):
        CorpusConfig(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="two sources are named a"):
        CorpusConfig([SourceConfig("x", name="a"), SourceConfig("y", name="a")])


def test_sources_get_unique_names_from_their_paths() -> None:
    paths = [
        "a/neko.txt.gz",
        "b/neko.txt",
        "hf:owner/set:ja@train",
        "embedded:kougo",
        "s3://b/wiki.jsonl.zst",
        "dir.v1/",
    ]
    assert source_names([SourceConfig(path) for path in paths]) == [
        "neko",
        "neko-2",
        "set-ja",
        "kougo",
        "wiki",
        "dir.v1",
    ]
