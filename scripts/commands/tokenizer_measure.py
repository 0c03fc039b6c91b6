"""``jgpt tokenizer measure``."""

import json

from scripts.arguments import Parser
from stage.errors import InputError
from stage.files import list_files


def main(prog: str, arguments: list[str]) -> None:
    """How well tokenizers cut a text, as JSON on stdout."""
    parser = Parser(
        prog,
        "Print characters and bytes per token, the share of byte-fallback tokens and exactness of the round trip, "
        "for each tokenizer on the same text.",
        ["jgpt tokenizer measure my/tokenizer other/tokenizer --text heldout.txt"],
    )
    parser.add_argument(
        "tokenizers", nargs="+", type=str, help="Folders that hold a tokenizer (tokenizer, shards or model)."
    )
    parser.add_argument("--text", type=str, nargs="+", required=True, help="UTF-8 text files.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from tokenizer import JapaneseTokenizer
    from tokenizer.training import measure, read_text

    lines = [
        line
        for path in given.text
        for file in list_files(path, (".txt", ".text", ""))
        for part in read_text(file)
        for line in part.splitlines()
        if line
    ]
    if not lines:
        raise InputError(f"{given.text[0]}: holds no text")
    measures = {folder: {"vocab_size": 0} | measure(JapaneseTokenizer(folder), lines) for folder in given.tokenizers}
    for folder, figures in measures.items():
        figures["vocab_size"] = JapaneseTokenizer(folder).vocab_size
    print(json.dumps(measures, ensure_ascii=False, indent=1))
