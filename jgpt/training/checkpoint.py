"""Checkpoints: a usable model folder plus what training needs to go on exactly where it was.

The order of the samples and the random numbers of dropout are functions of the seed and the step, so the step is all the
state that loader and random generators have.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from jgpt.model.folder import load_config, load_weights, save_model
from jgpt.model.gpt import GPT
from stage.errors import ArtifactError
from stage.manifest import write_json

OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"


@dataclass
class TrainingState:
    """Where a run stands."""

    step: int = 0
    """Optimiser steps done."""
    tokens: int = 0
    seconds: float = 0.0
    """Time of training, over all parts of an interrupted run."""
    best_valid_loss: float | None = None
    """Nats a token."""
    last_valid_loss: float | None = None
    """Nats a token, when it was measured last."""


def save_checkpoint(
    folder: Path, model: GPT, optimizer: torch.optim.Optimizer, state: TrainingState, tokenizer: Path
) -> None:
    """Write a checkpoint whole or not at all: into ``FOLDER.partial``, then by rename."""
    partial = folder.with_name(folder.name + ".partial")
    if partial.exists():
        shutil.rmtree(partial)
    save_model(model, partial, tokenizer)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = {
        f"{names[id(parameter)]}/{key}": torch.as_tensor(value).detach().to("cpu").contiguous()
        for parameter, entries in optimizer.state.items()
        for key, value in entries.items()
    }
    save_file(tensors, partial / OPTIMIZER)
    write_json(partial / STATE, asdict(state))
    if folder.exists():
        aside = folder.with_name(folder.name + ".old")
        if aside.exists():
            shutil.rmtree(aside)
        folder.rename(aside)
        partial.rename(folder)
        shutil.rmtree(aside)
    else:
        partial.rename(folder)


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of most steps in a ``checkpoints`` folder, None when there is none."""
    found = [entry for entry in folder.glob("step-*") if entry.name[5:].isdigit() and (entry / STATE).is_file()]
    return max(found, key=lambda entry: int(entry.name[5:]), default=None)


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


def load_checkpoint(folder: Path, model: GPT, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Set model and optimiser as they were; returns where the run stood.

    Raises ArtifactError for a checkpoint of another configuration, naming the fields that differ, or a broken one.
    """
    saved, wanted = asdict(load_config(folder)), asdict(model.config)
    differing = [f"{name} {saved[name]}, now {wanted[name]}" for name in wanted if saved[name] != wanted[name]]
    if differing:
        raise ArtifactError(f"{folder}: is of another model ({'; '.join(differing)})")
    load_weights(model, folder)
    try:
        state = TrainingState(**json.loads((folder / STATE).read_text("utf-8")))
        tensors = load_file(folder / OPTIMIZER)
    except (OSError, ValueError, TypeError, SafetensorError):
        raise ArtifactError(f"{folder}: is not a whole checkpoint; delete it to go on from the one before") from None
    restored: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        name, entry = key.rsplit("/", 1)
        restored.setdefault(name, {})[entry] = tensor
    parameters = dict(model.named_parameters())
    for name, entries in restored.items():
        if name not in parameters:
            raise ArtifactError(f"{folder}: its optimiser knows a weight {name} that the model does not have")
        parameter = parameters[name]
        optimizer.state[parameter] = {
            # AdamW keeps its step count on the CPU unless it is fused, and always in float32
            key: value.to(parameter.device if parameter.device.type != "cpu" else "cpu")
            for key, value in entries.items()
        }
    return state
