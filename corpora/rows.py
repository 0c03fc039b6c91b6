"""From raw documents to rows of a corpus: without markup, normalised, masked, measured and judged, many at once."""

import json
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import pyarrow

from corpora.blocks import normalize_all
from corpora.columns import column_of, string_column
from corpora.config import CorpusConfig, SourceConfig, rules_of
from corpora.glance import need_a_look
from corpora.judging import has_lone_surrogate
from corpora.markup import Stripped, strip_markup
from corpora.masking import mask_all
from corpora.measures import ASKS, CHEAP, MEASURES, measure
from corpora.minhash import BANDS, NO_SKETCH, sketches
from corpora.mojibake import find_mojibake
from corpora.reading import RawDocument
from corpora.sources import SourceFiles
from corpora.words import domain_list, is_blocked, word_finder

_TEXTS = ("id", "text", "source", "license", "meta", "split")
_COUNTS = ("raw_chars", "raw_bytes", "chars")
REPEATED = ("duplicate", "near_duplicate")
"""Reasons of documents that say what another says."""
REJECTION = [("reason", pyarrow.string()), ("measure", pyarrow.float64()), ("duplicate_of", pyarrow.string())]
"""Columns of rejected documents besides those of documents."""
COMPARED = [("digest", pyarrow.binary(16)), ("sketch", pyarrow.binary(8 * BANDS))]
"""What documents are compared by: a hash of the normalised text, and its ``sketches``."""

_WIKIS = frozenset(
    f"{name}.org" for name in ("wikipedia", "wiktionary", "wikibooks", "wikisource", "wikinews", "wikiquote")
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


class Schemas(NamedTuple):
    """The columns of the tables of a corpus, measures among them."""

    documents: pyarrow.Schema
    rejected: pyarrow.Schema
    part: pyarrow.Schema
    """The reason is empty for a document that is kept so far."""

    @classmethod
    def of(cls, documents: pyarrow.Schema) -> "Schemas":
        """The schemas that follow from that of the documents."""
        rejected = pyarrow.schema([*documents, *REJECTION])
        return cls(documents, rejected, pyarrow.schema([*rejected, *COMPARED]))


def schemas(config: CorpusConfig) -> Schemas:
    """The columns of a corpus: measures are float32, null where they were not computed for a source."""
    named = {*CHEAP, *config.further_measures}.union(*(rules_of(source, config).names for source in config.sources))
    named |= {name for name, setting in ASKS.items() if getattr(config, setting)}
    columns = [(name, pyarrow.string()) for name in _TEXTS]
    columns += [(name, pyarrow.int64()) for name in (*_COUNTS, "masked")]
    columns += [(name, pyarrow.float32()) for name in MEASURES if name in named - set(_COUNTS)]
    return Schemas.of(pyarrow.schema(columns))


def judged_rows(batch: list[tuple[RawDocument, str]], files: SourceFiles, config: CorpusConfig) -> pyarrow.Table:
    """A row for each document, which comes with its id, with the reason why it is rejected, if it is."""
    source = files.config
    looks = need_a_look([raw.text for raw, _ in batch])
    plain = [
        prepare(raw, source, config)
        if look or raw.markup or source.markup not in ("auto", "plain")
        else _barred(Stripped(raw.text, raw.meta), config)
        for look, (raw, _) in zip(looks, batch, strict=True)
    ]
    normal = iter(normalize_all([each.text for each in plain if not each.verdict], source.normalization))
    texts = [each.text if each.verdict else next(normal) for each in plain]
    texts, masked = mask_documents(texts, plain, source)
    encoded = [text.encode() for text in texts]
    columns = _judged_columns(texts, encoded, source, config)
    for row, each in enumerate(plain):
        if each.verdict:
            columns["reason"][row], columns["measure"][row] = each.verdict
    # a text that was repaired was never as long as what was read
    given = [each.text if each.is_repaired else raw.text for each, (raw, _) in zip(plain, batch, strict=True)]
    rows = len(batch)
    columns |= {
        "id": [name for _, name in batch],
        "source": [files.name] * rows,
        "license": [source.license] * rows,
        "meta": [_as_json(each.meta) for each in plain],
        "split": [""] * rows,
        "raw_chars": [len(text) for text in given],
        "raw_bytes": [
            len(text if before == normal else before.encode("utf-8", "surrogatepass"))
            for before, normal, text in zip(given, texts, encoded, strict=True)
        ],
        "masked": masked,
        "duplicate_of": [""] * rows,
    }
    schema = schemas(config).part
    arrays = [column_of(columns.get(field.name), field.type, rows) for field in schema]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def with_texts(
    table: pyarrow.Table, texts: dict[int, str], source: SourceConfig, config: CorpusConfig
) -> pyarrow.Table:
    """Rows of a part with other texts in some of them, by their place, ascending; these are measured and judged anew."""
    import pyarrow.compute  # slow to import, and no other worker needs it

    changed = list(texts.values())
    columns = _judged_columns(changed, [text.encode() for text in changed], source, config)
    mask = np.isin(np.arange(table.num_rows), list(texts))
    for place, field in enumerate(table.schema):
        if field.name in columns:
            new = column_of(columns[field.name], field.type, len(changed))
            column = pyarrow.compute.replace_with_mask(table.column(place), mask, new)
            table = table.set_column(place, field, column)
    return table


def _judged_columns(
    texts: list[str], encoded: list[bytes], source: SourceConfig, config: CorpusConfig
) -> dict[str, Any]:
    """The columns that follow from the normalised texts of documents: measures, verdicts, and what they are compared by."""
    columns = _measure(texts, encoded, source, config)
    verdicts = _verdicts(texts, columns, source, config)
    return columns | {
        "text": string_column(encoded),
        "reason": [reason for reason, _ in verdicts],
        "measure": [measure for _, measure in verdicts],
        **compared_columns(texts, encoded, config),
    }


def compared_columns(texts: list[str], encoded: list[bytes], config: CorpusConfig) -> dict[str, Any]:
    """What normalised documents are compared by: the columns ``COMPARED``; no sketch where near-duplicates are not looked for."""
    digests = [blake2b(text, digest_size=16).digest() for text in encoded]
    return {"digest": digests, "sketch": _sketch_column(texts, config) if config.looks_for_near else None}


def mask_documents(texts: list[str], plain: list[Stripped], source: SourceConfig) -> tuple[list[str], list[int]]:
    """Mask personal data in the texts of pages of the web, or of all or none; the texts, and how many places in each."""
    texts, counts = list(texts), [0] * len(texts)
    if source.mask != "off":
        wanted = [at for at, each in enumerate(plain) if source.mask == "on" or each.is_page or _is_web(each.meta)]
        for at, (text, found) in zip(wanted, mask_all([texts[at] for at in wanted]), strict=True):
            texts[at], counts[at] = text, sum(found.values())
    return texts, counts


def judge(texts: list[str], source: SourceConfig, config: CorpusConfig) -> list[tuple[str, float]]:
    """The reason why each normalised document is rejected, and its measure; no reason: it is kept."""
    columns = _measure(texts, [text.encode() for text in texts], source, config)
    return _verdicts(texts, columns, source, config)


def _verdicts(
    texts: list[str], columns: dict[str, Any], source: SourceConfig, config: CorpusConfig
) -> list[tuple[str, float]]:
    verdicts = rules_of(source, config).verdicts(columns)
    return [
        ("empty", 0.0) if not text or text.isspace() else verdict for text, verdict in zip(texts, verdicts, strict=True)
    ]


def _is_web(meta: dict[str, Any]) -> bool:
    """Whether a record comes from the web, encyclopaedias aside."""
    url = str(meta.get("url", ""))
    return url.startswith(("http:", "https:")) and not is_blocked(url, _WIKIS)


def _measure(texts: list[str], encoded: list[bytes], source: SourceConfig, config: CorpusConfig) -> dict[str, Any]:
    """The measures of the documents of a source, float32 [N] each: as they are stored, so that another look decides alike."""
    asked = {*rules_of(source, config).names, *config.further_measures}
    columns = measure(texts, [name for name in asked if name not in ASKS])
    if config.ng_words:
        found = word_finder(config.ng_words).measure(encoded, columns["chars"])
        columns |= dict(zip(("ng_hits", "ng_share"), found, strict=True))
    if config.trust:
        from corpora.trust import trusted  # which reads documents as this does

        columns |= trusted(config.trust).measure(texts)
    chars = columns["chars"].astype(np.int64)
    return {name: values.astype(np.float32) for name, values in columns.items()} | {"chars": chars}


def _sketch_column(texts: list[str], config: CorpusConfig) -> pyarrow.Array:
    found = np.ascontiguousarray(sketches(texts))
    found[[len(text) < config.near_min_chars for text in texts]] = NO_SKETCH
    buffers = [None, pyarrow.py_buffer(found)]
    return pyarrow.Array.from_buffers(pyarrow.binary(8 * BANDS), len(texts), buffers)


def _as_json(meta: dict[str, Any]) -> str:
    return _ENCODER.encode(meta).encode("utf-8", "backslashreplace").decode()


def prepare(raw: RawDocument, source: SourceConfig, config: CorpusConfig) -> Stripped:
    """Repair a document where that is exact, and take its markup out; it is not yet normalised."""
    if has_lone_surrogate(raw.text):
        return Stripped(raw.text.encode("utf-8", "backslashreplace").decode(), raw.meta, ("lone_surrogate", 1.0))
    mojibake = find_mojibake(raw.text)
    if mojibake is None:
        return _barred(strip_markup(raw.text, raw.meta, source, raw.markup), config)
    if mojibake.text is None:
        return Stripped(raw.text, raw.meta, ("mojibake", float(mojibake.offset)))
    stripped = strip_markup(mojibake.text, raw.meta | {"mojibake": mojibake.kind}, source, raw.markup)
    return _barred(stripped._replace(is_repaired=True), config)


def _barred(document: Stripped, config: CorpusConfig) -> Stripped:
    """The document, rejected where it comes from a domain that is not wanted."""
    if config.block_domains and is_blocked(str(document.meta.get("url", "")), domain_list(config.block_domains)):
        return document._replace(verdict=("blocked_domain", 1.0))
    return document
