"""``jgpt export``."""

from scripts.arguments import Parser, tell_counts


def export(prog: str, arguments: list[str]) -> None:
    """A model to a folder for transformers."""
    parser = Parser(
        prog,
        "Write a model, or one of its checkpoints, as a folder that AutoModelForCausalLM and AutoTokenizer of transformers load "
        "without further code. It is loaded before it counts: logits must be equal to 1e-4, ids and text the same.",
        [
            "jgpt export --model my/model --out my/export",
            "jgpt export --model my/model/checkpoints/best --results my/eval --out my/export",
        ],
    )
    parser.common("model", "out")
    parser.flag("results", str, None, "Results of jgpt eval on this model, for the figures in its model card.")
    parser.common("threads", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    from jgpt import export_model
    from scripts.loading import limit_threads

    limit_threads(given.threads)
    manifest = export_model(given.model, given.out, results=given.results, overwrite=given.overwrite)
    tell_counts(given.out, manifest)
