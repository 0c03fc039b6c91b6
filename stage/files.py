"""Open any path for reading: local or an fsspec URL, plain or compressed with gzip, zstd, bzip2 or xz."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from stage.errors import InputError

COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
_MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz"}
_BLOCK = 1 << 20

# What a decompressor raises on a broken stream; zstandard's own error is added where that library is imported.
BROKEN_STREAM = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def is_url(path: str) -> bool:
    """Whether the path is one for fsspec (``https://…``, ``s3://…``, ``memory://…``) and not for the local file system."""
    return "://" in path


def bare_suffix(path: str) -> str:
    """The suffix without that of a compression: ``.jsonl`` of ``a/b.jsonl.gz``; lower case, empty when there is none."""
    name = path.rsplit("/", 1)[-1].lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    return os.path.splitext(name)[1]


def open_stored(path: str) -> BinaryIO:
    """Open a file for reading as it is stored, without decompression.

    Raises InputError when it is missing, a directory or not readable.
    """
    with _opening(path):
        if is_url(path):
            import fsspec

            return cast(BinaryIO, fsspec.open(path, "rb").open())
        return open(path, "rb")


def open_binary(path: str) -> BinaryIO:
    """Open a file for reading, decompressed by what its first bytes say (``.gz .zst .bz2 .xz``).

    Raises InputError for a file that is named as compressed and ends within those bytes. A broken stream raises one of ``BROKEN_STREAM`` or OSError while it is read; ``reading(path)`` turns these into InputError.
    """
    stored = open_stored(path)
    try:
        head = stored.read(6)
        stored.seek(0)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({_first_line(error)})") from None
    compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    named = [magic for magic, name in _MAGIC.items() if path.lower().endswith(name)]
    if any(magic.startswith(head) and head != magic for magic in named):
        raise InputError(f"{path}: the compressed data is cut short after {len(head)} bytes: get the file anew")
    if compression == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stored))
    if compression == ".bz2":
        return cast(BinaryIO, bz2.BZ2File(stored))
    if compression == ".xz":
        return cast(BinaryIO, lzma.LZMAFile(stored))
    if compression == ".zst":
        return cast(BinaryIO, io.BufferedReader(_ZstdStream(stored), _BLOCK))
    # not every remote file reads a line up to a size
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, stored))) if is_url(path) else stored


@contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """``open_binary`` as a context in which a broken or truncated compressed stream raises InputError."""
    with open_binary(path) as stream:
        try:
            yield stream
        except BROKEN_STREAM as error:
            raise InputError(
                f"{path}: the compressed data is broken or cut short ({_first_line(error)}): get the file anew"
            ) from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({_first_line(error)})") from None
        except Exception as error:
            if type(error).__module__.startswith("zstandard"):
                raise InputError(
                    f"{path}: the compressed data is broken ({_first_line(error)}): get the file anew"
                ) from None
            raise


def list_files(path: str, suffixes: Sequence[str] | None = None) -> list[str]:
    """A file as itself; of a directory all files below it with one of the bare suffixes, sorted; hidden files are left out.
    A link to nothing is listed as well, so that reading it fails and no text is missed silently.

    Without ``suffixes`` all files are listed.

    Raises InputError when nothing is there or no file has such a suffix.
    """
    if is_url(path):
        import fsspec

        with _opening(path):
            filesystem, root = fsspec.core.url_to_fs(path)
            if filesystem.isfile(root) or not filesystem.isdir(root):
                return [path]
            found = sorted(
                filesystem.unstrip_protocol(name)
                for name in filesystem.find(root)
                if (suffixes is None or bare_suffix(name) in suffixes) and "/." not in name.removeprefix(root)
            )
    else:
        place = Path(path)
        try:
            if place.is_file():
                return [path]
            if not place.exists():
                raise InputError(f"{path}: no such file or directory")
        except OSError as error:
            raise InputError(f"{path}: cannot be opened ({error.strerror})") from None
        if not place.is_dir():
            raise InputError(f"{path}: is neither a file nor a directory")
        found = sorted(
            str(file) for file in _files_below(place) if suffixes is None or bare_suffix(file.name) in suffixes
        )
    if not found and suffixes is not None:
        raise InputError(
            f"{path}: no file in this directory ends with {' '.join(filter(None, suffixes))} (compressed or not)"
        )
    return found


def _files_below(place: Path) -> Iterator[Path]:
    """The files of a directory and of those below it or linked there, each folder once, but the hidden ones; links to nothing too."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror})")

    seen = {os.path.realpath(place)}
    for folder, below, names in os.walk(place, onerror=refuse, followlinks=True):
        names_of = {os.path.realpath(os.path.join(folder, name)): name for name in sorted(below, reverse=True)}
        new = names_of.keys() - seen  # a link may lead back
        below[:] = sorted(names_of[path] for path in new if not names_of[path].startswith("."))
        seen |= new
        files = [Path(folder, name) for name in names if not name.startswith(".")]
        yield from (file for file in files if file.is_file() or (file.is_symlink() and not file.exists()))


def sha256_file(path: str) -> str:
    """SHA-256 of a file as it is stored, in hexadecimal."""
    with open_stored(path) as stream:
        digest = hashlib.sha256()
        try:
            while block := stream.read(_BLOCK):
                digest.update(block)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({_first_line(error)})") from None
        return digest.hexdigest()


def size_of(path: str) -> int:
    """Stored size of a file in bytes; 0 where a remote file system does not tell. Raises InputError when it is missing."""
    with _opening(path):
        if is_url(path):
            import fsspec

            filesystem, root = fsspec.core.url_to_fs(path)
            return int(filesystem.size(root) or 0)
        return os.path.getsize(path)


@contextmanager
def _opening(path: str) -> Iterator[None]:
    """Turn what opening a path raises into InputError."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory, a file was expected") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it") from None
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{path}: cannot be opened ({_first_line(error)})") from None
    except Exception as error:
        if not is_url(path):
            raise
        # each remote file system has errors of its own library
        raise InputError(f"{path}: cannot be opened ({_first_line(error)})") from None


class _ZstdStream(io.RawIOBase):
    """Zstd frames one after another; EOFError when one is cut short, where zstandard's own reader ends without a word."""

    def __init__(self, stored: BinaryIO) -> None:
        import zstandard

        self._stored = stored
        self._new_frame = zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            rest = b""
            if self._frame is not None and self._frame.eof:
                rest, self._frame = self._frame.unused_data, None
            # a small block: it may be 32,768 times as large when decompressed
            block = rest or self._stored.read(1 << 12)
            if not block:
                if self._frame is not None:
                    raise EOFError("it ends within a zstd frame")
                return 0
            self._frame = self._frame or self._new_frame()
            self._ready = memoryview(self._frame.decompress(block))
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
