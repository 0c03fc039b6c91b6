"""``jgpt tokenizer encode``."""

import sys

from scripts.arguments import Parser
from stage.errors import InputError


def main(prog: str, arguments: list[str]) -> None:
    """Text on stdin to ids on stdout."""
    parser = Parser(
        prog,
        "Encode each line of stdin: its ids, parted by spaces, on a line of stdout.",
        ["echo 吾輩は猫である。 | jgpt tokenizer encode --tokenizer my/tokenizer"],
    )
    parser.add_argument("--tokenizer", type=str, required=True, help="Folder that holds a tokenizer.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from tokenizer import JapaneseTokenizer

    tokenizer = JapaneseTokenizer(given.tokenizer)
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.removesuffix(b"\n").decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"stdin, line {number}: byte {error.start} is not UTF-8") from None
        print(*tokenizer.encode(text))
