"""Pretraining: shards to a model, in steps that can be stopped at any point and gone on with exactly."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from jgpt.config import ModelConfig, PretrainConfig, TrainConfig
from jgpt.data.mixture import Samples, parse_shards
from jgpt.data.shards import ShardSet
from jgpt.device import fast_products, memory_errors
from jgpt.model.folder import load_config, model_input
from jgpt.model.origin import find_origin
from jgpt.training.checkpoint import BEST, TrainingState, read_state
from jgpt.training.distributed import joined, of_first, parallel_kind
from jgpt.training.extension import extended_plan, go_back
from jgpt.training.metrics import NAME as METRICS
from jgpt.training.plan import LENGTH, batch_shape, check_memory, derive_training
from jgpt.training.run import Interrupted, Run
from jgpt.training.samples import NAME as SAMPLES
from jgpt.training.samples import SampleTexts, recorded_prompts
from jgpt.training.trackers import FOLDER as TRACKING
from jgpt.training.trackers import check_tracker, recorded_tracker
from stage.errors import ArtifactError, UsageError
from stage.files import sha256_file
from stage.folder import Made, difference, finish_run, read_run, run_folder
from stage.manifest import NAME, Input, Manifest, artifact_input
from stage.replacing import checked_out
from tokenizer.japanese import MODEL_NAME

__all__ = ["Interrupted", "pretrain"]

log = logging.getLogger(__name__)
_WORSE = 1.01
"""So many times its best loss on the valid split a run may end with before that is told."""


def pretrain(
    shards: Path | str | Sequence[Path | str] | None,
    out: Path | str,
    config: PretrainConfig | None = None,
    *,
    init_from: Path | str | None = None,
    resume: bool = False,
    tracker: str | None = None,
    sample_prompts: Sequence[str] = (),
    device: str = "auto",
    threads: int = 0,
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Train a GPT on one folder of token shards or several (``DIR`` or ``DIR:WEIGHT``) in the folder ``out``.

    An unfinished run with the same shards and configuration goes on from its last checkpoint; with ``resume`` shards and
    configuration are taken from the folder. ``config`` must then be None, or the same but for steps, minutes and epochs:
    these give a run, finished or not, another length. ``init_from``: a model whose weights, and whose shape, it begins with.

    ``tracker``: none, tensorboard or wandb; ``sample_prompts``: after each a text is written at every measurement. A run
    that goes on has those that it had, unless they are given.

    Raises Interrupted after Ctrl-C (a checkpoint is written first); JgptError when training diverges; InputError for shards
    shorter than a context; ArtifactError for folders that are not what they should be.
    """
    mend = "ask for a smaller --train.micro_batch, --model.depth, --model.width or --model.context_length"
    with joined(device) as (ranks, target), fast_products(), memory_errors(mend):
        out = checked_out(out)
        given = [shards] if isinstance(shards, (str, Path)) else list(shards or [])
        if resume:
            given, config, init_from = _recorded(out, given, config, init_from)
        entries = parse_shards(given)
        config = config or PretrainConfig()
        sources = [(ShardSet(entry.folder), entry.weight) for entry in entries]
        begin = Path(init_from) if init_from else None
        model_config = config.model if begin is None else _shape_of(begin, config.model, sources[0][0])
        samples = Samples(sources, model_config.context_length, config.seed)
        model_config = model_config.derived(samples.vocab_size, samples.normalization)
        train = derive_training(config.train, model_config)
        if begin and train.bigram_init:
            raise UsageError("--train.bigram_init has no effect on a model that begins with --init_from: leave it out")
        inputs = [artifact_input("shards", entry.folder, "shard") for entry in entries]
        inputs += [model_input(begin)] if begin else []
        licenses = list(samples.licenses)
        if begin:
            licenses += [entry for entry in find_origin(begin).licenses if entry not in licenses]
        parameters = asdict(config) | {"weights": [entry.weight for entry in entries]}
        need_bytes = model_config.parameters * 4 * (1 + 3 * (train.keep_checkpoints + 3))
        # what cannot be done is seen before anything is written or replaced
        tracker = tracker or ("none" if overwrite else recorded_tracker(out))
        check_tracker(tracker)
        sample_prompts = sample_prompts or ([] if overwrite else recorded_prompts(out))
        texts = SampleTexts(sample_prompts, sources[0][0].folder, model_config.normalization)
        if train.batch_tokens > 2 * max(samples.tokens, 65536):
            raise UsageError(
                f"--train.batch_tokens {train.batch_tokens}: a single step would read all {samples.tokens} training tokens "
                "several times over; ask for fewer"
            )
        batch, micro_batch = batch_shape(train, model_config.context_length)
        if batch % ranks.count:
            raise UsageError(
                f"--train.batch_tokens {train.batch_tokens}: a step of {batch} x {model_config.context_length} tokens cannot "
                f"be shared by {ranks.count} processes; ask for a multiple of {ranks.count * model_config.context_length}"
            )
        if overwrite or not (out / NAME).is_file():
            sharing = ranks.count if parallel_kind(train.parallel, model_config.parameters, ranks) == "fsdp" else 1
            check_memory(model_config, min(micro_batch, batch // ranks.count), target, sharing)
        if resume:
            extended_plan(out, train, samples.windows, model_config.context_length)
        folder = run_folder(
            out,
            stage="pretrain",
            parameters=parameters,
            inputs=inputs,
            overwrite=overwrite,
            need_bytes=need_bytes,
            may_change=[f"train.{name}" for name in LENGTH] if resume else (),
        )
        with of_first(ranks, folder) as manifest:
            if manifest is not None:
                return manifest
            # also where a kill came between the record of the new length and this
            if ranks.leads and (plan := extended_plan(out, train, samples.windows, model_config.context_length)):
                go_back(out, plan)
            run = Run(
                out, sources, samples, model_config, train, config, begin, target, threads, quiet, tracker, texts, ranks
            )
            state = run.train()
            if ranks.leads:
                _tell_best(out, state)
                made = Made(run.counts(), licenses, not_data=[METRICS, SAMPLES, "plan.json"])
                manifest = finish_run(
                    out,
                    stage="pretrain",
                    parameters=parameters,
                    inputs=inputs,
                    made=made,
                    seconds=state.seconds,
                    keep_out=["checkpoints", TRACKING],
                )
            manifest = ranks.share(manifest)
            assert manifest is not None, "rank 0 has finished the folder"
            return manifest


def _tell_best(out: Path, state: TrainingState) -> None:
    """Warn where the model was better earlier on text that it is not trained on."""
    last, best = state.last_valid_loss, state.best_valid_loss
    if last and best and last > _WORSE * best:
        step = read_state(out / "checkpoints" / BEST).step
        log.warning(
            "the loss on the valid split was lowest after step %d (%.3f) and has risen to %.3f: %s holds that model; more "
            "text, more --model.dropout or fewer --train.epochs would help",
            *(step, best, last, out / "checkpoints" / BEST),
        )


def _shape_of(folder: Path, asked: ModelConfig, shards: ShardSet) -> ModelConfig:
    """The configuration of the model to begin with; what was asked for beside it must agree, but for dropout."""
    there = load_config(folder)
    if shards.tokenizer_sha256 != sha256_file(str(folder / MODEL_NAME)):
        raise UsageError(f"--init_from {folder}: its tokenizer is not that of the shards {shards.folder}")
    for entry in fields(ModelConfig):
        value, its = getattr(asked, entry.name), getattr(there, entry.name)
        if entry.name != "dropout" and value not in (entry.default, its):
            raise UsageError(f"--model.{entry.name} {value}: the model {folder} has {its}; leave the flag out")
    return replace(there, dropout=asked.dropout, normalization="")


def _recorded(
    out: Path, given: Sequence[Path | str], config: PretrainConfig | None, init_from: Path | str | None
) -> tuple[list[Path | str], PretrainConfig, Path | str | None]:
    """Shards, configuration and first model of the run in a folder; a configuration that was given may differ in length."""
    record = read_run(out, "pretrain")
    parameters: dict[str, Any] = dict(record["parameters"])
    try:
        weights = parameters.pop("weights")
        saved = PretrainConfig(
            **parameters | {"model": ModelConfig(**parameters["model"]), "train": TrainConfig(**parameters["train"])}
        )
        inputs = [Input(**entry) for entry in record["inputs"]]
    except (TypeError, KeyError):
        raise ArtifactError(
            f"{out}: its run was begun by another version of jgpt; begin anew with --overwrite"
        ) from None
    if config is not None:
        saved.train = replace(saved.train, **{name: getattr(config.train, name) for name in LENGTH})
        if differing := difference(asdict(saved), asdict(config)):
            raise UsageError(
                "--resume goes on as the run began, but for --train.steps, minutes and epochs; leave out what differs "
                f"({'; '.join(differing[:5])})"
            )
    folders = [entry.path for entry in inputs if entry.role == "shards"]
    if not given:
        for folder in folders:
            if not Path(folder).exists():
                raise UsageError(
                    f"{out}: the shards of this run, recorded as {folder}, are not there: name them with --shards"
                )
        given = [f"{folder}:{weight}" if weight else folder for folder, weight in zip(folders, weights, strict=True)]
    first = next((entry.path for entry in inputs if entry.role == "model"), None)
    if not init_from and first and not Path(first).exists():
        raise UsageError(
            f"{out}: the model that this run began with, recorded as {first}, is not there: name it with --init_from"
        )
    return list(given), saved, init_from or first
