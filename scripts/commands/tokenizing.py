"""``jgpt tokenizer``: train, measure, show, encode, decode."""

import json
import sys

from scripts.arguments import Parser, build, shared, tell_counts
from stage.errors import InputError
from stage.files import list_files
from tokenizer.config import TokenizerConfig


def tokenizer_train(prog: str, arguments: list[str]) -> None:
    """Train a tokenizer."""
    parser = Parser(
        prog,
        "Train a lossless SentencePiece BPE tokenizer; tokenizer.json beside it has the same ids for Hugging Face.",
        [
            "jgpt tokenizer train --corpus my/corpus --out my/tokenizer",
            "jgpt tokenizer train --text *.txt --vocab_size 16000 --out my/tokenizer",
        ],
    )
    parser.config_file()
    parser.flag("corpus", str, None, "Documents folder to learn from (its train split).")
    parser.flag("text", str, [], "UTF-8 text files to learn from instead.", nargs="+")
    parser.common("out")
    parser.configuration(TokenizerConfig)
    parser.common("overwrite", "quiet")
    given = parser.parse_args(arguments)
    config = build(TokenizerConfig, given)
    from tokenizer.training import train_tokenizer

    manifest = train_tokenizer(given.out, config, corpus=given.corpus, text=given.text, **shared(given))
    tell_counts(given.out, manifest)


def tokenizer_measure(prog: str, arguments: list[str]) -> None:
    """How well tokenizers cut a text, as JSON on stdout."""
    parser = Parser(
        prog,
        "Print characters and bytes per token, the share of byte-fallback tokens and exactness of the round trip, "
        "for each tokenizer on the same text.",
        ["jgpt tokenizer measure my/tokenizer other/tokenizer --text heldout.txt"],
    )
    folders = "Folders that hold a tokenizer (tokenizer, shards or model)."
    parser.add_argument("tokenizers", nargs="+", type=str, help=folders)
    parser.add_argument("--text", type=str, nargs="+", required=True, help="UTF-8 text files.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from tokenizer import JapaneseTokenizer
    from tokenizer.training import measure, read_text

    files = [file for path in given.text for file in list_files(path, (".txt", ".text", ""))]
    lines = [line for file in files for part in read_text(file) for line in part.splitlines() if line]
    if not lines:
        raise InputError(f"{given.text[0]}: holds no text")
    tokenizers = {folder: JapaneseTokenizer(folder) for folder in given.tokenizers}
    figures = {folder: {"vocab_size": each.vocab_size} | measure(each, lines) for folder, each in tokenizers.items()}
    print(json.dumps(figures, ensure_ascii=False, indent=1))


def tokenizer_show(prog: str, arguments: list[str]) -> None:
    """A text cut into its pieces."""
    parser = Parser(
        prog,
        "Show a text cut into pieces: in colours in a terminal, else parted by |. A space is ▁, a byte <0xE3>, a line end ⏎.",
        ["jgpt tokenizer show --tokenizer my/tokenizer '吾輩は猫である。名前はまだ無い。'"],
    )
    parser.add_argument("text", type=str, help="The text.")
    parser.common("tokenizer")
    parser.flag("ids", bool, False, "Print the id of each piece as well, a line a piece.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from tokenizer import JapaneseTokenizer

    tokenizer = JapaneseTokenizer(given.tokenizer)
    ids = tokenizer.encode(given.text)
    pieces = [tokenizer.piece(index).replace("\n", "⏎") for index in ids]
    if given.ids:
        print("\n".join(f"{index}\t{piece}" for index, piece in zip(ids, pieces, strict=True)))
    elif sys.stdout.isatty():
        print("".join(f"\x1b[{(44, 42, 45, 46)[place % 4]};97m{piece}\x1b[0m" for place, piece in enumerate(pieces)))
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
        print(tokenizer.decode(ids, special=given.special))
