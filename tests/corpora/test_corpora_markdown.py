import gzip
import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.config import SourceConfig
from corpora.markdown import is_markdown, parse_markdown
from corpora.markup import find_markup, strip_markup

SHARED = Path(__file__).parents[3] / "shared" / "data" / "corpora"
needs_libraries = pytest.mark.skipif(
    find_spec("markdown_it") is None or find_spec("mdit_py_plugins") is None,
    reason="needs Markdown's libraries: pip install 'jgpt[web]'",
)
pytestmark = needs_libraries

DOCUMENT = """---
title: "雪の町: 上"
author: 山田花子
date: 2021-06-08
tags: [雪, 町]
---

<!-- 公開前に
直すこと -->

# 雪の町を歩く {#yuki}

冬の朝、**「鍵」**を持って
町へ出た。JavaScript と
Python の話をした[^話]。

<Note>

- 駅
- 港
  1. 一番
  2. 二番

</Note>

| 名 | 値 |
|----|----|
| 雪 | `a\\|b` |

```js
const a = "雪" // <!-- 注 -->
```

[^話]: 長い話になった。
"""


def test_a_document_is_parsed_to_text_and_metadata() -> None:
    page = parse_markdown(DOCUMENT.replace("\n", "\r\n"))
    assert page.text == (
        "雪の町を歩く\n\n冬の朝、「鍵」を持って町へ出た。JavaScript と Python の話をした。\n\n"
        "- 駅\n- 港\n  1. 一番\n  2. 二番\n\n名 | 値\n雪 | a|b\n\n"
        'const a = "雪" // <!-- 注 -->\n\n長い話になった。'
    )
    assert page.metadata == {"title": "雪の町: 上", "author": "山田花子", "date": "2021-06-08"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("見出し\n====\n\n本文。\n\n### 小見出し ###", "見出し\n\n本文。\n\n小見出し"),
        ("雪が\n降る。", "雪が降る。"),
        ("雪が降る。\nSnow falls\nhere.", "雪が降る。Snow falls here."),
        ("Snow\n（雪）と\nice", "Snow（雪）と ice"),
        ("彼は\n「雪だ」と言う。", "彼は「雪だ」と言う。"),
        ("눈이\n내린다", "눈이 내린다"),
        ("雪が  \n降る\\\n町<br>へ<br/>\n行く", "雪が\n降る\n町\nへ\n行く"),
        ("**太字**と*斜体*と***両方***と~~消し~~と __下__", "太字と斜体と両方と消しと 下"),
        ("これは**（強調）**です。**終わり。**次は*「雪」*だ。", "これは（強調）です。終わり。次は「雪」だ。"),
        ("2 * 3 * 4 と a*b と snake_case_name と \\*そのまま\\*", "2 * 3 * 4 と a*b と snake_case_name と *そのまま*"),
        ("[雪](https://a.jp '題')と[町][m]と<https://b.jp>と[注]\n\n[m]: https://c.jp", "雪と町とhttps://b.jpと[注]"),
        ("前![雪の写真](a.png)後\n\n[![印](b.svg)](https://c.jp)", "前後"),
        ("`a`と``b`c``と`<b>`と`**`", "aとb`cと<b>と**"),
        ("* 雪\n* 町\n\n  続き\n\n3. 三\n4) 四", "- 雪\n- 町\n続き\n3. 三\n4) 四"),
        ("- [ ] まだ\n- [x] 済み", "- [ ] まだ\n- [x] 済み"),
        ("> 引用の\n> 文。\n>\n> > 中", "引用の文。\n\n中"),
        ("> [!NOTE]\n> 注意する。", "注意する。"),
        ("一\n\n---\n\n二\n\n***", "一\n\n二"),
        ("|a|b|\n|-|-|\n|雪|<br>町|\n||空|", "a | b\n雪 | 町\n| 空"),
        ("&lt;b&gt;と&amp;と&#x96EA;", "<b>と&と雪"),
        ("雪<!-- 秘密 -->町{/* 秘密 */}", "雪町"),
        ("<!-- 秘密\n\n# 秘密 -->\n\n雪", "雪"),
        ("## 雪 {/*yuki*/}\n\n## 町 {#machi}\n\n波括弧 {#a} は残る", "雪\n\n町\n\n波括弧 {#a} は残る"),
        ("<ruby>漢字<rp>（</rp><rt>かんじ</rt><rp>）</rp></ruby>を<ruby>学<rt>まな</ruby>ぶ", "漢字を学ぶ"),
        ('<Foo a={1} b={{ c: "d" }} on={() => x}>中</Foo>と<>断片</>', "中と断片"),
        ("<div>\n<p>一の**段**</p>\n<p>二の段</p>\n</div>", "一の段\n二の段"),
        ("<Note>\n中の**文**\n\n- 項\n</Note>", "中の文\n\n- 項"),
        ("<script setup>\nimport a from 'b'\n\nconst c = '秘密'\n</script>\n\n雪", "雪"),
        ("雪\n\n<style>\np { color: red }\n</style>", "雪"),
        (":::tip 覚え書き\n雪が降る。\n:::\n\n::: warning\n- 町\n:::", "覚え書き\n\n雪が降る。\n\n- 町"),
        ("a < b、c > d、3<4", "a < b、c > d、3<4"),
        ("", ""),
    ],
)
def test_parse(source: str, text: str) -> None:
    assert parse_markdown(source).text == text


@pytest.mark.parametrize(
    "source",
    [
        "雪\n\n```python\nx = 1\n\n# 注\n```\n\n町",
        "雪\n\n~~~\nx = 1\n\n# 注\n~~~\n\n町",
        "雪\n\n    x = 1\n\n    # 注\n\n町",
        "雪\n\n<pre><code>x = 1\n\n# 注</code></pre>\n\n町",
        "雪\n\n````\nx = 1\n\n# 注\n````\n町",
    ],
)
def test_code_blocks_are_kept_as_they_are_or_dropped(source: str) -> None:
    assert parse_markdown(source).text == "雪\n\nx = 1\n\n# 注\n\n町"
    assert parse_markdown(source, code=False).text == "雪\n\n町"


def test_code_in_lists_is_code_and_code_in_lines_is_text() -> None:
    source = "1. `pip`を使う\n\n   ```sh\n   pip install x\n     y\n   ```\n2. 終わり"
    assert parse_markdown(source).text == "1. pipを使う\npip install x\n  y\n2. 終わり"
    assert parse_markdown(source, code=False).text == "1. pipを使う\n2. 終わり"


@pytest.mark.parametrize(
    ("front", "metadata"),
    [
        ("title: 雪\ndraft: true\nsub:\n  deep: 1", {"title": "雪", "draft": "true"}),
        ("title: >-\n  長い\n  題", {"title": "長い 題"}),
        ("title: 雪: 町\ndate: 2021-13-45", {"title": "雪: 町", "date": "2021-13-45"}),
        ("title: '閉じない", {"title": "閉じない"}),
        (f"title: 雪\nlong: {'長' * 1001}", {"title": "雪"}),
        ("layout: doc", {"layout": "doc", "title": "見出し"}),
    ],
)
def test_front_matter_is_metadata(front: str, metadata: dict[str, str]) -> None:
    page = parse_markdown(f"---\n{front}\n---\n# 見出し\n")
    assert page.text == "見出し"
    assert {"title": "見出し", **metadata} == page.metadata


def test_a_rule_at_the_beginning_is_no_front_matter() -> None:
    assert parse_markdown("---\n雪が降る。\n\n---\n町").text == "雪が降る。\n\n町"


@pytest.mark.parametrize(
    "text",
    [
        "---\ntitle: 雪\n---\n本文",
        "---\nlayout: post\n---\n\n雪が降る。\n",
        "# 雪\n\n[町](https://a.jp)へ行く。",
        "# 雪\n\n説明する。\n\n```yaml\n# 注\na: 1\nb: 2\n```\n",
        "# 雪\n\n|a|b|\n|--|--|\n|1|2|\n",
        "# 議事録\n\n## 決定\n\n- **予算**を認める\n",
        "# 行動規範 {#code-of-conduct}\n\n誓いを立てる。\n\n- 一つ\n",
        "# Foo\n\nIt does this (see below).\n\nInstall:\n\n```sh\nmake\n```\n\n## Usage\n\nCall `foo()`.",
    ],
)
def test_markdown_is_recognised(text: str) -> None:
    for each in (text, text.replace("\n", "\r\n"), "\ufeff" + text):
        assert is_markdown(each)
        assert find_markup(each) == "markdown"


def test_a_byte_order_mark_does_not_hide_the_first_heading() -> None:
    assert parse_markdown("\ufeff# 雪\n\n降る。") == parse_markdown("# 雪\n\n降る。")
    assert parse_markdown("# 雪\n\n降る。").metadata == {"title": "雪"}


@pytest.mark.parametrize(
    "text",
    [
        "　吾輩は猫である。名前はまだ無い。\n\n　どこで生れたか頓と見当がつかぬ。",
        "■ 新製品\n\n---------\n価格：1000円\n---------\n※ 税込み",
        "題\n----\n- 一\n- 二\n\n* 注意 *",
        "# 一番\n# 二番\n# 三番",
        "顔文字は (´・ω・｀)[笑](^_^)／ **すごい** です",
        "注［＃「雪」に傍点］と[1](参照)と[2]を見よ。",
        "#!/bin/sh\n# 注釈\nls | grep a\n",
        "#!/bin/sh\n# 設定\n\ncat <<END\n# 題\n\n**重要** [資料](https://a.jp)\n\n```\nls\n```\nEND\n",
        "[12:30] 田中: **明日**の件\n[12:31] 佐藤: - 10時に集合\n- 駅前で # 重要\n```\nls -l\n```\n_了解_",
        "[12:30] 田中\n**明日**の[資料](https://a.jp)\n\n[12:31] 佐藤\n```\nls\n```\n# ありがとう\n- 了解",
        "雪だより 第12号\n~~~~~~~~\n今週の話題\n- 会議\n- 資料\n~~~~~~~~\n発行 山田\n",
        "━━━━\n# 話題 #\n━━━━\n~~~~\n■ **新発売**\n~~~~\n- [こちら](https://a.jp)\n----\n発行 山田",
        "概要\n====\n\n``foo`` の **注意**\n\n使い方\n~~~~~~\n\n- 一\n- 二\n\n設定\n~~~~\n\n`設定` を書く。",
        " 氏名 | 年齢\n------|------\n 山田 | 30\n(2 rows)\n\n-- 注意\n- 一件\n- 二件",
        "この説は古い[1]。\n\n[1]: https://a.jp/a\n[2]: https://a.jp/b\n\n**注** 原文のまま。",
        "---\nname: 一\nlist:\n  - 甲\n---\nname: 二",
        "---\ntitle: 一\n---\n# 二番目\n\ntitle: 二\n",
        "---\ntitle: 一\n---\n- 甲\n- 乙\n",
        "---\nFrom: 田中\nSubject: 会議\n---\n明日の会議は\n十時からです。",
        "\\section{序}\n$a[i](b)$ と[資料](#a)\n# 見出しではない\n* 一\n* 二",
        '"""\n    area(r)\n\n円の面積。\n\n```julia\narea(2)\n```\n"""\narea(r) = π * r^2\n\n# 面積の表\n\nprintln(area(3))',
        'def f(x):\n    """説明\n\n```\nf(1)\n```\n    """\n    return x * 2\n\n# 主\n\nprint(f(3))',
        "# 売上\n\nimport pandas as pd\n\n# 図\n\ndf.plot(x='月', **kw)\nh[name](event.data)\nf(**a), g(**b)",
        "# 売上\n\nlibrary(dplyr)\n\n## 読み込み\n\n売上 <- read.csv('a.csv')  # **注意**\n\nsummary(売上)",
        '# 名前\n\nclass Person\n  def name\n    "**#{@name}**"\n  end\nend\n\n# 主\n\nputs Person.new.name',
        '# 設定\n\nNAME=山田\n\n## 一覧\n\nfor f in *.txt; do\n  echo "**$f**"\ndone\n\ncat <<END\n```\nx\n```\nEND',
        "# 設定\n\nname: 山田\nitems:\n  - 一\n\n# 説明\n\nnote: **重要** [資料](https://a.jp)\nurl: a",
        '# 設定\n\n[tool]\nname = "x"\ndoc = """\n**注** [資料](https://a.jp)\n"""\n\n# 二\n\n[tool.y]\na = 1',
        "# 全体\n\nall: a b\n\tcc -o a a.c\n\n# 掃除\n\nclean:\n\trm -f a\n\nhelp:\n\t@echo '**使い方**'",
        "# 生成物\n\n*.pyc\nbuild/\n\n# 編集\n\n**/tmp/**\n",
        "-- 人\nCREATE TABLE 人 (id INT);\n\n# 注釈\n\nSELECT 1;\n\n| id | 名 |\n|----|----|\n| 1 | **雪** |",
        "修正: 表の幅\n\n**注意** 互換性なし。\n\n```\nTraceback\n```\n# Please enter the commit message\n#\n# On branch main",
        "@@ -1,5 +1,5 @@\n # 題\n \n-**古い**\n+**新しい** [資料](https://a.jp)\n \n ```\n x\n ```\n",
        "# 議題\n\n1. 予算\n2. 人事\n\n> **重要**\n\n--\n田中",
        "議事録\n======\n\n# 日時\n1月1日\n# 決定\n- **予算**を承認\n- [資料](https://a.jp)を配布",
        "1 ：名無しさん：2024/01/01(月) ID:abc\n[記事](https://a.jp)\n\n2 ：名無しさん\n# 1乙\n|・∀・)\n|---|",
        "■カレー■\n◆材料\n・玉ねぎ **2個**\n\n# メモ #\n\n① 切る",
        "# サビ\n\n雪が降る\n*** ***\n~~~ 間奏 ~~~\n\n# 二番\n\n君を待つ",
        "日経平均は ** 上昇 ** した。\n----------\n|--|--|\n",
        "",
    ],
)
def test_plain_text_is_not_markdown(text: str) -> None:
    for each in (text, text.replace("\n", "\r\n"), text + text):
        assert not is_markdown(each)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[" * 30 + "`a[0]`と\\[と`\\[`", "[" * 30 + "a[0]と[と\\["),
        ("[" * 30 + "[町](https://a.jp)と![図](b.png)", "[" * 30 + "町と"),
        ("[" * 30 + "雪" + "]" * 30, "[" * 30 + "雪" + "]" * 30),
        ("\\[" * 6000, "[" * 6000),
        ("[" * 6000, "[" * 6000),
        ("`" + "[" * 6000 + "`", "[" * 6000),
    ],
)
def test_very_many_brackets_stay_as_they_are(source: str, text: str) -> None:
    assert parse_markdown(source).text == text


@pytest.mark.parametrize(
    "unit",
    [
        *("x<!a", "x<?a", "x<!--", "x{/*", "[", "![", "^[", "\\[", "[a](", "[[a]", "` ", "<b> ", "a ", "a\n", "# a {#"),
        *("[" * 300 + "\n\n", "![" * 300 + "\n\n", "^[" * 300 + "\n\n", "[" * 300 + "]" * 300, " " * 300 + "a"),
    ],
)
def test_hostile_repetition_is_parsed_in_linear_steps(unit: str) -> None:
    # a quadratic parser would take minutes
    text = unit * (100_000 // len(unit))
    parse_markdown(text)
    is_markdown("# 雪\n\n[町](#a)\n\n" + text)


@given(st.text())
@settings(deadline=None)
def test_any_text_is_parsed(text: str) -> None:
    assert "\0" not in parse_markdown(text).text
    is_markdown(text)


MARKS = "雪a \n\n\n#*_`~[]()<>!|-+:{}/\\&;\"'^=1.\t「。\0"


@given(st.text(alphabet=MARKS, max_size=200))
@settings(deadline=None, max_examples=300)
def test_any_marks_are_parsed(text: str) -> None:
    assert parse_markdown(text, code=False).text.count("雪") <= text.count("雪")


@given(st.lists(st.text(alphabet="雪町猫の、。「」ー々aあア", min_size=1, max_size=30), min_size=1, max_size=5))
@settings(deadline=None)
def test_plain_paragraphs_are_themselves(paragraphs: list[str]) -> None:
    text = "\n\n".join(paragraphs)
    assert parse_markdown(text).text == text


def _documents(*names: str) -> Iterator[tuple[str, str]]:
    for path in sorted(file for name in names for file in (SHARED / name).glob("*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream):
                record = json.loads(line)
                yield f"{path.name} {record.get('id', number)}", record.get("text") or record.get("body") or ""


needs_corpora = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not on this machine")


@needs_corpora
def test_plain_corpora_are_not_markdown() -> None:
    names = ("aozora", "kyoto-wiki", "livedoor-news", "jawiki-country")
    assert not [name for name, text in _documents(*names) if is_markdown(text)]


@needs_corpora
def test_documentation_is_markdown() -> None:
    found = [find_markup(text) == "markdown" for _, text in _documents("tech-docs")]
    assert sum(found) >= 0.95 * len(found) > 0


def _split_fences(text: str) -> tuple[str, list[str]]:
    """The lines outside fences, and those inside of each, found line by line."""
    outside: list[str] = []
    fences: list[str] = []
    fence = ""
    for line in text.split("\n"):
        bare = line.lstrip(" >\t").rstrip()
        if fence:
            if bare.startswith(fence) and not bare.strip(fence[0]):
                fence = ""
            else:
                fences[-1] += line.strip() + "\n"
        elif match := re.match(r"(?:[-*+]\s+|\d+\.\s+)?(`{3,}|~{3,})[^`]*$", bare):
            fence = match[1]
            fences.append("")
        else:
            outside.append(line)
    return "\n".join(outside), fences


@needs_corpora
def test_documentation_keeps_its_japanese_and_loses_its_markup() -> None:
    japanese = re.compile("[ぁ-ゟァ-ヿ㐀-鿿]")
    kept = held = 0
    inexact: list[str] = []
    for name, text in _documents("tech-docs"):
        whole, prose = parse_markdown(text).text, parse_markdown(text, code=False).text
        raw = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
        raw, fences = _split_fences(raw)
        raw = re.sub(r"<!--.*?-->|\{/\*.*?\*/\}|^<(script|style)\b.*?</\1>", "", raw, flags=re.DOTALL | re.MULTILINE)
        raw = re.sub(r"<[A-Za-z](?:[^<>\"]|\"[^\"]*\")*>", "", raw)
        raw = re.sub(r"!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)|\{#[^}]*\}|^\[[^\]]+\]: .*$", "", raw, flags=re.MULTILINE)
        before, after = len(japanese.findall(raw)), len(japanese.findall(prose))
        kept += min(after, before)
        held += before
        comments = [mark for mark in re.findall(r"<!--|\{/\*", prose) if f"`{mark}" not in text]
        assert not comments, name
        assert not text.startswith("---\n") or not whole.startswith("---"), name
        lines = {line.strip() for line in whole.split("\n")}
        fenced = [line for fence in fences for line in fence.split("\n")]
        prose_lines = {line.strip() for line in prose.split("\n")}
        if any(line not in lines or (len(line) > 20 and line in prose_lines and line not in raw) for line in fenced):
            inexact.append(name)
        flat = re.sub(r"\s", "", whole)
        assert all(re.sub(r"\s", "", line) in flat for line in fenced), name
    # one document ends a fence in a list by a line that does not belong to the list
    assert len(inexact) <= 1, inexact
    assert kept >= 0.995 * held > 1_000_000


def test_a_document_that_would_fill_memory_is_rejected_with_its_reason() -> None:
    page = parse_markdown("|猫|犬|\n" * 700_000)
    assert (page.text, page.verdict) == ("", ("markdown_too_large", 4_200_000.0))
    stripped = strip_markup("# 猫\n" * 800_000, {}, SourceConfig("a", markup="markdown"))
    assert stripped.text and stripped.verdict == ("markdown_too_large", 3_200_000.0)
