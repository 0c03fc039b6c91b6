"""What each preset of rules rejects of good text, and what is masked: ``python -m scripts.bench.corpus_rules --data DIR``.

Documents of the corpora of the recipe aozora-kyoto-livedoor, without markup and normalised; for each preset the share of documents and of
characters that it rejects, and its commonest reasons; then how much of each kind of personal data is masked where masks are on.
``--ids N`` names so many rejected documents of each, to be read.
"""

import argparse
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from corpora.blocks import normalize_all
from corpora.config import CorpusConfig, SourceConfig
from corpora.masking import mask_all
from corpora.measures import measure
from corpora.parts import raw_documents
from corpora.rows import prepare
from corpora.rules import PRESETS, parse_rules
from corpora.sources import find_sources
from scripts.bench.corpus import CORPORA

_BATCH = 200


def main() -> None:
    """Parse flags, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ids", type=int, default=0)
    given = parser.parse_args()
    presets = {name: parse_rules(name) for name in PRESETS if name not in ("none", "english", "code")}
    names = {name for rules in presets.values() for name in rules.names}
    print("| preset | corpus | documents | characters | commonest reasons |\n|---|---|---|---|---|")
    masks: dict[str, Counter[str]] = {}
    for corpus, path in CORPORA.items():
        ids: list[str] = []
        found: list[dict[str, np.ndarray]] = []
        masks[corpus] = Counter()
        for keys, texts in documents(str(given.data / path)):
            ids += keys
            found.append(measure(texts, names))
            for _, counts in mask_all(texts):
                masks[corpus].update(counts)
        columns = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        for name, rules in presets.items():
            reasons = [reason for reason, _ in rules.verdicts(columns)]
            rejected = np.array([bool(reason) for reason in reasons])
            chars = columns["chars"][rejected].sum() / columns["chars"].sum()
            commonest = ", ".join(
                f"`{reason}` {count}" for reason, count in Counter(filter(None, reasons)).most_common(3)
            )
            print(f"| {name} | {corpus} | {rejected.mean():.2%} | {chars:.2%} | {commonest} |")
            places = np.flatnonzero(rejected).tolist()
            for place in random.Random(0).sample(places, min(given.ids, len(places))):
                print(f"    {ids[place]}: {reasons[place]}")
    print("\n| corpus | masked |\n|---|---|")
    for corpus, counts in masks.items():
        print(f"| {corpus} | {', '.join(f'{kind} {count}' for kind, count in counts.most_common()) or 'nothing'} |")


def documents(path: str) -> Iterator[tuple[list[str], list[str]]]:
    """Names and texts of a corpus in batches."""
    config = CorpusConfig([SourceConfig(path)])
    source = find_sources(config)[0]
    keys: list[str] = []
    texts: list[str] = []
    for raw in (raw for file, _ in source.files for raw in raw_documents(source, file)):
        keys.append(str(raw.meta.get("id", raw.index)))
        texts.append(prepare(raw, source.config, config).text)
        if len(texts) == _BATCH:
            yield keys, normalize_all(texts)
            keys, texts = [], []
    if texts:
        yield keys, normalize_all(texts)


if __name__ == "__main__":
    main()
