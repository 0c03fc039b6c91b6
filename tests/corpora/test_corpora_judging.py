import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.characters import CLASSES, count_classes, japanese_share
from corpora.config import CorpusConfig, SourceConfig, source_names
from corpora.judging import has_lone_surrogate, mend
from corpora.rows import judge
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
    ("text", "rules", "verdict"),
    [
        ("", "minimal", ("empty", 0.0)),
        (" \n　", "none", ("empty", 0.0)),
        ("短い文。", "minimal", ("chars>=20", 4.0)),
        ("短い文。", "none", ("", 0.0)),
        ("長い文である。" * 10, "minimal,chars<=50", ("chars<=50", 70.0)),
        ("This is an English document.", "minimal", ("japanese_ratio>=0.2", 0.0)),
        ("This is an English document.", "minimal,japanese_ratio>=0", ("", 0.0)),
        ("吾輩は猫である。名前はまだ無い。どこで生れたか。", "minimal", ("", 0.0)),
    ],
)
def test_documents_are_judged_with_reason_and_measure(text: str, rules: str, verdict: tuple[str, float]) -> None:
    source = SourceConfig("a", rules=rules)
    assert judge([text, text], source, config()) == [verdict] * 2
    assert not verdict[0] or mend(verdict[0])


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
        ({"near_duplicates": 0.2}, "--near_duplicates 0.2: must be 0, or a similarity from 0.5 to 1"),
        ({"measures": "chars,top2"}, "there is no measure 'top2': did you mean top_2"),
        ({"valid_share": 1.0}, "--valid_share 1.0: must be"),
        ({"limit": -3}, "--limit -3: must be"),
        ({"limit": 10**20}, "fit into 63 bits"),
        ({"limit": None}, "--limit has no value: must be a whole number"),
        ({"limit": 2.5}, "--limit is 2.5: must be a whole number"),
        ({"limit": True}, "--limit is True: must be a whole number"),
        ({"valid_share": "半分"}, "--valid_share is '半分': must be a number"),
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
