"""Building a documents artifact: read and judge in parallel, then deduplicate, split and write in one stream."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from corpora.card import write_card
from corpora.config import CorpusConfig, rules_of
from corpora.deciding import decide
from corpora.documents import STAGE
from corpora.dropping import drop_repeated
from corpora.normalization import digest
from corpora.parts import PartTask, make_part
from corpora.rows import Schemas, schemas
from corpora.sources import SourceFiles, find_sources, group_files, hash_sources, number_lines, text_bytes
from corpora.splitting import TAIL_BELOW, TAIL_SHARE
from corpora.writing import write_documents
from stage.errors import UsageError
from stage.files import sha256_file
from stage.folder import Made, write_folder
from stage.manifest import Input, Manifest, artifact_input
from stage.parallel import Engine, run_over, worker_count

log = logging.getLogger(__name__)

# Markup takes about an eighth of a work of Aozora Bunko; where half is gone, something was mistaken for markup
_FEW_LEFT = 0.5
# Below this much text starting processes costs more than it saves
_SMALL_BYTES = 8_000_000
_PARTS = "parts"
_MOST_WRITERS = 4  # files that are written at a time; each holds a row group


def build_corpus(
    config: CorpusConfig,
    out: Path | str,
    *,
    workers: int = 0,
    engine: Engine = "local",
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Build the documents artifact ``out`` from the sources of a configuration.

    The result is the same for any number of workers, on either engine, and for a build that goes on with what an interrupted
    one finished. Memory: some row groups, and as ``decide``.
    Raises InputError for sources that cannot be read or when no document is left, UsageError for an
    ``out`` within a source folder, ArtifactError as ``write_folder``.
    """
    cores = worker_count(workers)
    sources = find_sources(config)
    presets = sorted({source.normalization for source in config.sources})
    for source in sources:
        folder = Path(source.config.path.removeprefix("hf:"))
        if folder.is_dir() and folder.resolve() in Path(out).resolve().parents:
            raise UsageError(
                f"--out {out}: lies in the source {folder}, and the next build would read it; choose another"
            )
    size = text_bytes(sources)
    if engine == "local":
        workers = 1 if size < _SMALL_BYTES else cores
    return write_folder(
        out,
        stage=STAGE,
        parameters=asdict(config)
        | {
            "normalization": {name: digest(name) for name in presets},
            "rules": {source.rules: list(map(str, rules_of(source, config).comparisons)) for source in config.sources},
        },
        inputs=[*hash_sources(sources, workers=cores, quiet=quiet), *_lists(config)],
        make=lambda folder: _make(
            folder, config, sources, cores, {"workers": workers, "engine": engine, "quiet": quiet}
        ),
        overwrite=overwrite,
        # the parts, those without repeated lines and, compressed, the documents stand side by side for a while
        need_bytes=10_000_000 + size * (2 if config.repeated_lines else 1) + size // 2,
        keep=_PARTS,
    )


def _make(folder: Path, config: CorpusConfig, sources: list[SourceFiles], cores: int, how: dict[str, Any]) -> Made:
    # up to a limit a file is read, not counted to its end
    groups = [group for source in sources for group in group_files(source, split=not config.limit)]
    groups = number_lines(groups, workers=cores, quiet=how["quiet"])
    tasks = [PartTask(folder / _PARTS / f"{number:06d}", group, config) for number, group in enumerate(groups)]
    parts = run_over(make_part, tasks, description="reading", unit="part", **how)
    tasks = [task._replace(path=path) for task, paths in zip(tasks, parts, strict=True) for path in paths]
    dropped: dict[str, Any] = {}
    if config.repeated_lines:
        tasks, dropped["repeated_lines"] = drop_repeated(tasks, folder / _PARTS / "again", how)
    files = [(task.path, task.source.config.path) for task in tasks]
    licenses = [
        {"source": source.name, "license": source.config.license, "attribution": source.config.attribution}
        for source in sources
    ]
    names = [source.name for source in sources]
    made = finish(folder, files, names, config, schemas(config), licenses, how["quiet"], min(cores, _MOST_WRITERS))
    made.counts |= dropped
    for source in sources:
        made.counts["sources"][source.name]["passed_over"] = source.passed_over
    for name, entry in made.counts["sources"].items():
        if entry["characters"] < _FEW_LEFT * entry["raw_characters"]:
            log.warning(
                "%s: only %d of %d characters are left of its documents after markup and normalisation: look at some of "
                "them, and at --markup plain",
                name,
                entry["characters"],
                entry["raw_characters"],
            )
    return made


def finish(
    folder: Path,
    files: Sequence[tuple[Path, str]],
    names: Sequence[str],
    config: CorpusConfig,
    schemas: Schemas,
    licenses: list[dict[str, str]],
    quiet: bool,
    threads: int = 1,
) -> Made:
    """Decide about the documents of the parts, in files each with the path of its source, and write them; ``names`` of the sources."""
    decided = decide(files, config, folder)
    weights = {name: source.weight for name, source in zip(names, config.sources, strict=True)}
    tally = write_documents(folder, [file for file, _ in files], decided, schemas, weights, quiet, threads)
    counts = tally.counts(list(names)) | {"split_rule": split_rule(config, decided.tails)}
    if decided.near:
        counts["near_duplicates"] = decided.near
    write_card(folder, counts, licenses)
    return Made(counts=counts, licenses=licenses)


def _lists(config: CorpusConfig) -> list[Input]:
    """Inputs beside the sources."""
    lists = [Input("list", path, sha256_file(path)) for path in (config.ng_words, config.block_domains) if path]
    return lists + ([artifact_input("trust", config.trust, "trust")] if config.trust else [])


def split_rule(config: CorpusConfig, tails: bool) -> str:
    """How documents came to be held out, for people."""
    if tails:
        return (
            f"fewer than {TAIL_BELOW} documents: the last {TAIL_SHARE:.0%} of each, cut at a line end or after 。, "
            "is a document of its own in valid"
        )
    return (
        f"by a hash of the text (seed {config.seed}): {config.valid_share:.2%} of the documents, "
        f"at least {config.valid_min_documents}, are valid"
    )
