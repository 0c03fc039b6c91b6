"""Write an artifact folder whole or not at all, and only where nothing of the user's is lost."""

import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stage.errors import ArtifactError, JgptError, UsageError
from stage.manifest import (
    NAME,
    Input,
    Manifest,
    check_outputs,
    hash_outputs,
    read_manifest,
    write_json,
    write_manifest,
)

log = logging.getLogger(__name__)
RUN = "run.json"


@dataclass
class Made:
    """What a stage says of the files that it has written."""

    counts: dict[str, Any] = field(default_factory=dict)
    licenses: list[dict[str, str]] = field(default_factory=list)
    not_data: Iterable[str] = ()
    """Files that do not enter the hash of the artifact (logs with times)."""


def write_folder(
    out: Path | str,
    *,
    stage: str,
    parameters: dict[str, Any],
    inputs: list[Input],
    make: Callable[[Path], Made],
    overwrite: bool = False,
    need_bytes: int = 0,
) -> Manifest:
    """Make an artifact in ``OUT.partial`` and rename it to ``OUT`` when it is complete; a failure leaves nothing behind.

    A folder made with the same parameters from the same inputs is up to date: its manifest is returned and ``make`` is
    not called. ``make`` gets the partial folder, writes into it and returns what it made.

    Raises ArtifactError when ``out`` holds something else and ``overwrite`` was not asked for, or was not made by jgpt;
    JgptError when less than ``need_bytes`` of disk are free or another process is making the same folder.
    """
    out, parameters = _checked(out), _as_json(parameters)
    with disk_errors(out):
        _recover(out)
        if _is_current(out, stage, parameters, inputs, overwrite):
            return read_manifest(out, stage)
        if not overwrite and (run := _unfinished(out)):
            raise ArtifactError(
                f"{out}: holds an unfinished {run['stage']} run: choose another --out, or replace it with --overwrite"
            )
        _need_disk(out, need_bytes)
        started = time.monotonic()
        with _partial(out) as partial:
            made = make(partial)
            manifest = Manifest(
                stage=stage,
                parameters=parameters,
                inputs=inputs,
                outputs=hash_outputs(partial, made.not_data),
                counts=made.counts,
                licenses=made.licenses,
                seconds=round(time.monotonic() - started, 3),
            )
            write_manifest(partial, manifest)
            _replace(partial, out)
    return manifest


@contextmanager
def run_folder(
    out: Path | str,
    *,
    stage: str,
    parameters: dict[str, Any],
    inputs: list[Input],
    overwrite: bool = False,
    need_bytes: int = 0,
) -> Iterator[Manifest | None]:
    """A folder for a long stage that works inside ``OUT`` and resumes there: a context for the time of the work.

    Yields the manifest when the folder is up to date, else None: then the folder exists, holds ``run.json`` with the
    parameters and inputs, and whatever an earlier run of the same parameters left. ``finish_run`` completes it.

    Raises as ``write_folder`` does; an unfinished run of other parameters is refused as well.
    """
    out, parameters = _checked(out), _as_json(parameters)
    with disk_errors(out):
        _recover(out)
        if _is_current(out, stage, parameters, inputs, overwrite):
            yield read_manifest(out, stage)
            return
        record = {"stage": stage, "parameters": parameters, "inputs": [vars(entry) for entry in inputs]}
        if not _resumes(out, record, overwrite):
            _need_disk(out, need_bytes)
            with _partial(out) as partial:
                write_json(partial / RUN, record)
                _replace(partial, out)
        with only_process(out):
            yield None


def finish_run(
    out: Path,
    *,
    stage: str,
    parameters: dict[str, Any],
    inputs: list[Input],
    made: Made,
    seconds: float,
    keep_out: Iterable[str] = (),
) -> Manifest:
    """Write the manifest of a run folder: all files but those below the folders ``keep_out`` (checkpoints) are outputs."""
    outputs = hash_outputs(out, [*made.not_data, RUN], keep_out)
    manifest = Manifest(stage, _as_json(parameters), inputs, outputs, made.counts, made.licenses, round(seconds, 3))
    write_manifest(out, manifest)
    return manifest


def read_run(folder: Path | str, stage: str) -> dict[str, Any]:
    """The ``run.json`` of a run folder, finished or not; raises ArtifactError when there is none of that stage."""
    record = _run_record(Path(folder))
    if record is None:
        raise ArtifactError(f"{folder}: holds no {stage} run to go on with")
    if record["stage"] != stage:
        raise ArtifactError(f"{folder}: holds a {record['stage']} run, not a {stage} run")
    return record


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
    """Turn a full disk or a missing permission into one line."""
    try:
        yield
    except PermissionError as error:
        raise JgptError(f"{error.filename or out}: no permission to write there") from None
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise JgptError(f"{out}: the disk is full; free some space and run the same command again") from None
        raise


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Names of the entries that differ, nested ones with dots, each with both values: ``model.depth: 4, now 6``."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if isinstance(before, list) and isinstance(now, list):
            before, now = ({str(number): entry for number, entry in enumerate(entries)} for entries in (before, now))
        if isinstance(before, dict) and isinstance(now, dict):
            found += difference(before, now, f"{prefix}{key}.")
        elif before != now:
            found.append(f"{prefix}{key}: {_short(before)}, now {_short(now)}")
    return found


def _is_current(out: Path, stage: str, parameters: dict[str, Any], inputs: list[Input], overwrite: bool) -> bool:
    """Whether the folder is whole and made just so; raises ArtifactError where it must not be touched."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise ArtifactError(f"{out}: is a file; --out names a folder")
    if not (out / NAME).is_file():
        if _run_record(out) is None and any(out.iterdir()):
            raise ArtifactError(f"{out}: exists and was not made by jgpt; choose another --out")
        return False
    manifest = read_manifest(out)
    differing = difference({"stage": manifest.stage}, {"stage": stage})
    differing += difference(manifest.parameters, parameters)
    differing += _differing_inputs(manifest.inputs, inputs)
    if not differing:
        try:
            check_outputs(out, manifest)
        except ArtifactError:
            if overwrite:
                return False
            raise
        version = (
            "" if manifest.jgpt_version == Manifest("", {}, []).jgpt_version else f" (by jgpt {manifest.jgpt_version})"
        )
        log.info("%s: up to date%s", out, version)
        return True
    if not overwrite:
        raise ArtifactError(
            f"{out}: was made with {'; '.join(differing[:5])}: choose another --out, or replace it with --overwrite"
        )
    return False


def _resumes(out: Path, record: dict[str, Any], overwrite: bool) -> bool:
    """Whether the folder holds an unfinished run just like this one; raises ArtifactError for another one."""
    old = _unfinished(out)
    if old is None:
        return False
    differing = difference({"stage": old["stage"]}, {"stage": record["stage"]})
    differing += difference(old["parameters"], record["parameters"])
    differing += _differing_inputs(
        [Input(**entry) for entry in old["inputs"]], [Input(**entry) for entry in record["inputs"]]
    )
    if differing and not overwrite:
        raise ArtifactError(
            f"{out}: holds an unfinished run with {'; '.join(differing[:5])}: choose another --out, or replace it with --overwrite"
        )
    return not differing


def _unfinished(out: Path) -> dict[str, Any] | None:
    """The record of the run in a folder that has no manifest yet."""
    return None if (out / NAME).is_file() else _run_record(out)


def _run_record(out: Path) -> dict[str, Any] | None:
    """The content of ``run.json``; None when there is none, or one that jgpt did not write."""
    try:
        record = json.loads((out / RUN).read_text("utf-8"))
        return {"stage": record["stage"], "parameters": dict(record["parameters"]), "inputs": record["inputs"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _differing_inputs(old: list[Input], new: list[Input]) -> list[str]:
    if [(entry.role, entry.sha256) for entry in old] == [(entry.role, entry.sha256) for entry in new]:
        return []
    before = {(entry.role, entry.sha256) for entry in old}
    changed = [f"{entry.role} {entry.path}" for entry in new if (entry.role, entry.sha256) not in before]
    return [f"another input ({', '.join(changed[:3])})" if changed else "other inputs"]


def _need_disk(out: Path, need_bytes: int) -> None:
    place = out.absolute().parent
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < need_bytes:
        raise JgptError(
            f"{out}: about {_megabytes(need_bytes)} of disk are needed there and {_megabytes(free)} are free; "
            "free some space or choose another --out"
        )


@contextmanager
def _partial(out: Path) -> Iterator[Path]:
    """An empty ``OUT.partial`` held by this process; deleted when the work in it fails."""
    partial = out.with_name(out.name + ".partial")
    _make_directory(partial)
    with only_process(partial):
        try:
            _empty(partial)
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _make_directory(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        in_the_way = next(place for place in (folder, *folder.parents) if place.exists())
        raise UsageError(f"{in_the_way}: is not a directory, so nothing can be written there") from None
    except OSError as error:
        raise JgptError(f"{folder}: cannot be made ({error.strerror})") from None


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _replace(partial: Path, out: Path) -> None:
    """Put the complete folder in the place of the old one: aside, rename, delete; ``_recover`` mends a kill in between."""
    if not out.exists():
        partial.rename(out)
        return
    aside = _aside(out)
    with only_process(out):
        out.rename(aside)
        partial.rename(out)
        shutil.rmtree(aside)


def _recover(out: Path) -> None:
    """After a kill between the two renames of ``_replace``: bring the old folder back, or delete it when it was replaced."""
    aside = _aside(out)
    if not aside.is_dir():
        return
    with only_process(aside):
        if out.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(out)


def _aside(out: Path) -> Path:
    # not OUT.old: people give that name to copies of their own, and this folder is deleted
    return out.with_name(f".{out.name}.replaced")


def _checked(out: Path | str) -> Path:
    """``out`` as a folder that can be renamed: not ``.`` or ``/``, and of a symbolic link its target."""
    out = Path(out)
    if out.name in ("", ".."):
        raise UsageError(f"{out}: cannot be replaced as a whole; give --out a new folder in it")
    return out.resolve() if out.is_symlink() else out


def _as_json(parameters: dict[str, Any]) -> dict[str, Any]:
    """As they will be read from the manifest: tuples become lists."""
    plain: dict[str, Any] = json.loads(json.dumps(parameters))
    return plain


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _megabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
