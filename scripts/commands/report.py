"""``jgpt report``."""

from pathlib import Path

from scripts.arguments import Parser
from scripts.report import write_report
from stage.errors import ArtifactError


def main(prog: str, arguments: list[str]) -> None:
    """Write the report of a run folder."""
    parser = Parser(
        prog,
        "Write report.html, one self-contained page, of whatever stages a run folder holds; prints its path.",
        ["jgpt report runs/quickstart"],
    )
    parser.add_argument("run", type=str, help="A run folder: runs/NAME.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    run = Path(given.run)
    if not any(run.glob("*/manifest.json")):
        raise ArtifactError(f"{run}: holds no stage of a run; runs/NAME was expected")
    print(write_report(run))
