import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.normalization import KEPT, PRESETS, normalize, normalize_prompt
from stage.errors import UsageError

# Characters that meet each other's rules: joiners, marks, kana that voice, digits and points, line ends, spaces
AWKWARD = (
    "かカｶﾞﾟ゛゜\u3099\u309aはハう\u200d\ufe0f👩👧🏽™ℹ🄰①１1２，．：、。aＡ　 "
    "\t\n\r\u2028\u0085\u200b\ufeff\u00ad㌔㌣ﾄ…～〜＝\u0338\u0301éÅ𠮷葛\U000e0100゙️゚・ｰ－"
)
STRINGS = st.one_of(
    st.text(),
    st.text(alphabet=AWKWARD),
    st.text(alphabet=st.characters(min_codepoint=0x2000, max_codepoint=0xFFFF, exclude_categories=["Cs"])),
)


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


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ｶﾞｷﾞﾊﾟｰ", "ガギパー"),
        ("か゛は゜ゝ゛", "がぱゞ"),
        ("あ゛っ", "あ゛っ"),
        ("か\u3099", "が"),
        ("ＡＢＣ１２３", "ABC123"),
        ("10〜20円、10～20円", "10〜20円、10～20円"),
        ("（株）！？：；「～」…‥", "（株）！？：；「～」…‥"),
        ("１２：３０と３．１４と１，０００", "12:30と3.14と1,000"),
        ("答え：はい", "答え：はい"),
        ("①②③½x²™", "①②③½x²™"),
        ("家族👨\u200d👩\u200d👧と手👍🏽と♥\ufe0f", "家族👨\u200d👩\u200d👧と手👍🏽と♥\ufe0f"),
        ("葛\U000e0100城と𠮷野", "葛\U000e0100城と𠮷野"),
        ("か\u200dき\u200bく\u00adけ\ufeffこ\x00", "かきくけこ"),
        ("一\r\n二\r三\u2028四", "一\n二\n三\n四"),
        ("　段落。　\n次 \t\n", "　段落。\n次"),
        ("神田 孝平　ああ", "神田 孝平　ああ"),
        ("上\n\n\n\n\n\n下", "上\n\n\n下"),
        ("神は神", "神は神"),
        ("", ""),
    ],
)
def test_ja_v1_on_known_cases(raw: str, expected: str) -> None:
    assert normalize(raw) == expected


def test_full_width_commas_become_touten_only_where_they_are_the_majority() -> None:
    assert normalize("私は，猫，です．名前．") == "私は、猫、です。名前。"
    assert normalize("私は、猫、です。，が一つ") == "私は、猫、です。，が一つ"
    assert normalize("値は，３，１４ではない") == "値は、3,14ではない"


def test_prompts_keep_their_spaces_line_ends_and_commas() -> None:
    assert normalize_prompt("私は，ﾈｺ\n答え： \n") == "私は，ネコ\n答え： \n"


def test_kept_characters_are_those_that_nfkc_would_change() -> None:
    for character in KEPT:
        assert unicodedata.normalize("NFKC", character) != character, hex(ord(character))
        assert normalize_prompt(f"語{character}語") == f"語{character}語"


def test_none_leaves_text_alone_and_unknown_presets_are_refused() -> None:
    assert normalize("ｱ \r\n", "none") == "ｱ \r\n"
    with pytest.raises(UsageError, match=r"ja-v9.*ja-v1, none"):
        normalize("あ", "ja-v9")


def test_presets_have_different_digests() -> None:
    assert len(set(PRESETS.values())) == len(PRESETS)
