"""``jgpt eval tasks``."""

import json

from scripts.arguments import Parser


def main(prog: str, arguments: list[str]) -> None:
    """The tasks there are."""
    parser = Parser(prog, "List the tasks that --tasks takes.", ["jgpt eval tasks", "jgpt eval tasks --json"])
    parser.flag("json", bool, False, "Print JSON.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from eval.listing import list_tasks

    tasks = list_tasks()
    if given.json:
        print(json.dumps(tasks, ensure_ascii=False, indent=1))
        return
    for task in tasks:
        needs = "needs --data" if task["needs_data"] else "from any corpus"
        print(f"{task['name']:<18} {needs:<16} {task['title']}")
