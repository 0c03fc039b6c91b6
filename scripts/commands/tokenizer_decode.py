"""``jgpt tokenizer decode``."""

import sys

from scripts.arguments import Parser
from stage.errors import InputError


def main(prog: str, arguments: list[str]) -> None:
    """Ids on stdin to text on stdout."""
    parser = Parser(
        prog,
        "Decode each line of stdin, ids parted by spaces, to a line of stdout.",
        ["echo 吾輩は猫である。 | jgpt tokenizer encode --tokenizer T | jgpt tokenizer decode --tokenizer T"],
    )
    parser.add_argument("--tokenizer", type=str, required=True, help="Folder that holds a tokenizer.")
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
