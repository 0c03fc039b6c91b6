import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.aozora import is_aozora, parse_aozora, parse_line, resolve_gaiji

SHARED = Path(__file__).parents[3] / "shared" / "data" / "corpora" / "aozora"
RULE = "-" * 55
WORK = f"""雪の町
副題
山田　花子

{RULE}
【テキスト中に現れる記号について】

《》：ルビ
（例）町《まち》
{RULE}

［＃５字下げ］一［＃「一」は中見出し］

　雪の町《まち》を｜十六哩《マイル》あるいた。
［＃ここから２字下げ］
ずん／＼、ひら／″＼と。
［＃ここで字下げ終わり］
※［＃「てへん＋劣」、第3水準1-84-77］《むし》る［＃「※［＃「てへん＋劣」、第3水準1-84-77］る」に傍点］。
［＃改ページ］
終わり。



底本：「雪の町」岩波文庫、岩波書店
　　　1950（昭和25）年1月1日
初出：「月刊」
入力：田中
校正：鈴木
青空文庫作成ファイル：
"""


def test_a_work_is_parsed_to_text_and_metadata() -> None:
    work = parse_aozora(WORK.replace("\n", "\r\n"))
    assert work.text == "一\n\n　雪の町を十六哩あるいた。\nずん〳〵、ひら〴〵と。\n挘る。\n終わり。"
    assert work.metadata == {
        "title": "雪の町",
        "subtitle": "副題",
        "author": "山田　花子",
        "底本": "「雪の町」岩波文庫、岩波書店",
        "初出": "「月刊」",
        "入力": "田中",
        "校正": "鈴木",
    }


def test_a_work_without_legend_loses_title_and_footer_only() -> None:
    work = parse_aozora("辞書\n三木\n\n　本文である。\n\n底本：「全集」\n入力：甲\n")
    assert (work.text, work.metadata["title"], work.metadata["author"]) == ("　本文である。", "辞書", "三木")


def test_ruby_without_header_keeps_the_first_lines() -> None:
    assert parse_aozora("題名\n\n漢字《かんじ》と仮名《かな》").text == "題名\n\n漢字と仮名"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("言葉《ことば》の｜ＡＢＣ《エービーシー》", "言葉のＡＢＣ"),
        ("a｜bとc", "a｜bとc"),
        ("〔Vis-a`-vis〕と〔be^te noire〕", "Vis-à-visとbête noire"),
        ("〔d'oe&il〕〔Besanc,on〕〔La:cherlich〕", "d'œilBesançonLächerlich"),
        ("〔｜Vis-a`-vis《ウィザ》〕", "Vis-à-vis"),
        ("〔ドイツ〕と〔register〕", "〔ドイツ〕と〔register〕"),
        ("※印と［一］", "※印と［一］"),
        ("学而時習［＃レ］之［＃（ヲ）］", "学而時習之"),
        ("［＃「you［＃「you」は斜体］」は底本では「you」］後", "後"),
        ("［＃「［」は底本では欠落］後", "後"),
        ("閉じない［＃注", "閉じない注"),
        ("閉じない《るび", "閉じないるび"),
        ("ずん／＼と", "ずん〳〵と"),
        ("≪二重≫", "≪二重≫"),
    ],
)
def test_marks_in_a_line(raw: str, expected: str) -> None:
    assert parse_aozora(raw).text == expected


@pytest.mark.parametrize(
    ("note", "character"),
    [
        ("「てへん＋劣」、第3水準1-84-77", "挘"),
        ("「言＋墟のつくり」、第4水準2-88-74", "譃"),
        ("二の字点、1-2-22", "〻"),
        ("感嘆符二つ、1-8-75", "‼"),
        ("「土へん＋巨」、U+20BB7、12-3", "𠮷"),
        ("濁点付き片仮名ワ、1-7-82", "ヷ"),
        ("「口＋（一／牙）」、101-17", "〓"),
        ("「甲」、1-99-99", "〓"),
        ("ハートの印", "〓"),
        ("U+D800", "〓"),
    ],
)
def test_external_characters_are_resolved_from_their_codes(note: str, character: str) -> None:
    assert resolve_gaiji(f"※［＃{note}］") == character
    assert parse_aozora(f"前※［＃{note}］後").text == f"前{character}後"


def test_markup_is_told_from_plain_text() -> None:
    assert is_aozora(WORK)
    assert is_aozora("漢字《かんじ》と仮名《かな》")
    assert not is_aozora("彼は《重要》と書いた。ふつうの文。")
    assert not is_aozora("『源氏物語』の底本：青表紙本。校正の話。")
    assert not is_aozora("")


@given(st.text(alphabet="［］＃《》｜〔〕※「」、／＼″\n漢か a'1-2底本："))
@settings(max_examples=300, deadline=None)
def test_any_mixture_of_marks_is_parsed_without_marks_left(text: str) -> None:
    parsed = parse_aozora(text).text
    assert not re.search("［＃|[《》]", parsed) or "［＃" in re.sub("《[^》\n]*》|[《》｜]", "", text)
    assert "《" not in parsed and "》" not in parsed


@pytest.mark.parametrize(
    "unit",
    ["《", "》", "［＃", "※［＃", "［＃［", "｜", "〔a'", "〔", "漢｜", "《》", "底本", "［表記について］\n", "］"],
)
def test_hostile_repetition_is_parsed_in_linear_steps(unit: str) -> None:
    # a quadratic parser would not come back from a million characters
    text = unit * (1_000_000 // len(unit))
    is_aozora(text)
    parse_aozora(text)


def _works() -> Iterator[dict[str, str]]:
    for name in ("modern", "old-kana"):
        with gzip.open(SHARED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)


def _body(text: str) -> str:
    text = re.split(r"^底本：", text.replace("\r\n", "\n"), maxsplit=1, flags=re.MULTILINE)[0]
    pieces = re.split(r"^-{8,}\n", text, maxsplit=2, flags=re.MULTILINE)
    return pieces[2] if len(pieces) == 3 and "【テキスト中" in pieces[1] else text


def _naive_length(text: str) -> int:
    text = re.sub(r"※［＃[^［］]*］", "〓", re.sub(r"《[^》\n]*》", "", _body(text)))
    for _ in range(3):
        text = re.sub(r"［＃[^［］]*］", "", text)
    return len(re.sub(r"[\s｜]", "", text))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside the checkout")
def test_of_real_works_no_markup_survives_and_no_text_is_lost() -> None:
    works = list(_works())
    assert len(works) == 578
    lost = 0
    for entry in works:
        assert is_aozora(entry["text"]), entry["id"]
        work = parse_aozora(entry["text"])
        for mark in ("［＃", "《", "》", "底本：", "【テキスト中", "／＼"):
            assert mark not in work.text, (entry["id"], mark)
        assert work.metadata["author"] == entry["author"], entry["id"]
        assert parse_line(entry["title"]).startswith(work.metadata["title"]), entry["id"]
        length, naive = len(re.sub(r"\s", "", work.text)), _naive_length(entry["text"])
        assert 0.985 * naive <= length or "［表記について］" in entry["text"], entry["id"]
        lost += max(0, naive - length)
    assert lost < 1000


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside the checkout")
def test_few_external_characters_of_real_works_stay_unresolved() -> None:
    assert sum(parse_aozora(entry["text"]).text.count("〓") for entry in _works()) < 150


def _file(title: str, sentence: str, notice: bool = True) -> str:
    legend = "-" * 55 + "\n【テキスト中に現れる記号について】\n\n《》：ルビ\n" + "-" * 55
    end = "青空文庫作成ファイル：\n入力、校正、制作にあたったのは、ボランティアの皆さんです。\n" if notice else ""
    return f"{title}\n山田一郎\n\n{legend}\n\n{sentence}\n\n\n底本：「全集」出版社\n入力：某\n校正：某\n{end}"


def test_works_that_somebody_joined_into_one_file_are_all_kept():
    titles = [f"作品{number}" for number in range(11)]
    work = parse_aozora("\n".join(_file(title, f"これは{title}の本文《ほんぶん》である。" * 20) for title in titles))
    assert [f"これは{title}の本文である。" in work.text for title in titles] == [True] * 11
    assert "底本" not in work.text and "ボランティア" not in work.text and "記号について" not in work.text
    assert work.metadata["title"] == "作品0"


def test_a_footer_without_its_closing_notice_takes_no_text_with_it():
    story = "猫は窓から外を見てゐた。\n" * 1000
    work = parse_aozora(_file("前", "本文である。", notice=False) + "\n\n" + story)
    assert "本文である。" in work.text and work.text.count("猫は窓から") == 1000


def test_many_footers_take_time_in_proportion():
    # quadratic work on 200,000 footers would not end in the time a test has
    assert parse_aozora("底本：甲\nボランティアの皆さん\n" * 200_000).text == ""
