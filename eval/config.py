"""What is measured and how: the settings that determine a results folder. Imports only the standard library."""

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from eval.grid import FinetuneConfig
from stage.errors import UsageError

INTRINSIC = ("particle", "continuation")
"""Tasks made of the validation documents themselves; all others are declared in ``eval/tasks/NAME.yaml``."""

TASK_FOLDER = Path(__file__).parent / "tasks"


def task_names() -> list[str]:
    """The names that ``--tasks`` takes."""
    return [*INTRINSIC, *sorted(file.stem for file in TASK_FOLDER.glob("*.yaml"))]


def check_task_name(name: str) -> None:
    """Raise UsageError with the nearest names for a task that does not exist; a path of a YAML file may be anything."""
    names = task_names()
    if name in names or name.endswith((".yaml", ".yml")):
        return
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"unknown task {name!r}: {hint}the tasks are {', '.join(names)}, and YAML files of your own")


@dataclass
class EvalConfig:
    """Settings of an evaluation."""

    tasks: list[str] = field(default_factory=lambda: list(INTRINSIC))
    """Tasks of `jgpt eval tasks`, or YAML files of one's own; particle and continuation come from any corpus."""
    method: Literal["auto", "likelihood", "generate", "finetune"] = "auto"
    """How: the likelihood of each choice, a generated answer, or fine-tuning on the train split; auto: as is usual for a task."""
    split: Literal["valid", "train", "test"] = "valid"
    """The split that is measured."""
    shots: int = 0
    """Solved examples before each question, from the train split of the task; the intrinsic tasks take none."""
    draw: Literal["fixed", "each"] = "fixed"
    """Whether all questions have the same solved examples, or each has its own."""
    prompt: str = ""
    """Form of the prompt, as `jgpt eval show TASK` lists them; empty for the first of each task."""
    limit: int = 0
    """At most so many items a task; 0 means all."""
    language: bool = True
    """Measure bits per character on the documents of the shards."""
    contamination: bool = True
    """Look for the items in the text that the model was trained on, and report the score without those that are there."""
    max_characters: int = 0
    """At most about so many characters, in whole documents, for bits per character; 0 means all."""
    ngram_tokens: int = 10_000_000
    """At most so many training tokens for the 5-gram baseline; about 100 bytes of memory for each."""
    bootstrap: int = 1000
    """Resamples behind each 95 % interval."""
    batch_tokens: int = 2048
    """Tokens in a batch, padding included; bounds the memory for logits."""
    reference: bool = False
    """Compute every request alone, without sharing what they have in common: slow, to check the fast way."""
    seed: int = 0
    """Draws items, solved examples and resamples."""
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    """Of --method finetune."""

    def __post_init__(self) -> None:
        if isinstance(self.tasks, str):
            self.tasks = [self.tasks]
        self.tasks = [name.strip() for entry in self.tasks for name in entry.split(",") if name.strip()]
        for name in self.tasks:
            check_task_name(name)
        if self.shots > 0 and set(self.tasks) <= set(INTRINSIC):
            raise UsageError(f"shots {self.shots}: has no effect, the tasks {', '.join(self.tasks)} take no examples")
        if self.draw == "each" and not self.shots:
            raise UsageError("draw each: has no effect without shots")
        if self.max_characters and not self.language:
            raise UsageError(f"max_characters {self.max_characters}: has no effect without bits per character")
        if self.method == "finetune":
            for name in ("shots", "prompt"):
                if value := getattr(self, name):
                    raise UsageError(f"{name} {value}: has no effect with method finetune, which shows no prompts")
        elif self.finetune != FinetuneConfig():
            raise UsageError("finetune: its settings have no effect without --method finetune")
        if self.reference and self.method in ("generate", "finetune"):
            raise UsageError(f"reference: has no effect with method {self.method}")
        called = [Path(name).stem for name in self.tasks]
        if len(set(called)) < len(called):
            raise UsageError(f"tasks {','.join(self.tasks)}: names a task twice")
        for name, known in (
            ("method", ("auto", "likelihood", "generate", "finetune")),
            ("split", ("valid", "train", "test")),
            ("draw", ("fixed", "each")),
        ):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} {getattr(self, name)!r}: must be one of {', '.join(known)}")
        for task in self.tasks:
            if task in INTRINSIC and self.method not in ("auto", "likelihood"):
                raise UsageError(f"--method {self.method}: task {task} is measured by likelihood")
            if task in INTRINSIC and self.split != "valid":
                raise UsageError(f"--split {self.split}: task {task} has only valid, use --split valid")
        least = {"ngram_tokens": 1, "bootstrap": 100, "batch_tokens": 1}
        for name in ("shots", "limit", "max_characters", *least, "seed"):
            if getattr(self, name) < least.get(name, 0):
                raise UsageError(f"{name} {getattr(self, name)}: must be at least {least.get(name, 0)}")
