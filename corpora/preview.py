"""Some documents of the sources as a build would make them, without building; and what two builds differ in."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from corpora.config import CorpusConfig
from corpora.documents import document_files, iterate_file
from corpora.normalization import normalize
from corpora.parts import raw_documents
from corpora.reading import RawDocument
from corpora.rows import judge, mask_documents, prepare
from corpora.sources import SourceFiles, find_sources

_LOOKED_AT = 2000
"""Documents of a source that a sample is drawn from, at most."""


@dataclass(frozen=True)
class Previewed:
    """A document before and after, and why it would be rejected (empty: it would not)."""

    name: str
    before: str
    after: str
    reason: str


def preview(config: CorpusConfig, count: int) -> Iterator[Previewed]:
    """About ``count`` documents, as many of each source, drawn by seed from its first files; errors as ``build_corpus``."""
    sources = find_sources(config)
    for number, source in enumerate(sources):
        share = count // len(sources) + (number < count % len(sources))
        for name, raw in _sample(source, share, config.seed):
            plain = prepare(raw, source.config, config)
            after = plain.text if plain.verdict else normalize(plain.text, source.config.normalization)
            after = mask_documents([after], [plain], source.config)[0][0]
            reason = plain.verdict[0] if plain.verdict else judge([after], source.config, config)[0][0]
            before = raw.text.encode("utf-8", "backslashreplace").decode().replace("\r\n", "\n")
            yield Previewed(name, before, after, reason)


def compare(first: Path | str, second: Path | str) -> Iterator[tuple[str, str | None, str | None]]:
    """Documents of two folders that differ: id, text in the first, text in the second; None where one lacks it.

    Memory: a hash of each document of the second folder, and the documents that changed.
    """
    there = {
        row["id"]: hash(row["text"]) for file in document_files(second) for row in iterate_file(file, ("id", "text"))
    }
    changed: dict[str, str] = {}
    for file in document_files(first):
        for row in iterate_file(file, ("id", "text")):
            if row["id"] not in there:
                yield row["id"], row["text"], None
            elif there.pop(row["id"]) != hash(row["text"]):
                changed[row["id"]] = row["text"]
    for file in document_files(second):
        for row in iterate_file(file, ("id", "text")):
            if row["id"] in changed:
                yield row["id"], changed.pop(row["id"]), row["text"]
            elif row["id"] in there:
                yield row["id"], None, row["text"]


def changes(before: str, after: str) -> Counter[tuple[str, str]]:
    """Which characters became which, counted, where a line of ``before`` has one of as many characters in ``after``."""
    found: Counter[tuple[str, str]] = Counter()
    for old, new in zip(before.split("\n"), after.split("\n"), strict=False):
        if old != new and len(old) == len(new):
            found.update((a, b) for a, b in zip(old, new, strict=True) if a != b)
    return found


def _sample(source: SourceFiles, count: int, seed: int) -> list[tuple[str, RawDocument]]:
    """Documents drawn from the beginnings of the files, of each as many as of the others, in their order."""
    files, chance = source.files[:_LOOKED_AT], random.Random(seed)
    drawn = []
    for number, (path, name) in enumerate(files):
        some = list(enumerate(islice(raw_documents(source, path), max(1, _LOOKED_AT // len(files)))))
        chance.shuffle(some)
        # a document of each file, in any order, then a second of each
        drawn += [(turn, chance.random(), number, place, name, raw) for turn, (place, raw) in enumerate(some[:count])]
    chosen = sorted(sorted(drawn, key=lambda each: each[:2])[:count], key=lambda each: each[2:4])
    return [
        ("/".join(part for part in (source.name, name, raw.key or str(raw.index)) if part), raw)
        for *_, name, raw in chosen
    ]
