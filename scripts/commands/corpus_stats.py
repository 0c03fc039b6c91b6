"""``jgpt corpus stats``."""

import json

from corpora.statistics import corpus_statistics
from scripts.arguments import Parser


def main(prog: str, arguments: list[str]) -> None:
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
