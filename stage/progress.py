"""Progress bars on stderr, with speed and remaining time; none where stderr is no terminal."""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(
    iterable: Iterable[Any] | None = None,
    *,
    total: float | None = None,
    description: str = "",
    unit: str = "it",
    quiet: bool = False,
    unit_scale: bool = False,
    bar_format: str | None = None,
    leave: bool = True,
) -> "tqdm[Any]":
    """A tqdm bar in jgpt's form. ``quiet`` silences it even in a terminal; without ``leave`` it goes when it is full."""
    return tqdm(
        iterable,
        total=total,
        desc=description,
        unit=unit,
        unit_scale=unit_scale,
        bar_format=bar_format,
        leave=leave,
        disable=True if quiet else None,
        dynamic_ncols=True,
        smoothing=0.1,
    )
