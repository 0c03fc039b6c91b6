"""``jgpt run``, ``jgpt quickstart`` and ``jgpt report``: the whole pipeline."""

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from scripts.arguments import Parser, build, shared
from scripts.pipeline import REPORT, SAMPLES, run_pipeline
from scripts.recipe import RecipeConfig, find_recipe, with_data


def run(prog: str, arguments: list[str]) -> None:
    """Run a recipe."""
    parser = recipe_parser(
        prog,
        "Run the whole pipeline from a YAML recipe: corpus, tokenizer, shards, pretrain, eval, samples, report. What is up to date "
        "is left alone; a run that was stopped goes on. Every setting of the recipe is a flag as well.",
        [
            "jgpt run quickstart",
            "jgpt run my.yaml --pretrain.train.minutes 60",
            "jgpt run aozora-kyoto-livedoor --data corpora",
        ],
    )
    parser.add_argument("recipe", type=str, help="A YAML file, or the name of a shipped recipe.")
    # the recipe is found first, then read as the configuration file that the flags after it override
    place = parser.first_positional(arguments)
    if place is None or arguments[0] in ("-h", "--help"):
        parser.parse_args([*arguments, "--name", ""])  # helps, or says that a recipe is missing
        return
    recipe = find_recipe(arguments[place])
    run_recipe(parser, [arguments[place], "--config", str(recipe), *arguments[:place], *arguments[place + 1 :]])


def quickstart(prog: str, arguments: list[str]) -> None:
    """The whole pipeline on the embedded default corpus."""
    parser = recipe_parser(
        prog,
        "Run the whole pipeline on the embedded default corpus, literary Japanese of 1887 to 1917: corpus, tokenizer, shards, "
        "pretrain, eval, samples and a report, in a few minutes on a laptop CPU.",
        ["jgpt quickstart", "jgpt quickstart --pretrain.train.minutes 20 --out runs/longer"],
    )
    run_recipe(parser, ["--config", str(find_recipe("quickstart")), *arguments])


def report(prog: str, arguments: list[str]) -> None:
    """Write the report of a run folder."""
    parser = Parser(
        prog,
        "Write report.html, one self-contained page, of whatever stages a run folder holds; prints its path.",
        ["jgpt report runs/quickstart"],
    )
    parser.add_argument("run", type=str, help="A run folder: runs/NAME.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    from scripts.report import write_report

    print(write_report(Path(given.run)))


def recipe_parser(prog: str, description: str, examples: list[str]) -> Parser:
    parser = Parser(prog, description, examples)
    parser.config_file()
    parser.flag("out", str, None, "Folder of the run; default: runs/NAME.")
    parser.flag("data", str, None, "Folder for {data} in the recipe, and of the evaluation tasks' files.")
    parser.configuration(RecipeConfig)
    parser.common("workers", "device", "threads", "tracker", "overwrite", "quiet")
    return parser


def run_recipe(parser: Parser, arguments: list[str]) -> None:
    """Parse, run and tell."""
    given = parser.parse_args(arguments)
    recipe = build(RecipeConfig, given)
    data = Path(given.data) if given.data else None
    out = Path(given.out or Path("runs") / recipe.name)
    run_pipeline(with_data(recipe, data), out, data, **shared(given))
    print(closing(out))
    sys.stdout.flush()


def closing(out: Path) -> str:
    """What a run ends with: the headline figure, the samples, the report, what to try next."""
    from scripts.commands.evaluation import figure, summary

    # in a shell that has not activated the environment, only the path works
    by_path = os.path.basename(sys.argv[0]) == "jgpt" and not shutil.which("jgpt")
    jgpt = shlex.quote(os.path.relpath(sys.argv[0])) if by_path else "jgpt"
    results = json.loads((out / "eval" / "results.json").read_text("utf-8"))
    samples = json.loads((out / SAMPLES).read_text("utf-8"))
    model = shlex.quote(str(out / "model"))
    prompt = next((entry["prompt"] for entry in samples if entry["prompt"]), "")
    lines = ["", summary(results), ""]
    first = {entry["prompt"]: entry for entry in reversed(samples)}  # of several temperatures, which the report shows
    for number, entry in enumerate(reversed(first.values()), 1):
        lines += [f"sample {number}: {entry['prompt']}▸{entry['text']}", ""]
    if "language" in results:
        lines.append(f"validation: {figure(results['language']['bits_per_character'])} bits per character")
    lines += [
        f"report:     {out / REPORT}",
        "",
        "next:",
        f"  {jgpt} generate --model {model} --prompt {shlex.quote(prompt)} --temperature 0.9",
        f"  {jgpt} score --model {model} {shlex.quote(prompt or '今日は')}",
        f"  {jgpt} corpus build YOUR.txt --out my/corpus  # then tokenizer train, shard, pretrain: see README",
    ]
    return "\n".join(lines)
