"""``jgpt corpus build`` and ``jgpt corpus stats``."""

import json

from corpora.build import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.statistics import corpus_statistics
from scripts.arguments import Parser, build, shared, tell_counts


def corpus_build(prog: str, arguments: list[str]) -> None:
    """Raw text to clean documents."""
    parser = Parser(
        prog,
        "Read raw text, take out markup, normalise, judge, drop repeated documents, and write documents as Parquet.",
        [
            "jgpt corpus build novel.txt --out my/corpus",
            "jgpt corpus build ja.txt.xz --documents blank --out my/corpus          CC-100: documents parted by blank lines",
            "jgpt corpus build aozora/ --license 'public domain' --out my/corpus    a folder; Aozora markup is found by itself",
            "jgpt corpus build hf:wikimedia/wikipedia:20231101.ja --limit 10000 --out my/corpus",
            "jgpt corpus build --config sources.yaml --out my/corpus                several sources, each with its own settings",
        ],
    )
    paths = "A .txt, .jsonl, .json or .parquet file (plain or .gz .zst .bz2 .xz), a folder of such files, hf:NAME[:CONFIG][@SPLIT], or embedded:kougo."
    parser.add_argument("source", nargs="*", type=str, help=paths)
    parser.config_file()
    parser.common("out")
    parser.configuration(SourceConfig, skip=["path", "name"])
    several = "In YAML: sources with settings of their own (path, name, markup, …)."
    parser.flag("sources", list[SourceConfig], [], several)
    parser.configuration(CorpusConfig, skip=["sources"])
    parser.common("workers", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    sources = [build(SourceConfig, given, path=path, name="") for path in given.source]
    sources += [build(SourceConfig, entry) for entry in given.sources]
    manifest = build_corpus(build(CorpusConfig, given, sources=sources), given.out, **shared(given))
    tell_counts(given.out, manifest)


def corpus_stats(prog: str, arguments: list[str]) -> None:
    """Figures of a documents folder, as JSON on stdout."""
    parser = Parser(
        prog,
        "Print documents, characters, sources, character classes, lengths and reasons of rejection as JSON.",
        ["jgpt corpus stats my/corpus", "jgpt corpus stats my/corpus | jq .character_classes"],
    )
    parser.add_argument("folder", type=str, help="A documents folder.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    print(json.dumps(corpus_statistics(given.folder), ensure_ascii=False, indent=1))
