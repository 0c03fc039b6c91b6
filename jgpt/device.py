"""Which device and which precision: asked for, or chosen by what is there and what measures faster."""

import contextlib
import ctypes
import sys

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
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"--device {name}: there is no such device here; auto chooses one that is") from None
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto``: bfloat16 where the processor multiplies matrices in it natively, and does so rightly.

    The choice depends on the machine alone and not on a timing, so that the same command gives the same model there.
    """
    if name in ("float32", "bfloat16"):
        return torch.float32 if name == "float32" else torch.bfloat16
    if name != "auto":
        raise UsageError(f"--dtype {name}: known are auto, float32 and bfloat16")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type != "cpu" or not _processor_features() & {"avx512_bf16", "amx_bf16", "bf16"}:
        return torch.float32
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(256, 512, generator=generator), torch.randn(512, 256, generator=generator)
    right_enough = torch.allclose((left.bfloat16() @ right.bfloat16()).float(), left @ right, rtol=0.05, atol=1.0)
    return torch.bfloat16 if right_enough else torch.float32


def _processor_features() -> set[str]:
    """What Linux says that the processor can do (``flags`` on x86, ``Features`` on Arm); nothing elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            lines = [line for line in stream if line.startswith(("flags", "Features"))]
    except OSError:
        return set()
    return set(lines[0].partition(":")[2].split()) if lines else set()


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
