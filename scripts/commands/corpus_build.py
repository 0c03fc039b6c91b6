"""``jgpt corpus build``."""

from corpora.build import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from scripts.arguments import Parser, build


def main(prog: str, arguments: list[str]) -> None:
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
    parser.add_argument("source", nargs="*", type=str, help=SOURCE_HELP)
    parser.config_file()
    parser.add_argument("--out", type=str, required=True, help="Folder to write.")
    for name, kind in (
        ("markup", str),
        ("documents", str),
        ("normalization", str),
        ("text_field", str),
        ("license", str),
        ("attribution", str),
    ):
        default = SourceConfig.__dataclass_fields__[name].default
        parser.flag(name, kind, default, SOURCE_FLAGS[name])
    parser.flag(
        "sources", list[SourceConfig], [], "In YAML: sources with settings of their own (path, name, markup, …)."
    )
    parser.configuration(CorpusConfig, skip=["sources"])
    parser.common("workers", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    shared = {name: getattr(given, name) for name in SOURCE_FLAGS}
    sources = [SourceConfig(path=path, **shared) for path in given.source]
    sources += [build(SourceConfig, entry) for entry in given.sources]
    config = build(CorpusConfig, given, sources=sources)
    manifest = build_corpus(config, given.out, workers=given.workers, overwrite=given.overwrite, quiet=given.quiet)
    print_counts(given.out, manifest.counts)


SOURCE_HELP = (
    "A .txt, .jsonl, .json or .parquet file (plain or .gz .zst .bz2 .xz), a folder of such files, hf:NAME[:CONFIG][@SPLIT], "
    "or embedded:kougo."
)
SOURCE_FLAGS = {
    "markup": "plain, aozora, or auto: found by itself.",
    "documents": "What a document is in a .txt file: file, line, or blank (parted by blank lines); auto: the file.",
    "normalization": "Preset: ja-v1, or none.",
    "text_field": "Field of JSON, Parquet and Hugging Face records that holds the text.",
    "license": "Licence of the sources; it travels with everything made from them.",
    "attribution": "Whom to credit, where the licence asks for it.",
}


def print_counts(out: str, counts: dict[str, object]) -> None:
    """A line for people on stderr."""
    import logging

    simple = ", ".join(f"{name} {value}" for name, value in counts.items() if isinstance(value, (int, float, str)))
    logging.getLogger("scripts").info("%s: %s", out, simple)
