import gzip
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora import wikitags, wikitemplates, wikitext
from corpora.wikitext import is_wikitext, parse_wikitext

SHARED = Path(__file__).parents[3] / "shared" / "data" / "corpora"
ARTICLES = SHARED / "jawiki-country" / "jawiki-country.json.gz"
PAGE = """{{Otheruses|村}}
{{基礎情報
| 名 = {{lang|ja|雪村}}
| 画像 = [[ファイル:村.jpg|thumb|[[雪]]の日]]
}}
[[ファイル:村.jpg|thumb|200px|[[雪]]の村<ref>写真</ref>]]
'''雪村'''（ゆきむら、{{lang-en-short|Yukimura}}<ref name="a">{{Cite web|title=村}}</ref>）は、[[日本|日本国]]の[[村]]である<ref name="a" />。

== 歴史 ==
{{Main|雪村の歴史}}
=== 古代 ===
{| class="wikitable"
! 年 !! 人口
|-
| 1900 ||
{|
| 中
|}
|}
=== 近世 ===
* [[江戸時代]]、'''藩'''が置かれた。
*# 石高は三千石。<!-- 要出典 -->

== 関連項目 ==
* [[山村]]
=== 姉妹村 ===
* [[花村]]

== 文化 ==
祭は二月に行なわれる。

== 脚注 ==
<references />
== 外部リンク ==
* [http://example.jp/ 村役場]
[[Category:村|ゆきむら]]
[[カテゴリ:豪雪地帯]]
[[en:Yukimura]]
"""


def test_a_page_becomes_the_text_that_a_reader_sees() -> None:
    article = parse_wikitext(PAGE.replace("\n", "\r\n"), "雪村")
    assert article.text == (
        "雪村（ゆきむら、英: Yukimura）は、日本国の村である。\n\n歴史\n\n近世\n江戸時代、藩が置かれた。\n石高は三千石。\n\n文化\n"
        "祭は二月に行なわれる。"
    )
    assert article.metadata == {"title": "雪村", "categories": ["村", "豪雪地帯"]}
    assert article.kind == "article"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("[[京都]]と[[東京都|東京]]と[[:Category:村|村の一覧]]と[[:en:Kyoto]]", "京都と東京と村の一覧とKyoto"),
        ("[[イギリス#歴史|英国史]]、[[wikt:雪|雪]]、[[Fate/stay night]]", "英国史、雪、Fate/stay night"),
        ("[http://example.jp/a?b=c 公式]と[http://example.jp]。", "公式と。"),
        ("[//example.jp 相対]、[[ファイル:a.png|thumb|[http://example.jp 図]]]本文", "相対、本文"),
        ("'''太字'''と''斜体''と'''''両方'''''、l'''été''', 墺''''", "太字と斜体と両方、lété, 墺'"),
        ("{{仮リンク|権利章典|en|Bill of Rights|label=章典}}と{{ill|甲|en|A}}", "章典と甲"),
        ("{{ルビ|{{lang|pl|Polska}}|ポルスカ}}、{{読み仮名|雪|ゆき|冬}}", "Polska（ポルスカ）、雪（ゆき、冬）"),
        ("<ruby>漢字<rp>（</rp><rt>かんじ</rt><rp>）</rp></ruby>", "漢字（かんじ）"),
        ("{{lang-fr|''Paris''}}／{{Lang-de-short|Japan}}／{{lang-xx|x}}", "フランス語: Paris／独: Japan／x"),
        ("{{IPA|mɑsˤɾ}}、{{convert|20273|km2|sqmi}}、{{convert|5|to|7|km}}", "[mɑsˤɾ]、20273km²、5–7km"),
        ("{{要出典範囲|date=2014年7月|{{仮リンク|内戦|en|War}}が続く}}。{{要出典|date=2014年}}", "内戦が続く。"),
        ("{{拡張漢字|B|&#137784;}}と{{補助漢字フォント|嶋}}と{{JIS2004フォント|𠮷}}", "\U00021a38と嶋と𠮷"),
        ("{{by|1991年}}に{{Color|red|赤}}い{{small|小}}さな{{nowrap|旗}}", "1991年に赤い小さな旗"),
        ("{{JPN}}は{{flag|FRA}}と{{lang|en|a=b}}、{{lang|en|1=x|2=y}}", "日本はフランスと、y"),
        (
            "{{Lang|no|Kongeriket }}{{audio|Norge.ogg|Norge|help=no}}、{{ 仮リンク\n| 甲\n| en | A }}。",
            "Kongeriket Norge、 甲。",
        ),
        ("{{Quotation|雪が降る。|山田}}", "雪が降る。\n山田"),
        ("光速は{{val|3}}{{e|8}}m/s、{{frac|1|2}}、10<sup>−6</sup>、H<sub>2</sub>O", "光速は3×10^8m/s、1/2、10⁻⁶、H₂O"),
        (
            "力は<math>F=m{{a}}</math>、<nowiki>[[x]] &amp; '''</nowiki>と<code>f(x)</code>",
            "力はF=m{{a}}、[[x]] & '''とf(x)",
        ),
        ("{{不明|a}}（{{不明}}）は（、{{不明}}、英: A）の（乙、{{不明}}）", "は（英: A）の（乙）"),
        ("（<ref>注</ref>; ）と（）と main()、丙した。{{不明}}。", "と（）と main()、丙した。"),
        ("&lt;ref&gt;、&amp;lt;、&nbsp;&hearts;、AT&T、&#x20b9f;", "<ref>、&lt;、 ♥、AT&T、𠮟"),
        ('一<br>二<br />三<!-- 注 -->四<span style="a">五</span><stdio.h> a<b', "一\n二\n三四五<stdio.h> a<b"),
        ("* 一\n## 二\n:三\n; 四：五\n----\n__NOTOC__", "一\n二\n三\n四：五"),
        ("本文<gallery>\nファイル:a.jpg|山\n</gallery>\n<timeline>\nx\n</timeline>続き", "本文\n続き"),
        ("<table><tr><td>甲</td></tr></table>乙", "乙"),
        ("甲{{lang|en|{{{1|既定}}}}}{{!}}{{=}}{{PAGENAME}}", "甲既定|=雪村"),
        ("甲\n{{不明}}\n乙\n\n\n\n丙\n\n* {{Cite book|和書}}\n", "甲\n乙\n\n丙"),
        ("== 甲 ==\n=== 乙 ===\n== 丙 ==\n文", "丙\n文"),
        ('[[条件]]は if [[ -f "$a" || $b == c ]]; then と書く', '条件は if [[ -f "$a" || $b == c ]]; then と書く'),
        ("序\n== 注釈・出典 ==\n注\n== 出典、脚注 ==\n注\n== 登場人物 ==\n人", "序\n\n登場人物\n人"),
        ("=== 参考文献 ===\n本\n=== 逸話 ===\n話", "逸話\n話"),
    ],
)
def test_marks_become_text(raw: str, expected: str) -> None:
    assert parse_wikitext(raw, "雪村").text == expected


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("甲{{lang|en|abc 乙。\n\n丙の[[町|街]]。", ["甲", "abc 乙。", "丙の街。"]),
        ("甲[[乙丙\n丁[[戊]]", ["甲乙丙", "丁戊"]),
        ("甲[[ファイル:a.jpg|thumb|乙\n\n丙", ["甲", "乙", "丙"]),
        ("甲<ref>乙 丙<ref>注</ref>丁", ["甲乙 丙丁"]),
        ("甲<ref>乙、丙<ref name=a />丁", ["甲乙、丙丁"]),
        ("甲<!-- 乙", ["甲 乙"]),
        ('甲\n{| class="x"\n| 升\n|-\n|}乙\n{|\n丙', ["甲", "乙", "丙"]),
        ('甲\n{| class="x"\n| 升\n乙\n== 節 ==\n丙', ["甲", "乙", "節\n丙"]),
        ("甲[http://example.jp 乙\n丙]", ["甲 乙", "丙"]),
        ("甲'''乙", ["甲乙"]),
        ("甲}}乙]]丙|}丁|戊", ["甲乙丙|}丁|戊"]),
        ("甲<gallery>\n乙", ["甲\n乙"]),
        ("{{a|[[乙}}丙", ["丙"]),
        ("[[甲|{{lang|en|乙]]}}", ["乙"]),
    ],
)
def test_marks_without_partner_keep_the_text_beside_them(raw: str, kept: list[str]) -> None:
    text = parse_wikitext(raw).text
    assert all(part in text for part in kept), text
    assert not re.search(r"\[\[|\]\]|\{\{|\}\}|\{\||<ref|<!--|'''|ファイル:|class=", text)


@pytest.mark.parametrize(
    "mark", ["#REDIRECT [[日本国]]", "#転送[[日本国#歴史]]", "＃リダイレクト: [[ 日本国]]", "#redirect [[日本国|x]]"]
)
def test_redirects_are_told(mark: str) -> None:
    article = parse_wikitext(mark + "\n[[Category:国]]", "日本")
    assert article.kind == "redirect" and article.text == "" and is_wikitext(mark)
    assert str(article.metadata["redirect"]).startswith("日本国")


@pytest.mark.parametrize(
    "mark", ["{{aimai}}", "{{曖昧さ回避}}", "{{人名の曖昧さ回避}}", "{{Disambig}}", "{{地名の曖昧さ回避|a}}"]
)
def test_disambiguation_pages_are_told(mark: str) -> None:
    assert parse_wikitext(f"'''雪'''\n* [[雪村]]\n{mark}").kind == "disambiguation"
    assert parse_wikitext("[[雪]]{{要曖昧さ回避|date=2014年}}").kind == "article"


def test_wikitext_is_told_from_other_texts() -> None:
    assert is_wikitext(PAGE) and is_wikitext("'''山田'''は[[日本]]の[[俳優]]。")
    for other in (
        "彼は「[雪]」と言った。\n\n山《やま》へ｜行《い》く。［＃改ページ］",
        "# 見出し\n\n[リンク](http://example.jp)と**太字**と`code`。\n== とは等価演算子です ==",
        "if [[ $a == b ]]; then\n  echo '''x'''\nfi\n[[nodiscard]] int f();",
        "<p>{{ message }}</p> {{msg}} <li v-for='a in b'>{{ a.name }}</li> [[Prototype]]",
        "# 設計\n転送 [[メモ]] を見よ。",
    ):
        assert not is_wikitext(other), other


PATTERNS = [
    "{{", "{{a|", "[[", "[[a|", "{|\n", "\n{|", "<ref>", "<ref name=a>甲", "'''", "''", "[http://a ", "[http://a\n", "<!--", "-->", "}}",
    "]]", "\n|}", "{{a}}", "[[a]]", "{{{", "{{{a|", "}}}", "<nowiki>", "</nowiki>", "<math>", "<b ", "<b", "&amp", "&amp;", "（", "（、", "、",
    " ", "\n", "\n ", "\n=", "=", "\n== a", "\n*", "\n:", "_", "__", "[[ファイル:a|", "[[[", "<gallery>\n", "{{lang|en|", "{{lang|en|x}}", "<rt>",
    "{{ルビ|甲|", "\n{{a|\n", "[[a\n", "<table>", "</table>", "|", "|}", "。<ref/>", "\n。", "（<ref/>、", "、<ref/>", "<sup>1", "#REDIRECT ", "\n----",
]  # fmt: skip


def steps(function: Callable[[str], object], text: str) -> tuple[int, int]:
    """Lines of the parser that are run, and characters that are copied from mark to mark."""
    files = {wikitext.__file__, wikitags.__file__, wikitemplates.__file__}
    count = copied = 0

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal count, copied
        if frame.f_code.co_filename not in files:
            return None
        count += 1
        if event == "call" and frame.f_code.co_name == "_write":
            copied += len(frame.f_locals["text"])
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        function(text)
    finally:
        sys.settrace(before)
    return count, copied


@pytest.mark.parametrize("pattern", PATTERNS)
def test_work_grows_with_the_length_of_hostile_text(pattern: str) -> None:
    short, long = (steps(parse_wikitext, pattern * size + "文" * size) for size in (300, 3000))
    assert long[0] <= 11 * short[0] + 3000
    assert long[1] <= wikitext._DEPTH * 3000 * (len(pattern) + 1) * 2
    # what regular expressions do is not counted; were one quadratic, this would take minutes
    parse_wikitext(pattern * 40_000 + "文")
    parse_wikitext("[[甲|" + pattern * 20_000 + "\n== 乙 ==\n" + pattern * 20_000)
    is_wikitext(pattern * 40_000)


MARKUP = st.lists(
    st.sampled_from([*PATTERNS, "甲", "乙。", "𠮷", "lang|en|", "</ref>", "== 脚注 ==\n", "Category:", "a=", "1=", "\0", "\3", "convert|", "&#0;"]),
    max_size=40,
).map("".join)  # fmt: skip


@given(st.one_of(MARKUP, st.text()))
@settings(max_examples=400, deadline=None)
def test_parsing_never_raises(text: str) -> None:
    article = parse_wikitext(text)
    assert article.kind in ("article", "redirect", "disambiguation")
    assert not re.search("[\0-\3]", article.text)
    is_wikitext(text)


PLAIN = st.text(st.sampled_from("雪のふる町を𠮷。、「」（）！ー ABCabc012.,()!?/\u3000\n\n "), max_size=200)


@given(PLAIN)
@settings(max_examples=400, deadline=None)
def test_plain_text_stays_and_parsing_it_again_changes_nothing(text: str) -> None:
    once = parse_wikitext(text).text
    assert re.sub(r"\s", "", once) == re.sub(r"\s", "", text)
    assert parse_wikitext(once).text == once


@pytest.mark.skipif(not ARTICLES.is_file(), reason="the shared data are not beside the checkout")
def test_articles_of_the_wikipedia_lose_their_markup_and_keep_their_text() -> None:
    with gzip.open(ARTICLES, "rt", encoding="utf-8") as stream:
        pages = [json.loads(line) for line in stream]
    assert all(is_wikitext(page["text"]) for page in pages)
    kept = words = 0
    for page in pages:
        article = parse_wikitext(page["text"], page["title"])
        left = re.search(
            r"\{\{|\}\}|\[\[|\]\]|'''|<ref|\{\||\|\}|ファイル:|File:|画像:|</?[a-z]+>|thumb\||&[a-z]+;|^[*;=|!]",
            article.text,
            re.M,
        )
        assert not left, (page["title"], left)
        if article.kind == "redirect":
            continue
        assert len(article.text) > 900
        # sentences of the raw text that bear no markup stay as they are, but for those of tables, notes and cut sections
        body = re.split(r"\n==\s*(?:脚[注註]|関連項目|外部リンク|参考文献|注釈)", page["text"])[0]
        body = re.sub(
            r"(?s)<!--.*?-->|<ref.*?(?:/>|</ref>)|\n\{\|.*?\n\|\}|<gallery.*?</gallery>|<table.*?</table>", "\n", body
        )
        for line in body.split("\n"):
            if not line.lstrip().startswith(("|", "!", "[[", "{{", "}}", "<")):
                found = re.findall(r"[ぁ-んァ-ヶー一-龥々、]{8,}。", line)
                words += len(found)
                kept += sum(sentence in article.text for sentence in found)
    assert words > 3000 and kept >= 0.998 * words, (kept, words)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside the checkout")
@pytest.mark.parametrize("corpus", ["kyoto-wiki", "livedoor-news", "aozora", "tech-docs"])
def test_texts_of_other_corpora_are_no_wikitext(corpus: str) -> None:
    for path in sorted((SHARED / corpus).glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            assert not [line[:100] for line in stream if is_wikitext(json.loads(line)["text"])]


def test_comments_in_code_leave_no_control_characters() -> None:
    text = parse_wikitext("<nowiki>甲<!-- 注 -->乙</nowiki>と<pre>\n<!-- 注 -->\n丙</pre>").text
    assert text.replace("\n", "").isprintable()
    assert "甲" in text and "乙" in text and "丙" in text


@pytest.mark.parametrize(
    "text",
    [
        'if [[ -z "$1" || "$2" == "x" ]]; then\n  docker ps --format \'{{.Names}}\'  # 名前を出す\nfi\n',
        "df[[\"氏名\", \"年齢\"]]\n'''一行の説明。'''\n",
        '[[deprecated("古い関数")]] void f();  // "{{x}}"\n',
        "local s = [[hello]]\nlocal t = '{{%s}}'\n",
        "local s = [[こんにちは]]\nlocal t, u = {{1, 2}}, {{x = 3}}\nprint(('{{%s}}'):format(s))\n",
        "{% if a %}{{name}}さん、[[会社|company]]の件です。{% endif %}\n",
    ],
)
def test_programs_are_not_wikitext(text: str) -> None:
    assert not is_wikitext(text)
