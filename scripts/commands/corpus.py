"""``jgpt corpus`` and its commands."""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from corpora.build import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.documents import STAGE, iterate_file
from corpora.statistics import corpus_statistics
from scripts.arguments import Parser, build, shared, tell_counts
from stage.errors import UsageError
from stage.manifest import read_manifest

_LINES, _WIDTH = 40, 400  # of a document that are shown, and of a piece of a line


def corpus_build(prog: str, arguments: list[str]) -> None:
    """Raw text to clean documents."""
    parser = Parser(
        prog,
        "Read raw text, take out markup, normalise, judge, drop repeated documents, and write documents as Parquet.",
        [
            "jgpt corpus build novel.txt --out my/corpus",
            "jgpt corpus build ja.txt.xz --documents blank --out my/corpus          CC-100: documents parted by blank lines",
            "jgpt corpus build aozora/ --license 'public domain' --out my/corpus    a folder; Aozora markup is found by itself",
            "jgpt corpus build jawiki-latest-pages-articles.xml.bz2 --out my/wiki   a dump of Wikipedia",
            "jgpt corpus build hf:wikimedia/wikipedia:20231101.ja --limit 10000 --out my/corpus",
            "jgpt corpus build --config sources.yaml --out my/corpus                several sources, each with its own settings",
            "jgpt corpus build aozora/ --preview 20 | less -R                       some documents before and after; nothing is written",
        ],
    )
    paths = "A .txt, .jsonl, .json, .parquet, .html or .md file or a MediaWiki dump (.xml), plain or .gz .zst .bz2 .xz, a .zip of texts, a folder of such files, hf:NAME[:CONFIG][@SPLIT], or embedded:kougo."
    parser.add_argument("source", nargs="*", type=str, help=paths)
    parser.config_file()
    parser.flag("out", str, None, "Folder to write; not needed for --preview.")
    parser.flag("preview", int, 0, "Show so many documents before and after instead of building.")
    parser.configuration(SourceConfig, skip=["path", "name"])
    several = "In YAML: sources with settings of their own (path, name, markup, …)."
    parser.flag("sources", list[SourceConfig], [], several)
    parser.configuration(CorpusConfig, skip=["sources"])
    parser.common("workers", "engine", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    sources = [build(SourceConfig, given, path=path, name="") for path in given.source]
    sources += [build(SourceConfig, entry) for entry in given.sources]
    config = build(CorpusConfig, given, sources=sources)
    if given.preview < 0 or (not given.preview and given.out is None):
        parser.error("--out is needed, the folder to write" if given.preview == 0 else "--preview must be 0 or more")
    if given.preview:
        from corpora.preview import preview

        shown = (
            (f"{each.name}" + f" (rejected: {each.reason})" * bool(each.reason), each.before, each.after)
            for each in preview(config, given.preview)
        )
        show_changes(shown)
        return
    manifest = build_corpus(config, given.out, **shared(given))
    tell_counts(given.out, manifest)


def corpus_decontaminate(prog: str, arguments: list[str]) -> None:
    """Documents without those that share texts with evaluation files."""
    parser = Parser(
        prog,
        "Write a documents folder anew without the documents that share a long run of characters with evaluation files; print which texts of these were found, as JSON.",
        [
            "jgpt corpus decontaminate my/corpus --against jglue/ questions.csv --out my/clean",
            "jgpt corpus decontaminate my/corpus --against jglue/ --mark --out my/marked    all stay, with the length of the run in a column",
        ],
    )
    parser.add_argument("folder", type=str, help="A documents folder.")
    files = "Evaluation files (.jsonl .json .csv .tsv .txt .parquet, plain or compressed), or folders of them; all texts in them count."
    parser.add_argument("--against", nargs="+", type=str, required=True, help=files)
    length = "Letters and digits in a row that a document and an evaluation text must share to count; of shorter texts whole sentences of 10 or more count as well."
    parser.flag("ngram", int, 24, length)
    parser.flag(
        "mark", bool, False, "Keep the documents, and add a column contaminated: the length of the longest run."
    )
    parser.common("out", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    from corpora.decontamination import decontaminate

    manifest = decontaminate(
        given.folder, given.against, given.out, ngram=given.ngram, mark=given.mark, **shared(given)
    )
    tell_counts(given.out, manifest)
    print(json.dumps(manifest.counts["contamination"], ensure_ascii=False, indent=1))


def corpus_diff(prog: str, arguments: list[str]) -> None:
    """What two documents folders differ in."""
    parser = Parser(
        prog,
        "Show the documents that differ between two documents folders, as after a change of preset, and which characters became which.",
        [
            "jgpt corpus diff my/corpus my/corpus-none | less -R",
            "jgpt corpus diff old new --count 0        the counts alone",
        ],
    )
    parser.add_argument("first", type=str, help="A documents folder.")
    parser.add_argument("second", type=str, help="Another, of the same sources.")
    parser.flag("count", int, 20, "Documents that are shown; all are counted.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from corpora.preview import changes, compare

    tally, characters = Counter[str](), Counter[tuple[str, str]]()
    shown = 0
    for name, before, after in compare(given.first, given.second):
        kind = "added" if before is None else "removed" if after is None else "changed"
        tally[kind] += 1
        if kind == "changed":
            characters += changes(before or "", after or "")
        if shown < given.count:
            shown += 1
            show_changes([(f"{name} ({kind})", before or "", after or "")])
    print(
        f"{tally['changed']} documents changed, {tally['removed']} only in {given.first}, {tally['added']} only in {given.second}"
    )
    for (old, new), count in characters.most_common(20):
        print(f"{_visible(old)} → {_visible(new)}\t{count}")


def show_changes(documents: Iterable[tuple[str, str, str]]) -> None:
    """Print what became of each document: in colours in a terminal, else as [-gone-] and {+new+}."""
    from corpora.differences import Piece, changed_lines

    marks = (
        {"gone": "\x1b[41;97m{}\x1b[0m", "new": "\x1b[42;97m{}\x1b[0m"}
        if sys.stdout.isatty()
        else {"gone": "[-{}-]", "new": "{{+{}+}}"}
    )
    for name, before, after in documents:
        print(f"── {name}: {len(before):,} characters, then {len(after):,}")
        alone = "(unchanged)" if before == after else "(blank lines or line ends alone)"
        lines = iter(list(changed_lines(before, after)) or [[Piece("same", alone)]])
        for line in islice(lines, _LINES):
            print("".join(marks.get(piece.kind, "{}").format(_visible(piece.text)[:_WIDTH]) for piece in line) or "⏎")
        if rest := sum(1 for _ in lines):
            print(f"… {rest} more changed lines")


def _visible(text: str) -> str:
    """Characters that would not be seen, by their names."""
    return "".join(
        {"\n": "⏎", "\t": "⇥", "\u3000": "\u3000"}.get(character)
        or (character if character.isprintable() else f"<U+{ord(character):04X}>")
        for character in text
    )


def corpus_rejected(prog: str, arguments: list[str]) -> None:
    """The documents that a build left out."""
    parser = Parser(
        prog,
        "Print documents that were left out, with reason, measure and beginning: as JSON lines, or a table in a terminal.",
        [
            "jgpt corpus rejected my/corpus",
            "jgpt corpus rejected my/corpus --reason mojibake --limit 0 > mojibake.jsonl",
        ],
    )
    parser.add_argument("folder", type=str, help="A documents folder.")
    parser.flag("reason", str, "", "Only those left out for this reason; empty: for any.")
    parser.flag("limit", int, 20, "So many at most; 0: all.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    reasons = read_manifest(given.folder, STAGE).counts["rejected"]
    if given.limit < 0:
        parser.error(f"--limit {given.limit}: must be 0 or more")
    if given.reason and given.reason not in reasons:
        there = ", ".join(f"{reason} ({count})" for reason, count in reasons.items()) or "none at all"
        parser.error(f"--reason {given.reason}: nothing was left out for it; there are {there}")
    files = sorted(Path(given.folder, "rejected").glob("*.parquet"))
    rows = (row for file in files for row in iterate_file(file, ("id", "reason", "measure", "text")))
    chosen = (row for row in rows if given.reason in ("", row["reason"]))
    for row in islice(chosen, given.limit or None):
        row["text"] = _visible(row["text"][:_WIDTH])
        table = f"{row['reason']:<13} {row['measure']:>8.4g}  {row['id']}  {row['text'][:40]}"
        print(table if sys.stdout.isatty() else json.dumps(row, ensure_ascii=False))


def corpus_filter(prog: str, arguments: list[str]) -> None:
    """The same documents judged by other rules."""
    parser = Parser(
        prog,
        "Judge the documents of a corpus, those that it left out by rules among them, by other rules, from their stored measures.",
        [
            "jgpt corpus filter my/corpus --rules 'swallow,max_sentence<=inf' --out my/strict",
            "jgpt corpus filter my/corpus --rules 'chars>=400' --out my/long      a comparison alone; a shell needs the quotes",
        ],
    )
    parser.add_argument("folder", type=str, help="A documents folder.")
    parser.flag("out", str, ..., "Folder to write.")
    parser.flag(
        "rules", str, ..., "A preset or a .yaml file, and comparisons after it (docs/measures.md); for all sources."
    )
    parser.common("workers", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    from corpora.filtering import filter_corpus

    tell_counts(given.out, filter_corpus(given.folder, given.out, given.rules, **shared(given)))


def corpus_stats(prog: str, arguments: list[str]) -> None:
    """Figures of a documents folder, as JSON on stdout."""
    parser = Parser(
        prog,
        "Print documents, characters, sources, character classes, lengths and reasons of rejection as JSON.",
        [
            "jgpt corpus stats my/corpus",
            "jgpt corpus stats my/corpus | jq .character_classes",
            "jgpt corpus stats my/corpus --html corpus.html     a page with measures, thresholds and what was left out",
        ],
    )
    parser.add_argument("folder", type=str, help="A documents folder.")
    parser.flag("html", str, None, "Write a page instead of printing.")
    parser.common("overwrite", "quiet")
    given = parser.parse_args(arguments)
    if given.html and Path(given.html).suffix.lower() not in (".html", ".htm"):
        parser.error(f"--html {given.html}: names the page to write, which ends in .html")
    if given.html and Path(given.html).exists() and not given.overwrite:
        raise UsageError(f"--html {given.html}: is there already; --overwrite replaces it")
    if given.html:
        from scripts.report_corpus import write_page

        print(write_page(Path(given.folder), Path(given.html)))
        return
    print(json.dumps(corpus_statistics(given.folder), ensure_ascii=False, indent=1))


def corpus_trust(prog: str, arguments: list[str]) -> None:
    """Models of good text, to judge documents by."""
    parser = Parser(
        prog,
        "Learn from text that you trust what good text is like: character n-grams for the perplexity of documents and, given other text, a classifier that tells the two apart. Prints quantiles of held-out documents as JSON.",
        [
            "jgpt corpus trust essays/ --out my/trust",
            "jgpt corpus trust my/wiki --against my/crawl --out my/trust    documents folders, too",
        ],
    )
    files = "Text that you trust: files and folders as jgpt corpus build reads them, or documents folders."
    parser.add_argument("files", nargs="+", type=str, help=files)
    others = "Other text, such as a sample of what is to be judged, for the classifier; without it there is none."
    parser.add_argument("--against", nargs="+", type=str, default=[], help=others)
    parser.flag("characters", int, 20_000_000, "Characters of the text that the n-grams are counted in, at most.")
    parser.common("out", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    from corpora.trust import train_trust

    manifest = train_trust(given.files, given.out, against=given.against, characters=given.characters, **shared(given))
    print(json.dumps(manifest.counts, ensure_ascii=False, indent=1))
