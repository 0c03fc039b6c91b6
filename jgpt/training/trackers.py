"""TensorBoard and Weights & Biases, by option: the figures of ``metrics.jsonl`` where others watch their runs.

The libraries are imported only when they are asked for. What they write lies in a folder of the run that is no part of the model.
"""

import os
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stage.errors import JgptError, UsageError

FOLDER = "tracking"
TRACKERS = ("tensorboard", "wandb")


class Tracker:
    """Takes the lines of ``metrics.jsonl``; this one leaves it at that.

    A run that goes on tells all lines from the first: what a tracker knows of steps that are made once more is void.
    """

    def write(self, record: dict[str, Any]) -> None:
        """Take the figures of a line."""

    def close(self) -> None:
        """End of the run, or of this part of it."""


def check_tracker(name: str) -> None:
    """Raise UsageError for a tracker that is not known or not installed."""
    if name not in ("none", *TRACKERS):
        raise UsageError(f"--tracker {name}: known are none, {', '.join(TRACKERS)}")
    # a folder of that name, as wandb leaves behind, has no origin
    if name != "none" and ((found := find_spec(name)) is None or found.origin is None):
        raise UsageError(f"--tracker {name}: is not installed; get it with: pip install {name}")


def recorded_tracker(out: Path) -> str:
    """The tracker that the run in a folder had."""
    return next((name for name in TRACKERS if (out / FOLDER / name).is_dir()), "none")


def open_tracker(name: str, out: Path, parameters: dict[str, Any]) -> Tracker:
    """The tracker of the run in a folder; raises JgptError when its service cannot be had."""
    if name == "tensorboard":
        return _TensorBoard(out / FOLDER / name)
    return _Wandb(out, parameters) if name == "wandb" else Tracker()


class _TensorBoard(Tracker):
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=0)

    def write(self, record: dict[str, Any]) -> None:
        for name, value in _figures(record).items():
            self._writer.add_scalar(name, value, record["step"], record["time"])

    def close(self) -> None:
        self._writer.close()


class _Wandb(Tracker):
    """Environment variables do what they always do: WANDB_MODE=offline needs no account, WANDB_PROJECT names the project."""

    def __init__(self, out: Path, parameters: dict[str, Any]) -> None:
        import wandb

        place = out / FOLDER
        place.mkdir(exist_ok=True)
        identity = place / "wandb-id"
        if not identity.exists():
            identity.write_text(secrets.token_hex(4))
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "jgpt"),
                name="/".join(out.resolve().parts[-2:]),
                dir=str(place),
                id=identity.read_text(),
                resume="allow",
                config=parameters,
            )
        except wandb.Error as error:
            raise JgptError(
                f"--tracker wandb: {str(error).splitlines()[0]}; run wandb login, or set WANDB_MODE=offline"
            ) from None

    def write(self, record: dict[str, Any]) -> None:
        # a service that has this step already takes no other figures for it; they would be the same
        if record["step"] >= self._run.starting_step:
            self._run.log(_figures(record), step=record["step"])

    def close(self) -> None:
        self._run.finish()


def _figures(record: dict[str, Any]) -> dict[str, float]:
    """Those of a line that change with training; of several sources each its own."""
    figures = {name: value for name, value in record.items() if isinstance(value, (int, float))}
    for source, values in record.get("by_source", {}).items():
        figures |= {f"{name}/{source}": value for name, value in values.items() if value is not None}
    return {name: value for name, value in figures.items() if name not in ("step", "time")}
