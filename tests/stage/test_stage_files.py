import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
import zstandard

from stage.errors import InputError
from stage.files import bare_suffix, list_files, open_binary, reading, sha256_file, size_of

TEXT = "𠮷野家で、か゛とﾊﾟﾝを食べる👨‍👩‍👧。\u3000国境の長いトンネルを抜けると雪国であった。\r\n" * 2000
DATA = TEXT.encode()
# pseudo-random bytes do not shrink, so a cut in the middle loses some of them in every format
NOISE = b"".join(number.to_bytes(4, "big") for number in (hash((1, n)) & 0xFFFFFFFF for n in range(50_000)))

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.fixture(params=sorted(PACK))
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(path: Path | str) -> bytes:
    with reading(str(path)) as stream:
        return stream.read()


def test_a_compressed_file_reads_as_its_content(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"文{suffix}"
    file.write_bytes(PACK[suffix](DATA))
    assert read(file) == DATA


def test_compression_is_known_by_the_first_bytes_not_by_the_name(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / "雪国.txt"
    file.write_bytes(PACK[suffix](DATA))
    assert read(file) == DATA


@pytest.mark.parametrize("content", [DATA[:5], DATA])
def test_a_plain_file_with_the_name_of_a_compressed_one_reads_as_it_is(
    content: bytes, suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"a.txt{suffix}"
    file.write_bytes(content)
    assert read(file) == content


def test_streams_written_one_after_another_read_as_one(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(PACK[suffix](DATA) + PACK[suffix](b"") + PACK[suffix](NOISE))
    assert read(file) == DATA + NOISE


def test_lines_of_a_compressed_file_come_one_by_one(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(PACK[suffix](DATA))
    with reading(str(file)) as stream:
        assert [line.decode() for line in stream] == TEXT.splitlines(keepends=True)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_compressed_file_of_which_hardly_anything_is_there_is_not_text(
    kept: int, suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"途中.txt{suffix}"
    file.write_bytes(PACK[suffix](DATA)[:kept])
    with pytest.raises(InputError, match=rf"途中\.txt{suffix}: the compressed data is .*cut short"):
        read(file)


@pytest.mark.parametrize("kept", [0.2, 0.9, -1])
def test_a_truncated_compressed_file_is_refused_by_name(kept: float, suffix: str, tmp_path: Path) -> None:
    packed = PACK[suffix](NOISE)
    file = tmp_path / f"途中{suffix}"
    file.write_bytes(packed[: int(len(packed) * kept)] if kept > 0 else packed[:-1])
    with pytest.raises(InputError, match=f"途中{suffix}: the compressed data is broken or cut short"):
        read(file)


def test_a_damaged_compressed_file_is_refused_by_name(suffix: str, tmp_path: Path) -> None:
    packed = bytearray(PACK[suffix](DATA))
    middle = len(packed) // 2
    packed[middle : middle + 8] = bytes(byte ^ 0x5A for byte in packed[middle : middle + 8])
    file = tmp_path / f"壊{suffix}"
    file.write_bytes(packed)
    with pytest.raises(InputError, match=f"壊{suffix}: ") as caught:
        read(file)
    assert "\n" not in str(caught.value)


def test_an_error_of_the_reader_itself_passes_through(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    with pytest.raises(KeyError), reading(str(tmp_path / "a")):
        raise KeyError("of the caller")


def test_missing_files_and_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="無い: no such file"):
        open_binary(str(tmp_path / "無い"))
    with pytest.raises(InputError, match="is a directory"):
        open_binary(str(tmp_path))
    with pytest.raises(InputError, match="no such file"):
        sha256_file(str(tmp_path / "無い"))
    with pytest.raises(InputError, match="nosuchprotocol://a: cannot be opened"):
        open_binary("nosuchprotocol://a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(DATA)
    file.chmod(0)
    with pytest.raises(InputError, match="no permission to read it"):
        open_binary(str(file))


def test_urls_read_like_files(suffix: str) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe(f"/jgpt-files/本{suffix}", PACK[suffix](DATA))
    memory.pipe("/jgpt-files/.hidden/本.txt", DATA)
    memory.pipe("/jgpt-files/深い/本.txt", DATA)
    try:
        assert read(f"memory://jgpt-files/本{suffix}") == DATA
        assert size_of("memory://jgpt-files/深い/本.txt") == len(DATA)
        found = list_files("memory://jgpt-files", (".txt",))
        assert len(found) == 1 and read(found[0]) == DATA
        with pytest.raises(InputError, match="memory://jgpt-files/無い: no such file"):
            open_binary("memory://jgpt-files/無い")
        with pytest.raises(InputError, match="no file in this directory"):
            list_files("memory://jgpt-files", (".parquet",))
    finally:
        memory.rm("/jgpt-files", recursive=True)


def test_the_hash_is_of_the_stored_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.gz"
    file.write_bytes(gzip.compress(b"abc", mtime=0))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"abc", mtime=1))
    assert sha256_file(str(file)) != sha256_file(str(tmp_path / "b.gz"))
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(str(tmp_path / "abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.jsonl.gz", ".jsonl"),
        ("a.b/c", ""),
        ("ａ.TXT.XZ", ".txt"),
        ("s3://本/雪国.parquet", ".parquet"),
        ("x.zst", ""),
        (".txt", ""),
    ],
)
def test_bare_suffix_looks_below_the_compression(path: str, expected: str) -> None:
    assert bare_suffix(path) == expected


def test_a_directory_lists_its_files_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("二.txt.gz", "一.TXT", "下/三.txt", "下/四.jsonl", ".隠し.txt", ".git/五.txt", "六.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("本文")
    found = list_files(str(tmp_path), (".txt",))
    assert found == sorted(str(tmp_path / name) for name in ("二.txt.gz", "一.TXT", "下/三.txt"))


def test_a_link_to_nothing_is_not_passed_over_silently(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("本文")
    (tmp_path / "b.txt").symlink_to("無い.txt")
    found = list_files(str(tmp_path), (".txt",))
    assert found == [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    with pytest.raises(InputError, match=r"b\.txt: no such file"):
        read(Path(found[1]))


def test_a_directory_that_cannot_be_listed_is_not_passed_over_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "下/b.txt", ".隠し/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("本文")
    scandir = os.scandir

    def refusing(path):  # as for a user without the right; root has it whatever the mode
        if os.path.basename(path) in ("下", ".隠し"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(InputError, match=r"下: cannot be listed \(Permission denied\)"):
        list_files(str(tmp_path), (".txt",))


def test_a_hidden_directory_that_was_named_itself_is_read(tmp_path: Path) -> None:
    (tmp_path / ".本棚").mkdir()
    (tmp_path / ".本棚" / "a.txt").write_text("本文")
    assert list_files(str(tmp_path / ".本棚"), (".txt",)) == [str(tmp_path / ".本棚" / "a.txt")]


def test_a_file_lists_itself_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_text("本文")
    assert list_files(str(tmp_path / "a.bin"), (".txt",)) == [str(tmp_path / "a.bin")]


def test_nothing_to_list_is_refused_with_the_suffixes_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file in this directory ends with \.txt \.jsonl"):
        list_files(str(tmp_path), (".txt", ".jsonl"))
    with pytest.raises(InputError, match="no such file or directory"):
        list_files(str(tmp_path / "無い"), (".txt",))


def test_what_no_path_can_be_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        list_files("吾輩は猫である。" * 100, (".txt",))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a directory"):
        list_files(str(tmp_path / "pipe"), (".txt",))


def test_zstd_is_read_in_bounded_pieces(tmp_path: Path) -> None:
    file = tmp_path / "a.zst"
    file.write_bytes(zstandard.ZstdCompressor().compress(NOISE * 20))
    with open_binary(str(file)) as stream:
        assert isinstance(stream, io.BufferedReader)
        assert stream.read(10) == NOISE[:10]
        assert stream.read() == (NOISE * 20)[10:]


def test_missing_remote_files_are_refused_in_one_line() -> None:
    for function in (size_of, sha256_file, open_binary):
        with pytest.raises(InputError, match=r"memory://jgpt-無い\.txt: no such file"):
            function("memory://jgpt-無い.txt")
    with pytest.raises(InputError, match="nosuchprotocol://a: cannot be opened"):
        size_of("nosuchprotocol://a")


def test_no_suffix_is_left_out_where_suffixes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends with \.txt \(compressed"):
        list_files(str(tmp_path), (".txt", ""))


def test_linked_folders_are_read_once_each(tmp_path: Path) -> None:
    for name in ("source/a", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "猫.txt").write_text("猫", "utf-8")
    (tmp_path / "source" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source" / "a" / "back").symlink_to(tmp_path / "source")
    (tmp_path / "source" / "twin").symlink_to(tmp_path / "elsewhere")
    found = list_files(str(tmp_path / "source"), [".txt"])
    assert [str(Path(file).relative_to(tmp_path / "source")) for file in found] == ["a/猫.txt", "more/猫.txt"]
