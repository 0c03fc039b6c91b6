import bz2
import gzip
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import zstandard

from corpora.mediawiki import read_dump
from stage.errors import InputError

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ja">
  <siteinfo><sitename>Wikipedia</sitename><namespaces><namespace key="0" /></namespaces></siteinfo>
"""
TAIL = "</mediawiki>\n"


def page(number: int, text: str, *, namespace: int = 0, extra: str = "", model: str = "wikitext") -> str:
    return f"""  <page>
    <title>記事{number}</title>
    <ns>{namespace}</ns>
    <id>{number}</id>{extra}
    <revision>
      <id>{number + 1000}</id>
      <parentid>1</parentid>
      <timestamp>2024-02-03T04:05:06Z</timestamp>
      <contributor><username>山田</username><id>77</id></contributor>
      <comment>要約</comment>
      <model>{model}</model>
      <format>text/x-wiki</format>
      <text bytes="10" xml:space="preserve">{escape(text)}</text>
      <sha1>x</sha1>
    </revision>
  </page>
"""


DUMP = (
    HEAD
    + page(5, "'''雪'''<ref>a & b</ref>\n&nbsp;𠮷")
    + page(6, "ノート", namespace=1)
    + page(7, "#転送 [[雪]]", extra='\n    <redirect title="雪" />')
    + page(8, "#REDIRECT [[雪]]")
    + page(9, "{}", model="json")
    + page(10, "[[雪]]の村")
    + TAIL
)


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def multistream(data: bytes) -> bytes:
    """As the dumps are stored: one bzip2 stream after another."""
    return b"".join(bz2.compress(data[at : at + 700]) for at in range(0, len(data), 700))


@pytest.mark.parametrize("store", [bytes, gzip.compress, bz2.compress, zstandard.compress, multistream])
def test_articles_come_as_wikitext_with_what_the_dump_says_of_them(
    tmp_path: Path, store: Callable[[bytes], bytes]
) -> None:
    first, second = read_dump(write(tmp_path / "dump.xml", store(DUMP.encode())))
    assert first.text == "'''雪'''<ref>a & b</ref>\n&nbsp;𠮷"
    assert first.meta == {"title": "記事5", "page_id": 5, "revision_id": 1005, "timestamp": "2024-02-03T04:05:06Z"}
    assert (first.index, first.key, second.index, second.key, second.text) == (0, "5", 1, "10", "[[雪]]の村")


def test_the_last_revision_of_a_page_counts(tmp_path: Path) -> None:
    revisions = [f"<revision><id>{n}</id><text>版{n}</text></revision>" for n in (1, 2)]
    text = f"<mediawiki><page><title>雪</title><id>3</id>{''.join(revisions)}</page></mediawiki>"
    (document,) = read_dump(write(tmp_path / "dump.xml", text.encode()))
    assert (document.text, document.meta) == ("版2", {"title": "雪", "page_id": 3, "revision_id": 2})


@pytest.mark.parametrize("store", [bytes, bz2.compress, gzip.compress, zstandard.compress])
def test_a_dump_that_breaks_off_gives_its_whole_pages_and_then_says_where(
    tmp_path: Path, store: Callable[[bytes], bytes]
) -> None:
    whole = (HEAD + page(1, "甲") + page(2, "乙") + page(3, "丙" * 1000)).encode()
    path = write(tmp_path / "dump.xml", store(whole[:-2500]))
    seen = []
    with pytest.raises(InputError, match=r"dump\.xml.*byte \d+, line \d+"):
        for document in read_dump(path):
            seen.append(document.text)
    assert seen == ["甲", "乙"]


def test_a_compressed_stream_that_breaks_off_is_named(tmp_path: Path) -> None:
    data = gzip.compress((HEAD + "".join(page(n, f"{n * 7919 % 1000}雪" * 300) for n in range(400)) + TAIL).encode())
    seen = 0
    with pytest.raises(InputError, match=r"dump\.xml.*cut short"):
        for _ in read_dump(write(tmp_path / "dump.xml", data[: len(data) // 2])):
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "雪の町",
        "<html><body>雪</body></html>",
        "<page><title>雪</title></page>",
        '{"text": "雪"}',
        "<mediawiki>\udcff".encode("utf-8", "replace").decode(),
    ],
)
def test_what_is_no_dump_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"dump\.xml: is not a whole MediaWiki dump \(byte \d+, line \d+"):
        list(read_dump(write(tmp_path / "dump.xml", text.encode())))


def test_entities_are_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("秘密")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    for declaration, use in (
        (f'<!ENTITY l0 "笑">{laughs}', "&l9;"),
        (f'<!ENTITY x SYSTEM "file://{tmp_path}/secret">', "&x;"),
        ("", "雪"),
    ):
        body = f"<mediawiki><page><title>a</title><id>1</id><revision><text>{use}</text></revision></page></mediawiki>"
        with pytest.raises(InputError, match="document type"):
            list(read_dump(write(tmp_path / "dump.xml", f"<!DOCTYPE mediawiki [{declaration}]>{body}".encode())))
    with pytest.raises(InputError, match="undefined entity"):
        list(read_dump(write(tmp_path / "dump.xml", b"<mediawiki><page><title>&x;</title></page></mediawiki>")))


def test_memory_does_not_grow_with_the_dump(tmp_path: Path) -> None:
    peaks = []
    for pages in (200, 2000):
        stored = io.BytesIO()
        with gzip.GzipFile(fileobj=stored, mode="wb", compresslevel=1) as stream:
            stream.write(HEAD.encode())
            for number in range(pages):
                stream.write(page(number, "雪の降る町を。" * 400).encode())
            stream.write(TAIL.encode())
        path = write(tmp_path / "dump.xml", stored.getvalue())
        tracemalloc.start()
        assert sum(1 for _ in read_dump(path)) == pages
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 1_000_000


def test_a_dump_in_an_encoding_that_xml_parsers_do_not_take_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dump.xml"
    file.write_bytes(
        '<?xml version="1.0" encoding="Shift_JIS"?><mediawiki><page><title>猫</title></page></mediawiki>'.encode(
            "cp932"
        )
    )
    with pytest.raises(InputError, match=r"dump\.xml.*dumps are UTF-8"):
        list(read_dump(str(file)))
