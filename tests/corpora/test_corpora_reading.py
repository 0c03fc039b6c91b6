import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from corpora.embedded import embedded_file, read_chapters, read_verses
from corpora.hub import hub_revision, parse_hub_path, read_hub
from corpora.reading import read_file
from stage.errors import InputError, UsageError

LINES = ["吾輩は猫である。", "名前はまだ無い。𠮷野家〜ｶﾞ👨‍👩‍👧", "どこで生れたか　頓と見当がつかぬ。"]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def texts(path: Path, **options: str) -> list[str]:
    return [document.text for document in read_file(str(path), **options)]


@pytest.mark.parametrize("suffix", PACKERS)
def test_every_format_is_read_in_every_compression(tmp_path: Path, suffix: str) -> None:
    parquet = tmp_path / "plain.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": LINES, "n": [1, 2, 3]}), parquet, row_group_size=2)
    files = {
        "a.txt": ("\n".join(LINES).encode(), ["\n".join(LINES)]),
        "a.jsonl": ("".join(json.dumps({"text": line}) + "\n" for line in LINES).encode(), LINES),
        "a.json": (json.dumps([{"text": line} for line in LINES], indent=1).encode(), LINES),
        "a.parquet": (parquet.read_bytes(), LINES),
    }
    for name, (content, expected) in files.items():
        path = tmp_path / (name + suffix)
        path.write_bytes(PACKERS[suffix](content))
        assert texts(path) == expected, name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_ways_of_parting_documents(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(newline.join(["一行目。", "二行目①。", "", "", "三行目。"]).encode(encoding))
    assert texts(path)[0].split() == ["一行目。", "二行目①。", "三行目。"]
    assert texts(path, documents="line") == ["一行目。", "二行目①。", "三行目。"]
    assert texts(path, documents="blank") == ["一行目。\n二行目①。", "三行目。"]


def test_shift_jis_wave_dash_is_the_one_of_unicode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("10〜20円".encode("shift_jis"))
    assert texts(path) == ["10〜20円"]
    assert texts(path, documents="line") == ["10〜20円"]


@pytest.mark.parametrize("documents", ["file", "line", "blank"])
def test_undecodable_bytes_are_named_with_their_offset(tmp_path: Path, documents: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"cat\n\xff\xfe")
    with pytest.raises(
        InputError,
        match=r"a\.txt: neither UTF-8 \(byte 4\) nor Shift_JIS \(byte 4\) nor EUC-JP \(byte 4\): save it as UTF-8",
    ):
        texts(path, documents=documents)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc\0def", r"binary, not text \(a zero byte at byte 3\)"),
        (b"%PDF-1.7", "is a PDF"),
        (b"PK\x03\x04abc", "is a ZIP archive"),
        ("猫です".encode("utf-32"), "is UTF-32 text"),
        ("猫です".encode("iso-2022-jp")[:-1], "ISO-2022-JP text that ends within a character"),
    ],
)
@pytest.mark.parametrize("documents", ["file", "line"])
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, message: str, documents: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        texts(path, documents=documents)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "猫"}\n{"text": "犬"\n', r"line 2: broken JSON at column \d+"),
        (
            '{"text": "猫"}\n{"body": "犬", "id": 3}\n',
            "line 2: no field 'text'; the fields are body, id: choose one with --text_field",
        ),
        ('{"text": 3}\n', "line 1: field 'text' holds int, not text"),
        ("3\n", "line 1: holds int, not an object"),
        ('[{"text": "猫"}, {"text": "犬"', "broken JSON"),
        ('[{"text": "猫"}, 3]', "record 2: holds int"),
        ('{"text": "猫", "n": ' + "1" * 5000 + "}", "line 1: JSON with a number that is too long"),
    ],
)
def test_broken_records_are_named_with_their_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        texts(path)


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "iso2022_jp", "utf-16", "utf-16-le"])
def test_json_in_another_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    lines = ["吾輩は猫である。", "名前はまだ無い。"]
    for name, content in (
        ("a.jsonl", "".join(json.dumps({"text": line}, ensure_ascii=False) + "\r\n" for line in lines)),
        ("a.json.gz", json.dumps([{"text": line} for line in lines], ensure_ascii=False, indent=1)),
    ):
        path = tmp_path / name
        path.write_bytes(PACKERS[path.suffix.replace(".jsonl", "")](content.encode(encoding)))
        assert texts(path) == lines


def test_json_that_becomes_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps({"text": "a" * (1 << 20)}).encode() + '\n{"text": "猫"}'.encode("cp932"))
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        texts(path)


def test_records_keep_their_other_scalar_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record = {
        "text": "猫",
        "title": "題",
        "year": 1906,
        "tags": ["a"],
        "none": None,
        "long": "x" * 5000,
        "nan": float("nan"),
    }
    path.write_text("\ufeff" + json.dumps(record) + '\n\n{"text": null}\n', encoding="utf-8")
    first, second = read_file(str(path))
    assert first.meta == {"title": "題", "year": 1906}
    assert (second.index, second.text) == (1, "")


def test_another_text_field_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"body": ["猫"], "nested": [[1, 2]], "n": [1]}), path)
    assert texts(path, text_field="body") == ["猫"]
    with pytest.raises(InputError, match="no field 'text'; the fields are body, nested, n"):
        texts(path)


def test_broken_parquet_is_named_with_its_row_group(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    lines = [f"{number}番目の文。" * 50 for number in range(200)]
    pyarrow.parquet.write_table(pyarrow.table({"text": lines}), path, row_group_size=100, compression="zstd")
    content = bytearray(path.read_bytes())
    start = pyarrow.parquet.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    content[start + 40 : start + 400] = b"\xff" * 360
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet: row group 1 is broken"):
        texts(path)
    path.write_bytes(content[:200])
    with pytest.raises(InputError, match="not a whole Parquet file"):
        texts(path)


def test_parquet_whose_text_is_no_utf8_is_named_with_its_row_group(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    column = pyarrow.array(["猫".encode("cp932")]).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), path)
    with pytest.raises(InputError, match=r"a\.parquet: row group 0 is broken"):
        texts(path)


def test_truncated_compressed_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("猫".encode() * 10_000)[:40])
    with pytest.raises(InputError, match=r"a\.txt\.gz"):
        texts(path)


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize(
    ("name", "content", "documents", "message"),
    [
        ("a.txt", "猫\n" * 3_000, "auto", "a document of more than 5000 characters"),
        ("a.txt", "犬\n" + "猫" * 5_001, "line", "line 2: is longer than 5000 characters"),
        ("a.txt", "犬\n\n" + "猫\n" * 5_001, "blank", "line 5003: a document of more than 5000 characters"),
        ("a.md", "猫\n" * 3_000, "auto", "a document of more than 5000 characters"),
        ("a.jsonl", '{"text": "犬"}\n{"text": "' + "x" * 20_000, "auto", "line 2: is longer than 20000 bytes"),
        ("a.jsonl", '{"text": "' + "猫" * 5_001 + '"}', "auto", "line 1: field 'text' is longer than 5000 characters"),
        ("a.json", '["' + "x" * 40_000, "auto", "holds more than 30000 bytes as one piece"),
    ],
)
def test_what_would_not_fit_into_memory_is_refused_with_its_place(
    tmp_path: Path,
    name: str,
    content: str,
    documents: str,
    message: str,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("corpora.encodings.LONGEST", 5_000)
    monkeypatch.setattr("corpora.reading.LONGEST", 5_000)
    monkeypatch.setattr("corpora.reading.HELD", 30_000)
    path = tmp_path / (name + suffix)
    path.write_bytes(PACKERS[suffix](content.encode()))
    with pytest.raises(InputError, match=rf"{name}{suffix}: {message}"):
        texts(path, documents=documents)


def test_parting_records_by_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "猫"}')
    with pytest.raises(UsageError, match=r"applies to \.txt"):
        texts(path, documents="line")


def test_large_record_files_are_not_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "猫"}\nbroken\n', encoding="utf-8")
    assert next(read_file(str(path))).text == "猫"  # the broken line comes later and was not looked at


def test_a_local_folder_in_hub_format_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        pyarrow.parquet.write_table(
            pyarrow.table({"text": [split + line for line in LINES], "n": [1, 2, 3]}),
            tmp_path / "data" / f"{split}-0.parquet",
        )
    documents = list(read_hub(f"hf:{tmp_path}", text_field="text"))
    assert [document.text for document in documents] == ["train" + line for line in LINES]
    assert documents[1].meta == {"n": 2}
    assert next(read_hub(f"hf:{tmp_path}@test", text_field="text")).text == "test" + LINES[0]
    with pytest.raises(InputError, match="no field 'body'; the fields are text, n"):
        next(read_hub(f"hf:{tmp_path}", text_field="body"))
    with pytest.raises(InputError, match="cannot be read as a data set"):
        next(read_hub(f"hf:{tmp_path}@nosuch", text_field="text"))


def test_a_set_that_the_hub_does_not_have_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: object, name: str, **options: object) -> None:
        raise ConnectionError(f"no {name}\nand a second line")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", missing)
    with pytest.raises(InputError, match=r"hf:owner/none: not found .*\(no owner/none\)$"):
        hub_revision("hf:owner/none")


def test_hub_paths_name_set_configuration_and_split() -> None:
    source = parse_hub_path("hf:owner/set:ja@validation")
    assert (source.name, source.config, source.split) == ("owner/set", "ja", "validation")
    assert parse_hub_path("hf:owner/set").split == "train"
    with pytest.raises(UsageError, match="is named hf:NAME"):
        parse_hub_path("hf:")


def test_the_embedded_corpus_has_its_chapters_and_verses() -> None:
    chapters = list(read_chapters(embedded_file()))
    verses = list(read_verses(embedded_file()))
    assert (len(chapters), len(verses)) == (1189, 31105)
    assert sum(len(text.split("\n")) for _, text in chapters) == sum(bool(text) for _, text in verses) == 31080
    assert chapters[0][0] == "Ge/1"
    assert chapters[0][1].startswith("元始に神天地を創造たまへり\n地は定形なく")
    assert len({key for key, _ in chapters}) == 1189
    assert not any("END" in text or "=" in text for _, text in chapters)


@pytest.mark.parametrize("documents", ["auto", "line", "blank"])
def test_what_is_no_text_is_named_wherever_it_shows(tmp_path: Path, documents: str) -> None:
    path = tmp_path / "a.txt"
    for content, message in (
        (bytes(range(128, 256)) + b"\n\0", r"is binary, not text \(a zero byte at byte 129\)"),
        (bytes(range(1, 31)) * 40 + b"\0", "is binary, not text"),
        ("中文文本没有假名".encode("gb2312"), "neither UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            texts(path, documents=documents)
