"""``jgpt pretrain``."""

from typing import Any

from jgpt.config import PretrainConfig
from scripts.arguments import Parser, build, shared, tell_counts
from scripts.recipe import check_preset
from stage.errors import UsageError
from stage.folder import read_run


def pretrain(prog: str, arguments: list[str]) -> None:
    """Token files to a GPT."""
    parser = Parser(
        prog,
        "Train a GPT on token shards. Ask for little (--model.depth, --train.minutes); the rest is derived and printed. "
        "Ctrl-C stops with a checkpoint; the same command, or --resume, goes on exactly from there.",
        [
            "jgpt pretrain --shards my/shards --out my/model --model.depth 4 --train.minutes 30",
            "jgpt pretrain --shards my/shards --out my/model --tracker tensorboard --sample_prompts 吾輩は 春は",
            "jgpt pretrain --out my/model --resume",
            "jgpt pretrain --out my/model --resume --train.minutes 90",
            "jgpt pretrain --shards novels:0.7 news:0.3 --out my/model --model.depth 4 --train.minutes 30",
            "jgpt pretrain --shards my/more --init_from my/model --out my/second --train.epochs 1",
            "jgpt pretrain --shards my/shards --out my/gpt2 --model.architecture gpt2 --train.epochs 10",
        ],
    )
    parser.config_file()
    parser.add_argument(
        "--shards",
        type=str,
        nargs="+",
        default=None,
        help="Shards folders, read as one pool; or DIR:WEIGHT each, for shares of the samples. With --resume those of the run.",
    )
    parser.add_argument("--out", type=str, required=True, help="Folder to write; a run resumes in it.")
    parser.add_argument(
        "--init_from", type=str, default=None, help="Model folder or checkpoint whose weights and shape to begin with."
    )
    parser.flag(
        "resume",
        bool,
        False,
        "Go on with the run in --out, with the settings it began with. With --train.steps, minutes or epochs beside it a run "
        "gets another length, also a finished one: it goes on from where its learning rate began to fall.",
    )
    parser.flag("sample_prompts", str, [], "A short text is written after each at every measurement.", nargs="+")
    parser.configuration(PretrainConfig)
    parser.common("device", "threads", "tracker", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    if given.resume:
        # what is not asked for is as the run began
        begun = _flat(read_run(given.out, "pretrain")["parameters"])
        if given["train.steps"]:
            begun |= {"train.minutes": 0.0, "train.epochs": 0.0}
        elif given["train.minutes"] or given["train.epochs"]:
            begun["train.steps"] = 0
        parser.set_defaults({name: value for name, value in begun.items() if name in parser.get_defaults()})
        given = parser.parse_args(arguments)
    elif given.init_from:
        # what is not asked for is as in that model, and what is asked for must agree with it
        its = {f"model.{name}": value for name, value in _shape(given.init_from).items()}
        parser.set_defaults(its)
        given = parser.parse_args(arguments)
        for name, value in its.items():
            if given[name] != value:
                raise UsageError(f"--{name} {given[name]}: the model {given.init_from} has {value}; leave the flag out")
    config = build(PretrainConfig, given)
    check_preset(config)
    from jgpt import pretrain as train

    more = {"init_from": given.init_from, "resume": given.resume, "sample_prompts": given.sample_prompts}
    manifest = train(given.shards, given.out, config, **more, **shared(given))
    tell_counts(given.out, manifest)


def _shape(folder: str) -> dict[str, Any]:
    """What a model that training begins with decides."""
    from jgpt.model.folder import load_config

    return {
        name: value for name, value in vars(load_config(folder)).items() if name not in ("dropout", "normalization")
    }


def _flat(parameters: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Names of flags and their values."""
    flags: dict[str, Any] = {}
    for name, value in parameters.items():
        flags |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flags
