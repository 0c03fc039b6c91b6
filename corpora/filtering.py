"""Judging the documents of a corpus by other rules, from their stored measures: nothing is read, parsed or normalised again."""

import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet

from corpora.build import finish
from corpora.columns import column_of
from corpora.config import CorpusConfig, SourceConfig, rules_of
from corpora.documents import STAGE, document_files, read_tables
from corpora.part_files import PartWriter
from corpora.rows import REPEATED, Schemas, compared_columns
from stage.errors import ArtifactError, UsageError
from stage.folder import Made, write_folder
from stage.manifest import Manifest, artifact_input, read_manifest
from stage.parallel import run_over

_RULE = re.compile("[<>]")


class _Task(NamedTuple):
    """A file of a corpus that becomes a part."""

    file: Path
    part: Path
    config: CorpusConfig
    schema: pyarrow.Schema


def filter_corpus(
    corpus: Path | str, out: Path | str, rules: str, *, workers: int = 0, overwrite: bool = False, quiet: bool = False
) -> Manifest:
    """Write the documents artifact ``corpus`` anew with other rules for all sources, those that it rejected by rules among them.

    Documents are compared with each other again, and others are held out where other documents are kept. Those that rules had left out
    keep the lines that ``repeated_lines`` dropped from others. Measures that were not stored are an ArtifactError that names them; so are corpora of a few documents that were cut into two, and weighted sources.
    UsageError for rules that do not exist, the rest as ``write_folder``.
    """
    manifest = read_manifest(corpus, STAGE)
    config = _config(manifest, rules)
    if any(source.weight != 1 for source in config.sources) or "the last" in manifest.counts["split_rule"]:
        raise ArtifactError(
            f"{corpus}: has documents in pieces or weighted sources, whose rejected parts are not whole: build it again with --rules"
        )
    texts = {source.rules: list(map(str, rules_of(source, config).comparisons)) for source in config.sources}
    kept = {key: value for key, value in manifest.parameters.items() if key not in asdict(config)}
    return write_folder(
        out,
        stage=STAGE,
        parameters=asdict(config) | kept | {"rules": texts},
        inputs=[artifact_input("corpus", corpus, STAGE)],
        make=lambda folder: _make(folder, Path(corpus), manifest, config, {"workers": workers, "quiet": quiet}),
        overwrite=overwrite,
        need_bytes=10_000_000 + 3 * sum(output.bytes for output in manifest.outputs),
    )


def _config(manifest: Manifest, rules: str) -> CorpusConfig:
    """The configuration of a corpus with other rules."""
    names = asdict(CorpusConfig([SourceConfig("a")])).keys() & manifest.parameters.keys()
    given = {name: manifest.parameters[name] for name in names}
    try:
        sources = [SourceConfig(**(source | {"rules": rules})) for source in given.pop("sources")]
        return CorpusConfig(sources, **given)
    except TypeError as error:
        raise UsageError(f"the corpus was made by another version of jgpt ({error}): build it again") from None


def _make(folder: Path, corpus: Path, manifest: Manifest, config: CorpusConfig, how: dict[str, Any]) -> Made:
    files = [*document_files(corpus), *sorted((corpus / "rejected").glob("*.parquet"))]
    stored = pyarrow.parquet.read_schema(files[0])
    schema = Schemas.of(stored)
    (folder / "parts").mkdir()
    tasks = [_Task(file, folder / "parts" / f"{at:06d}.arrow", config, schema.part) for at, file in enumerate(files)]
    for _ in run_over(_judge_again, tasks, description="judging", **how):
        pass
    names = list(manifest.counts["sources"])
    parts = [(task.part, "") for task in tasks]
    # the limit of what was read for each source was kept by the build
    whole = replace(config, limit=0)
    made = finish(folder, parts, names, whole, schema, manifest.licenses, how["quiet"])
    for task in tasks:
        task.part.unlink()
    (folder / "parts").rmdir()
    return made


def _judge_again(task: _Task) -> None:
    rules = rules_of(task.config.sources[0], task.config)
    with PartWriter(task.part, task.schema) as writer:
        for table in _pieces(task.file):
            stored = {
                name: table.column(name).to_numpy() for name in ("chars", *rules.names) if name in table.column_names
            }
            ruled = rules.verdicts(stored) if table.num_rows else []
            old = table.column("reason").to_pylist() if "reason" in table.column_names else [""] * table.num_rows
            measures = table.column("measure").to_pylist() if "measure" in table.column_names else [0.0] * len(old)
            again = [not reason or reason in REPEATED or bool(_RULE.search(reason)) for reason in old]
            verdicts = [
                verdict if judged else (reason, value)
                for verdict, judged, reason, value in zip(ruled, again, old, measures, strict=True)
            ]
            texts = table.column("text").to_pylist()
            new = {
                "split": [""] * len(texts),
                "reason": [reason for reason, _ in verdicts],
                "measure": [value for _, value in verdicts],
                "duplicate_of": [""] * len(texts),
                **compared_columns(texts, [text.encode() for text in texts], task.config),
            }
            columns = [
                column_of(new[field.name], field.type, len(texts)) if field.name in new else table.column(field.name)
                for field in task.schema
            ]
            writer.write(pyarrow.Table.from_arrays(columns, schema=task.schema))


def _pieces(file: Path) -> Iterator[pyarrow.Table]:
    for table in read_tables(file):
        yield from (table.slice(at, 500) for at in range(0, table.num_rows, 500))
