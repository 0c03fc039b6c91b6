"""A big file of records that is read in ranges gives what it gives as a whole."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpora import build_corpus, ranges
from corpora.config import CorpusConfig, SourceConfig
from corpora.ranges import WHOLE, split_file
from corpora.reading import read_file
from corpora.sources import find_sources, group_files, number_lines
from stage.errors import InputError
from stage.manifest import read_manifest

ROOT = Path(__file__).parents[2]


def record(number: int) -> bytes:
    story = f"第{number % 230}話であり、猫は𠮷野家で眠っていた。\n" * (number % 7)
    return json.dumps({"text": story, "題": f"猫{number}"}, ensure_ascii=number % 2 > 0).encode()


def lines(count: int = 300) -> list[bytes]:
    return [record(number) for number in range(count)]


def mixed() -> list[bytes]:
    """Records among all that the reader passes over."""
    blanks = [b"", b" \t", "\u3000\u3000".encode(), b"null", b" null ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r"]
    chance = random.Random(0)
    return [line for entry in lines() for line in (entry, *chance.choices(blanks, k=chance.choice((0, 0, 1, 3))))]


FILES: dict[str, bytes] = {
    "plain": b"\n".join(lines()) + b"\n",
    "no end": b"\n".join(lines()),
    "mark": b"\xef\xbb\xbf" + b"\n".join(lines()),
    "crlf": b"\r\n".join(mixed()) + b"\r\n",
    "blank lines": b"\n".join(mixed()),
    "spaces before": b"\n\n".join(b"  " + line for line in lines()),
    "a long line": b"\n".join([*lines(20), json.dumps({"text": "猫は眠る。" * 3000}).encode(), b"", *lines(20)]),
    "blank to the end": b"\n".join(lines(5)) + b"\n" * 5000,
}


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the size of the ranges."""
    return lambda size: monkeypatch.setattr(ranges, "_RANGE_BYTES", size)


def build(source: Path, out: Path, **given: Any) -> dict[str, Any]:
    """The counts of a corpus and the bytes of its files, but those that tell the time."""
    config = CorpusConfig([SourceConfig(str(source))], **given)
    counts = build_corpus(config, out, workers=1, quiet=True).counts
    return {"counts": counts, **{str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*.parquet")}}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize("size", [1, 2, 100, 1777])
def test_ranges_hold_the_documents_of_the_file(
    content: bytes, size: int, tmp_path: Path, split: Callable[[int], None]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    split(max(size, len(content) // 3000))
    groups = number_lines(group_files(find_sources(CorpusConfig([SourceConfig(str(path))]))[0]), workers=1, quiet=True)
    assert len(groups) > 3
    found = [document for group in groups for document in read_file(str(path), lines=group.lines)]
    assert found == list(read_file(str(path)))


@pytest.mark.parametrize("content", ["crlf", "mark", "a long line"])
@pytest.mark.parametrize("given", [{}, {"limit": 130}, {"limit": 1}])
def test_a_corpus_is_the_same_to_the_byte(
    content: str, given: dict[str, Any], tmp_path: Path, split: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpora.tables._GROUP_BYTES", 5000)
    (tmp_path / "texts").mkdir()
    for name in "abc":
        (tmp_path / "texts" / f"{name}.jsonl").write_bytes(FILES[content] if name == "b" else record(ord(name)))
    expected = build(tmp_path / "texts", tmp_path / "whole", **given)
    split(1000)
    assert build(tmp_path / "texts", tmp_path / "split", **given) == expected
    assert given or expected["counts"]["rejected"].keys() >= {"duplicate", "empty"}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b'{"text": "\xe7\x8c\xab"', "broken JSON"),
        (b"[1]", "holds list"),
        (b'{"text": "\x82\xa0"}', "not UTF-8"),
        (b"a\0", "binary"),
        (b'{"text": "' + b"a" * 9000 + b'"}', "is longer than 8000 bytes"),
    ],
)
def test_errors_name_the_line_in_the_file(
    broken: bytes,
    message: str,
    tmp_path: Path,
    split: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("corpora.encodings._BLOCK", 1000)  # what is_utf8 looks at
    for module in ("reading", "ranges"):
        monkeypatch.setattr(f"corpora.{module}.LONGEST", 2000)
    before = mixed()
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([*before, broken, *before, b"{", b""]))
    split(500)
    with pytest.raises(InputError, match=rf"a\.jsonl: line {len(before) + 1}: .*{message}"):
        build(path, tmp_path / "out")


def test_an_error_beyond_the_limit_is_not_met(tmp_path: Path, split: Callable[[int], None]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([*lines(), b"{"]))
    split(500)
    assert build(path, tmp_path / "out", limit=300)["counts"]["documents"] > 100


def test_only_big_files_of_records_one_a_line_are_split(tmp_path: Path, split: Callable[[int], None]) -> None:
    split(1000)
    text = b"\n".join(lines())
    contents = {
        "yes.jsonl": text,
        "mark.jsonl": b"\xef\xbb\xbf" + text,
        "small.jsonl": text[:2000],
        "text.txt": text,
        "packed.jsonl.gz": gzip.compress(text, 0),
        "packed.jsonl": gzip.compress(text, 0),
        "list.jsonl": b"[" + b",\n".join(lines()) + b"]",
        "one.jsonl": json.dumps({"text": "猫" * 3000}, indent=1).encode(),
        "sjis.jsonl": text.decode().replace("𠮷", "吉").encode("cp932"),
        "utf16.jsonl": text.decode().encode("utf-16"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert [name for name in contents if split_file(str(tmp_path / name)) != [WHOLE]] == ["yes.jsonl", "mark.jsonl"]


def test_a_file_that_changes_while_it_is_read_is_an_error(
    tmp_path: Path, split: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(FILES["plain"])
    split(1000)

    def changed(*given: Any, **further: Any) -> Any:
        numbered = number_lines(*given, **further)
        path.write_bytes(FILES["plain"][:-3000])
        return numbered

    monkeypatch.setattr("corpora.build.number_lines", changed)
    with pytest.raises(InputError, match=r"a\.jsonl: (changed while it was read|line \d+: broken)"):
        build(path, tmp_path / "out")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_build_that_is_killed_within_a_range_ends_with_the_same_bytes(workers: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(FILES["crlf"])
    expected = build(tmp_path / "a.jsonl", tmp_path / "whole")
    (tmp_path / "script.py").write_text(
        textwrap.dedent("""
        import sys, time
        import corpora.build
        from corpora import parts, ranges
        from corpora.config import CorpusConfig, SourceConfig

        judged = parts.judged_rows
        parts.judged_rows = lambda *given: time.sleep(0.02) or judged(*given)
        parts._BATCH_ROWS, parts._CHUNK_BYTES = 7, 8000
        ranges._RANGE_BYTES, corpora.build._SMALL_BYTES = 20_000, 0
        if __name__ == "__main__":
            config = CorpusConfig([SourceConfig(sys.argv[1])])
            corpora.build.build_corpus(config, sys.argv[2], workers=int(sys.argv[3]), quiet=True)
        """)
    )
    command = [sys.executable, *(str(tmp_path / name) for name in ("script.py", "a.jsonl", "out")), workers]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parts = tmp_path / "out.partial" / "parts"
    for wanted in (1, 4):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while len(list(parts.glob("*.arrow"))) < wanted and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    subprocess.run(command, env=environment, check=True)
    assert read_manifest(tmp_path / "out").counts == expected.pop("counts")
    files = (tmp_path / "out").rglob("*.parquet")
    assert {str(file.relative_to(tmp_path / "out")): file.read_bytes() for file in files} == expected
