"""``jgpt pretrain``."""

from typing import Any

from jgpt.config import PretrainConfig
from scripts.arguments import Parser, build, shared, tell_counts
from scripts.recipe import check_preset
from stage.folder import read_run


def pretrain(prog: str, arguments: list[str]) -> None:
    """Token files to a GPT."""
    parser = Parser(
        prog,
        "Train a GPT on token shards. Ask for little (--model.depth, --train.minutes); the rest is derived and printed. "
        "Ctrl-C stops with a checkpoint; the same command, or --resume, goes on exactly from there.",
        [
            "jgpt pretrain --shards my/shards --out my/model --model.depth 4 --train.minutes 30",
            "jgpt pretrain --out my/model --resume",
            "jgpt pretrain --shards my/shards --out my/gpt2 --model.architecture gpt2 --train.epochs 10",
        ],
    )
    parser.config_file()
    parser.add_argument("--shards", type=str, default=None, help="Shards folder; with --resume that of the run.")
    parser.add_argument("--out", type=str, required=True, help="Folder to write; a run resumes in it.")
    parser.flag("resume", bool, False, "Go on with the unfinished run in --out, with the settings it began with.")
    parser.configuration(PretrainConfig)
    parser.common("device", "threads", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    if given.resume:
        # what is not asked for is as the run began
        parser.set_defaults(_flat(read_run(given.out, "pretrain")["parameters"]))
        given = parser.parse_args(arguments)
    config = build(PretrainConfig, given)
    check_preset(config)
    from jgpt import pretrain as train

    manifest = train(given.shards, given.out, config, resume=given.resume, **shared(given))
    tell_counts(given.out, manifest)


def _flat(parameters: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Names of flags and their values."""
    flags: dict[str, Any] = {}
    for name, value in parameters.items():
        flags |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flags
