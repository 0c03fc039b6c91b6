"""Taking documents out of a corpus that hold texts which models will be evaluated on.

A document is contaminated when it shares a run of ``ngram`` letters and digits or more with a text of an evaluation file, as Brown et al.
(2020, appendix C) have it for 13 words, or the whole of a shorter sentence. JGLUE and 11,000 documents that have nothing to do with it
(Wikipedia, literature, news) share runs of 22 at most, hence 24, and no sentence of 10.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from corpora.card import write_card
from corpora.documents import STAGE, document_files, read_tables
from corpora.overlap import SHORTEST, EvaluationTexts, Shared
from corpora.rows import REJECTION
from corpora.strings import STRING_SUFFIXES
from corpora.tables import RotatingWriter, text_bytes
from corpora.tally import Tally
from stage.errors import InputError, UsageError
from stage.files import list_files, sha256_file
from stage.folder import Made, write_folder
from stage.manifest import Input, Manifest, artifact_input, read_manifest
from stage.progress import progress

log = logging.getLogger(__name__)

REASON = "contaminated"
"""Of rejected documents; their measure is the length of the longest run. Also the column that ``mark`` adds."""
_SHORTEST, _LONGEST = 8, 1000  # n-grams that are looked for; memory grows with their length
_MANY = 0.1  # of the documents contaminated is worth a warning
_TOLD = 20  # evaluation texts in the report


def decontaminate(
    corpus: Path | str,
    against: Sequence[str],
    out: Path | str,
    *,
    ngram: int = 24,
    mark: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Write the documents artifact ``corpus`` anew without those that share a run with files ``against`` (or folders of them).

    They go to rejected/, where those of the build are as well, with the reason ``contaminated``; with ``mark`` they stay, and a column
    ``contaminated`` (int64) has the length of the run, 0 for none. The field ``contaminated_by`` of their meta names the text that
    they share. Documents that were rejected before are looked at as well, as other rules may bring them back (``filter_corpus``); the
    report, ``counts["contamination"]`` of the manifest, is of the others. Memory: a row group, and as ``EvaluationTexts``.

    Raises InputError for files that cannot be read or when no document is left, UsageError, ArtifactError as ``write_folder``.
    """
    if not _SHORTEST <= ngram <= _LONGEST:
        raise UsageError(
            f"--ngram {ngram}: must be from {_SHORTEST}, as shorter ones are common to all texts, to {_LONGEST}"
        )
    manifest = read_manifest(corpus, STAGE)
    files = [file for path in against for file in list_files(path, STRING_SUFFIXES)]
    return write_folder(
        out,
        stage=STAGE,
        parameters=manifest.parameters | {"decontamination": {"ngram": ngram, "mark": mark}},
        inputs=[
            artifact_input("corpus", corpus, STAGE),
            *(Input("evaluation", file, sha256_file(file)) for file in files),
        ],
        make=lambda folder: _make(folder, Path(corpus), manifest, EvaluationTexts(files, ngram), mark, quiet),
        overwrite=overwrite,
        need_bytes=10_000_000 + sum(output.bytes for output in manifest.outputs),
    )


def _make(folder: Path, corpus: Path, manifest: Manifest, evaluation: EvaluationTexts, mark: bool, quiet: bool) -> Made:
    if len(evaluation) == evaluation.too_short:
        raise InputError(
            f"the evaluation files: no text of {evaluation.ngram} letters or more, nor a sentence of {SHORTEST}; lower --ngram"
        )
    presets = manifest.parameters.get("normalization", {})
    normalized = bool(presets) and all(preset.startswith("ja-v1") for preset in presets)
    documents = document_files(corpus)
    schema = [field for field in next(_tables(documents)).schema if field.name != REASON]
    marks = [(REASON, pyarrow.int64())] * mark
    tally, shared = Tally(), Counter[tuple[str, str]]()
    with (
        RotatingWriter(folder, "documents", pyarrow.schema([*schema, *marks])) as kept,
        RotatingWriter(folder / "rejected", "rejected", pyarrow.schema([*schema, *marks, *REJECTION])) as rejected,
    ):
        for table in progress(_tables(documents), description="looking", unit="row group", quiet=quiet):
            found = evaluation.look_in(table.column("text").to_pylist(), normalized=normalized)
            shared.update((each.file, each.item) for each in found if each)
            clean, refused = _parted(table, found, mark)
            tally.add_documents(clean, text_bytes(clean))
            kept.write(clean.select(kept.schema.names))
            tally.add_rejected(refused)
            rejected.write(refused.select(rejected.schema.names))
        for table in _tables(sorted((corpus / "rejected").glob("*.parquet"))):
            found = evaluation.look_in(table.column("text").to_pylist(), normalized=normalized)
            for part in _parted(table, found, mark):
                tally.add_rejected(part)
                rejected.write(part.select(rejected.schema.names))
    counts = tally.counts(list(manifest.counts["sources"])) | {"split_rule": manifest.counts["split_rule"]}
    if not counts["documents"]:
        raise InputError(f"{corpus}: no document is left, all share texts with the evaluation files; --mark keeps them")
    report = _report(manifest.counts["documents"], evaluation, shared)
    write_card(folder, counts, manifest.licenses)
    return Made(counts=counts | {"contamination": report}, licenses=manifest.licenses)


def _tables(files: Sequence[Path]) -> Iterator[pyarrow.Table]:
    return chain.from_iterable(map(read_tables, files))


def _report(documents: int, evaluation: EvaluationTexts, shared: Counter[tuple[str, str]]) -> dict[str, Any]:
    """How many documents share something with which files and texts of them."""
    if shared.total() > _MANY * documents:
        told = "%d of %d documents are contaminated: is a text that many share a common phrase? A longer --ngram finds less"
        log.warning(told, shared.total(), documents)
    by_file = Counter(file for file, _ in shared.elements())
    return {
        "documents": documents,
        REASON: shared.total(),
        "evaluation_texts": len(evaluation),
        "too_short_to_look_for": evaluation.too_short,
        "files": [{"path": file, REASON: by_file[file]} for file in evaluation.paths],
        "texts": [{"path": file, "text": text, REASON: count} for (file, text), count in shared.most_common(_TOLD)],
    }


def _parted(table: pyarrow.Table, found: list[Shared | None], mark: bool) -> tuple[pyarrow.Table, pyarrow.Table]:
    """The documents that stay and those that are rejected, with what they share."""
    lengths = np.array([each.length if each else 0 for each in found], np.int64)
    meta = list(map(_told, table.column("meta").to_pylist(), found))
    table = table.set_column(table.column_names.index("meta"), "meta", pyarrow.array(meta, pyarrow.string()))
    table = table.drop_columns([name for name in table.column_names if name == REASON])
    table = table.append_column(REASON, pyarrow.array(lengths))
    leaves = (lengths > 0) & (not mark)
    refused = table.filter(pyarrow.array(leaves))
    refused = refused.drop_columns([name for name, _ in REJECTION if name in table.column_names])
    told = ([REASON] * len(refused), lengths[leaves], [""] * len(refused))
    for (name, kind), values in zip(REJECTION, told, strict=True):
        refused = refused.append_column(name, pyarrow.array(values, kind))
    return table.filter(pyarrow.array(~leaves)), refused


def _told(meta: str, shared: Shared | None) -> str:
    if shared is None:
        return meta
    record = json.loads(meta) | {"contaminated_by": f"{shared.file}:{shared.item}"}
    return json.dumps(record, ensure_ascii=False, sort_keys=True)
