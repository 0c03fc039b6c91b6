import re
import sys
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora import html
from corpora.config import SourceConfig
from corpora.html import is_html, parse_html
from corpora.judging import mend
from corpora.markup import strip_markup
from stage.errors import JgptError

needs_library = pytest.mark.skipif(
    find_spec("trafilatura") is None or find_spec("lxml_html_clean") is None,
    reason="needs trafilatura: pip install 'jgpt[web]'",
)
pytestmark = needs_library

BLOG = """<!DOCTYPE html>
<html lang="ja"><head><meta charset="utf-8">
<title>梅雨の晴れ間に鎌倉を歩く | 山田の散歩帖</title>
<meta name="author" content="山田花子"><meta property="article:published_time" content="2023-06-18T09:00:00+09:00">
<link rel="canonical" href="https://sanpo.example.jp/2023/06/kamakura">
<style>body { color: #333 } /* 見えない様式 */</style>
<script>var dataLayer = [{"page": "スクリプトの中の文字列"}];</script></head>
<body>
<div id="cookie-banner" class="cookie-consent"><p>当サイトではCookieを使用しています。続けると同意したものとみなします。</p><button>同意する</button></div>
<header><a href="/">山田の散歩帖</a><nav><ul><li><a href="/">ホーム</a></li><li><a href="/about">自己紹介</a></li><li><a href="/contact">お問い合わせ</a></li></ul></nav></header>
<main><article>
<h1>梅雨の晴れ間に鎌倉を歩く</h1>
<p>六月の半ば、ひさしぶりに青空が見えたので、朝早くの電車に乗って鎌倉へ出かけた。駅を出るともう観光客でにぎわっていて、小町通りは歩くのもひと苦労である。</p>
<p>まず向かったのは<ruby>鶴岡八幡宮<rp>（</rp><rt>つるがおかはちまんぐう</rt><rp>）</rp></ruby>だ。大<ruby>銀杏<rt>いちょう</rt></ruby>は倒れてしまったが、根元からは新しい芽が伸びている。<em>八百年</em>の木の命はまだ続いているらしい。</p>
<h2>紫陽花の寺</h2>
<p>そこから北へ歩いて<a href="https://example.jp/meigetsuin">明月院</a>を訪ねた。青い紫陽花が石段の両側を埋め、その間を傘を手にした人びとがゆっくりと上ってゆく。</p>
<ul><li>拝観料は五百円だった。</li><li>朝九時に開門する。</li><li>三脚は使えない。</li></ul>
<blockquote><p>紫陽花や昨日の誠今日の嘘</p></blockquote>
<p>正岡子規の句を思い出しながら、色の変わりゆく花をながめた。<br>帰りには海まで歩き、夕日が沈むのを見届けてから電車に乗った。</p>
<figure><img src="a.jpg" alt="石段の写真"><figcaption>明月院の石段にて。</figcaption></figure>
<table><tr><th>場所</th><th>所要時間</th></tr><tr><td>鶴岡八幡宮</td><td>四十分</td></tr><tr><td>明月院</td><td>一時間</td></tr></table>
</article>
<section id="comments" class="comments"><h3>コメント</h3><div class="comment"><p>とても良い写真ですね。私も来週行ってみます。</p></div></section></main>
<aside class="sidebar"><h3>人気の記事</h3><ul><li><a href="/1">箱根の温泉めぐり</a></li><li><a href="/2">冬の高尾山</a></li></ul></aside>
<footer><p>© 2023 山田の散歩帖 無断転載を禁じます</p><a href="/privacy">プライバシーポリシー</a></footer>
<!-- 公開前に直すこと -->
</body></html>"""

NEWS = """<?xml version="1.0" encoding="Shift_JIS"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="ja" lang="ja"><head>
<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS" />
<meta property="og:title" content="市役所の新庁舎が完成、来月から業務開始" /><meta property="og:site_name" content="みなと新報" />
<title>市役所の新庁舎が完成、来月から業務開始 - みなと新報</title></head>
<body><div id="header"><div class="logo">みなと新報</div><div class="gnav"><a href="/">トップ</a> | <a href="/soc">社会</a> | <a href="/eco">経済</a> | <a href="/spo">スポーツ</a></div></div>
<div id="breadcrumb"><a href="/">トップ</a> &gt; <a href="/soc">社会</a> &gt; 記事</div>
<div id="main"><div class="article">
<h1>市役所の新庁舎が完成、来月から業務開始</h1>
<p class="date">2019年4月12日 18時30分</p>
<div class="body">
<p>みなと市が建設を進めていた市役所の新庁舎が十二日に完成し、報道関係者に公開された。地上八階建てで、総事業費は約九十八億円。来月七日から業務を始める。</p>
<p>旧庁舎は築五十年を超え、耐震性の不足が指摘されていた。新庁舎は免震構造を採り、非常用の発電機で七十二時間の電力をまかなえるという。</p>
<p>田中市長は式典で「災害のときにも市民を守る拠点としたい」と述べた。一階には市民が自由に使える広場が設けられ、週末も開放される。</p>
</div></div>
<div class="sns"><a href="#">ツイート</a> <a href="#">シェア</a></div>
<div class="related"><h3>関連記事</h3><ul><li><a href="/a">図書館の改修工事はじまる</a></li><li><a href="/b">市営バスの運賃改定へ</a></li></ul></div></div>
<div id="footer"><a href="/company">会社概要</a> <a href="/privacy">個人情報の取り扱い</a><address>Copyright みなと新報社 無断転載禁止</address></div>
</body></html>"""

WIKI = """<!DOCTYPE html>
<html class="client-nojs" lang="ja" dir="ltr"><head><meta charset="UTF-8"><title>和紙 - 百科事典の例</title>
<link rel="canonical" href="https://ja.example.org/wiki/%E5%92%8C%E7%B4%99"></head>
<body class="mediawiki skin-vector"><div id="mw-navigation"><h2>案内メニュー</h2><div id="p-personal"><ul><li><a href="/login">ログイン</a></li><li><a href="/new">アカウント作成</a></li></ul></div>
<div id="p-nav"><ul><li><a href="/main">メインページ</a></li><li><a href="/recent">最近の更新</a></li></ul></div></div>
<div id="content" class="mw-body" role="main"><h1 id="firstHeading">和紙</h1><div id="bodyContent" class="mw-body-content"><div class="mw-parser-output">
<p><b>和紙</b>（わし）は、日本で古くから作られてきた紙である。<a href="/k">楮</a>や<a href="/m">三椏</a>、<a href="/g">雁皮</a>などの靱皮繊維を原料とし、洋紙に比べて繊維が長いため、薄くても丈夫で長持ちする<sup class="reference"><a href="#cite1">[1]</a></sup>。</p>
<div id="toc" class="toc"><h2>目次</h2><ul><li><a href="#h1">1 歴史</a></li><li><a href="#h2">2 製法</a></li></ul></div>
<h2><span id="h1">歴史</span><span class="mw-editsection">[<a href="/edit">編集</a>]</span></h2>
<p>紙の製法は七世紀のはじめに大陸から伝わったとされる。奈良時代には写経のために大量の紙が求められ、各地の国府で紙が漉かれるようになった。</p>
<h2><span id="h2">製法</span><span class="mw-editsection">[<a href="/edit">編集</a>]</span></h2>
<p>原料の樹皮を蒸して皮をはぎ、灰汁で煮てから水にさらす。叩いてほぐした繊維に<ruby><rb>黄蜀葵</rb><rp>(</rp><rt>とろろあおい</rt><rp>)</rp></ruby>の粘液を加え、簀桁で漉きあげる。</p>
<ol><li>楮を蒸して皮をはぐ。</li><li>灰汁で煮る。</li><li>叩いて繊維をほぐす。</li></ol>
<dl><dt>流し漉き</dt><dd>余分な水を前後に流して捨てる漉き方である。</dd></dl>
</div></div></div>
<div id="footer"><ul><li>最終更新 2022年1月3日</li><li><a href="/p">プライバシー・ポリシー</a></li></ul></div></body></html>"""

CODE = """<!doctype html><html lang=ja><head><meta charset=utf-8><title>Pythonで素数を数える</title></head><body>
<div class="container"><div class="post"><h1>Pythonで素数を数える</h1>
<p>この記事では、エラトステネスのふるいをPythonで書き、百万までの素数を数える方法を説明します。標準ライブラリだけで書けます。</p>
<p>まず、<code>sieve</code>という関数を次のように定義します。引数は上限の整数です。</p>
<pre><code class="language-python"><span class="k">def</span> sieve(n):
    flags = [True] * (n + 1)
    for p in range(2, n + 1):  # ふるいにかける
        if flags[p]:
            yield p
            flags[p * p :: p] = [False] * len(flags[p * p :: p])
</code></pre>
<p>実行すると、百万までの素数は七万八千四百九十八個あることが分かります。手元の計算機では〇・二秒ほどで終わりました。</p>
<h3>まとめ</h3><p>配列の切り取りへの代入を使うと、内側の繰り返しを書かずに済み、かなり速くなります。</p></div></div></body></html>"""

LOGIN = """<!DOCTYPE html><html lang="ja"><head><meta charset="utf-8"><title>ログイン - 会員サイト</title></head><body>
<header><nav><a href="/">トップ</a></nav></header><main><h1>ログイン</h1><form action="/login" method="post"><label>メールアドレス<input name="m"></label>
<label>パスワード<input type="password" name="p"></label><button>ログイン</button></form><a href="/forgot">パスワードをお忘れの方はこちら</a><a href="/join">新規会員登録</a></main>
<footer>© 会員サイト</footer></body></html>"""

NOT_FOUND = """<!DOCTYPE html><html lang="ja"><head><meta charset="utf-8"><title>404 ページが見つかりません</title></head><body>
<header><nav><a href="/">ホーム</a><a href="/news">お知らせ</a></nav></header><div class="error"><h1>404 Not Found</h1><p>お探しのページは見つかりませんでした。</p><a href="/">トップページへ戻る</a></div>
<footer>© 例示株式会社</footer></body></html>"""

OLD = """<HTML><HEAD><TITLE>わたしの日記</TITLE></HEAD><BODY BGCOLOR="#FFFFFF"><CENTER><FONT SIZE=5>わたしの日記</FONT></CENTER><HR>
<TABLE WIDTH=100%><TR><TD VALIGN=top WIDTH=120><A HREF="index.html">表紙</A><BR><A HREF="nikki.html">日記</A><BR><A HREF="link.html">リンク集</A></TD><TD>
<B>3月3日</B><BR>今日はひな祭りなので、妹といっしょに桃の花を買いに行きました。花屋のおばさんがおまけに菜の花をつけてくれました。<BR><BR>
夕方から雨になり、庭の梅がだいぶ散ってしまいました。それでも春はもうすぐそこまで来ているようです。<P>
<B>3月5日</B><BR>学校からの帰り道で、子猫を見つけました。母に頼みこんで、飼ってもよいことになりました。名前はまだ決めていません。
</TD></TR></TABLE><HR><ADDRESS>メールはこちらまで</ADDRESS></BODY></HTML>"""
PROSE = "<p>" + "冬の朝に町へ出て、雪の降るのを見た。" * 8 + "</p>"


def _page(body: str) -> str:
    return f"<!DOCTYPE html><html lang='ja'><head><title>題</title></head><body><article>{body}</article></body></html>"


@pytest.mark.parametrize(
    ("page", "kept", "dropped"),
    [
        (
            BLOG,
            [
                "梅雨の晴れ間に鎌倉を歩く",
                "まず向かったのは鶴岡八幡宮だ。大銀杏は倒れてしまったが、根元からは新しい芽が伸びている。八百年の木の命はまだ続いているらしい。",
                "紫陽花の寺",
                "- 朝九時に開門する。",
                "紫陽花や昨日の誠今日の嘘",
                "帰りには海まで歩き、夕日が沈むのを見届けてから電車に乗った。",
                "場所 | 所要時間",
                "明月院 | 一時間",
            ],
            [
                "Cookie",
                "自己紹介",
                "とても良い写真",
                "箱根",
                "無断転載",
                "スクリプト",
                "様式",
                "公開前",
                "いちょう",
                "---",
            ],
        ),
        (
            NEWS,
            [
                "市役所の新庁舎が完成、来月から業務開始",
                "旧庁舎は築五十年を超え、耐震性の不足が指摘されていた。新庁舎は免震構造を採り、非常用の発電機で七十二時間の電力をまかなえるという。",
            ],
            ["みなと新報", "スポーツ", "ツイート", "図書館", "会社概要"],
        ),
        (
            WIKI,
            [
                "和紙（わし）は、日本で古くから作られてきた紙である。楮や三椏、雁皮などの靱皮繊維を原料とし、洋紙に比べて繊維が長いため、薄くても丈夫で長持ちする。",
                "歴史",
                "- 灰汁で煮る。",
                "- 余分な水を前後に流して捨てる漉き方である。",
            ],
            ["編集", "目次", "とろろあおい", "ログイン", "最終更新", "[1]"],
        ),
        (
            CODE,
            [
                "まず、sieveという関数を次のように定義します。引数は上限の整数です。",
                "    for p in range(2, n + 1):  # ふるいにかける",
                "まとめ",
            ],
            [],
        ),
        (
            OLD,
            [
                "今日はひな祭りなので、妹といっしょに桃の花を買いに行きました。花屋のおばさんがおまけに菜の花をつけてくれました。",
                "3月5日",
            ],
            ["|"],
        ),
    ],
    ids=["blog", "news", "wiki", "code", "old"],
)
def test_main_text_is_kept_and_the_rest_dropped(page: str, kept: list[str], dropped: list[str]) -> None:
    text = parse_html(page).text
    lines = text.split("\n")
    assert [line for line in kept if line not in lines] == []
    assert [part for part in dropped if part in text] == []


def test_metadata_is_what_the_page_says() -> None:
    assert parse_html(BLOG, "https://sanpo.example.jp/?p=1").metadata == {
        "title": "梅雨の晴れ間に鎌倉を歩く | 山田の散歩帖",
        "author": "山田花子",
        "date": "2023-06-18T09:00:00+09:00",
        "language": "ja",
        "url": "https://sanpo.example.jp/2023/06/kamakura",
    }
    assert parse_html(NEWS, "https://minato.example.jp/1").metadata == {
        "title": "市役所の新庁舎が完成、来月から業務開始",
        "language": "ja",
        "url": "https://minato.example.jp/1",
    }


@pytest.mark.parametrize("page", [LOGIN, NOT_FOUND], ids=["login", "not found"])
def test_a_page_without_main_text_is_empty(page: str) -> None:
    parsed = parse_html(page)
    assert parsed.text == ""
    assert parsed.metadata["title"]
    stripped = strip_markup(page, {}, SourceConfig("a"))
    assert stripped.text == page
    assert stripped.verdict and stripped.verdict[0] == "html_without_prose" and 0 <= stripped.verdict[1] < 100


def test_pre_is_kept_line_by_line_or_dropped() -> None:
    kept, dropped = parse_html(CODE).text, parse_html(CODE, code=False).text
    assert "        if flags[p]:\n            yield p\n" in kept
    assert "flags[p]" not in dropped
    assert "sieveという関数" in dropped


@pytest.mark.parametrize(
    ("ruby", "text"),
    [
        ("<ruby>漢字<rp>（</rp><rt>かんじ</rt><rp>）</rp></ruby>を学ぶ", "漢字を学ぶ"),
        ("<ruby>漢<rt>かん</rt>字<rt>じ</rt></ruby>を学ぶ", "漢字を学ぶ"),
        ("<ruby><rb>漢</rb><rb>字</rb><rt>かん</rt><rt>じ</rt></ruby>を学ぶ", "漢字を学ぶ"),
        ("<ruby>漢字<rp>(<rt>かんじ<rp>)</ruby>を学ぶ", "漢字を学ぶ"),
        ("<ruby>漢<rt>かん<rb>字<rt>じ</ruby>を学ぶ", "漢字を学ぶ"),
        ("<RUBY>漢字<RT>かんじ</RT></RUBY>を学ぶ", "漢字を学ぶ"),
    ],
)
def test_readings_of_ruby_are_dropped(ruby: str, text: str) -> None:
    page = _page(f"{PROSE}<p>今日は{ruby}。それから帰って、夜おそくまで本を読んで過ごした。</p>{PROSE}")
    assert f"今日は{text}。それから帰って" in parse_html(page).text
    table = _page(f"{PROSE}<table><tr><th>題</th></tr><tr><td>{ruby}</td></tr></table>")
    assert text in parse_html(table).text


@pytest.mark.parametrize("charset", ["Shift_JIS", "EUC-JP", "utf-16", "x-unknown"])
def test_a_declared_encoding_counts_for_nothing(charset: str) -> None:
    page = NEWS.replace("Shift_JIS", charset)
    assert "みなと市が建設を進めていた市役所の新庁舎が十二日に完成し、" in parse_html(page).text


@pytest.mark.parametrize(
    "text",
    [
        BLOG,
        NEWS,
        OLD,
        "\ufeff\n<!-- 保存した -->\n<!DOCTYPE HTML>\n<title>雪</title>",
        "<html lang='ja'>\n<!-- 保存した --><body>雪",
        "  <head><title>雪</title>",
    ],
)
def test_html_is_recognised(text: str) -> None:
    assert is_html(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "雪が降る。",
        "HTMLは<html>で始まる。",
        "<html> タグは文書の全体を囲む。<head> には題名を、<body> には本文を書く。",
        "<!DOCTYPE html> は文書の型を宣言する。<html> が続く。",
        "<div>\n\n# 雪\n\n</div>",
        "# 雪\n\n```html\n<html>\n```",
    ],
)
def test_other_text_is_not_html(text: str) -> None:
    assert not is_html(text)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<html><body>" + "<div>" * 100_000 + PROSE + "</div>" * 100_000, "html_too_large"),
        ("<html><body>" + "<div>" * 40_000 + PROSE, "html_too_deep"),
        ("<html><body>" + "<p><b><i>雪" * 2_000_000, "html_too_large"),
        ("<html><body><p>" + "雪が降る。" * 4_000_001, "html_too_large"),
        ("<html><body>" + "<" * 20_000_000, "html_too_large"),
        ("<html><body>" + ("<div>" + "<p>雪が降る。" * 10_001 + "</div>") * 3, "html_too_large"),
        ("<html><body>" + PROSE + "雪が降る。<br>" * 30_001, ""),
        ("<html><body>" + "<font>" * 500 + PROSE, ""),
        ("<html><body>" + "<p><b><i>雪が降る。" * 3_000, ""),
        ("<html><body><a " + "b " * 500_000 + ">雪</a>" + PROSE, ""),
    ],
    ids=[
        "nested",
        "nested unclosed",
        "unclosed",
        "long",
        "marks",
        "paragraphs",
        "lines",
        "old fonts",
        "few unclosed",
        "attributes",
    ],
)
def test_pages_too_large_or_too_deep_are_empty_and_say_so(page: str, reason: str) -> None:
    parsed = parse_html(page)
    assert bool(parsed.text) == (not reason)
    assert (parsed.verdict or ("", 0.0))[0] == reason
    assert not reason or "--rules" not in mend(reason)


def test_work_grows_with_the_number_of_readings() -> None:
    # were taking out one reading quadratic, this would take minutes
    page = parse_html(_page(PROSE + "<p>" + "雪<rt>ゆき</rt>が降る。" * 45_000 + "</p>"))
    assert page.text.endswith("雪が降る。" * 45_000)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    html._extractor.cache_clear()
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(JgptError, match=r"pip install 'jgpt\[web\]'"):
        parse_html("<html>")


@given(st.text())
@settings(deadline=None)
def test_any_text_is_parsed(text: str) -> None:
    parse_html(text, text)
    parse_html(_page(PROSE + text))
    is_html(text)


TAGS = re.findall(
    r"\w+",
    "p div span a ul li ol table tr td th pre code ruby rt rp article main h1 h2 b br hr form input script svg dl dt dd q",
)
_parts = st.one_of(
    st.sampled_from(
        [*(f"<{tag}>" for tag in TAGS), *(f"</{tag}>" for tag in TAGS), "<!--", "-->", "&lt;", "<![CDATA["]
    ),
    st.sampled_from(
        [
            "雪が降る。",
            "冬の朝に町へ出て、雪の降るのを見た。" * 4,
            " ",
            "\n",
            "\0",
            "<a href='x' class='reference'>",
            "<",
        ]
    ),
)


@given(st.lists(_parts, max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_tags_are_parsed(parts: list[str]) -> None:
    parse_html("<html><body>" + "".join(parts), code=False)
