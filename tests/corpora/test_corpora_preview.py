"""Documents before and after, and what two folders differ in."""

import json
from collections import Counter
from pathlib import Path

import pytest

from corpora import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.differences import changed_lines
from corpora.preview import changes, compare, preview
from scripts.commands.corpus import show_changes


def shown(before: str, after: str) -> list[str]:
    marks = {"same": "{}", "gone": "[{}]", "new": "<{}>"}
    return ["".join(marks[piece.kind].format(piece.text) for piece in line) for line in changed_lines(before, after)]


def test_changed_characters_stand_in_their_lines() -> None:
    assert shown("一行\nｶﾞﾗｽの窓\n三行", "一行\nガラスの窓\n三行") == ["[ｶﾞﾗｽ]<ガラス>の窓"]
    assert shown("同じ", "同じ") == []
    alike = ["山路を登りながら、こう／考えた。智に働けば。", "山路を下りながら、ああ考えた。情に棹させば流される。"]
    assert shown("\n".join(alike), "\n".join(alike).replace("／", "/")) == [
        "山路を登りながら、こう[／]</>考えた。智に働けば。"
    ]
    assert shown("消える行\n残る", "残る") == ["[消える行]"]
    long = "山路を登りながら、こう考えた。智に働けば角が立つ。"
    assert shown(f"{long}１{long}", f"{long}1{long}") == [f"…{long[-12:]}[１]<1>{long[:12]}…"]


def test_lines_find_their_partners_though_others_went() -> None:
    before = "題\n\n凡例の一\n凡例の二\n　町《まち》を歩いた。\n　雪《ゆき》が降る。"
    assert shown(before, "　町を歩いた。\n　雪が降る。")[-2:] == ["　町[《まち》]を歩いた。", "　雪[《ゆき》]が降る。"]


def test_characters_that_became_others_are_counted() -> None:
    assert changes("１～２\n長い", "1〜2\n長かった") == Counter({("１", "1"): 1, ("～", "〜"): 1, ("２", "2"): 1})


def test_a_preview_is_what_a_build_makes(tmp_path: Path) -> None:
    file = tmp_path / "文.jsonl"
    texts = [f"第{number}話。ｶﾞﾗｽの窓と１２３の話を書いておく。ながいながい話である。" for number in range(30)] + [
        "短い"
    ]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    config = CorpusConfig([SourceConfig(str(file))], valid_min_documents=2)
    found = list(preview(config, 31))
    assert [each.before for each in found] == texts
    assert [each.reason for each in found] == [""] * 30 + ["chars>=20"]
    assert found[3].after == "第3話。ガラスの窓と123の話を書いておく。ながいながい話である。"
    assert [each.name for each in found] == [f"文/文.jsonl/{number}" for number in range(31)]
    assert len(list(preview(config, 4))) == 4


def test_folders_are_compared_document_by_document(tmp_path: Path) -> None:
    file = tmp_path / "文.jsonl"
    lines = [
        f"第{number}話。{'ｶﾞﾗｽ' if number % 2 else 'ガラス'}の窓のことを、とても長々と書いておく。"
        for number in range(60)
    ]
    file.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), "utf-8")
    for name, preset in (("一", "ja-v1"), ("二", "none")):
        build_corpus(
            CorpusConfig([SourceConfig(str(file), normalization=preset)]), tmp_path / name, workers=1, quiet=True
        )
    build_corpus(CorpusConfig([SourceConfig(str(file))], limit=58), tmp_path / "三", workers=1, quiet=True)
    found = list(compare(tmp_path / "二", tmp_path / "一"))
    assert len(found) == 30
    for _, before, after in found:
        assert before and after and "ｶﾞ" in before and "ガ" in after
    assert [after for _, _, after in compare(tmp_path / "一", tmp_path / "三")] == [None, None]
    assert [before for _, before, _ in compare(tmp_path / "三", tmp_path / "一")] == [None, None]


def test_a_document_that_stays_as_it_is_is_called_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    show_changes([("一", "同じ文。", "同じ文。"), ("二", "同じ文。\n", "同じ文。")])
    assert capsys.readouterr().out.splitlines()[1::2] == ["(unchanged)", "(blank lines or line ends alone)"]


def test_a_preview_shows_every_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "文").mkdir()
    for name, count in (("一.jsonl", 3000), ("二.jsonl", 2), ("三.jsonl", 1)):
        lines = (json.dumps({"text": f"{name}の第{number}話である。"}) + "\n" for number in range(count))
        (tmp_path / "文" / name).write_text("".join(lines), "utf-8")
    found = [each.name.split("/")[1] for each in preview(CorpusConfig([SourceConfig(str(tmp_path / "文"))]), 8)]
    assert {name: found.count(name) for name in found} == {"一.jsonl": 5, "三.jsonl": 1, "二.jsonl": 2}
