"""``jgpt eval show``."""

from pathlib import Path

from scripts.arguments import Parser


def main(prog: str, arguments: list[str]) -> None:
    """Rendered prompts of a task."""
    parser = Parser(
        prog, "Print a task's first items as the model sees them.", ["jgpt eval show jcommonsenseqa --data eval-data"]
    )
    parser.add_argument("task", type=str, help="A task of `jgpt eval tasks`.")
    parser.flag("data", str, None, "Folder of the tasks' files.")
    parser.flag("count", int, 3, "How many items.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from eval.listing import show_task

    print(show_task(given.task, data=Path(given.data) if given.data else None, count=given.count))
