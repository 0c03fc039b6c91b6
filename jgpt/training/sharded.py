"""What several processes hold in parts, as files that each writes and any number of processes reads: safetensors, no pickle."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from stage.errors import ArtifactError


def save_parts(tensors: dict[str, Tensor], folder: Path) -> None:
    """Write the parts that this process holds, into a folder that all see; all must call this.

    Raises OSError in each process when one cannot write.
    """
    writer = dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        dcp.save(tensors, storage_writer=writer)
    except CheckpointException as error:
        raise _first_cause(error) from None


def load_parts(folder: Path, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What was saved as ``PARAMETER/NAME``, sharded as that parameter is now; all processes must call this.

    Raises ArtifactError when parts are missing, OSError when one cannot be read.
    """
    tensors = {}
    reader = dcp.HuggingFaceStorageReader(str(folder))
    for name, entry in reader.read_metadata().state_dict_metadata.items():
        assert isinstance(entry, TensorStorageMetadata), "safetensors holds tensors alone"
        parameter = parameters.get(name.rpartition("/")[0])
        there = sum(chunk.sizes.numel() for chunk in entry.chunks)
        if parameter is None or not entry.size:  # the number of a step has no parts
            tensors[name] = torch.zeros(entry.size)
        elif entry.size == parameter.shape and there == entry.size.numel():
            tensors[name] = torch.zeros_like(parameter, requires_grad=False)
        else:
            raise ArtifactError(f"{folder}: parts of {name} are missing")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a process alone is what is meant
        try:
            dcp.load(tensors, storage_reader=reader)
        except CheckpointException as error:
            raise _first_cause(error) from None
    return tensors


def _first_cause(error: CheckpointException) -> OSError:
    """Of a failure in one of the processes."""
    cause = next(iter(error.failures.values()))[0]
    return cause if isinstance(cause, OSError) else OSError(str(cause).splitlines()[0])
