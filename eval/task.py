"""Tasks that are declared in ``eval/tasks/NAME.yaml`` and read from the user's files in their upstream layout."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from corpora.normalization import normalize_prompt
from corpora.reading import parse_record
from eval.config import INTRINSIC, TASK_FOLDER, EvalConfig, check_task_name
from eval.multiple_choice import ChoiceTask, Item
from stage.errors import InputError, UsageError
from stage.files import reading


@dataclass(frozen=True)
class Task:
    """The declaration of a task; the comments in the shipped YAML files show what each entry means."""

    name: str
    title: str
    source: str
    license: str
    files: Mapping[str, str]
    """``folder`` without its version, and a pattern for each split."""
    fields: Mapping[str, Any]
    """``id``, ``label``, ``question`` (the fields that make the question), ``choices`` (unless there are classes)."""
    prompt: Mapping[str, str]
    """``item`` with {FIELD}s, ``closing`` behind an answer, ``separator`` between examples, ``neutral`` for PMI."""
    metrics: tuple[str, ...]
    primary: str
    classes: Mapping[str, str] | None = None
    """For classification: each label with the word for it, which is what is scored."""
    leaks: tuple[str, ...] = ()

    def find(self, data: Path | None, split: str) -> Path:
        """The file of a split below ``data``, of the highest version.

        Raises UsageError without ``data``, and InputError when no such file is there; both tell the layout.
        """
        example = f"jglue/{self.files['folder']}-v1.3/{self.files[split].replace('*', '1.3')}"
        layout = f"{example} (any version), from {self.source}"
        if data is None:
            raise UsageError(f"task {self.name} needs --data DIR, where DIR holds {layout}")
        if not data.is_dir():
            raise InputError(f"{data}: no such folder; task {self.name} needs --data DIR, where DIR holds {layout}")
        found = self._find(data, split)
        if found is None:
            raise InputError(f"{data}: holds no {split} file of {self.name}: {layout}")
        return found

    def find_train(self, data: Path | None, shots: int) -> Path | None:
        """The file for solved examples, None without ``shots``; raises UsageError when it is not there."""
        if not shots:
            return None
        valid = self.find(data, "valid")
        assert data is not None
        found = self._find(data, "train")
        if found is None:
            raise UsageError(
                f"--shots {shots}: task {self.name} takes solved examples from "
                f"{self.files['train'].replace('*', '1.3')} beside {valid}, which is not there: "
                f"get it from {self.source}, or use --shots 0"
            )
        return found

    def _find(self, data: Path, split: str) -> Path | None:
        pattern = f"{self.files['folder']}-v*/{self.files[split]}"
        found = [file for place in (f"jglue/{pattern}", pattern) for file in data.glob(place) if file.is_file()]
        return max(found, key=_version, default=None)

    def read(self, file: Path) -> list[dict[str, Any]]:
        """The checked lines of a file; raises InputError with the line for anything that is not as declared."""
        rows: list[dict[str, Any]] = []
        number = 0
        with reading(str(file)) as stream:
            for number, line in enumerate(stream, 1):
                place = f"{file}: line {number}"
                if (row := parse_record(line, place)) is not None:
                    self._check(row, place)
                    rows.append(row)
        if not rows:
            raise InputError(f"{file}: holds no items ({number} lines)")
        return rows

    def _check(self, row: dict[str, Any], place: str) -> None:
        texts = [*self.fields["question"], *self.fields.get("choices", ())]
        for field in (self.fields["id"], *texts, self.fields["label"]):
            if field not in row:
                raise InputError(f"{place}: has no field {field!r}; its fields are {', '.join(row) or 'none'}")
        for field in texts:
            if not isinstance(row[field], str) or not row[field].strip():
                raise InputError(f"{place}: field {field!r} must be a text that is not empty")
        label = row[self.fields["label"]]
        labels = list(self.classes or range(len(self.fields["choices"])))
        # True == 1 and 1.0 == 1: compare the types too
        if not any(type(label) is type(known) and label == known for known in labels):
            raise InputError(
                f"{place}: field {self.fields['label']!r} is {json.dumps(label, ensure_ascii=False)}, "
                f"but must be one of {', '.join(map(str, labels))}"
            )

    def choices(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The texts that are scored."""
        if self.classes is not None:
            return tuple(self.classes.values())
        return tuple(row[field] for field in self.fields["choices"])

    def gold(self, row: Mapping[str, Any]) -> int:
        """The place of the right choice."""
        label = row[self.fields["label"]]
        return list(self.classes).index(label) if self.classes is not None else int(label)

    def render(self, row: Mapping[str, Any], shots: list[dict[str, Any]]) -> str:
        """The context of a question, after solved examples."""
        item, closing = self.prompt["item"], self.prompt["closing"]
        solved = [fill(item, shot) + self.choices(shot)[self.gold(shot)] + closing for shot in shots]
        return self.prompt["separator"].join([*solved, fill(item, row)])

    def question_key(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """What makes two questions the same."""
        return tuple(row[field].strip() for field in self.fields["question"])

    def shot_pool(self, rows: list[dict[str, Any]], shots: int, seed: int) -> list[dict[str, Any]]:
        """Twice as many examples as needed, different questions, drawn by seed; classes take turns."""
        queues: dict[int, list[dict[str, Any]]] = {}
        seen: set[tuple[str, ...]] = set()
        for number in np.random.default_rng(seed).permutation(len(rows)):
            row = rows[int(number)]
            key = self.question_key(row)
            if key not in seen:
                seen.add(key)
                queues.setdefault(self.gold(row) if self.classes is not None else 0, []).append(row)
        turns = zip_longest(*(reversed(queues[kind]) for kind in sorted(queues)))
        return [row for turn in turns for row in turn if row is not None][: 2 * shots]


def fill(template: str, row: Mapping[str, Any]) -> str:
    """Put the fields of a row into a template; braces in the fields mean nothing."""
    return re.sub(r"\{(\w+)\}", lambda match: str(row[match.group(1)]), template)


def load_task(name: str) -> Task:
    """The declaration of a task; raises UsageError for an unknown name."""
    check_task_name(name)
    record = yaml.safe_load((TASK_FOLDER / f"{name}.yaml").read_text("utf-8"))
    task = Task(name=name, **record | {"metrics": tuple(record["metrics"]), "leaks": tuple(record.get("leaks", ()))})
    assert task.primary in task.metrics, f"{name}: the primary metric is not among the metrics"
    return task


def find_tasks(config: EvalConfig, data: Path | str | None) -> dict[str, tuple[Task, Path, Path | None]]:
    """The tasks of a configuration that read files, with their valid and train files; raises what ``find`` does."""
    folder = None if data is None else Path(data)
    tasks = [load_task(name) for name in config.tasks if name not in INTRINSIC]
    return {task.name: (task, task.find(folder, config.split), task.find_train(folder, config.shots)) for task in tasks}


def build_items(
    task: Task,
    valid: Path,
    train: Path | None = None,
    *,
    shots: int = 0,
    limit: int = 0,
    seed: int = 0,
    preset: str = "ja-v1",
) -> ChoiceTask:
    """The items of a task, with prompts and choices normalised by the preset that the model's text was.

    Raises InputError for files that are not as declared, UsageError for too few examples.
    """
    rows = task.read(valid)
    chosen = rows[:limit] if limit else rows
    pool = task.shot_pool(task.read(train), shots, seed) if train is not None and shots else []
    if shots and len(pool) < shots + 1:
        raise UsageError(
            f"--shots {shots}: {train} has only {len(pool)} different questions; one more than --shots is needed"
        )
    items = []
    for row in chosen:
        key = task.question_key(row)
        examples = [shot for shot in pool if task.question_key(shot) != key][:shots]
        choices = tuple(normalize_prompt(choice, preset) for choice in task.choices(row))
        if not all(choices):
            raise InputError(
                f"{valid}: item {row[task.fields['id']]}: a choice is empty after normalisation ({preset})"
            )
        items.append(
            Item(
                id=str(row[task.fields["id"]]),
                context=normalize_prompt(task.render(row, examples), preset),
                choices=choices,
                gold=task.gold(row),
                neutral=normalize_prompt(task.prompt["neutral"], preset),
                closing=task.prompt["closing"],
            )
        )
    notes = [f"prompt {task.prompt['version']}, {shots} examples, normalised by {preset}"]
    if limit and limit < len(rows):
        notes.append(f"the first {limit} of {len(rows)} items")
    notes += [f"leak: {leak}" for leak in task.leaks]
    return ChoiceTask(task.name, task.title, items, task.metrics, task.primary, task.license, task.source, notes)


def _version(file: Path) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", file.parent.name.rsplit("-v", 1)[-1])], str(file)
