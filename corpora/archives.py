"""Texts in ZIP archives, as Aozora Bunko serves them: a .txt in Shift_JIS, perhaps pictures beside it."""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator

from corpora.encodings import Member
from corpora.reading import HELD, TEXT, RawDocument
from stage.errors import InputError
from stage.files import bare_suffix, open_stored

ARCHIVES = (".zip",)
"""What archives end with."""

_MOST_BYTES = 2_000_000_000
_MOST_RATIO = 200
# what packs well without meaning harm
_SMALL = 10_000_000
_UTF8_NAME, _ENCRYPTED = 0x800, 0x1


def text_members(path: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each text file of an archive, in order; other members are left out, nothing is written to disk.

    Raises InputError with the member's name for a member that is encrypted, broken or cut short, that grows over 200
    times its packed size (10 MB are always allowed), that holds over 512 MB, or with which the archive's texts exceed 2 GB; for an archive that
    is broken; and for one without a text.
    """
    total = 0
    found = False
    with open_stored(path) as stored:
        try:
            archive = zipfile.ZipFile(stored)
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError) as error:
            raise InputError(f"{path}: is not a whole ZIP archive ({error}): get the file anew") from None
        with archive:
            for info in archive.infolist():
                name = _name(info)
                if info.is_dir() or bare_suffix(name) not in TEXT or name.startswith("__MACOSX/"):
                    continue
                data = _read(archive, info, f"{path}: {name}", _MOST_BYTES - total)
                total += len(data)
                found = True
                yield name, data
    if not found:
        raise InputError(f"{path}: holds no file that ends with {' '.join(TEXT)}")


def read_archive(path: str, texts: Callable[[Member], Iterable[str]]) -> Iterator[RawDocument]:
    """The documents of an archive's texts: those that ``texts`` makes of a member."""
    for name, data in text_members(path):
        for index, text in enumerate(texts(Member(f"{path}: {name}", data))):
            yield RawDocument(index, text, key=f"{name}/{index}" if index else name)


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name: UTF-8 where the archive says so, else cp932, as archivers in Japan write it."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    try:
        return info.orig_filename.split("\0")[0].encode("cp437").decode("cp932").replace("\\", "/")
    except UnicodeError:
        return info.filename


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str, room: int) -> bytes:
    if info.flag_bits & _ENCRYPTED:
        raise InputError(f"{place}: is encrypted: unpack it with its password")
    if info.file_size > max(_SMALL, info.compress_size * _MOST_RATIO):
        raise InputError(f"{place}: grows from {info.compress_size} to {info.file_size} bytes: looks like a ZIP bomb")
    if info.file_size > HELD:
        raise InputError(f"{place}: holds more than {HELD} bytes: unpack it")
    if info.file_size > room:
        raise InputError(f"{place}: the texts of this archive exceed {_MOST_BYTES} bytes: unpack it")
    try:
        with archive.open(info) as stream:
            # what the archive says of its size may be a lie
            data = stream.read(info.file_size + 1)
    except NotImplementedError:
        raise InputError(
            f"{place}: is packed with method {info.compress_type}, which is not known: unpack it"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{place}: is broken or cut short ({str(error) or type(error).__name__}): get the archive anew"
        ) from None
    if len(data) != info.file_size:
        raise InputError(
            f"{place}: holds {len(data)} bytes or more where {info.file_size} are named: the archive is broken"
        )
    return data
