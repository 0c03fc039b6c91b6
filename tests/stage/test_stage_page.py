"""The page: escaped, self-contained, well-formed, written whole."""

import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stage.errors import JgptError
from stage.page import Figure, Page, Piece
from stage.plots import Bar, bar_plot

EVIL = "<script>alert('𠮷')</script>\"&"
VOID = {"meta", "link", "br", "wbr"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that elements nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(*texts: str) -> Page:
    page = Page("x", "副題", "和文")
    for text in texts:
        page.paragraph(text)
    return page


def full_page(text: str = "本文") -> Page:
    page = Page(text, subtitle=text, seal=text)
    page.tiles([Figure(text, text, text, text, (text,), "strong"), Figure("数", "", "1")])
    page.section(text, text)
    page.paragraph(text)
    page.note(text)
    page.warning(text, "ja")
    page.steps([Figure(text, text, text, remarks=(text,)), Figure("無", "", "—", kind="missing")])
    page.table([text], [[text], [12345]])
    page.figure(partial(bar_plot, [Bar(text, 1.0)]), text, text, text)
    page.figure(partial(bar_plot, [Bar(text, 1.0)]), text, "", wide=True)
    page.pieces([Piece(text, text), Piece("<0xE3>", raw=True)], text, text, text)
    page.sample(text, text, text)
    page.details(text, {text: text, "nested": {"key": None}, "sources": [{"path": text}]}, text)
    return page


def test_everything_that_comes_from_data_is_escaped() -> None:
    page = full_page(EVIL).render()
    assert "<script" not in page and EVIL not in page
    reader = Reader(page)
    assert all(not name.startswith("on") for _, attributes in reader.tags for name in attributes)
    # 20 parts show the text; each shows it as it was given
    assert reader.text.count(EVIL) > 20


def test_the_page_loads_nothing() -> None:
    page = full_page("出典 https://example.org/a?b=1&c=2 を見よ").render()
    for tag, attributes in Reader(page).tags:
        assert tag not in ("script", "img", "iframe", "object", "embed", "base", "form")
        assert "src" not in attributes and "srcset" not in attributes
        if tag == "link":
            assert (attributes.get("href") or "").startswith("data:")
    assert not re.search(r"url\(|@import|@font-face", page)
    assert "default-src 'none'" in page


def test_addresses_in_text_become_plain_links_without_the_full_stop() -> None:
    page = page_of("(https://example.org/a_(b)?x=1&y=2). 出典：https://例え.jp/本。次")
    links = [attributes.get("href") for tag, attributes in Reader(page.render()).tags if tag == "a"]
    assert links == ["https://example.org/a_(b)?x=1&y=2", "https://例え.jp/本"]


def test_the_head_serves_phones_and_dark_mode() -> None:
    page = full_page().render()
    tags = Reader(page).tags
    metas = {attributes.get("name"): attributes.get("content") for tag, attributes in tags if tag == "meta"}
    assert page.startswith("<!doctype html>")
    assert "width=device-width" in (metas["viewport"] or "") and metas["color-scheme"] == "light dark"
    assert ("html", {"lang": "en"}) in tags and "prefers-color-scheme:dark" in page and "@media print" in page


def test_the_links_at_the_top_reach_their_sections() -> None:
    page = page_of()
    for heading in ("Corpus", "About these numbers", "評価"):
        page.section(heading)
    tags = Reader(page.render()).tags
    names = [attributes["id"] for tag, attributes in tags if tag == "h2"]
    assert names == ["corpus", "about-these-numbers", "評価"]
    assert [attributes["href"] for tag, attributes in tags if tag == "a"] == [f"#{name}" for name in names]


def test_japanese_samples_are_vertical_and_others_are_not() -> None:
    page = page_of()
    page.sample("吾輩は", "猫である。名前はまだ無い。\n　どこで生れたか")
    page.sample("def f(x):", " return 一")
    kinds = [attributes.get("class") for tag, attributes in Reader(page.render()).tags if tag == "figure"]
    assert kinds == ["sample tate", "sample"]


def test_prompt_and_continuation_are_told_apart_and_line_ends_kept() -> None:
    page = page_of()
    page.sample("春は", "あけぼの。\nやうやう")
    assert "<b>春は</b>あけぼの。\nやうやう</blockquote>" in page.render()


def test_spaces_and_line_ends_in_pieces_are_visible() -> None:
    page = page_of()
    page.pieces([Piece("\n"), Piece(" の"), Piece("\u3000")], "分割", "", "")
    text = Reader(page.render()).text
    assert "⏎" in text and "␣の" in text and "□" in text


def test_nested_parameters_get_dotted_names() -> None:
    page = page_of()
    page.details(
        "設定",
        {"train": {"steps": 5, "minutes": None}, "sources": [{"path": "a"}, {"path": "b"}], "empty": {}},
    )
    text = Reader(page.render()).text
    assert all(name in text for name in ("train.steps", "train.minutes", "sources.0.path", "sources.1.path", "empty"))


def test_the_file_is_written_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "報告.html"
    file.write_text("old")
    assert full_page("𠮷野家\ud800").write(file) == file
    Reader(file.read_text("utf-8"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["報告.html"]


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(JgptError, match="cannot be written") as caught:
        page_of().write(tmp_path / "missing" / "report.html")
    assert "\n" not in str(caught.value)
    (tmp_path / "file").touch()
    with pytest.raises(JgptError, match="cannot be written"):
        page_of().write(tmp_path / "file" / "report.html")
