"""``jgpt quickstart``."""

from scripts.commands.run import recipe_parser, run_recipe
from scripts.recipe import find_recipe


def main(prog: str, arguments: list[str]) -> None:
    """The whole pipeline on the embedded default corpus."""
    parser = recipe_parser(
        prog,
        "Run the whole pipeline on the embedded default corpus, literary Japanese of 1887 to 1917: corpus, tokenizer, shards, "
        "pretrain, eval, samples and a report, in a few minutes on a laptop CPU.",
        ["jgpt quickstart", "jgpt quickstart --pretrain.train.minutes 20 --out runs/longer"],
    )
    run_recipe(parser, ["--config", str(find_recipe("quickstart")), *arguments])
