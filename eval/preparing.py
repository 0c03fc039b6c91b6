"""What a run is to measure, read and checked before the first minute of computing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eval.config import INTRINSIC, TASK_FOLDER, EvalConfig
from eval.examples import Example
from eval.holdout import split_dev
from eval.learnable import check_learnable
from eval.prompts import FewShot
from eval.source import HUB, Source, find_source
from eval.task import Prompt, Task, load_task
from stage.errors import InputError, UsageError
from stage.files import sha256_file
from stage.manifest import Input


@dataclass
class Prepared:
    """A declared task with its examples."""

    task: Task
    method: str
    examples: list[Example]
    train: list[Example]
    """Empty where there is no train split."""
    few_shot: FewShot
    prompt: Prompt | None
    inputs: list[Input]
    notes: list[str] = field(default_factory=list)


def prepare(config: EvalConfig, data: Path | str | None, preset: str) -> dict[str, Prepared]:
    """The declared tasks of a configuration, their texts normalised by the preset that the model's text was.

    Raises UsageError for a request that a task cannot fulfil, InputError for files that are not as declared.
    """
    tasks = [load_task(name) for name in config.tasks if name not in INTRINSIC]
    _check_useful(tasks, config)
    return {task.name: _prepare(task, config, data, preset) for task in tasks}


def method_of(task: Task, asked: str) -> str:
    """How a task is measured; raises UsageError for a way that it does not have."""
    if asked == "auto":
        return task.methods[0]
    if asked not in task.methods:
        raise UsageError(f"--method {asked}: task {task.name} is measured by {' or '.join(task.methods)}")
    return asked


def _prepare(task: Task, config: EvalConfig, data: Path | str | None, preset: str) -> Prepared:
    method = method_of(task, config.method)
    source = find_source(task, config.split, data)
    train = _train(task, config, method, source, data)
    whole = source.examples(preset)
    examples = whole[: config.limit or None]
    solved = train.examples(preset) if train is not None else []
    if method == "finetune":
        try:  # before an hour's work on other tasks
            check_learnable(task.kind, solved, examples)
            split_dev(solved, config.finetune.dev_share, config.finetune.dev_most)
        except InputError as error:
            raise InputError(f"task {task.name}, {train.place if train else source.place}: {error}") from None
    prompt = None
    if method != "finetune" and task.kind != "pair":
        prompt = task.prompt(config.prompt)
    shots = config.shots if prompt is not None else 0
    few_shot = FewShot(task, solved, shots, draw=config.draw, seed=config.seed)
    notes = [f"split {config.split}, texts normalised by {preset}"]
    if prompt is not None:
        given = f"{shots} examples{', others for each question' if config.draw == 'each' else ''}"
        notes.append(f"prompt {prompt.version}, {given}")
    elif config.shots and method == "likelihood":
        notes.append("takes no solved examples: shots have no effect here")
    if len(examples) < len(whole):
        notes.append(f"the first {len(examples)} of {len(whole)} items")
    if alike := sum(len(set(example.choices)) < len(example.choices) for example in examples):
        notes.append(f"{alike} items have choices that are equal, of which the first is taken")
    inputs = [source.input(whole), *([train.input(solved)] if train is not None else [])]
    if task.folder != TASK_FOLDER:
        inputs.insert(0, Input("task", str(task.file), sha256_file(str(task.file))))
    return Prepared(task, method, examples, solved, few_shot, prompt, inputs, notes)


def _train(task: Task, config: EvalConfig, method: str, source: Source, data: Path | str | None) -> Source | None:
    """The split that examples, classifiers and baselines learn from: needed by some, used by all where it is there."""
    needed = "--method finetune" if method == "finetune" else f"--shots {config.shots}" if config.shots else ""
    if config.split == "train" and method == "finetune":
        raise UsageError("--method finetune: learns from the train split, which can therefore not be measured")
    if task.kind == "pair" or "train" not in task.splits:
        if needed and (task.kind != "pair" or method == "finetune"):
            raise UsageError(f"{needed}: task {task.name} has no train split")
        return None
    try:
        # on the hub every split is another download: only what is needed
        return None if str(data) == HUB and not needed else find_source(task, "train", data)
    except InputError as error:
        if needed:
            raise UsageError(f"{needed}: learns from the train split, which is not there: {error}") from None
        return None


def _check_useful(tasks: Sequence[Task], config: EvalConfig) -> None:
    """What would be silently ignored is an error."""
    if config.prompt and not any(task.prompts for task in tasks):
        raise UsageError(f"prompt {config.prompt!r}: has no effect, none of the tasks has prompts")
    if config.shots and all(task.kind == "pair" for task in tasks):
        raise UsageError(f"shots {config.shots}: has no effect, the tasks take no examples")
