"""Which device and which precision: asked for, or chosen by what is there and what measures faster."""

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from stage.errors import InputError, UsageError

_CGROUP = Path("/sys/fs/cgroup")


def choose_device(name: str) -> torch.device:
    """``auto``: CUDA, then Apple's MPS, then the CPU. Raises UsageError for a device that is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        # before 2.13 the fused AdamW of MPS did not clip, nor leave a bad step out
        whole = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 13)
        return torch.device("mps" if whole and torch.backends.mps.is_available() else "cpu")
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
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
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


@contextlib.contextmanager
def fast_products() -> Iterator[None]:
    """Float32 products of matrices as TF32 on a GPU that has it; afterwards as exact as before."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def memory_errors(mend: str) -> Iterator[None]:
    """Raise InputError with what mends it where there is not enough memory."""
    try:
        yield
    except RuntimeError as error:
        if not is_memory_error(error):
            raise
        raise InputError(f"not enough memory: {mend}") from None


def is_memory_error(error: BaseException) -> bool:
    """Whether torch asked for more memory than there is; for the CPU it has no error of its own."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process may still ask for, None where that is not known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as stream:
            free = next(int(line.split()[1]) * 1024 for line in stream if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return None
    with contextlib.suppress(OSError, ValueError):  # a container may allow less; "max" where it does not
        used, limit = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("current", "max"))
        free = min(free, limit - used)
    return free // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes on this machine


def peak_memory(device: torch.device) -> int:
    """Most bytes that this process had so far: on a GPU those of its tensors, else its resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def give_back_memory() -> None:
    """Let glibc's allocator return to the system what is free; for between two models. Nothing where the C library is another one."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


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
