"""A model as a folder: ``model.safetensors``, ``config.json`` and the tokenizer's files."""

import errno
import json
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from jgpt.config import ModelConfig
from jgpt.device import choose_device
from jgpt.model.gpt import GPT
from stage.errors import ArtifactError, UsageError
from stage.files import sha256_file
from stage.manifest import NAME, Input, artifact_input, write_json
from tokenizer.japanese import FILES

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def save_model(
    model: GPT, folder: Path, tokenizer: Path | None = None, weights: dict[str, Tensor] | None = None
) -> None:
    """Write weights (float32) and configuration, and copy the tokenizer's files from the folder ``tokenizer``.

    ``weights``: whole ones on the CPU, where those in the model are not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if weights is None:
        weights = {name: tensor.detach().to("cpu").contiguous() for name, tensor in model.named_parameters()}
    save_tensors(weights, folder / WEIGHTS)
    write_json(folder / CONFIG, {"model_type": "jgpt", **asdict(model.config)})
    if tokenizer is not None:
        for name in FILES:
            shutil.copyfile(tokenizer / name, folder / name)


def save_tensors(tensors: dict[str, Tensor], file: Path) -> None:
    """Write a safetensors file by rename, so that it is either the old one or the new one, whole and on the disk.

    Raises OSError, also on a full disk, for which safetensors has an error of its own.
    """
    partial = file.with_name(file.name + ".partial")
    try:
        save_file(tensors, partial, metadata={"format": "pt"})
    except SafetensorError as error:
        partial.unlink(missing_ok=True)
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error), str(file)) from None
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(file)


def load_config(folder: Path | str) -> ModelConfig:
    """The configuration in a model folder; raises ArtifactError when there is none."""
    file = Path(folder) / CONFIG
    try:
        record = json.loads(file.read_text("utf-8"))
    except OSError:
        raise ArtifactError(f"{folder}: {_why_no_model(Path(folder))}") from None
    except ValueError:
        raise ArtifactError(f"{file}: is not JSON") from None
    if not isinstance(record, dict) or record.pop("model_type", None) != "jgpt":
        raise ArtifactError(f"{file}: is not the configuration of a jgpt model")
    try:
        config = ModelConfig.from_record(record)
        if not (config.width and config.heads and config.vocab_size):
            raise UsageError("leaves width, heads or vocab_size open, which a model's own configuration must not")
        return config.derived(config.vocab_size, config.normalization)
    except (UsageError, TypeError) as error:
        raise ArtifactError(f"{file}: {error}") from None


def load_model(folder: Path | str, device: str = "auto", dtype: str = "float32") -> GPT:
    """A model from its folder or from one of its checkpoints, in eval mode.

    ``dtype`` float32, or bfloat16 to hold the weights in half the memory; ``auto`` is float32, exact everywhere.

    Raises ArtifactError when the folder holds no model, or weights of another shape than its configuration says.
    """
    folder = Path(folder)
    config = load_config(folder)
    model = GPT(config)
    load_weights(model, folder)
    if dtype not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"--dtype {dtype}: known are auto, float32 and bfloat16")
    precision = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    return model.to(choose_device(device), precision).eval()


def model_input(model: Path) -> Input:
    """A model as an input: the hash of its artifact, whose weights are still those that were written, or of a checkpoint's."""
    if (model / NAME).is_file():
        return artifact_input("model", model, "pretrain", deep=True)
    weights = model / WEIGHTS
    if not weights.is_file():
        raise ArtifactError(f"{model}: is neither a model folder nor a checkpoint of one")
    return Input("model", str(model), sha256_file(str(weights)))


def load_weights(model: GPT, folder: Path) -> None:
    """Fill a model from ``model.safetensors``; raises ArtifactError naming the first weight that does not fit."""
    file = folder / WEIGHTS
    try:
        tensors = load_file(file)
    except FileNotFoundError:
        raise ArtifactError(f"{folder}: {_why_no_model(folder)}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{file}: is broken or cut short ({str(error).splitlines()[0]})") from None
    wanted = model.state_dict()
    if model.config.tie_embeddings:
        del wanted["head.weight"]
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in wanted or name not in tensors:
            where = "the file" if name not in tensors else "the configuration"
            raise ArtifactError(f"{file}: weight {name} is missing from {where}")
        if wanted[name].shape != tensors[name].shape:
            raise ArtifactError(
                f"{file}: weight {name} has shape {list(tensors[name].shape)}, the configuration says {list(wanted[name].shape)}"
            )
    model.load_state_dict(tensors, strict=not model.config.tie_embeddings)


def _why_no_model(folder: Path) -> str:
    if not folder.exists():
        return "no such folder (a model was expected)"
    checkpoints = sorted((folder / "checkpoints").glob("step-*[0-9]")) if folder.is_dir() else []
    if checkpoints:
        return f"its training is not finished; {checkpoints[-1]} is its last checkpoint, which can be used as a model"
    return "holds no model"
