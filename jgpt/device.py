"""Which device and which precision: asked for, or chosen by what is there and what measures faster."""

import contextlib
import ctypes
import sys
import time

import torch

from stage.errors import UsageError


def choose_device(name: str) -> torch.device:
    """``auto``: CUDA, then Apple's MPS, then the CPU. Raises UsageError for a device that is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"--device {name}: there is no such device here; auto chooses one that is") from None
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto``: bfloat16 where a matrix product in it is right and clearly faster than in float32, which a short test decides."""
    if name in ("float32", "bfloat16"):
        return torch.float32 if name == "float32" else torch.bfloat16
    if name != "auto":
        raise UsageError(f"--dtype {name}: known are auto, float32 and bfloat16")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type != "cpu":
        return torch.float32
    left, right = torch.randn(1024, 512), torch.randn(512, 1024)
    exact = left @ right
    if not torch.allclose((left.bfloat16() @ right.bfloat16()).float(), exact, rtol=0.05, atol=1.0):
        return torch.float32
    slow = _seconds(left, right)
    fast = _seconds(left.bfloat16(), right.bfloat16())
    return torch.bfloat16 if fast < slow / 1.5 else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[object]:
    """Matrix products in bfloat16 where that was chosen; weights stay as they are."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def keep_freed_memory() -> None:
    """Let glibc's allocator keep freed memory instead of returning it to the system after each tensor.

    Each training step asks for the same large tensors again; mapping and clearing their pages anew took a quarter of the
    time of a step. Does nothing where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no block gets a mapping of its own
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: nothing is given back
        mallopt(-2, 1 << 26)  # M_TOP_PAD: grow in large parts


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(3):
            left @ right
        best = min(best, time.perf_counter() - started)
    return best
