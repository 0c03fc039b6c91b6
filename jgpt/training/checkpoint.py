"""Checkpoints: a usable model folder plus what training needs to go on exactly where it was.

The order of the samples and the random numbers of dropout are functions of the seed and the step, so the step is all the
state that loader and random generators have.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from jgpt.model.folder import load_config, load_weights, save_model, save_tensors
from jgpt.model.gpt import GPT
from jgpt.training.distributed import ALONE, Ranks, gathered, in_parts, parted_like
from stage.errors import ArtifactError
from stage.manifest import write_json

OPTIMIZER = "optimizer.safetensors"
PARTS = "optimizer"
"""Folder in its place where several processes each have a part."""
STATE = "state.json"
BEST = "best"
TRUNK = "trunk"
"""Name of the checkpoint from just before the learning rate falls, from which a run is extended."""


@dataclass
class TrainingState:
    """Where a run stands."""

    step: int = 0
    """Optimiser steps done."""
    tokens: int = 0
    seconds: float = 0.0
    """Time of training, over all parts of an interrupted run."""
    valid_seconds: float = 0.0
    """What of it measuring on the valid split took."""
    usual_norm: float = 0.0
    """Running mean of the gradient's norm."""
    skipped: int = 0
    """Steps that were left out because their gradient was a spike or not finite."""
    skipped_in_a_row: int = 0
    best_valid_loss: float | None = None
    """Nats a token."""
    last_valid_loss: float | None = None
    """Nats a token, when it was measured last."""


def save_checkpoint(
    folder: Path,
    model: GPT,
    optimizers: list[torch.optim.Optimizer],
    state: TrainingState,
    tokenizer: Path,
    ranks: Ranks = ALONE,
) -> None:
    """Write a checkpoint whole or not at all: into ``FOLDER.partial``, then by rename.

    Of several processes, which all call this, rank 0 writes; but each its part of a sharded optimiser.
    """
    weights = gathered(model.named_parameters(), ranks)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = {
        f"{names[id(parameter)]}/{key}": torch.as_tensor(value).detach()
        for optimizer in optimizers
        for parameter, entries in optimizer.state.items()
        for key, value in entries.items()
    }
    parts = any(map(in_parts, tensors.values()))
    partial = folder.with_name(folder.name + ".partial")
    if ranks.leads and partial.exists():
        shutil.rmtree(partial)
    try:
        if ranks.leads:
            save_model(model, partial, tokenizer, weights)
            write_json(partial / STATE, asdict(state))
            if not parts:
                save_tensors(gathered(tensors.items(), ALONE), partial / OPTIMIZER)
            _sync(partial)
        if parts:
            from jgpt.training.sharded import save_parts

            ranks.share(None)  # the folder is there
            if not partial.is_dir():
                raise ArtifactError(f"{folder}: --out must lie on a file system that all machines see")
            save_parts(tensors, partial / PARTS)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)  # room for others on a full disk
        raise
    if not ranks.leads:
        return
    if folder.exists():
        aside = folder.with_name(folder.name + ".old")
        if aside.exists():
            shutil.rmtree(aside)
        folder.rename(aside)
        partial.rename(folder)
        shutil.rmtree(aside)
    else:
        partial.rename(folder)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Have the names in a folder written to the disk, as their files are, so that they survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def step_checkpoints(folder: Path) -> list[Path]:
    """Those of a ``checkpoints`` folder that a run goes on from, by their steps."""
    found = [entry for entry in folder.glob("step-*") if entry.name[5:].isdigit() and (entry / STATE).is_file()]
    return sorted(found, key=lambda entry: int(entry.name[5:]))


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of most steps in a ``checkpoints`` folder, None when there is none."""
    return next(reversed(step_checkpoints(folder)), None)


def checkpoint_name(step: int) -> str:
    """``step-00000100``."""
    return f"step-{step:08d}"


def keep_last(folder: Path, count: int) -> None:
    """Delete all step checkpoints but the last ``count``, and mend what a kill left half-written or half-replaced."""
    for aside in list(folder.glob("*.old")):
        if aside.with_suffix("").exists():
            shutil.rmtree(aside)
        else:
            aside.rename(aside.with_suffix(""))
    found = sorted((entry for entry in folder.glob("step-*") if entry.name[5:].isdigit()), key=lambda entry: entry.name)
    for entry in [*found[:-count], *folder.glob("*.partial")]:
        shutil.rmtree(entry)


def read_state(folder: Path) -> TrainingState:
    """Where the run stood at a checkpoint; raises ArtifactError when that cannot be read."""
    file = folder / STATE
    try:
        return TrainingState(**json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        raise ArtifactError(f"{file}: is broken or cut short; delete that checkpoint to go on from another") from None


def load_checkpoint(folder: Path, model: GPT, optimizers: list[torch.optim.Optimizer]) -> TrainingState:
    """Set model and optimisers as they were; returns where the run stood.

    Raises ArtifactError for a checkpoint of another configuration, naming the fields that differ, or a broken one, naming
    the one before.
    """
    try:
        saved, wanted = asdict(load_config(folder)), asdict(model.config)
        differing = [f"{name} {saved[name]}, now {wanted[name]}" for name in wanted if saved[name] != wanted[name]]
        if not differing:
            load_weights(model, folder)
        state = read_state(folder)
        parameters = dict(model.named_parameters())
        if (folder / PARTS).is_dir():
            from jgpt.training.sharded import load_parts

            tensors = load_parts(folder / PARTS, parameters)
        else:
            tensors = load_file(folder / OPTIMIZER)
    except (ArtifactError, OSError, SafetensorError) as error:
        before = [entry for entry in step_checkpoints(folder.parent) if entry.name < folder.name]
        mend = f"go on from the one before, {before[-1].name}" if before else "begin anew, as there is none before"
        where = f"{OPTIMIZER}: " if isinstance(error, SafetensorError) else ""
        reason = where + str(error).splitlines()[0].removeprefix(f"{folder}/").partition(";")[0]
        raise ArtifactError(f"{folder}: is not a whole checkpoint ({reason}); delete it to {mend}") from None
    if differing:
        raise ArtifactError(f"{folder}: is of another model ({'; '.join(differing)})")
    owners = {
        id(parameter): optimizer
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for key, tensor in tensors.items():
        name, entry = key.rsplit("/", 1)
        if name not in parameters:
            raise ArtifactError(f"{folder}: its optimiser knows a weight {name} that the model does not have")
        parameter = parameters[name]
        owners[id(parameter)].state[parameter][entry] = parted_like(tensor, parameter)
    return state
