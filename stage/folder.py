"""Write an artifact folder whole or not at all, and only where nothing of the user's is lost."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stage.errors import ArtifactError
from stage.manifest import (
    NAME,
    Input,
    Manifest,
    check_outputs,
    hash_outputs,
    read_manifest,
    words,
    write_json,
    write_manifest,
)
from stage.replacing import (
    RUN,
    check_aside,
    checked_out,
    disk_errors,
    empty,
    need_disk,
    only_process,
    partial_folder,
    partial_of,
    recover,
    refuse_foreign,
    replace_folder,
)
from stage.version import VERSION

log = logging.getLogger(__name__)


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
    keep: str = "",
) -> Manifest:
    """Make an artifact in ``OUT.partial`` and rename it to ``OUT`` when it is complete; a failure leaves nothing behind.

    A folder made with the same parameters from the same inputs is up to date: its manifest is returned and ``make`` is
    not called. ``make`` gets the partial folder, writes into it and returns what it made.

    ``keep`` names a folder within for pieces that are not of the artifact: what is in there when the work fails or is killed,
    ``make`` finds there when it is called again for the same parameters and inputs. Pieces should appear whole (``whole_file``).

    Raises UsageError when ``out`` is or holds an input, or no folder can be there; ArtifactError when ``out`` holds
    something else and ``overwrite`` was not asked for, or files that jgpt did not write;
    JgptError when less than ``need_bytes`` of disk are free or another process is making the same folder.
    """
    out, parameters = checked_out(out, inputs), _as_json(parameters)
    with disk_errors(out):
        recover(out)
        if _is_current(out, stage, parameters, inputs, overwrite):
            return read_manifest(out, stage)
        if not overwrite and (run := _unfinished(out)):
            raise ArtifactError(f"{out}: holds an unfinished {run['stage']} run: {_mend(run['stage'], stage)}")
        _check_place(out, need_bytes - _bytes_in(partial_of(out)))
        started = time.monotonic()
        with partial_folder(out, keep) as partial:
            manifest = _go_on(partial, keep, _record(stage, parameters, inputs)) if keep else None
            if manifest is None:
                made = make(partial)
                manifest = Manifest(
                    stage=stage,
                    parameters=parameters,
                    inputs=inputs,
                    outputs=hash_outputs(partial, made.not_data, [keep, RUN] if keep else ()),
                    counts=made.counts,
                    licenses=made.licenses,
                    seconds=round(time.monotonic() - started, 3),
                )
                write_manifest(partial, manifest)
            if keep:
                shutil.rmtree(partial / keep, ignore_errors=not (partial / keep).exists())
                (partial / RUN).unlink(missing_ok=True)
            replace_folder(partial, out)
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
    may_change: Collection[str] = (),
) -> Iterator[Manifest | None]:
    """A folder for a long stage that works inside ``OUT`` and resumes there: a context for the time of the work.

    Yields the manifest when the folder is up to date, else None: then the folder exists, holds ``run.json`` with the
    parameters and inputs, and whatever an earlier run of the same parameters left. ``finish_run`` completes it.

    ``may_change``: parameters (``train.steps``) in which a run that is there may differ; it then goes on with the new ones.
    A finished folder stays whole meanwhile, but for its logs, until the stage deletes its manifest to write the new result.

    Raises as ``write_folder`` does; an unfinished run of other parameters is refused as well.
    """
    out, parameters = checked_out(out, inputs), _as_json(parameters)
    with disk_errors(out):
        recover(out)
        record = _record(stage, parameters, inputs)
        extends = _extends(out, record, may_change)
        if not extends and _is_current(out, stage, parameters, inputs, overwrite):
            yield read_manifest(out, stage)
            return
        if not extends and not _resumes(out, record, overwrite, may_change):
            _check_place(out, need_bytes)
            with partial_folder(out) as partial:
                write_json(partial / RUN, record)
                replace_folder(partial, out)
        with only_process(out):
            _take_up(out, record)
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
        broken = f": its {RUN} is broken, begin anew with --overwrite" if (Path(folder) / RUN).exists() else ""
        raise ArtifactError(f"{folder}: holds no {stage} run to go on with{broken}")
    if record["stage"] != stage:
        raise ArtifactError(f"{folder}: holds a run of the stage {record['stage']}, not {stage}")
    return record


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
        version = "" if manifest.jgpt_version == VERSION else f" (by jgpt {manifest.jgpt_version})"
        log.info("%s: up to date%s", out, version)
        return True
    if not overwrite:
        made = "was made with" if manifest.stage == stage else f"is a {words(manifest.stage)} folder, made with"
        raise ArtifactError(f"{out}: {made} {'; '.join(differing[:5])}: {_mend(manifest.stage, stage)}")
    return False


def _mend(there: str, stage: str) -> str:
    """What to do about a folder in the way; nobody is told to replace one of another stage."""
    return "choose another --out" + (", or replace it with --overwrite" if there == stage else "")


def _check_place(out: Path, need_bytes: int) -> None:
    """What keeps the folder from being replaced is seen before the work."""
    if out.exists():
        refuse_foreign(out)
        check_aside(out)
    need_disk(out, need_bytes)


def _extends(out: Path, record: dict[str, Any], may_change: Collection[str]) -> bool:
    """Whether a finished run is to go on to another result than the one that it has, or does so already."""
    old = _run_record(out)
    if old is None or not (out / NAME).is_file():
        return False
    finished = difference(read_manifest(out).parameters, record["parameters"])
    return bool(finished) and not _differing_runs(old, record, may_change)


def _resumes(out: Path, record: dict[str, Any], overwrite: bool, may_change: Collection[str]) -> bool:
    """Whether the folder holds an unfinished run just like this one; raises ArtifactError for another one."""
    old = _unfinished(out)
    if old is None:
        return False
    differing = _differing_runs(old, record, may_change)
    if differing and not overwrite:
        raise ArtifactError(
            f"{out}: holds an unfinished run with {'; '.join(differing[:5])}: {_mend(old['stage'], record['stage'])}"
        )
    return not differing


def _differing_runs(old: dict[str, Any], new: dict[str, Any], may_change: Collection[str]) -> list[str]:
    """In what two records differ that may not."""
    found = difference({"stage": old["stage"]}, {"stage": new["stage"]})
    found += [
        text for text in difference(old["parameters"], new["parameters"]) if text.partition(":")[0] not in may_change
    ]
    return found + _differing_inputs(*([Input(**entry) for entry in run["inputs"]] for run in (old, new)))


def _take_up(out: Path, record: dict[str, Any]) -> None:
    """Make the run in a folder that of the record. The logs of a finished one, which will change, leave its manifest."""
    if _run_record(out) == record:
        return
    if (out / NAME).is_file():
        manifest = read_manifest(out)
        manifest.outputs = [output for output in manifest.outputs if output.data]
        write_manifest(out, manifest)
    write_json(out / RUN, record)


def _go_on(partial: Path, keep: str, record: dict[str, Any]) -> Manifest | None:
    """Empty the folder that an artifact is built in but for finished pieces of just this artifact.

    Returns the manifest when a kill left everything there, and only the renaming to be done.
    """
    record["parameters"] |= {"jgpt_version": VERSION}  # another version may make other pieces
    old, whole = _run_record(partial), read_manifest(partial) if (partial / NAME).is_file() else None
    if whole:
        old = _record(whole.stage, whole.parameters | {"jgpt_version": whole.jgpt_version}, whole.inputs)
    differing = _differing_runs(old, record, ()) if old else []
    same = old is not None and not differing
    if same and whole:
        return whole
    if differing:
        log.info("%s: what an earlier run left there is not gone on with: %s", partial, "; ".join(differing[:5]))
    empty(partial, [keep, RUN] if same else [])
    (partial / keep).mkdir(exist_ok=True)
    if any((partial / keep).iterdir()):
        log.info("%s: goes on with what an earlier run finished there", partial)
    for unfinished in (partial / keep).rglob("*.partial"):
        unfinished.unlink()
    write_json(partial / RUN, record)
    return None


def _bytes_in(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    except FileNotFoundError:
        return 0  # another process is at work there, which is seen in a moment


def _record(stage: str, parameters: dict[str, Any], inputs: list[Input]) -> dict[str, Any]:
    """What ``run.json`` says."""
    return {"stage": stage, "parameters": dict(parameters), "inputs": [vars(entry) for entry in inputs]}


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


def _as_json(parameters: dict[str, Any]) -> dict[str, Any]:
    """As they will be read from the manifest: tuples become lists."""
    plain: dict[str, Any] = json.loads(json.dumps(parameters))
    return plain


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
