"""From source configurations to files: what there is to read, its hashes and its size."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from corpora.config import CorpusConfig, SourceConfig, source_names
from corpora.embedded import EMBEDDED_ATTRIBUTION, EMBEDDED_LICENSE, embedded_file
from corpora.hub import hub_revision, parse_hub_path
from corpora.judging import has_lone_surrogate
from corpora.ranges import WHOLE, LineRange, count_lines, split_file
from corpora.reading import SUFFIXES, check_file, holds_other_json
from stage.errors import InputError, UsageError
from stage.files import COMPRESSIONS, bare_suffix, is_url, list_files, sha256_file, size_of
from stage.manifest import Input
from stage.parallel import run_over

log = logging.getLogger(__name__)

# Files are read in groups, so that a folder of a thousand short stories is not a thousand tasks
_GROUP_BYTES = 8_000_000
_GROUP_FILES = 500
# What compressed text grows by, roughly
_EXPANSION = 4
_MUCH_BYTES = 500_000_000


@dataclass(frozen=True)
class SourceFiles:
    """A source and its files."""

    config: SourceConfig
    name: str
    files: list[tuple[str, str]]
    """(path to read, name below the source) of each."""
    hashed: list[str]
    """Files whose content the source stands on."""
    revision: str | None = None
    """Commit of a data set on the hub."""
    passed_over: int = 0
    """Files of a folder that hold no documents."""
    lines: LineRange = WHOLE
    """What is read of a file that was split."""


def find_sources(config: CorpusConfig) -> list[SourceFiles]:
    """The files of each source. InputError for what is missing, UsageError for settings that do not fit the files."""
    found = []
    for source, name in zip(config.sources, source_names(config.sources), strict=True):
        if source.path.startswith("hf:"):
            found.append(_find_hub(source, name))
        elif source.path.startswith("embedded:"):
            path = embedded_file()
            license = EMBEDDED_LICENSE if source.license == "unknown" else source.license
            source = replace(source, license=license, attribution=source.attribution or EMBEDDED_ATTRIBUTION)
            found.append(SourceFiles(source, name, [(path, "")], [path]))
        else:
            found.append(_find_files(source, name, config.limit))
    return found


def hash_sources(sources: list[SourceFiles], *, workers: int, quiet: bool) -> list[Input]:
    """An input for each file, in order; for a data set on the hub its commit."""
    paths = [path for source in sources for path in source.hashed]
    # starting processes takes longer than hashing a little
    workers = workers if sum(map(size_of, paths)) > _MUCH_BYTES else 1
    digests = iter(list(run_over(sha256_file, paths, workers=workers, description="hashing", quiet=quiet)))
    inputs = []
    for source in sources:
        if source.revision is not None:
            inputs.append(Input("source", source.config.path, source.revision))
        shown = [source.config.path] if source.config.path.startswith("embedded:") else source.hashed
        inputs += [Input("source", path, next(digests)) for path in shown]
    return inputs


def group_files(source: SourceFiles, *, split: bool = True) -> list[SourceFiles]:
    """A source in pieces of some megabytes, each to be read by one process. Depends on the files only."""
    groups: list[SourceFiles] = []
    size = _GROUP_BYTES
    for path, name in source.files:
        remote = path.startswith("hf:")
        ranges = split_file(path) if split and not remote else [WHOLE]
        if len(ranges) > 1:
            groups += [replace(source, files=[(path, name)], hashed=[], lines=lines) for lines in ranges]
            size = _GROUP_BYTES
            continue
        if size >= _GROUP_BYTES or len(groups[-1].files) >= _GROUP_FILES:
            groups.append(replace(source, files=[], hashed=[]))
            size = 0
        groups[-1].files.append((path, name))
        size += 0 if remote else size_of(path)
    return groups


def number_lines(groups: list[SourceFiles], *, workers: int, quiet: bool) -> list[SourceFiles]:
    """The groups, where files were split with the numbers of their lines and records, which are counted."""
    tasks = [(group.files[0][0], group.lines) for group in groups if group.lines != WHOLE]
    if not tasks:
        return groups
    # starting processes takes longer than counting a little
    workers = workers if sum(lines.end - lines.begin for _, lines in tasks) > _MUCH_BYTES else 1
    counts = iter(list(run_over(count_lines, tasks, workers=workers, description="counting", unit="part", quiet=quiet)))
    numbered = []
    line = record = 0
    for group in groups:
        if group.lines != WHOLE:
            line, record = (line, record) if group.lines.begin else (0, 0)
            more, records = next(counts)
            group = replace(group, lines=group.lines._replace(line=line, record=record, until=record + records))
            line, record = line + more, record + records
        numbered.append(group)
    return numbered


def text_bytes(sources: list[SourceFiles]) -> int:
    """About how many bytes of text the sources hold."""
    packed = (".parquet", ".zip", *COMPRESSIONS)
    paths = [path for source in sources for path in source.hashed]
    return sum(size_of(path) * (_EXPANSION if path.lower().endswith(packed) else 1) for path in paths)


def _find_files(source: SourceConfig, name: str, limit: int) -> SourceFiles:
    paths, others = _documents_among(source)
    for path in paths:
        if has_lone_surrogate(path):
            raise InputError(f"{os.fsencode(path)!r}: the name of this file is not UTF-8: rename it")
        check_file(path, source.documents)
    if limit and source.documents in ("auto", "file") and all(bare_suffix(path) == ".txt" for path in paths):
        paths = paths[:limit]
    return SourceFiles(source, name, [(path, _below(path, source.path)) for path in paths], paths, passed_over=others)


def _documents_among(source: SourceConfig) -> tuple[list[str], int]:
    """The files to read, and the number of those in a folder that are something else, which are told in one line."""
    every = list_files(source.path)
    if every == [source.path]:
        return every, 0
    other = {path: "" for path in every if bare_suffix(path) not in SUFFIXES}
    other |= {path: " (no record with a text)" for path in every if holds_other_json(path, source.text_field)}
    paths = [path for path in every if path not in other]
    if not paths:  # reading them tells why
        return list_files(source.path, SUFFIXES), 0
    if other:
        shown = [
            _below(path, source.path) + why for path, why in sorted(other.items(), key=lambda item: not item[1])[:3]
        ]
        more = ", …" if len(other) > 3 else ""
        log.info("%s: passed over files, %d in all: %s%s", source.path, len(other), ", ".join(shown), more)
    return paths, len(other)


def _find_hub(source: SourceConfig, name: str) -> SourceFiles:
    if os.path.isfile(file := source.path.removeprefix("hf:")):
        raise UsageError(f"{source.path}: {file} is a file; leave out hf:")
    hub = parse_hub_path(source.path)
    if source.documents != "auto":
        raise UsageError(
            f"{source.path}: documents: {source.documents} applies to .txt files; a record of a data set is a document"
        )
    files, folder = [(source.path, "")], Path(hub.name)
    if not folder.is_dir():
        return SourceFiles(source, name, files, [], hub_revision(source.path))
    hashed = sorted(
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return SourceFiles(source, name, files, hashed)


def _below(path: str, source: str) -> str:
    if path == source:
        return path.rstrip("/").rsplit("/", 1)[-1]
    if is_url(path):
        return path.removeprefix(source).lstrip("/")
    return Path(path).relative_to(source).as_posix()
