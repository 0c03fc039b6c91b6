import re
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpora.masking import PLACEHOLDERS, mask, mask_all
from corpora.normalization import normalize
from tokenizer.config import TokenizerConfig

# Each with [[ ]] around what is to be masked
PERSONAL = {
    "mail": [
        "連絡は[[taro.yamada@jgpt.example.jp]]まで。",
        "[[a..b.@docomo.ne.jp]]",
        "mailto:[[info@kyoto-u.ac.jp]]",
        "「[[ｔａｒｏ＠ｅｘａｍｐｌｅ．ｃｏ．ｊｐ]]」",
        "[[taro＠example.co.jp]]",
        "ﾒｰﾙ[[x+tag@mail.example.com]]です",
        "𠮷野[[yoshino@example.jp]]👩‍👩‍👧",
        "...-[[taro@example.com]]、サーバー[[hanako@example.co.jp]]",
        "[[0901234567@example.ne.jp]]",
        "<[[a@example.org]]>,<[[b@example.org]]>",
    ],
    "phone": [
        "東京の[[03-1234-5678]]です。",
        "[[090-1234-5678]]",
        "[[0120-123-456]]／フリーダイヤル",
        "[[(03)1234-5678]]",
        "（[[075-861-1101]]）",
        "[[03(1234)5678]]",
        "[[03（1234）5678]]",
        "[[（０３）１２３４−５６７８]]",
        "[[+81-90-1234-5678]]",
        "[[+81 (0)3 1234 5678]]",
        "[[＋８１３１２３４５６７８]]",
        "携帯は[[09012345678]]です",
        "TEL [[03 1234 5678]] FAX [[03 1234 5679]]",
        "ＴＥＬ：[[０７７４ー６３ー１１２２]]",
        "電話[[0312345678]]、[[0312345679]]",
        "ﾃﾚﾌｫﾝ(℡[[03.1234.5678]])",
        "[[0570-00-1234]]と[[050-1234-5678]]",
        "[[0800-123-4567]]",
        "𠮷田[[０９０‐１２３４‐５６７８]]📞",
        "[[01558-6-1234]]",
        "[[04-7123-4567]]",
        "[[042-345-6789]]FAX[[042-345-6780]]",
        "Tel：[[+971-4-343-8888]]",
        "TEL[[06 - 6123 - 4567]]",
        "ビル2F\n[[03-1234-5678]]",
    ],
    "postal_code": [
        "〒[[606-8501]] 京都市左京区吉田本町",
        "〒[[６０６ー８５０１]]",
        "〒 [[6068501]]",
        "郵便番号は[[606-8501]]",
        "[[606-8501]] 京都府京都市左京区",
        "[[100-0001]]\n東京都千代田区",
        "〒[[606−8501]]𠮷田",
        "〒[[253－0111]]　神奈川県高座郡",
    ],
    "card": [
        "[[4111 1111 1111 1111]]",
        "カード番号：[[5555-5555-5555-4444]]",
        "[[３７８２８２２４６３１０００５]]",
        "[[3530111333300000]]（JCB）",
        "[[3782 822463 10005]]",
        "[[3056-930902-5904]]",
    ],
    "my_number": [
        "マイナンバーは[[123456789018]]",
        "[[1234-5678-9018]]",
        "[[１２３４　５６７８　９０１８]]",
        "個人番号（[[1234 5678 9018]]）",
    ],
    "ip_address": [
        "[[133.3.250.201]]からの接続",
        "DNS（[[8.8.8.8]]、[[8.8.4.4]]）",
        "IPアドレス：[[１．１．１．１]]",
        "http://[[133.3.250.201]]:8080/",
        "[[2001:200:dff:fff1:216:3eff:feb1:44d7]]",
        "[[2606:4700::1111]]です",
    ],
}
PUBLIC = [
    # mail
    *("@taro_yamada", "大島＠katsuosh", "勉強会@関東(東京)", "logo@2x.png", "numpy@1.26.4", "typescript@next", "git@github.com:jgpt/jgpt.git", "a@b"),
    *("https://example.social/@taro@example.social", "BE@RBRICK", "〜@ezweb.ne.jp", "WM3600R(AT)H", "taro[at]example.com"),
    # dates, times, years, amounts, coordinates
    *("2008-06-01", "２００８－０６－０１", "1980-1985", "2010-05-22T14:30:00+0900", "12:34:56", "20080601123000", "03/04/2012"),
    *("1,234,567円", "0.0312345678", "35.01163, 135.76814", "北緯35度01分18秒 東経135度46分", "(960-1279)", "（938-1016）"),
    # numbers of books, goods, patents, firms, orders
    *("ISBN 4-06-123456-7", "ISBN 978-4-06-123456-7", "ISBN 4906371795", "ISSN 0387-1185", "JAN：4994793047969", "NX2000-123-4567"),
    *("特許第1234567号", "特開2008-123456", "型番 A-0123-45-6789", "法人番号1234567890123", "伝票番号1234-5678-9018", "０１２３４５６７８９"),
    *("id=4111111111111111", "4111111111111112", "1234-5678-9012", "123456789018", "1234567890123456", "550e8400-e29b-41d4-a716-446655440000"),
    # telephone numbers that are none
    *("0312345678", "03 1234 5678", "012-345-6789", "00-1234-5678", "03-0123-4567", "090-0123-4567", "03-1234-56789", "103-1234-5678"),
    *("110番", "104-0061", "123-4567", "7桁（1234567）", "1-2-3", "5-5-5 5"),
    # versions, addresses of nobody
    *("Ver.1.2.3.4", "バージョン：19.0.1084.60", "Flash Player 11.1.102.55", "iPhone OS 4.3.2.1", "hotel 03 1234 5678", "第1.2.3.4節", "1.3.6.1.4.1.311", "2012.03.28.0900"),
    *("127.0.0.1", "IPアドレスは192.168.100.101", "999.999.999.999", "::1", "fe80::1", "2001:db8::1", "std::vector", "12:34:56:78:9a:bc"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in PERSONAL.items() for text in texts])
@pytest.mark.parametrize("around", ["{}", "𠮷👩‍👧ﾊﾝｶｸ。{}。が゛", "前\n{}\n後", "「{}」"])
def test_personal_data_is_masked_raw_and_normalised(kind: str, text: str, around: str) -> None:
    text = around.format(text)
    raw, expected = re.sub(r"\[\[|\]\]", "", text), re.sub(r"\[\[.*?\]\]", f"<|{kind}|>", text)
    assert mask(raw) == (expected, {kind: text.count("[[")})
    assert mask(normalize(raw)) == (normalize(expected), {kind: text.count("[[")})


@pytest.mark.parametrize("text", PUBLIC)
@pytest.mark.parametrize("around", ["{}", "𠮷は{}です。", "({})", "12年　{}　34人"])
def test_what_only_looks_like_personal_data_stays(text: str, around: str) -> None:
    text = around.format(text)
    assert mask(text) == (text, {})
    assert mask(normalize(text)) == (normalize(text), {})


PIECES = [*(text for texts in PERSONAL.values() for text in texts), *PUBLIC, *PLACEHOLDERS]
PIECES += [
    "-",
    ".",
    "(",
    ")",
    "（",
    " ",
    "　",
    "@",
    "＠",
    "+",
    "+81",
    ":",
    "0",
    "3",
    "a",
    "〒",
    "TEL",
    "電話",
    "\n",
    "𠮷",
    "👩",
    "ー",
    "京都府",
    "ﾃ",
]
pieces = st.lists(st.sampled_from([piece.replace("[[", "").replace("]]", "") for piece in PIECES])).map("".join)


@example("090-1234-5678:03(1234)5678")
@example("042-345-6789FAX042-345-6780042-345-6789FAX042-345-6780３７８２８２２４６３１０００５a..b.@docomo.ne.jp")
@settings(max_examples=500, deadline=None)
@given(pieces | st.text("0123456789-.() +:@aあ＠０ー\n", max_size=60) | st.text())
def test_masking_twice_changes_nothing(text: str) -> None:
    masked, counts = mask(text)
    assert mask(masked) == (masked, {})
    for placeholder in PLACEHOLDERS:
        assert masked.count(placeholder) == text.count(placeholder) + counts.get(placeholder.strip("<|>"), 0)


@example(["（075-861-1101）", "(03)1234-5678"])
@settings(max_examples=200, deadline=None)
@given(st.lists(pieces | st.text()))
def test_documents_are_masked_alike_whatever_stands_beside_them(texts: list[str]) -> None:
    assert mask_all(texts) == [mask(text) for text in texts]


def test_many_documents_keep_their_order_and_counts() -> None:
    texts = ["", "03-1234-5678", "何もない。", "𠮷 a@example.jp b@example.jp", "", "〒606-8501"]
    masked = mask_all(texts)
    assert [text for text, _ in masked] == [
        "",
        "<|phone|>",
        "何もない。",
        "𠮷 <|mail|> <|mail|>",
        "",
        "〒<|postal_code|>",
    ]
    assert sum((Counter(counts) for _, counts in masked), Counter()) == {"phone": 1, "mail": 2, "postal_code": 1}
    assert mask_all([]) == []


def test_lone_surrogates_are_no_hindrance() -> None:
    assert mask("\ud83d03-1234-5678\udc00") == ("\ud83d<|phone|>\udc00", {"phone": 1})


def test_placeholders_can_be_symbols_of_a_tokenizer() -> None:
    assert TokenizerConfig(user_symbols=list(PLACEHOLDERS)).user_symbols == list(PLACEHOLDERS)
