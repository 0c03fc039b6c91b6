"""The annotation rules of Aozora Bunko, rule by rule, on sentences of our own."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.aozora import parse_aozora, parse_line
from stage.errors import UsageError

RULES = [
    # ruby: the rule, what is written, with ruby dropped, with ruby kept
    ("kanji run", "古い提灯《ちょうちん》だ", "古い提灯だ", "古い提灯（ちょうちん）だ"),
    ("base from the bar", "月夜の｜白い道《はくどう》へ", "月夜の白い道へ", "月夜の白い道（はくどう）へ"),
    ("bar inside a kanji run", "毎朝｜庭師《にわし》が", "毎朝庭師が", "毎朝庭師（にわし）が"),
    ("iteration mark 々", "佐々木《ささき》と", "佐々木と", "佐々木（ささき）と"),
    ("closing mark 〆", "〆切《しめきり》だ", "〆切だ", "〆切（しめきり）だ"),
    ("zero 〇", "二〇《にじゅう》年", "二〇年", "二〇（にじゅう）年"),
    ("small ヶ", "三ヶ月《さんかげつ》", "三ヶ月", "三ヶ月（さんかげつ）"),
    ("same 仝", "仝上《どうじょう》", "仝上", "仝上（どうじょう）"),
    ("hiragana base", "それを曰く《いわ》く", "それを曰くく", "それを曰く（いわ）く"),
    ("katakana base", "駅でパン《麺麭》を", "駅でパンを", "駅でパン（麺麭）を"),
    ("full-width Latin base", "ＡＢＣ《エービーシー》", "ＡＢＣ", "ＡＢＣ（エービーシー）"),
    ("Latin base", "彼は Paris《パリ》 へ", "彼は Paris へ", "彼は Paris（パリ） へ"),
    ("Greek base", "ΑΒ《アルファベータ》", "ΑΒ", "ΑΒ（アルファベータ）"),
    ("Cyrillic base", "мир《ミール》", "мир", "мир（ミール）"),
    ("sign as base", "○《まる》と△《さんかく》", "○と△", "○（まる）と△（さんかく）"),
    ("digit as base", "０《ゼロ》時", "０時", "０（ゼロ）時"),
    ("bar before a sign", "小数の｜，《コンマ》を", "小数の，を", "小数の，（コンマ）を"),
    ("reading in katakana", "洋燈《ランプ》の灯", "洋燈の灯", "洋燈（ランプ）の灯"),
    ("reading in kanji", "ふるさと《故郷》の", "ふるさとの", "ふるさと（故郷）の"),
    ("reading with a repeat mark", "時々《とき／″＼》", "時々", "時々（とき〴〵）"),
    ("reading with an external character", "塔《たふ※［＃二の字点、1-2-22］》", "塔", "塔（たふ〻）"),
    ("reading with a note", "髪《かみ［＃ママ］》を", "髪を", "髪（かみ）を"),
    ("correction of a reading", "籠《かご》［＃ルビの「かご」は底本では「かこ」］に", "籠に", "籠（かご）に"),
    ("empty reading", "空《》の", "空の", "空の"),
    ("two readings in a row", "東《ひがし》山《やま》", "東山", "東（ひがし）山（やま）"),
    ("external character as base", "※［＃「てへん＋劣」、第3水準1-84-77］《むし》る", "挘る", "挘（むし）る"),
    (
        "bar before an external character",
        "草を｜※［＃「てへん＋劣」、第3水準1-84-77］《むし》る",
        "草を挘る",
        "草を挘（むし）る",
    ),
    ("bar across kunten", "｜帰［＃レ］山《やまにかえる》", "帰山", "帰山（やまにかえる）"),
    ("note between base and reading", "炎［＃旧字］《ほのお》が", "炎が", "炎（ほのお）が"),
    ("accents as base", "〔Ho^tel〕《オテル》に", "Hôtelに", "Hôtel（オテル）に"),
    ("bar inside accents", "〔｜Vis-a`-vis《ウィザウィ》〕", "Vis-à-vis", "Vis-à-vis（ウィザウィ）"),
    ("behind no word it is text", "看板に、《売約済》と", "看板に、売約済と", "看板に、売約済と"),
    ("at the head of a line it is text", "《注意》書き", "注意書き", "注意書き"),
    ("reading that never closes", "山《やまの麓", "山やまの麓", "山やまの麓"),
    ("reading that never opens", "山》の麓", "山の麓", "山の麓"),
    ("text between open and whole ruby", "山《やま、川の魚《うお》", "山やま、川の魚", "山やま、川の魚（うお）"),
    ("dots over text in web novels", "それは《《強調》》だ", "それは強調だ", "それは強調だ"),
    ("half-width bar of web novels", "その|光る剣《つるぎ》", "その光る剣", "その光る剣（つるぎ）"),
    ("a bar by itself", "東京｜大阪", "東京｜大阪", "東京｜大阪"),
    ("double angles of the book", "標語は≪節約≫である", "標語は《節約》である", "標語は《節約》である"),
    ("one double angle is a sign", "ａ≪ｂ", "ａ≪ｂ", "ａ≪ｂ"),
]

NOTES = [
    # notes: the rule, what is written, what a reader reads
    ("emphasis behind", "これだけ［＃「これだけ」に傍点］は", "これだけは"),
    ("emphasis on the left", "これだけ［＃「これだけ」の左に傍線］は", "これだけは"),
    ("emphasis round", "［＃白丸傍点］ここ［＃白丸傍点終わり］まで", "ここまで"),
    ("bold", "太い［＃「太い」は太字］字", "太い字"),
    ("heading behind", "［＃５字下げ］二［＃「二」は中見出し］", "二"),
    ("heading round", "［＃大見出し］序章［＃大見出し終わり］", "序章"),
    ("heading in the line", "一、［＃「一、」は同行小見出し］朝のこと", "一、朝のこと"),
    ("ruby on the left", "青空［＃「青空」の左に「そら」のルビ］を", "青空を"),
    ("ruby on the left round", "［＃左にルビ付き］青空［＃左に「そら」のルビ付き終わり］を", "青空を"),
    ("note beside", "皀［＃「皀」に「（ママ）」の注記］い", "皀い"),
    ("note beside round", "［＃注記付き］名々［＃「（銘々）」の注記付き終わり］に", "名々に"),
    ("correction", "石炭［＃「石炭」は底本では「石灰」］を", "石炭を"),
    ("as it stands", "でもそ［＃「でもそ」はママ］う", "でもそう"),
    ("upright figures", "昭和12［＃「12」は縦中横］年", "昭和12年"),
    ("superscript", "面積はｍ２［＃「２」は上付き小文字］", "面積はｍ２"),
    ("split line", "父［＃割り注］医師、［＃改行］故人［＃割り注終わり］は", "父医師、故人は"),
    ("to the foot", "［＃地から２字上げ］大正五年", "大正五年"),
    ("figure", "［＃挿絵（fig1_01.png、横300×縦200）入る］本文", "本文"),
    ("nested external character", "挘る［＃「※［＃「てへん＋劣」、第3水準1-84-77］る」に傍点］とも", "挘るとも"),
    ("nested note", "［＃「you［＃「you」は斜体］」は底本では「yon」］後", "後"),
    ("notes three deep", "［＃甲［＃乙［＃丙］乙］甲］後", "後"),
    ("brackets inside", "［＃「［大正］」は底本では欠落］後", "後"),
    ("half a bracket inside", "［＃「［」は底本では欠落］後", "後"),
    ("real brackets", "一九一六［大正五］年", "一九一六［大正五］年"),
    ("ruby inside a note", "小笊［＃「小笊《こざる》」は底本では「小※［＃「竹かんむり／瓜」、314-上-1］《こざる》」］に", "小笊に"),
    ("note that never closes", "ここ［＃から先", "ここから先"),
    ("note that never opens", "ここ］から", "ここ］から"),
    ("a line of a note only", "甲\n［＃改ページ］\n乙", "甲\n乙"),
    ("block", "甲\n［＃ここから２字下げ］\n乙\n［＃ここで字下げ終わり］\n丙", "甲\n乙\n丙"),
    ("block that folds", "［＃ここから改行天付き、折り返して１字下げ］\n一\n［＃ここで字下げ終わり］\n二", "一\n二"),
    ("blank lines stay", "甲\n\n［＃改丁］\n\n乙", "甲\n\n\n乙"),
    ("indent of a paragraph stays", "　春［＃「春」に傍点］である。", "　春である。"),
    ("return mark", "不［＃レ］知", "不知"),
    ("return marks by number", "見［＃二］山月［＃一］", "見山月"),
    ("return marks together", "欲［＃一レ］眠", "欲眠"),
    ("return marks by place", "有［＃下］未［＃レ］知［＃上］", "有未知"),
    ("okurigana", "悠々［＃（タリ）］", "悠々"),
    ("okurigana and return mark", "如［＃（シ）］［＃レ］夢［＃（ノ）］", "如夢"),
    # external characters
    ("plane 1", "※［＃「土へん＋可」、第3水準1-15-40］", "坷"),
    ("plane 2", "※［＃「言＋墟のつくり」、第4水準2-88-74］", "譃"),
    ("no level", "※［＃二の字点、1-2-22］", "〻"),
    ("signs", "はっ※［＃感嘆符二つ、1-8-75］", "はっ‼"),
    ("Unicode", "※［＃「口＋憂」、U+5698、157-5］ぶ", "嚘ぶ"),
    ("Unicode beyond the first plane", "※［＃「山＋骨」、U+21ECB、229-11］", "\U00021ecb"),
    ("page and line only", "※［＃「女＋苗」、283-11］", "〓"),
    ("small kana by name", "何だい※［＃小書き平仮名ん、229-10］", "何だいん"),
    ("signs by name", "おや※［＃感嘆符三つ、63-8］", "おや！！！"),
    ("description of another's description", "※［＃「金＋※［＃「插」に縦棒、第4水準2-13-28］」、161-下-29］", "〓"),
    ("no character has such a code", "※［＃「甲」、U+D800、3-4］と※［＃制御、U+0007］", "〓と〓"),
    ("words only", "判は※［＃丸に本の字］だ", "判は〓だ"),
    ("the old form", "眼を※［＃「※」は「目＋爭」、第3水準1-88-85］る", "眼を睜る"),
    ("two characters for one", "※［＃半濁点付き片仮名カ、1-5-87］", "カ゚"),
    ("mark as a character", "※［＃始め二重山括弧、1-1-52］序※［＃終わり二重山括弧、1-1-53］", "《序》"),
    ("square bracket as a character", "※［＃始め角括弧、1-1-46］＃一］", "［＃一］"),
    ("reference mark as a sign", "※印を見よ", "※印を見よ"),
    ("external character inside another", "※［＃「木＋※［＃「てへん＋劣」、第3水準1-84-77］」、第4水準2-88-74］", "譃"),
    # accents and repeat marks
    ("acute and grave", "〔e'le`ve〕", "élève"),
    ("circumflex and cedilla", "〔fore^t, franc,ais〕", "forêt, français"),
    ("diaeresis", "〔Scho:nheit〕", "Schönheit"),
    ("sharp s and ligatures", "〔Strasse: gros&, AE&on, oe&uvre〕", "Strasse: groß, Æon, œuvre"),
    ("tilde and stroke", "〔man~ana, Sm/rrebro/d〕", "mañana, Sm/rrebrød"),
    ("ring and macron", "〔A&ngstro:m, To_kyo_〕", "Ångström, Tōkyō"),
    ("apostrophe stays", "〔l'e'cole〕", "l'école"),
    ("brackets of an editor", "〔以下欠〕", "〔以下欠〕"),
    ("brackets round plain Latin", "〔register〕", "〔register〕"),
    ("accents inside an editor's brackets", "〔訳は〔E'toile〕である〕", "〔訳はÉtoileである〕"),
    ("repeat mark", "いよ／＼", "いよ〳〵"),
    ("voiced repeat mark", "ひら／″＼", "ひら〴〵"),
    ("slash", "男／女", "男／女"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "dropped", "kept"), [case[1:] for case in RULES], ids=[case[0] for case in RULES])
def test_ruby_by_the_rules(raw: str, dropped: str, kept: str) -> None:
    assert parse_aozora(raw).text == dropped
    assert parse_aozora(raw, ruby="keep").text == kept


@pytest.mark.parametrize(("raw", "expected"), [case[1:] for case in NOTES], ids=[case[0] for case in NOTES])
def test_notes_characters_and_accents_by_the_rules(raw: str, expected: str) -> None:
    assert parse_aozora(raw).text == expected
    assert parse_aozora(raw, ruby="keep").text == expected


def test_ruby_is_dropped_or_kept_and_nothing_else() -> None:
    with pytest.raises(UsageError, match="drop or keep"):
        parse_line("雪《ゆき》", ruby="html")  # type: ignore[arg-type]


FOOTER = "底本：「全集」甲書店\n　　　1950（昭和25）年1月1日\n入力：甲\n校正：乙\n"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("雪の町\n山田花子", {"title": "雪の町", "author": "山田花子"}),
        ("雪の町\n冬\n山田花子", {"title": "雪の町", "subtitle": "冬", "author": "山田花子"}),
        ("雪の町\nネージュ\n楠木一郎訳", {"title": "雪の町", "author": "ネージュ", "translator": "楠木一郎"}),
        (
            "雪の町\n冬\nネージュ\n楠木一郎　訳",
            {"title": "雪の町", "subtitle": "冬", "author": "ネージュ", "translator": "楠木一郎"},
        ),
        ("雪の町\n山田花子編", {"title": "雪の町", "editor": "山田花子"}),
        ("雪の町\n後編\n山田花子", {"title": "雪の町", "subtitle": "後編", "author": "山田花子"}),
        ("雪《ゆき》の町\n※［＃「てへん＋劣」、第3水準1-84-77］太郎", {"title": "雪の町", "author": "挘太郎"}),
    ],
)
@pytest.mark.parametrize("legend", [True, False])
def test_what_the_header_names(head: str, expected: dict[str, str], legend: bool) -> None:
    rule = "-" * 55
    told = f"\n{rule}\n【テキスト中に現れる記号について】\n\n《》：ルビ\n（例）町《まち》\n{rule}\n" if legend else ""
    work = parse_aozora(f"{head}\n{told}\n　本文である。\n\n\n{FOOTER}")
    assert work.text == "　本文である。"
    assert work.metadata == {**expected, "底本": "「全集」甲書店", "入力": "甲", "校正": "乙"}


def test_what_the_footer_names() -> None:
    footer = FOOTER.replace("入力", "底本の親本：「初版」\n初出：「月刊」\n　　　1920年\n入力")
    metadata = parse_aozora(f"題\n甲\n\n本文。\n\n{footer}青空文庫作成ファイル：\n").metadata
    assert (metadata["底本の親本"], metadata["初出"]) == ("「初版」", "「月刊」")


def test_a_footer_without_its_first_line_is_one() -> None:
    work = parse_aozora("題\n甲\n\n本文。\n\n入力：乙\n校正：丙\n2001年1月1日公開\n")
    assert (work.text, work.metadata["入力"], work.metadata["校正"]) == ("本文。", "乙", "丙")


def test_notes_of_the_typist_before_the_footer_are_no_text() -> None:
    rule = "-" * 60
    work = parse_aozora(f"題\n甲\n\n本文。\n{rule}\n●入力者注\n※１　馬の種類。\n{rule}\n\n{FOOTER}")
    assert work.text == "本文。"
    assert parse_aozora(f"題\n甲\n\n上。\n{rule}\n下。\n\n{FOOTER}").text == f"上。\n{rule}\n下。"


def test_text_that_only_speaks_of_its_source_is_text() -> None:
    text = "彼の底本は写本である。\n入力：数値\n出力：数値"
    assert parse_aozora(text).text == text


JAPANESE = st.text(alphabet="雪国のトンネル、。「」 　\r\nabcé1：-・々ー", max_size=60)
MARKS = [*"［］＃《》｜〔〕※「」、／＼″\n漢か。 a'e`-1", "［＃", "※［＃", "〔e'〕", "底《か》", "／＼"]
NOTE_MARKS = ["［＃「漢」に傍点］", "※［＃「漢」、第3水準1-84-77］", "※［＃「漢」］", "［＃改ページ］\n"]
PIECES = st.lists(st.sampled_from([*MARKS, *NOTE_MARKS]), max_size=25).map("".join)


@given(st.text(max_size=200), st.sampled_from(["drop", "keep"]))
@settings(max_examples=200, deadline=None)
def test_nothing_raises(text: str, ruby: str) -> None:
    parse_aozora(text, ruby)  # type: ignore[arg-type]


@given(JAPANESE)
@settings(max_examples=200, deadline=None)
def test_text_without_marks_comes_out_unchanged(text: str) -> None:
    assert parse_aozora(text).text == text


@given(PIECES, st.sampled_from(["drop", "keep"]))
@settings(max_examples=1000, deadline=None)
def test_parsing_twice_is_parsing_once(text: str, ruby: str) -> None:
    parsed = parse_aozora(text, ruby).text  # type: ignore[arg-type]
    assert parse_aozora(parsed, ruby).text == parsed  # type: ignore[arg-type]
    assert not re.search("［＃|[《》]|／＼|／″＼", parsed)


@given(PIECES)
@settings(max_examples=300, deadline=None)
def test_dropping_ruby_and_keeping_it_differ_in_the_readings_only(text: str) -> None:
    dropped, kept = parse_aozora(text).text, parse_aozora(text, "keep").text
    assert re.sub("（[^（）]*）", "", kept) == dropped
