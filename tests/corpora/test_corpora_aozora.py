import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.aozora import GETA, is_aozora, parse_aozora, parse_line, resolve_gaiji

SHARED = Path(__file__).parents[3] / "shared" / "data" / "corpora" / "aozora"
needs_works = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside the checkout")
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
        ("≪二重≫", "《二重》"),
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
    assert not is_aozora("管弦楽曲《ボレロ》と歌劇《カルメン》を聴き、交響曲《ジュピター》も聴いた。")
    assert is_aozora("勇者《ゆうしゃ》は魔王《まおう》を倒し、剣技《スラッシュ》を覚えた。")
    assert not is_aozora(
        "ゴッホの《ひまわり》、モネの連作《睡蓮》と《印象・日の出》、大作《うみべ》、写真《こども》を見た。"
    )
    assert not is_aozora("小説《こころ》と映画《となりのまち》。")
    assert not is_aozora(
        "読書記録\n\n《あらすじ》\n主人公の話。\n《かんそう》\n評価《ほし》五つ、続編《ぞくへん》希望。\n"
    )
    assert not is_aozora("『源氏物語』の底本：青表紙本。校正の話。")
    assert not is_aozora("")


@given(st.text(alphabet="［］＃《》｜〔〕※「」、／＼″\n漢か a'1-2底本："))
@settings(max_examples=300, deadline=None)
def test_any_mixture_of_marks_is_parsed_without_marks_left(text: str) -> None:
    assert not re.search("［＃|[《》]|／″?＼", parse_aozora(text).text)


@pytest.mark.parametrize(
    "unit",
    [
        *[
            "《",
            "》",
            "［＃",
            "※［＃",
            "［＃［",
            "［",
            "］",
            "｜",
            "〔a'",
            "〔",
            "漢｜",
            "《》",
            "。《",
            "。《》",
            "｜、",
            "｜、《》",
        ],
        *[
            "≪",
            "［［＃",
            "漢《かん》",
            "［＃注］",
            "※［＃注］",
            "〔a'〕",
            "\n　",
            "入力：\n",
            "底本",
            "底本：\n",
            "［表記について］\n",
        ],
    ],
)
def test_hostile_repetition_is_parsed_in_linear_steps(unit: str) -> None:
    # a quadratic parser would not come back from a million characters
    text = unit * (1_000_000 // len(unit))
    is_aozora(text)
    parse_aozora(text)


@pytest.mark.parametrize(
    ("left", "right"), [("［＃", "］"), ("※［＃", "］"), ("［＃［", "］］"), ("〔a'", "e'〕"), ("《", "》")]
)
def test_hostile_nesting_is_parsed_in_linear_steps(left: str, right: str) -> None:
    depth = 500_000 // len(left + right)
    parse_aozora(left * depth + right * depth, ruby="keep")


def _works() -> Iterator[dict[str, str]]:
    for name in ("modern", "old-kana"):
        with gzip.open(SHARED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)


def _read_by_eye(text: str) -> str:
    """The body as a reader takes it, one character after another: outside ruby and notes, 〓 for external characters."""
    text = text.replace("\r\n", "\n")
    lines = text[: re.search(r"^底本：", text, re.MULTILINE).start()].split("\n")  # type: ignore[union-attr]
    rules = [at for at, line in enumerate(lines) if line.startswith("-" * 8)]
    lines = lines[rules[1] + 1 :] if len(rules) > 1 and "【テキスト中" in lines[rules[0] + 1] else lines
    read: list[str] = []
    for line in lines:
        deep = 0
        reading = False
        for at, character in enumerate(line):
            if deep:
                deep += (character == "［") - (character == "］")
            elif reading:
                reading = character != "》"
            elif line.startswith("［＃", at):
                deep = 1
                if at and line[at - 1] == "※":
                    read.append(GETA)
            elif character == "《":
                reading = True
            elif character != "｜" and not line.startswith("※［＃", at):
                read.append(character)
    return re.sub(r"\s", "", "".join(read))


MARKS_LEFT = re.compile(
    r"［＃|※［|[《》]|／″?＼|^底本：|^入力：|^校正：|青空文庫作成|【テキスト中|ルビの付く文字|[\ud800-\udfff]",
    re.MULTILINE,
)


@needs_works
def test_of_real_works_no_markup_survives_and_no_text_is_lost() -> None:
    works = list(_works())
    assert len(works) == 578
    read_at_all = lost_at_all = 0
    for entry in works:
        assert is_aozora(entry["text"]), entry["id"]
        work, kept = parse_aozora(entry["text"]), parse_aozora(entry["text"], ruby="keep")
        assert not MARKS_LEFT.search(work.text), entry["id"]
        assert not MARKS_LEFT.search(kept.text), entry["id"]
        assert work.metadata["author"] == entry["author"], entry["id"]
        assert parse_line(entry["title"]).startswith(work.metadata["title"]), entry["id"]
        assert {"底本", "入力"} <= set(work.metadata), entry["id"]
        assert parse_aozora(work.text).text == work.text, entry["id"]
        if "［表記について］" in entry["text"]:
            continue
        # title and author are no text, where nothing parts them from it
        named = sum(len(re.sub(r"\s", "", work.metadata.get(name, ""))) for name in ("title", "subtitle", "author"))
        expected, parsed = _read_by_eye(entry["text"]), re.sub(r"\s", "", work.text)
        lost = sum((Counter(expected) - Counter(parsed)).values())
        # external characters, accents and repeat marks are other characters in the work than to this reader
        resolved = expected.count(GETA) + 2 * expected.count("＼") + 6 * expected.count("〔")
        legend = "記号について】" in entry["text"]
        assert lost <= 0.002 * len(expected) + resolved + (0 if legend else named), (entry["id"], lost)
        read_at_all += len(expected)
        lost_at_all += max(0, len(expected) - len(parsed))
    assert lost_at_all < 0.0002 * read_at_all


@needs_works
def test_the_files_as_they_are_served_lose_their_markup_too() -> None:
    paths = sorted((SHARED / "raw-sjis").glob("*.txt"))
    assert len(paths) == 4
    for path in paths:
        text = path.read_bytes().decode("cp932")
        parsed = parse_aozora(text).text
        assert not MARKS_LEFT.search(parsed), path.name
        assert abs(len(re.sub(r"\s", "", parsed)) - len(_read_by_eye(text))) <= 0.002 * len(parsed), path.name


@needs_works
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
    assert parse_aozora("本文。\n" + "底本：甲\nボランティアの皆さん\n" * 200_000).text == "本文。"


@pytest.mark.parametrize("body", ["これは奥付の例である。\nそして説明は続く。", "　説明。" * 2000, "終わり", ""])
def test_no_text_is_lost_below_what_looks_like_a_footer(body: str) -> None:
    colophon = "底本：岩波文庫\n　　　1950年発行\n入力：山田\n校正：田中\n"
    assert not is_aozora(colophon + body)
    assert parse_aozora(colophon + body).text == colophon + body
    work = parse_aozora(
        f"題\n甲\n\n　猫である。\n\n{colophon}2001年1月1日公開\n\n※混在は底本通りです。\n青空文庫作成ファイル：\n\n次\n乙\n\n　犬である。"
    )
    assert work.text == "　猫である。\n\n次\n乙\n\n　犬である。"
    assert "入力" not in parse_aozora(f"題\n\n　猫である。\n{colophon}{body}").text


def test_lines_that_text_follows_are_no_footer() -> None:
    assert not is_aozora("　本文である。\n\n底本：甲\n入力：乙\n校正：丙\nこの三行は例である。")
    assert is_aozora("　本文である。\n\n底本：甲\n入力：乙\n校正：丙\n")
