"""``jgpt tokenizer show``."""

import sys

from scripts.arguments import Parser


def main(prog: str, arguments: list[str]) -> None:
    """A text cut into its pieces."""
    parser = Parser(
        prog,
        "Show a text cut into pieces: in colours in a terminal, else parted by |. A space is ▁, a byte <0xE3>, a line end ⏎.",
        ["jgpt tokenizer show --tokenizer my/tokenizer '吾輩は猫である。名前はまだ無い。'"],
    )
    parser.add_argument("text", type=str, help="The text.")
    parser.add_argument("--tokenizer", type=str, required=True, help="Folder that holds a tokenizer.")
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
