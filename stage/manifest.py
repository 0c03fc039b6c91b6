"""``manifest.json``: what made a folder, from what, and the hashes of what is in it. Written last, so it marks a whole folder."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stage.errors import ArtifactError
from stage.files import sha256_file
from stage.version import VERSION

SCHEMA = 1
_SMALL = 1 << 20  # bytes of a file that is always hashed
NAME = "manifest.json"
MARKER = ".jgpt-partial"
"""A file in folders of ours that are not complete or about to be deleted; no output."""
_WORDS = {"shard": "shards", "pretrain": "model", "eval": "results"}


@dataclass(frozen=True)
class Input:
    """Something that a stage read."""

    role: str
    """What it was to the stage: ``source``, ``corpus``, ``tokenizer``, ``shards``, ``model``, …"""
    path: str
    """As the user gave it."""
    sha256: str
    """SHA-256 of a file, ``data_sha256`` of an artifact, or the revision of a data set on a hub."""


@dataclass(frozen=True)
class Output:
    """A file in the folder."""

    path: str
    """Relative to the folder, with ``/``."""
    bytes: int
    sha256: str
    data: bool = True
    """Whether the file counts for the hash of the artifact; logs with times in them do not."""


@dataclass
class Manifest:
    """Everything that ``manifest.json`` says."""

    stage: str
    parameters: dict[str, Any]
    inputs: list[Input]
    outputs: list[Output] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)
    licenses: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    jgpt_version: str = VERSION
    schema: int = SCHEMA

    @property
    def data_sha256(self) -> str:
        """Hash of the artifact's data: of the sorted names and hashes of its data files; times and paths do not enter."""
        lines = sorted(f"{output.path} {output.sha256}\n" for output in self.outputs if output.data)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def input(self, role: str) -> Input:
        """The first input of that role; raises KeyError when there is none."""
        for candidate in self.inputs:
            if candidate.role == role:
                return candidate
        raise KeyError(role)


def words(stage: str) -> str:
    """What people call that which a stage makes."""
    return _WORDS.get(stage, stage)


def hash_outputs(folder: Path, not_data: Iterable[str] = (), keep_out: Iterable[str] = ()) -> list[Output]:
    """All files below a folder with sizes and hashes, but for those below its folders ``keep_out`` and the manifest itself."""
    not_data, keep_out = set(not_data), {*keep_out, MARKER, NAME, f"{NAME}.partial"}
    outputs = []
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and name.split("/")[0] not in keep_out:
            outputs.append(Output(name, file.stat().st_size, sha256_file(str(file)), name not in not_data))
    return outputs


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` by rename, after everything else in the folder is on the disk."""
    record = asdict(manifest)
    record["data_sha256"] = manifest.data_sha256
    write_json(folder / NAME, record)


def read_manifest(folder: Path | str, stage: str | None = None) -> Manifest:
    """Read the manifest of an artifact.

    Raises ArtifactError when the folder is missing, is not whole, is not ours, or is of another stage than ``stage``.
    """
    folder = Path(folder)
    kind = f"a {words(stage)} folder" if stage else "a folder made by jgpt"
    if not folder.exists():
        raise ArtifactError(f"{folder}: no such folder ({kind} was expected)")
    if not folder.is_dir():
        raise ArtifactError(f"{folder}: is a file, {kind} was expected")
    file = folder / NAME
    if not file.is_file():
        started = (folder / "run.json").is_file()
        mend = "its stage was not finished: run that again to complete it" if started else f"{kind} was expected"
        raise ArtifactError(f"{folder}: has no {NAME}; {mend}")
    try:
        record = json.loads(file.read_text("utf-8"))
        schema = record["schema"]
        if schema != SCHEMA:
            raise ArtifactError(f"{file}: has schema {schema}, this jgpt reads {SCHEMA}: make the folder anew")
        record.pop("data_sha256", None)
        manifest = Manifest(
            **record
            | {
                "inputs": [Input(**entry) for entry in record["inputs"]],
                "outputs": [Output(**entry) for entry in record["outputs"]],
            }
        )
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ArtifactError(f"{file}: is not a manifest written by jgpt {VERSION}") from None
    if stage is not None and manifest.stage != stage:
        raise ArtifactError(f"{folder}: is a {words(manifest.stage)} folder, {kind} was expected")
    return manifest


def check_outputs(folder: Path | str, manifest: Manifest, deep: bool = False) -> None:
    """Raise ArtifactError unless every file of the manifest is there with its size and, when small or ``deep``, its hash."""
    for output in manifest.outputs:
        file = Path(folder) / output.path
        if not file.is_file():
            raise ArtifactError(f"{folder}: {output.path} is missing: make the folder anew with --overwrite")
        if file.stat().st_size != output.bytes:
            raise ArtifactError(
                f"{file}: has {file.stat().st_size} bytes, {output.bytes} were written: make the folder anew with --overwrite"
            )
        if (deep or output.bytes <= _SMALL) and sha256_file(str(file)) != output.sha256:
            raise ArtifactError(
                f"{file}: its content was changed since it was written: make the folder anew with --overwrite"
            )


def artifact_input(role: str, folder: Path | str, stage: str, deep: bool = False) -> Input:
    """An artifact as an input of the next stage: its manifest read, its files checked as ``check_outputs`` does."""
    manifest = read_manifest(folder, stage)
    check_outputs(folder, manifest, deep)
    return Input(role, str(folder), manifest.data_sha256)


def write_json(file: Path, record: Any) -> None:
    """Write JSON by rename, so that the file is either the old one or the new one, whole."""
    partial = file.with_name(file.name + ".partial")
    # a file name that is not UTF-8 holds lone surrogates: backslashreplace writes just the escapes that JSON has for them
    with partial.open("w", encoding="utf-8", errors="backslashreplace") as stream:
        json.dump(record, stream, ensure_ascii=False, indent=1)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
