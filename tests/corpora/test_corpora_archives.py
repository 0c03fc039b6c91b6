import zipfile
from pathlib import Path

import pytest

from corpora import archives
from corpora.archives import text_members
from corpora.reading import read_file
from stage.errors import InputError

STORY = "雪の町\r\n山田花子\r\n\r\n　町《まち》は白い。それから道を、いつまでも歩いて行った。\r\n"


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return str(path)


def test_the_text_beside_pictures_is_a_document(tmp_path: Path) -> None:
    path = _zip(tmp_path / "123_ruby.zip", {"yuki.txt": STORY.encode("cp932"), "fig1.png": b"\x89PNG", "a/": b""})
    (document,) = read_file(path)
    assert (document.key, document.text) == ("yuki.txt", STORY)
    assert [each.text for each in read_file(path, documents="line")] == [line for line in STORY.split("\r\n") if line]


def test_members_come_in_order_and_nothing_is_written(tmp_path: Path) -> None:
    path = _zip(tmp_path / "two.zip", {"b.txt": b"b", "../a.TXT": b"a"}, zipfile.ZIP_STORED)
    assert list(text_members(path)) == [("b.txt", b"b"), ("../a.TXT", b"a")]
    assert [file.name for file in tmp_path.rglob("*")] == ["two.zip"]


@pytest.mark.parametrize("encoding", ["cp932", "utf-8"])
def test_names_in_japanese_are_read(tmp_path: Path, encoding: str) -> None:
    name = "吾輩は猫である表.txt"
    path = tmp_path / "name.zip"
    placeholder = "x" * len(name.encode(encoding))
    _zip(path, {name if encoding == "utf-8" else placeholder: b"a"})
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), name.encode(encoding)))
    assert [found for found, _ in text_members(str(path))] == [name]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _zip(tmp_path / "bomb.zip", {"fine.txt": b"a", "bomb.txt": bytes(20_000_000)})
    with pytest.raises(InputError, match=r"bomb\.zip: bomb\.txt: grows from .* ZIP bomb"):
        list(text_members(path))
    monkeypatch.setattr(archives, "_MOST_BYTES", 1000)
    path = _zip(tmp_path / "many.zip", {f"{number}.txt": b"a" * 400 for number in range(9)})
    with pytest.raises(InputError, match=r"2\.txt: the texts of this archive exceed 1000 bytes"):
        list(text_members(path))


def test_a_member_that_would_not_fit_into_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "HELD", 300)
    with pytest.raises(InputError, match=r"big\.zip: b\.txt: holds more than 300 bytes: unpack it"):
        list(text_members(_zip(tmp_path / "big.zip", {"a.txt": b"a" * 300, "b.txt": b"a" * 301})))


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lie.zip"
    data = bytes(range(256)) * 40
    _zip(path, {"lie.txt": data})
    size = len(data).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"lie\.zip: lie\.txt: "):
        list(text_members(str(path)))


def test_an_archive_that_is_broken_cut_or_empty_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    _zip(path, {"a.txt": bytes(range(256)) * 40})
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"broken\.zip: is not a whole ZIP archive"):
            list(text_members(str(path)))
    path.write_bytes(whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    with pytest.raises(InputError, match=r"a\.txt: is broken or cut short"):
        list(text_members(str(path)))
    with pytest.raises(InputError, match=r"holds no file that ends with \.txt"):
        list(text_members(_zip(tmp_path / "none.zip", {"a.png": b"x"})))


@pytest.mark.parametrize(("at", "value", "reason"), [(6, 1, "is encrypted"), (8, 99, "method 99, which is not known")])
def test_encrypted_and_unknown_packing_are_refused(tmp_path: Path, at: int, value: int, reason: str) -> None:
    path = tmp_path / "locked.zip"
    _zip(path, {"a.txt": b"abc"})
    data = bytearray(path.read_bytes())
    data[at] = data[data.index(b"PK\x01\x02") + at + 2] = value
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=rf"a\.txt: .*{reason}"):
        list(text_members(str(path)))


def test_any_damage_is_an_input_error_or_the_same_text(tmp_path: Path) -> None:
    path = tmp_path / "any.zip"
    _zip(path, {"a.txt": STORY.encode("cp932")})
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            texts = [data for _, data in text_members(str(path))]
        except InputError as error:
            assert str(path) in str(error)
        else:
            assert texts == [STORY.encode("cp932")], at
