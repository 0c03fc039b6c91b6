"""The rules of ja-v1, each row of docs/normalization.md, and that blocks and offsets agree with them."""

import gzip
import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora import normalization
from corpora.blocks import normalize_all
from corpora.normalization import (
    DOCUMENT_RULES,
    KEPT,
    LINE_RULES,
    PRESETS,
    digest,
    normalize,
    normalize_prompt,
    normalize_with_offsets,
)
from corpora.old_forms import NEW_KANJI
from stage.errors import UsageError

DOCS = Path(__file__).parents[2] / "docs" / "normalization.md"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "corpora"
FROZEN = "ec46d3e17891d08e0ad252851b039dbb233a5ea8b763d77fc4c8dfb22fba2236"

# Characters that meet each other's rules: joiners, marks, kana that voice, digits and points, line ends, spaces
AWKWARD = (
    "かカｶﾞﾟ゛゜\u3099\u309aはハう\u200d\ufe0f👩👧🏽™ℹ🄰①１1２，．：、。aＡ　 "
    "\t\n\r\u2028\u0085\u200b\ufeff\u00ad㌔㌣ﾄ…～〜＝\u0338\u0301éÅ𠮷葛\U000e0100゙️゚・ｰ－ー−‐-サᄀ각\ufffe\U0010fffe"
)
STRINGS = st.one_of(
    st.text(),
    st.text(alphabet=AWKWARD),
    st.text(alphabet="文 \u3000\t\n"),
    st.text(alphabet=st.characters(min_codepoint=0x2000, max_codepoint=0xFFFF, exclude_categories=["Cs"])),
)


def rows() -> list[tuple[str, str, str]]:
    """Rule, before and after of each row of the tables."""
    found = re.findall(r"^\| ([^|`]+?) \| `(.*)` \| `(.*)` \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    escaped = re.compile(r"\\(?:[ntr]|u[0-9a-f]{4}|U[0-9a-f]{8})")
    read = lambda cell: escaped.sub(lambda match: match[0].encode().decode("unicode_escape"), cell)  # noqa: E731
    return [(rule, read(before), read(after)) for rule, before, after in found]


@pytest.mark.parametrize(("rule", "before", "after"), rows())
def test_each_row_of_the_table_holds(rule: str, before: str, after: str) -> None:
    preset = f"ja-v1+{rule}" if rule in ("new-kanji", "no-iteration") else "ja-v1"
    assert normalize(before, preset) == after
    assert normalize_all([before, "間", before], preset) == [after, "間", after]


def test_the_table_has_every_rule_in_its_order() -> None:
    known = [rule.name for rule in (*LINE_RULES, *DOCUMENT_RULES)]
    told = [name for rule, *_ in rows() if (name := re.split("[:,]", rule)[0]) in known]
    assert list(dict.fromkeys(told)) == [name for name in known if name in told]
    assert set(told) == set(known)


def test_the_preset_is_frozen() -> None:
    assert PRESETS["ja-v1"] == FROZEN, "ja-v1 must not change any more: make ja-v2"


@given(STRINGS)
@settings(max_examples=600, deadline=None)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    prompt = normalize_prompt(text)
    assert normalize_prompt(prompt) == prompt


@given(STRINGS)
@settings(max_examples=300, deadline=None)
def test_documents_are_prompts_but_for_document_rules(text: str) -> None:
    assert normalize(normalize_prompt(text)) == normalize(text)


@given(st.lists(STRINGS, max_size=6))
@settings(max_examples=600, deadline=None)
def test_many_at_once_become_what_each_does_alone(texts: list[str]) -> None:
    assert normalize_all(texts) == [normalize(text) for text in texts]


@given(STRINGS)
@settings(max_examples=400, deadline=None)
def test_offsets_point_at_where_each_character_began(text: str) -> None:
    for prompt, expected in ((False, normalize(text)), (True, normalize_prompt(text))):
        found, offsets = normalize_with_offsets(text, prompt=prompt)
        assert found == expected
        assert len(offsets) == len(found) + 1 and offsets[-1] == len(text)
        assert offsets == sorted(offsets) and (not offsets or offsets[0] >= 0)
        if unicodedata.is_normalized("NFKC", text) and not any(map(unicodedata.combining, text)):
            # what was not changed is where it was
            for place, character in enumerate(found):
                if character != "\n" and text.count(character) == 1 == found.count(character):
                    assert text[offsets[place]] == character


def test_a_document_becomes_the_same_whatever_stands_beside_it() -> None:
    text = "上の段落。\n\n　\n\n下の段落。"
    assert normalize(text) == "上の段落。\n\n\n下の段落。"
    assert normalize_all([text]) == normalize_all([text, "あ\n\n\n\nい"])[:1] == [normalize(text)]


def test_letter_spaced_voicing_marks_are_normalised_once() -> None:
    for text in ("か ゛ つ こ い い で す 。", "い す ゝ ゛ と 云 ふ 人 な り"):
        once = normalize(text)
        assert normalize(once) == once == normalize_all([text])[0]


MARKS = st.lists(
    st.sampled_from(
        [
            *"eが゛1\u0301\u0316\u0344ﾞﾟ\u3099\u0f73\u1f82\u05b0´\u200d\u200b文 \n\U0001d160",
            *("\u0316\u0301" * 7, "\u0344" * 14),
        ]
    ),
    max_size=40,
).map("".join)


@given(MARKS)
@settings(max_examples=400, deadline=None)
def test_long_runs_of_marks_become_the_same_everywhere_and_stay(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once == normalize_with_offsets(text)[0] == normalize_all([text, "間"])[0]
    runs = "".join("|x"[unicodedata.combining(each) > 0] for each in unicodedata.normalize("NFD", once)).split("|")
    assert max(map(len, runs)) <= 30


def test_marks_take_time_in_proportion_to_their_number() -> None:
    # canonical order is quadratic: of so many it would take an hour
    text = "a" + "\u0316\u0301" * 300_000
    assert len(normalize(text)) == len(normalize_all([text])[0]) == len(normalize_with_offsets(text)[0]) == 30


def test_every_mark_is_looked_for() -> None:
    known = re.compile(f"[{normalization._MARKS}]")
    marks = [
        each for each in map(chr, range(0x110000)) if unicodedata.combining(unicodedata.normalize("NFKD", each)[0])
    ]
    assert all(map(known.match, marks))


def test_offsets_find_an_answer_in_the_text_as_it_was() -> None:
    text = "\r\n㍿ﾊﾟﾝ屋は１，０００円、\u200b株式。"
    found, offsets = normalize_with_offsets(text)
    assert found == "株式会社パン屋は1,000円、株式。"
    begin = found.index("パン屋")
    assert text[offsets[begin] : offsets[begin + 3]] == "ﾊﾟﾝ屋"
    begin = found.index("1,000円")
    assert text[offsets[begin] : offsets[begin + 6]] == "１，０００円"


@pytest.mark.parametrize("spaces", [1, 31, 32, 33, 34, 500])
def test_any_number_of_spaces_at_line_ends_goes(spaces: int) -> None:
    texts = [
        f"{'　' * spaces}\n猫{' ' * spaces}\n㈱{' ' * spaces}\r\n 犬\u00a0{' 　' * spaces}\n鳥{' ' * spaces}",
        " \n魚",
    ]
    assert normalize_all(texts) == [normalize(text) for text in texts] == ["猫\n(株)\n 犬\n鳥", "魚"]


def test_real_text_is_the_same_in_blocks_and_alone() -> None:
    if not SHARED.is_dir():
        pytest.skip("needs the shared corpora")
    for name in ("aozora/old-kana", "kyoto-wiki/docs", "tech-docs/rails-guides"):
        with gzip.open(SHARED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
            texts = [json.loads(line)["text"] for line, _ in zip(stream, range(80), strict=False)]
        assert normalize_all(texts) == [normalize(text) for text in texts]


def test_prompts_keep_their_spaces_line_ends_and_commas() -> None:
    assert normalize_prompt("私は，ﾈｺ\n答え： \n") == "私は，ネコ\n答え： \n"


def test_kept_characters_are_those_that_nfkc_would_change() -> None:
    for character in KEPT:
        assert unicodedata.normalize("NFKC", character) != character, hex(ord(character))
        if character not in "～－":  # which have rules of their own
            assert normalize_prompt(f"語{character}語") == f"語{character}語"


def test_code_keeps_everything_but_line_ends_and_controls() -> None:
    assert normalize("\ufeffｘ = '１' \r\n\tif\x00 x：\r\n\n\n\n\n", "code") == "ｘ = '１' \n\tif x：\n\n\n\n\n"
    assert normalize("ｱ \r\n", "none") == "ｱ \r\n"


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("ja-v9", r"ja-v9.*ja-v1, code, none"),
        ("code+new-kanji", "code"),
        ("ja-v1+old", "'old' is no option of ja-v1; there are new-kanji, no-iteration"),
    ],
)
def test_unknown_presets_are_refused(preset: str, message: str) -> None:
    for function in (lambda: normalize("あ", preset), lambda: normalize_all(["あ"], preset), lambda: digest(preset)):
        with pytest.raises(UsageError, match=message):
            function()


def test_options_have_digests_of_their_own() -> None:
    presets = [*PRESETS, "ja-v1+new-kanji", "ja-v1+no-iteration", "ja-v1+new-kanji+no-iteration"]
    assert len({digest(preset) for preset in presets}) == len(presets)
    assert digest("ja-v1+new-kanji+no-iteration") == digest("ja-v1+no-iteration+new-kanji")


def test_new_kanji_are_no_old_ones() -> None:
    assert len(NEW_KANJI) > 300
    assert not {ord(new) for new in NEW_KANJI.values()} & NEW_KANJI.keys()
    assert all(unicodedata.is_normalized("NFKC", chr(old) + new) for old, new in NEW_KANJI.items())


@given(st.text(alphabet="こころゝゞヽヾ〳〴〵〱〲スズかが々人は\n゛゜ﾞ\u3099\u309a"))
@settings(max_examples=300, deadline=None)
def test_iteration_marks_end(text: str) -> None:
    once = normalize(text, "ja-v1+no-iteration")
    assert normalize(once, "ja-v1+no-iteration") == once
