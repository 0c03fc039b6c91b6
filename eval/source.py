"""Where the examples of a task come from: the user's files in their upstream layout, or the Hugging Face hub."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1, sha256
from itertools import islice
from pathlib import Path
from typing import Any

from corpora.normalization import normalize_prompt
from eval.config import TASK_FOLDER
from eval.examples import Example
from eval.rows import Place, Row, read_hub_rows, read_rows, value_at
from eval.task import Task
from stage.errors import InputError, UsageError
from stage.files import bare_suffix, sha256_file
from stage.manifest import Input

_LARGEST = 1e100  # the squares of larger numbers are infinite

HUB = "hub"
"""``--data hub`` reads the data sets that tasks name on the Hugging Face hub."""


def find_source(task: Task, split: str, place: Path | str | None) -> "Source":
    """A split of a task below the folder ``place``, beside the task's own file, or on the hub.

    Raises UsageError without a place or for a split that the task does not have, and InputError when no such file is
    there; both tell the layout.
    """
    if split not in task.splits:
        only = f"only {' and '.join(task.splits)}" if task.splits else "no splits"
        raise UsageError(f"--split {split}: task {task.name} has {only}, use --split {task.splits[-1]}")
    if str(place) == HUB:
        if split not in task.hub.get("splits", {}):
            raise UsageError(f"--data hub: task {task.name} has no {split} split on the hub: get it from {task.source}")
        return Source(task, split, None)
    if not task.files:
        raise UsageError(f"task {task.name} has no files: give --data hub")
    # with hash_split one file holds all splits
    pattern = task.files[split] if split in task.files else next(iter(task.files.values()))
    layout = f"{_example(pattern)} (any version), from {task.source}"
    own = task.folder != TASK_FOLDER
    if place is None and not own:
        raise UsageError(f"task {task.name} needs --data DIR, where DIR holds {layout}")
    if place is not None and not Path(place).is_dir():
        raise InputError(f"{place}: no such folder; task {task.name} needs --data DIR, where DIR holds {layout}")
    roots = [*([Path(place)] if place is not None else []), *([task.folder] if own else [])]
    for root in roots:
        for above in ("", "*/", "*/*/"):
            if found := [file for file in root.glob(above + pattern) if file.is_file()]:
                return Source(task, split, max(found, key=_version))
    more = f". {task.about}" if task.about else ""
    raise InputError(f"{roots[0]}: holds no {split} file of {task.name}: {layout}{more}")


@dataclass(frozen=True)
class Source:
    """A split of a task, found."""

    task: Task
    split: str
    file: Path | None
    """None for one on the hub."""

    @property
    def place(self) -> str:
        """For messages."""
        return str(self.file) if self.file else f"{self.task.hub['name']} on the hub"

    def input(self, examples: Sequence[Example]) -> Input:
        """For manifests: the file with its hash, or the data set on the hub with that of all its examples."""
        if self.file:
            return Input("data", str(self.file), sha256_file(str(self.file)))
        hub = self.task.hub
        name = f"hf:{hub['name']}:{hub.get('config', '')}@{hub['splits'][self.split]}"
        return Input("data", name, sha256(repr(examples).encode()).hexdigest())

    def examples(self, preset: str = "ja-v1", limit: int = 0) -> list[Example]:
        """The examples of the split, at most ``limit`` of them (0: all), normalised by a preset.

        Raises InputError with the line for anything that is not as the task declares it.
        """
        found = list(islice(self._examples(preset), limit or None))
        if not found:
            wanted = f" with {self.task.where}" if self.task.where else ""
            raise InputError(f"{self.place}: holds no items of the split {self.split}{wanted}")
        return found

    @property
    def _cells(self) -> bool:
        """Whether the values of a row are the cells of a table, which are texts whatever they say."""
        return (self.task.format or bare_suffix(str(self.file)).removeprefix(".")) in ("csv", "tsv")

    def _rows(self) -> Iterator[Place]:
        task = self.task
        if self.file:
            return read_rows(self.file, task.format, task.columns)
        hub = task.hub
        return read_hub_rows(hub["name"], hub.get("config"), hub["splits"][self.split], hub.get("revision"))

    def _examples(self, preset: str) -> Iterator[Example]:
        number = 0
        for place, row in self._rows():
            try:
                json.dumps(row, ensure_ascii=False, default=str).encode()
            except UnicodeEncodeError:
                raise InputError(f"{place}: holds half of a surrogate pair, which is no character") from None
            if self._wanted(row, place):
                yield _example_of(self.task, row, place, number, preset, self._cells)
                number += 1

    def _wanted(self, row: Row, place: str) -> bool:
        task = self.task
        if any(
            _value(row, name, place) != str(value).replace("{split}", self.split) for name, value in task.where.items()
        ):
            return False
        if task.hash_split:
            key = str(_value(row, task.hash_split["field"], place))
            part = int(sha1(key.encode(), usedforsecurity=False).hexdigest(), 16) % task.hash_split["of"]
            return part in task.hash_split[self.split]
        return True


def _example_of(task: Task, row: Row, place: str, number: int, preset: str, cells: bool) -> Example:
    texts = {name: _text(task, row, name, place, preset) for name in task.fields}
    choices, label = tuple(map(str, task.classes.values())), 0.0
    answers: tuple[str, ...] = ()
    start = -1
    if task.kind in ("choice", "pair"):
        choices = tuple(_text(task, row, name, place, preset) for name in task.choices)
    if task.kind == "span":
        answers, start = _answers(task, row, place, preset, list(texts.values())[-1])
    elif task.kind == "regression":
        label = _number(_value(row, task.label, place), f"{place}: field {task.label!r}")
    elif task.label:
        labels = list(task.classes or range(task.first_choice, task.first_choice + len(choices)))
        labels = [str(known) for known in labels] if cells else labels
        label = _place_of(_value(row, task.label, place), labels, f"{place}: field {task.label!r}")
    if task.kind == "pair" and not task.label and number % 2:
        # the better one stands first in half of the items, so that a place alone gets half of them
        choices, label = choices[::-1], 1
    return Example(
        id=str(_value(row, task.id, place)) if task.id else str(number),
        fields=texts,
        choices=choices,
        label=label if task.kind == "regression" else int(label),
        answers=answers,
        answer_start=start,
        group=_group(_value(row, task.group, place)) if task.group else "",
        other={name: _text(task, row, name, place, preset) for name in task.other},
    )


def _value(row: Row, name: str, place: str) -> Any:
    try:
        return value_at(row, name)
    except KeyError:
        raise InputError(
            f"{place}: has no field {name!r}; its fields are {', '.join(map(str, row)) or 'none'}"
        ) from None


def _text(task: Task, row: Row, name: str, place: str, preset: str) -> str:
    if name in task.extract:
        rule = task.extract[name]
        value = _value(row, rule["field"], place)
        match = re.search(rule["pattern"], value) if isinstance(value, str) else None
        if match is None:
            raise InputError(f"{place}: field {rule['field']!r} has no {name}: it does not match {rule['pattern']}")
        value = re.sub(rule["pattern"], rule["replace"], value, count=1) if "replace" in rule else match[1]
    else:
        value = _value(row, name, place)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{place}: field {name!r} must be a text that is not empty")
    text = normalize_prompt(value, preset).strip()
    if not text:
        raise InputError(f"{place}: field {name!r} is empty after normalisation ({preset})")
    return text


def _group(value: Any) -> str:
    return "" if value is None else str(value)


def _place_of(label: Any, labels: list[Any], what: str) -> int:
    for number, known in enumerate(labels):
        if type(label) is type(known) and label == known:  # True == 1 and 1.0 == 1
            return number
    raise InputError(
        f"{what} is {json.dumps(label, ensure_ascii=False, default=str)}, but must be one of {', '.join(map(str, labels))}"
    )


def _number(value: Any, what: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) < _LARGEST:  # nor is NaN
        raise InputError(f"{what} is {json.dumps(value, ensure_ascii=False, default=str)[:40]}, but must be a number")
    return number


def _answers(task: Task, row: Row, place: str, preset: str, passage: str) -> tuple[tuple[str, ...], int]:
    """The accepted answers and where the first of them begins in the passage."""
    found = _value(row, task.answers, place)
    found = [found] if isinstance(found, str) else found
    try:
        if isinstance(found, Mapping):  # as data sets on the hub hold them: a list for each key
            starts = found.get("answer_start") or [None] * len(found["text"])
            found = [{"text": text, "answer_start": start} for text, start in zip(found["text"], starts, strict=True)]
        entries = [{"text": entry} if isinstance(entry, str) else dict(entry) for entry in found if entry]
        told = int(entries[0].get("answer_start") or 0)
        texts = [normalize_prompt(entry["text"], preset).strip() for entry in entries]
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
        raise InputError(
            f"{place}: field {task.answers!r} must be a list of answers, one at least, each with text and answer_start; "
            "questions that have none cannot be measured"
        ) from None
    if not all(texts):
        raise InputError(f"{place}: an answer is empty after normalisation ({preset})")
    # the offsets are those of the text before normalisation, and before a heading was taken off: take the nearest
    places = [match.start() for match in re.finditer(re.escape(texts[0]), passage)]
    return tuple(texts), min(places, key=lambda at: abs(at - told), default=-1)


def _example(pattern: str) -> str:
    """A pattern as a user may find it."""
    upstream = "jglue/" if re.match(r"(jcommonsenseqa|jnli|jsts|jsquad|marc_ja)-v", pattern) else ""
    return upstream + pattern.replace("-v*", "-v1.3" if upstream else "-v1.0").replace("*", "")


def _version(file: Path) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", file.parent.name.rsplit("-v", 1)[-1])], str(file)
