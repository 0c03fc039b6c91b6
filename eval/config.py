"""What is measured and how: the settings that determine a results folder. Imports only the standard library."""

import difflib
from dataclasses import dataclass, field
from pathlib import Path

from stage.errors import UsageError

INTRINSIC = ("particle", "continuation")
"""Tasks made of the validation documents themselves; all others are declared in ``eval/tasks/NAME.yaml``."""

TASK_FOLDER = Path(__file__).parent / "tasks"


def task_names() -> list[str]:
    """The names that ``--tasks`` takes."""
    return [*INTRINSIC, *sorted(file.stem for file in TASK_FOLDER.glob("*.yaml"))]


def check_task_name(name: str) -> None:
    """Raise UsageError with the nearest names for a task that does not exist."""
    names = task_names()
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"unknown task {name!r}: {hint}the tasks are {', '.join(names)}")


@dataclass
class EvalConfig:
    """Settings of an evaluation; bits per character are always measured."""

    tasks: list[str] = field(default_factory=lambda: list(INTRINSIC))
    """Tasks beside bits per character: particle, continuation (from any corpus), jcommonsenseqa, jnli (need --data)."""
    shots: int = 0
    """Solved examples before each question, from the training file of the task; the intrinsic tasks take none."""
    limit: int = 0
    """At most so many items a task; 0 means all."""
    split: str = "valid"
    """The split that is measured."""
    max_characters: int = 0
    """At most about so many characters, in whole documents, for bits per character; 0 means all."""
    ngram_tokens: int = 10_000_000
    """At most so many training tokens for the 5-gram baseline; about 100 bytes of memory for each."""
    bootstrap: int = 1000
    """Resamples behind each 95 % interval."""
    batch_tokens: int = 4096
    """Tokens in a batch, padding included; bounds the memory for logits."""
    seed: int = 0
    """Draws items, solved examples and resamples."""

    def __post_init__(self) -> None:
        if isinstance(self.tasks, str):
            self.tasks = [self.tasks]
        self.tasks = [name.strip() for entry in self.tasks for name in entry.split(",") if name.strip()]
        for name in self.tasks:
            check_task_name(name)
        if self.shots > 0 and set(self.tasks) <= set(INTRINSIC):
            raise UsageError(f"shots {self.shots}: has no effect, the tasks {', '.join(self.tasks)} take no examples")
        if len(set(self.tasks)) < len(self.tasks):
            raise UsageError(f"tasks {','.join(self.tasks)}: names a task twice")
        if self.split != "valid":
            raise UsageError(f"split {self.split!r}: only the split valid is measured")
        least = {"ngram_tokens": 1, "bootstrap": 100, "batch_tokens": 1}
        for name in ("shots", "limit", "max_characters", *least, "seed"):
            if getattr(self, name) < least.get(name, 0):
                raise UsageError(f"{name} {getattr(self, name)}: must be at least {least.get(name, 0)}")
