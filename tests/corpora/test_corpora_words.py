from pathlib import Path

import pytest

from corpora.words import WordFinder, domain_list, is_blocked, read_list, word_finder
from stage.errors import InputError


def test_words_are_counted_and_the_longest_at_a_place_wins() -> None:
    finder = WordFinder(["馬鹿", "馬鹿野郎", "𠮷野", "ass", "ｱﾎ"])
    texts = ["この馬鹿野郎め、𠮷野の馬鹿。", "class assassin pass", "an ass, 「ass」", "", "馬と鹿"]
    hits, shares = finder.measure([text.encode() for text in texts], [len(text) for text in texts])
    assert hits.tolist() == [3, 0, 2, 0, 0]
    assert shares.tolist() == [8 / 14, 0, 6 / 13, 0, 0]


def test_a_long_list_finds_what_a_short_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["この馬鹿野郎め".encode()]
    short = WordFinder(["馬鹿", "馬鹿野郎"]).measure(texts, [7])
    monkeypatch.setattr("corpora.words._TABLE_BYTES", 5)
    long = WordFinder(["馬鹿", "馬鹿野郎"]).measure(texts, [7])
    assert [each.tolist() for each in short] == [each.tolist() for each in long] == [[1.0], [4 / 7]]


def test_a_list_is_normalised_and_may_hold_comments(tmp_path: Path) -> None:
    (tmp_path / "ng.txt").write_bytes("# 禁止語\r\nﾊﾞｶ\r\n\r\n阿呆\r\nバカ\r\n".encode("cp932"))
    assert read_list(str(tmp_path / "ng.txt")) == ["バカ", "阿呆"]
    assert word_finder(str(tmp_path / "ng.txt")).measure(["バカ".encode()], [2])[0].tolist() == [1]
    (tmp_path / "none.txt").write_text("# nothing\n", "utf-8")
    with pytest.raises(InputError, match="holds 0 entries"):
        read_list(str(tmp_path / "none.txt"))


def test_hosts_are_blocked_with_what_lies_below_them(tmp_path: Path) -> None:
    (tmp_path / "domains.txt").write_text(
        "Spam.example\nhttps://ads.example.jp/path\n*.wild.example\npath.example/a?b\n日本.example\nhttps://\n", "utf-8"
    )
    domains = domain_list(str(tmp_path / "domains.txt"))
    assert domains == {"spam.example", "ads.example.jp", "wild.example", "path.example", "xn--wgv71a.example"}
    blocked = ["https://www.spam.example/a", "http://spam.example:8080", "//x.ads.example.jp/", "www.spam.example/a"]
    blocked += ["http://a.wild.example", "path.example/c", "https://日本.example/", "https://xn--wgv71a.example/"]
    free = ["https://notspam.example/", "https://example.jp/", "", "http://[broken", "日本語"]
    assert [is_blocked(url, domains) for url in blocked + free] == [True] * 8 + [False] * 5
