"""From source configurations to files: what there is to read, its hashes and its size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from corpora.config import CorpusConfig, SourceConfig, source_names
from corpora.reading import SUFFIXES
from stage.errors import InputError, UsageError
from stage.files import bare_suffix, is_url, list_files, sha256_file, size_of
from stage.manifest import Input
from stage.parallel import run_over

# Files are read in groups, so that a folder of a thousand short stories is not a thousand tasks
_GROUP_BYTES = 8_000_000
_GROUP_FILES = 500
# What compressed text grows by, roughly
_EXPANSION = 4


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


def find_sources(config: CorpusConfig) -> list[SourceFiles]:
    """The files of each source. InputError for what is missing, UsageError for settings that do not fit the files."""
    found = []
    for source, name in zip(config.sources, source_names(config.sources), strict=True):
        if source.path.startswith("hf:"):
            found.append(_find_hub(source, name))
        elif source.path.startswith("embedded:"):
            from corpora.embedded import EMBEDDED_ATTRIBUTION, EMBEDDED_LICENSE, embedded_file

            path = embedded_file()
            license = EMBEDDED_LICENSE if source.license == "unknown" else source.license
            attribution = source.attribution or EMBEDDED_ATTRIBUTION
            source = SourceConfig(**{**vars(source), "license": license, "attribution": attribution})
            found.append(SourceFiles(source, name, [(path, "")], [path]))
        else:
            found.append(_find_files(source, name, config.limit))
    return found


def hash_sources(sources: list[SourceFiles], *, workers: int, quiet: bool) -> list[Input]:
    """An input for each file, in order; for a data set on the hub its commit."""
    paths = [path for source in sources for path in source.hashed]
    digests = iter(list(run_over(sha256_file, paths, workers=_few(paths, workers), description="hashing", quiet=quiet)))
    inputs = []
    for source in sources:
        if source.revision is not None:
            inputs.append(Input("source", source.config.path, source.revision))
        shown = [source.config.path] if source.config.path.startswith("embedded:") else source.hashed
        inputs += [Input("source", path, next(digests)) for path in shown]
    return inputs


def group_files(source: SourceFiles) -> list[tuple[tuple[str, str], ...]]:
    """The files of a source in groups of some megabytes, each to be read by one process. Depends on the files only."""
    groups: list[tuple[tuple[str, str], ...]] = []
    group: list[tuple[str, str]] = []
    size = 0
    for path, name in source.files:
        group.append((path, name))
        size += 0 if path.startswith("hf:") else size_of(path)
        if size >= _GROUP_BYTES or len(group) >= _GROUP_FILES:
            groups.append(tuple(group))
            group, size = [], 0
    return [*groups, tuple(group)] if group else groups


def text_bytes(sources: list[SourceFiles]) -> int:
    """About how many bytes of text the sources hold."""
    total = 0
    for source in sources:
        for path in source.hashed:
            packed = bare_suffix(path) == ".parquet" or os.path.splitext(path)[1].lower() in (
                ".gz",
                ".zst",
                ".bz2",
                ".xz",
            )
            total += size_of(path) * (_EXPANSION if packed else 1)
    return total


def _find_files(source: SourceConfig, name: str, limit: int) -> SourceFiles:
    paths = list_files(source.path, SUFFIXES)
    if source.documents != "auto":
        other = next((path for path in paths if bare_suffix(path) != ".txt"), None)
        if other is not None:
            raise UsageError(
                f"{other}: documents: {source.documents} applies to .txt files; a record of this file is a document"
            )
    for path in paths:
        if bare_suffix(path) not in SUFFIXES:
            raise InputError(
                f"{path}: cannot tell what it is; files end with {' '.join(SUFFIXES)} "
                "(and .gz .zst .bz2 .xz after that)"
            )
    if limit and source.documents in ("auto", "file") and all(bare_suffix(path) == ".txt" for path in paths):
        paths = paths[:limit]
    return SourceFiles(source, name, [(path, _below(path, source.path)) for path in paths], paths)


def _find_hub(source: SourceConfig, name: str) -> SourceFiles:
    from corpora.hub import hub_revision, parse_hub_path

    hub = parse_hub_path(source.path)
    if source.documents != "auto":
        raise UsageError(
            f"{source.path}: documents: {source.documents} applies to .txt files; a record of a data set is a document"
        )
    files = [(source.path, "")]
    if not hub.is_local:
        return SourceFiles(source, name, files, [], hub_revision(source.path))
    folder = Path(hub.name)
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


def _few(paths: list[str], workers: int) -> int:
    """One process where starting several would take longer than the hashing."""
    total = 0
    for path in paths:
        total += size_of(path)
        if total > 500_000_000:
            return workers
    return 1
