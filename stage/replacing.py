"""Put a complete folder in the place of an old one, so that neither a kill nor ``--overwrite`` costs the user a file of theirs."""

import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from stage.errors import ArtifactError, JgptError, UsageError
from stage.files import is_url
from stage.manifest import MARKER, NAME, Input, read_manifest

log = logging.getLogger(__name__)
RUN = "run.json"
# What a long stage writes besides before its manifest is there
_RUN_FILES = {"metrics.jsonl", "samples.jsonl", "plan.json", "model.safetensors", "config.json"}
_RUN_FILES |= {"tokenizer.model", "tokenizer.json", "tokenizer_config.json"}
_IMPOSSIBLE = {errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS, errno.EINVAL}


def checked_out(out: Path | str, inputs: Iterable[Input] = ()) -> Path:
    """``out`` as a folder that can be renamed and replaced; of a symbolic link its target.

    Raises UsageError for ``.``, ``/``, names that no file system takes, and for a place that an input lies in.
    """
    out = Path(out)
    if out.name in ("", ".."):
        raise UsageError(f"{out}: is empty or cannot be replaced as a whole; give --out a new folder in it")
    if os.path.expanduser(out) != str(out):
        raise UsageError(f"--out {out}: ~ was not replaced by the shell; write the whole path")
    try:
        place = out.resolve()
        out.exists()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0].split(" from ")[0]
        raise UsageError(f"--out {str(out)[:100]!r}: cannot be written there ({reason})") from None
    for entry in inputs:
        path = Path(entry.path.removeprefix("hf:"))
        if is_url(entry.path) or not os.path.exists(path):
            continue
        if place == path.resolve():
            raise UsageError(f"--out {out}: is the {entry.role} that is read; choose another")
        if place in path.resolve().parents:
            raise UsageError(f"--out {out}: holds the {entry.role} {path} that is read; choose another")
    return place if out.is_symlink() else out


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; raises JgptError when another one holds it. The kernel lets go when we die."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(handle), os.stat(folder)):
            raise BlockingIOError  # its holder renamed it just now
    except (BlockingIOError, FileNotFoundError):
        os.close(handle)
        raise JgptError(f"{folder}: another process is writing it: wait for it, or choose another --out") from None
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turn a full disk, a missing permission or a place that cannot be into one line."""
    try:
        yield
    except PermissionError as error:
        raise JgptError(f"{error.filename or out}: no permission to write there") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise JgptError(f"{out}: the disk is full; free some space and run the same command again") from None
        if error.errno in _IMPOSSIBLE:
            raise JgptError(f"{str(out)[:100]}: cannot be written there ({error.strerror})") from None
        raise


def need_disk(out: Path, need_bytes: int) -> None:
    """Raise JgptError when less than that many bytes are free where the folder will be."""
    place = out.absolute().parent
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    if not usage.total:
        raise JgptError(f"{out}: cannot be written there ({place} is no disk); choose another --out")
    if usage.free < need_bytes:
        raise JgptError(
            f"{out}: about {_megabytes(need_bytes)} of disk are needed there and {_megabytes(usage.free)} are free; "
            "free some space or choose another --out"
        )


@contextmanager
def partial_folder(out: Path, keep: str = "") -> Iterator[Path]:
    """``OUT.partial`` held by this process, empty but for our marker; deleted when the work in it fails.

    With ``keep`` the caller empties it as it sees fit, and it stays after a failure when something is in that folder within it.

    Raises ArtifactError when a folder of that name holds something and not our marker.
    """
    partial = partial_of(out)
    _make_directory(partial)
    with only_process(partial):
        _refuse_unmarked(partial)
        try:
            (partial / MARKER).touch()
            if not keep:
                empty(partial)
            yield partial
        except BaseException:
            if keep and any((partial / keep).glob("*")):
                log.info("%s: keeps what is finished; the same command goes on with it", partial)
            else:
                delete(partial)
            raise


def partial_of(out: Path) -> Path:
    """The folder that ``OUT`` is built in."""
    return out.with_name(out.name + ".partial")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to in the place of ``path``, which the file is renamed to when all went well, and is deleted otherwise."""
    partial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def refuse_foreign(out: Path) -> None:
    """Raise ArtifactError when a folder that is to be replaced holds files that jgpt did not write."""
    ours = {NAME, RUN, MARKER}
    if (out / NAME).is_file():
        ours |= {output.path for output in read_manifest(out).outputs}
    run = (out / RUN).is_file()
    if run:
        ours |= _RUN_FILES
    names = (
        file.relative_to(out).as_posix() for file in sorted(out.rglob("*")) if file.is_symlink() or not file.is_dir()
    )
    foreign = [
        name
        for name in names
        if name not in ours
        and name.removesuffix(".partial") not in ours
        and not (run and name.startswith(("checkpoints/", "tracking/")))
    ]
    if foreign:
        raise ArtifactError(_not_ours(out, foreign))


def replace_folder(partial: Path, out: Path) -> None:
    """Put the complete folder in the place of the old one: aside, rename, delete; ``recover`` mends a kill in between."""
    if not out.exists():
        partial.rename(out)
        (out / MARKER).unlink(missing_ok=True)
        return
    aside = _aside(out)
    with only_process(out):
        refuse_foreign(out)
        check_aside(out)
        (out / MARKER).touch()
        out.rename(aside)
        partial.rename(out)
        (out / MARKER).unlink(missing_ok=True)
        delete(aside)


def recover(out: Path) -> None:
    """After a kill within ``replace_folder``: bring the old folder back, or delete it when it was replaced."""
    aside = _aside(out)
    if (aside / MARKER).is_file():
        with only_process(aside):
            if out.exists():
                delete(aside)
            else:
                aside.rename(out)
    if (out / MARKER).is_file():
        with only_process(out):
            (out / MARKER).unlink(missing_ok=True)


def check_aside(out: Path) -> None:
    """Raise ArtifactError when something of the user's has the name that the old folder gets for a moment."""
    aside = _aside(out)
    if os.path.lexists(aside):
        raise ArtifactError(f"{aside}: is in the way and was not left by jgpt: move it away first")


def _aside(out: Path) -> Path:
    # not OUT.old: people give that name to copies of their own
    return out.with_name(f".{out.name}.replaced")


def _refuse_unmarked(folder: Path) -> None:
    names = sorted(os.listdir(folder))
    if names and MARKER not in names:
        raise ArtifactError(_not_ours(folder, names))


def _not_ours(folder: Path, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{folder}: holds files that jgpt did not write ({shown}): move them away first"


def _make_directory(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        in_the_way = next(place for place in (folder, *folder.parents) if os.path.lexists(place) and not place.is_dir())
        raise UsageError(f"{in_the_way}: is not a directory, so nothing can be written there") from None
    except OSError as error:
        raise JgptError(f"{folder}: cannot be made ({error.strerror})") from None


def empty(folder: Path, but: Collection[str] = ()) -> None:
    """Delete everything in a folder but its marker, and what is named."""
    for entry in folder.iterdir():
        if entry.name in (MARKER, *but):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def delete(folder: Path) -> None:
    """Delete a marked folder; the marker goes last, so that after a kill the rest is still known as ours."""
    try:
        empty(folder)
    except OSError:
        return  # left for the next run
    shutil.rmtree(folder, ignore_errors=True)


def _megabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
