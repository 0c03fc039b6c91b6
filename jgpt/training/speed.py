"""How fast this machine multiplies, and whether compiling the model pays."""

import logging
import os
import shutil
import sys
import time
from pathlib import Path

import torch

from jgpt.config import ModelConfig, TrainConfig

log = logging.getLogger(__name__)
_SIDE = 2048
_FLOPS = 3e13
"""Floating-point operations from which a run is long enough: a minute or two on two cores."""
_MINUTES = 1.5


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a matrix product, the best of several: what a step is compared with."""
    left, right = (torch.randn(_SIDE, _SIDE, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for turn in range(8):
        started = time.perf_counter()
        product = torch.nn.functional.linear(left, right)
        product[0, 0].item()  # waits for the device
        if turn:
            best = min(best, time.perf_counter() - started)
    return 2 * _SIDE**3 / best


def step_flops(model: ModelConfig, tokens: int) -> float:
    """Operations of a training step: 6 a token and weight that is multiplied, and those of attention (Chowdhery et al. 2022)."""
    attention = 12 * model.depth * model.width * model.context_length
    return tokens * (6.0 * model.matrix_parameters + attention)


def worth_compiling(train: TrainConfig, model: ModelConfig, tokens: float, device: torch.device) -> bool:
    """Whether a run of so many tokens at most is compiled. It depends on what was asked for and on the machine, not on a timing."""
    if train.compile != "auto":
        return train.compile == "yes"
    if device.type == "mps" or (device.type == "cpu" and not _cpp_compiler()):
        return False
    return step_flops(model, 1) * tokens >= _FLOPS and not 0 < train.minutes < _MINUTES


def keep_compiled_code() -> None:
    """Keep what the compiler made where it survives a restart, so that only the first run of a kind waits for it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "jgpt" / "compiled"))


def _cpp_compiler() -> str | None:
    """The C++ compiler that torch.compile would call."""
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++"))
