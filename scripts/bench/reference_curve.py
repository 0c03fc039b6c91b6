"""Make a shipped recipe's reference curve of finished runs: ``python -m scripts.bench.reference_curve RUN… --machine TEXT``.

Each RUN is a folder that ``jgpt run RECIPE`` wrote, of another seed. The curve goes into ``scripts/recipes/curves/RECIPE.json``.
"""

import argparse
import json
from pathlib import Path

from scripts.curves import FOLDER, measured
from scripts.recipe import find_recipe
from scripts.run_folder import read_run_folder


def main() -> None:
    """Parse flags; write the file and print its name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--machine", default="two shared cores of a Xeon with AMX")
    given = parser.parse_args()
    find_recipe(given.recipe)
    file = FOLDER / f"{given.recipe}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(reference_curve(given.runs, given.recipe, given.machine), "utf-8")
    print(file)


def reference_curve(folders: list[Path], recipe: str, machine: str) -> str:
    """The JSON of a curve of several runs, a line a run; raises SystemExit where they are not of one text and size."""
    runs = [read_run_folder(folder) for folder in folders]
    counts = [
        {"parameters": run.counts("model")["parameters"]}
        | {key: run.counts("shards")[key] for key in ("train_characters", "valid_characters")}
        for run in runs
    ]
    if any(count != counts[0] for count in counts):
        raise SystemExit(f"the runs are not of one text and size: {counts}")
    head = json.dumps({"recipe": recipe, "machine": machine, **counts[0]}, ensure_ascii=False)[:-1]
    points = [
        [
            [point.tokens, round(point.seconds, 1), round(point.bits, 4)]
            for point in measured(run.lines("metrics.jsonl"))
        ]
        for run in runs
    ]
    return f'{head}, "runs": [\n' + ",\n".join(map(json.dumps, points)) + "\n]}\n"


if __name__ == "__main__":
    main()
