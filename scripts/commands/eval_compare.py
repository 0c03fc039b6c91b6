"""``jgpt eval compare``."""

import json

from scripts.arguments import Parser


def main(prog: str, arguments: list[str]) -> None:
    """Two results, item by item."""
    parser = Parser(
        prog,
        "Compare two results on the items that both answered: difference of the primary metric (B - A) with a paired bootstrap "
        "interval, exact McNemar p-value, and which items changed. JSON on stdout.",
        ["jgpt eval compare runs/a/eval runs/b/eval"],
    )
    parser.add_argument("a", type=str, help="Results folder.")
    parser.add_argument("b", type=str, help="Results folder.")
    parser.flag("seed", int, 0, "Draws the resamples.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from eval.comparison import compare

    print(json.dumps(compare(given.a, given.b, seed=given.seed), ensure_ascii=False, indent=1))
