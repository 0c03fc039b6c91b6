"""``jgpt tokenizer``: train, measure, show, encode, decode."""

import json
import logging
import os
import sys
from pathlib import Path

from scripts.arguments import Parser, build, shared, tell_counts
from stage.errors import InputError, UsageError
from stage.progress import progress
from tokenizer.config import TokenizerConfig

log = logging.getLogger(__name__)


def tokenizer_train(prog: str, arguments: list[str]) -> None:
    """Train a tokenizer."""
    parser = Parser(
        prog,
        "Train a lossless SentencePiece tokenizer; tokenizer.json beside it has the same ids for Hugging Face.",
        [
            "jgpt tokenizer train --corpus my/corpus --out my/tokenizer",
            "jgpt tokenizer train --text *.txt --vocab_size 16000 --out my/tokenizer",
            "jgpt tokenizer train --corpus my/corpus --boundaries none --out my/free     pieces that grow over words",
        ],
    )
    parser.config_file()
    parser.flag("corpus", str, None, "Documents folder to learn from (its train split).")
    parser.flag("text", str, [], "UTF-8 text files to learn from instead.", nargs="+")
    parser.common("out")
    parser.configuration(TokenizerConfig, skip=["user_symbols"])
    symbols = "Strings that are one piece wherever they occur, and that no other piece touches."
    parser.flag("user_symbols", str, [], symbols, nargs="+")
    parser.common("overwrite", "quiet")
    given = parser.parse_args(arguments)
    config = build(TokenizerConfig, given)
    from tokenizer.training import train_tokenizer

    manifest = train_tokenizer(given.out, config, corpus=given.corpus, text=given.text, **shared(given))
    tell_counts(given.out, manifest)


def tokenizer_extend(prog: str, arguments: list[str]) -> None:
    """More pieces."""
    parser = Parser(
        prog,
        "Add the pieces that a text asks for to a tokenizer. Its ids stay, so that a model only needs new rows in its embedding.",
        ["jgpt tokenizer extend --tokenizer my/tokenizer --corpus my/more --vocab_size 12000 --out my/longer"],
    )
    parser.common("tokenizer")
    parser.flag("corpus", str, None, "Documents folder to learn from (its train split).")
    parser.flag("text", str, [], "UTF-8 text files to learn from instead.", nargs="+")
    parser.add_argument("--vocab_size", type=int, required=True, help="Number of pieces in all.")
    parser.common("out", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    from tokenizer.changing import extend_tokenizer
    from tokenizer.text import find_text

    text = find_text(given.corpus, given.text, "train")
    manifest = extend_tokenizer(given.tokenizer, given.out, text, given.vocab_size, **shared(given))
    tell_counts(given.out, manifest)


def tokenizer_prune(prog: str, arguments: list[str]) -> None:
    """Fewer pieces."""
    parser = Parser(
        prog,
        "Leave out the pieces that were learned last until so many are left; old_ids.json says which id each of them had.",
        ["jgpt tokenizer prune --tokenizer my/tokenizer --vocab_size 6000 --out my/smaller"],
    )
    parser.common("tokenizer")
    parser.add_argument("--vocab_size", type=int, required=True, help="Number of pieces in all.")
    parser.common("out", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    from tokenizer.changing import prune_tokenizer

    manifest = prune_tokenizer(given.tokenizer, given.out, given.vocab_size, overwrite=given.overwrite)
    tell_counts(given.out, manifest)


def tokenizer_measure(prog: str, arguments: list[str]) -> None:
    """How well tokenizers cut a text."""
    parser = Parser(
        prog,
        "Compare tokenizers on the same text: how much a token holds, how its ends agree with the words of UniDic-lite, what is lost. "
        "A tokenizer is a folder of jgpt, a SentencePiece .model, or a tokenizer.json (or a folder that holds one).",
        [
            "jgpt tokenizer measure my/tokenizer other/tokenizer.json --text heldout.txt",
            "jgpt tokenizer measure my/tokenizer --corpus my/corpus --html compared.html",
        ],
    )
    parser.add_argument("tokenizers", nargs="+", type=str, help="Folders or files.")
    parser.flag("text", str, [], "UTF-8 text files to measure on.", nargs="+")
    parser.flag("corpus", str, None, "Documents folder to measure on instead (its valid split).")
    parser.flag("source", str, None, "Of it only the documents of this source.")
    parser.flag(
        "sample_megabytes", float, 2.0, "Most text that is measured, in megabytes: a random sample of the lines."
    )
    parser.flag("seed", int, 0, "Chooses the sample.")
    parser.flag("json", bool, False, "Print JSON.")
    parser.flag("html", str, None, "Write a page that shows a passage cut by each as well.")
    parser.common("overwrite", "quiet")
    given = parser.parse_args(arguments)
    if given.html and (os.path.exists(given.html) and not given.overwrite):
        raise UsageError(f"--html {given.html}: is there already; --overwrite replaces it")
    if given.html and not os.path.isdir(os.path.dirname(given.html) or "."):
        raise UsageError(f"--html {given.html}: there is no folder {os.path.dirname(given.html)}; make it first")
    from corpora.documents import document_files, iterate_file
    from tokenizer.comparison import names_of, text_table, write_page
    from tokenizer.measuring import cut_lines, measure
    from tokenizer.opening import load
    from tokenizer.sampling import sample_lines
    from tokenizer.text import find_text

    if not 0 < given.sample_megabytes < float("inf"):
        raise UsageError(f"--sample_megabytes {given.sample_megabytes} must be above 0")
    tokenizers = dict(zip(names_of(given.tokenizers), map(load, given.tokenizers), strict=False))
    if given.source and not given.corpus:
        raise UsageError("--source names a source of a documents folder: give --corpus")
    text = find_text(given.corpus, given.text, "valid", source=given.source)
    sample = sample_lines(text.read(), int(given.sample_megabytes * 1e6), given.seed)
    if not sample.lines:
        where = " in its valid split" if given.corpus else ""
        if given.source:
            found = {row["source"] for file in document_files(given.corpus) for row in iterate_file(file, ["source"])}
            if given.source not in found:
                raise InputError(f"{text.name}: has no source {given.source}; it has {', '.join(sorted(found))}")
            where += f" of the source {given.source}: measure other text with --text"
        raise InputError(f"{text.name}: holds no text{where}")
    lines = cut_lines(sample.lines)
    bar = progress(tokenizers.items(), description="measure", unit="tokenizer", quiet=given.quiet)
    figures = {name: measure(tokenizer, lines) for name, tokenizer in bar}
    if given.html:
        passage = "\n".join(sample.lines)[:400]
        about = f"{sample.bytes:,} bytes of {text.name}"
        log.info("%s", write_page(Path(given.html), figures, tokenizers, passage, about))
    print(json.dumps(figures, ensure_ascii=False, indent=1) if given.json else text_table(figures))


def tokenizer_show(prog: str, arguments: list[str]) -> None:
    """A text cut into its pieces."""
    parser = Parser(
        prog,
        "Show a text cut into pieces by one tokenizer or several: in colours in a terminal, else parted by |. A byte is <0xE3>, a line "
        "end ⏎.",
        [
            "jgpt tokenizer show --tokenizer my/tokenizer '吾輩は猫である。名前はまだ無い。'",
            "jgpt tokenizer show --tokenizer my/tokenizer other/tokenizer.json '吾輩は猫である。'",
        ],
    )
    parser.add_argument("text", type=str, nargs="?", help="The text; may also stand behind the tokenizers.")
    parser.add_argument("--tokenizer", type=str, nargs="+", required=True, help="Folders or files, as for measure.")
    parser.flag("ids", bool, False, "Print the id of each piece as well, a line a piece.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    if given.text is None:
        if len(given.tokenizer) < 2 or os.path.exists(given.tokenizer[-1]):
            parser.error("the text to show is missing")
        given.text = given.tokenizer.pop()
    from tokenizer.comparison import names_of
    from tokenizer.opening import load

    for name, tokenizer in zip(names_of(given.tokenizer), map(load, given.tokenizer), strict=True):
        ids, spans = tokenizer.encode_with_spans(given.text)
        pieces = [
            (
                tokenizer.piece(index) if tokenizer.is_byte(index) else given.text[begin:end] or tokenizer.piece(index)
            ).replace("\n", "⏎")
            for index, (begin, end) in zip(ids, spans, strict=True)
        ]
        if len(given.tokenizer) > 1:
            print(f"{name}: {len(ids)} tokens")
        if given.ids:
            print("\n".join(f"{index}\t{piece}" for index, piece in zip(ids, pieces, strict=True)))
        elif sys.stdout.isatty():
            print(
                "".join(f"\x1b[{(44, 42, 45, 46)[place % 4]};97m{piece}\x1b[0m" for place, piece in enumerate(pieces))
            )
        else:
            print("|".join(pieces))


def tokenizer_encode(prog: str, arguments: list[str]) -> None:
    """Text on stdin to ids on stdout."""
    parser = Parser(
        prog,
        "Encode each line of stdin: its ids, parted by spaces, on a line of stdout.",
        ["echo 吾輩は猫である。 | jgpt tokenizer encode --tokenizer my/tokenizer"],
    )
    parser.common("tokenizer", "quiet")
    given = parser.parse_args(arguments)
    from tokenizer import JapaneseTokenizer

    tokenizer = JapaneseTokenizer(given.tokenizer)
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.removesuffix(b"\n").decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"stdin, line {number}: byte {error.start} is not UTF-8") from None
        print(*tokenizer.encode(text))


def tokenizer_decode(prog: str, arguments: list[str]) -> None:
    """Ids on stdin to text on stdout."""
    parser = Parser(
        prog,
        "Decode each line of stdin, ids parted by spaces, to a line of stdout.",
        ["echo 吾輩は猫である。 | jgpt tokenizer encode --tokenizer T | jgpt tokenizer decode --tokenizer T"],
    )
    parser.common("tokenizer")
    parser.flag("special", bool, False, "Print special pieces such as </s> by their names instead of leaving them out.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from tokenizer import JapaneseTokenizer

    tokenizer = JapaneseTokenizer(given.tokenizer)
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            ids = [int(word) for word in line.split()]
        except ValueError:
            raise InputError(f"stdin, line {number}: expected ids parted by spaces") from None
        try:
            print(tokenizer.decode(ids, special=given.special))
        except UsageError as error:
            raise InputError(f"stdin, line {number}: {error}") from None
