"""Tasks are data: what a task is stands in a YAML file, ``eval/tasks/NAME.yaml`` or one of the user's."""

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import yaml

from eval.baselines import HONEST
from eval.config import TASK_FOLDER, check_task_name
from eval.examples import Kind
from eval.metrics import CORRELATION, METRICS, TEXT
from eval.multiple_choice import NORMALISATIONS
from eval.rows import FORMATS
from stage.errors import UsageError

SPLITS = ("train", "valid", "test")
_CHOOSING = ("choice", "classification", "pair")


@dataclass(frozen=True)
class Prompt:
    """How an example is put to a language model."""

    version: str
    """Changes whenever a letter of the prompt does."""
    item: str
    """The question with {FIELD}s; {choices} is every choice by ``choice``."""
    origin: str = "own wording"
    description: str = ""
    """Stands once, before everything."""
    choice: str = "- {choice}\n"
    """A line of {choices}, with {choice} and {number} from 0."""
    closing: str = ""
    """Stands behind an answer and is scored with it, so that a choice that begins another is told apart by where it ends."""
    separator: str = "\n\n"
    """Between solved examples."""
    neutral: str | None = None
    """The context without the question, for PMI; without it there is none."""


@dataclass(frozen=True)
class Task:
    """The declaration of a task; each entry of the YAML file is a field of this class."""

    name: str
    title: str
    kind: Kind
    source: str
    license: str
    metrics: tuple[str, ...]
    """Those of ``eval.metrics``."""
    primary: str
    """The metric that stands for the task."""
    fields: tuple[str, ...] = ()
    """Names of the texts: ``[sentence1, sentence2]``, with dots for nested ones; of a span the question, then the passage."""
    label: str = ""
    """The field of the right choice (its number from 0, or its class), of a regression the number."""
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    """By name; the first is the default."""
    files: Mapping[str, str] = field(default_factory=dict)
    """For each split a pattern below DATA, or below a folder in it: ``jnli-v*/valid-v*.json``; the highest version counts."""
    hub: Mapping[str, Any] = field(default_factory=dict)
    """``name``, ``config``, ``revision`` and ``splits`` of a data set on the Hugging Face hub."""
    format: str = ""
    """Of the files, where their name does not tell it: jsonl, squad, csv, tsv, parquet, winograd."""
    columns: tuple[str, ...] = ()
    """Of a CSV or TSV file without a header."""
    id: str = ""
    """The field that names an item; without it they are numbered."""
    choices: tuple[str, ...] = ()
    """The fields of the choices, of a pair the two texts; without a label the first is right."""
    decided_by: Literal["sum", "per_character", "per_byte", "per_token", "pmi"] = "sum"
    """The score of choices that metrics of classes (mcc, macro_f1) judge; accuracies name theirs."""
    first_choice: int = 0
    """The number that the label gives to the first choice."""
    classes: Mapping[Any, str] = field(default_factory=dict)
    """Each label of a classification with its word, which is what is scored; of a regression, numbers with theirs."""
    answers: str = "answers"
    """Of a span: the field with the accepted answers, each ``text`` and ``answer_start``, or bare texts."""
    other: tuple[str, ...] = ()
    """Fields that prompts name beside ``fields``."""
    group: str = ""
    """The field by which figures are also reported."""
    where: Mapping[str, Any] = field(default_factory=dict)
    """Only rows whose fields have these values; {split} is the name of the split."""
    extract: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """A field made from another: ``{title: {field: text, pattern: "…(…)…"}}``, the group of a regular expression; with
    ``replace`` the whole text, where what matches is replaced."""
    hash_split: Mapping[str, Any] = field(default_factory=dict)
    """Splits of a file that has none, by hash: ``{field: id, of: 10, test: [0], valid: [1], train: [2, …]}``."""
    honest: tuple[str, ...] = ()
    """Baselines of ``eval.baselines`` that are computed beside the model."""
    published: tuple[Mapping[str, Any], ...] = ()
    """Scores of people and models elsewhere: ``who``, ``how``, ``split``, ``source`` and metrics."""
    leaks: tuple[Mapping[str, str], ...] = ()
    """``set`` that shares items with this one, and ``what`` is shared."""
    max_tokens: int = 32
    """Of a generated answer."""
    about: str = ""
    """What a user should know: what is not here, and how to get it."""
    file: Path = TASK_FOLDER

    @property
    def folder(self) -> Path:
        """Where the declaration lies, and the data of a task of one's own may."""
        return self.file.parent

    @property
    def methods(self) -> tuple[str, ...]:
        """How it can be measured, the usual way first."""
        if self.kind == "span":
            return ("generate", "finetune")
        return ("likelihood",) if self.kind == "pair" else ("likelihood", "finetune")

    @property
    def grid(self) -> tuple[float, ...]:
        """Of a regression: the numbers whose words are scored."""
        return tuple(map(float, self.classes))

    @property
    def splits(self) -> list[str]:
        """The splits that it declares."""
        named = (self.files, self.hub.get("splits", {}), self.hash_split)
        return [split for split in SPLITS if any(split in each for each in named)]

    def prompt(self, name: str = "") -> Prompt:
        """A prompt by its name, or the default; raises UsageError for one that the task does not have."""
        if name and name not in self.prompts:
            raise UsageError(f"--prompt {name}: task {self.name} has {', '.join(self.prompts) or 'no prompts'}")
        return self.prompts[name] if name else next(iter(self.prompts.values()))


def load_task(name: str) -> Task:
    """A task by its name, or by the path of a YAML file of one's own; UsageError for one that is unknown or broken."""
    check_task_name(name)
    file = Path(name) if name.endswith((".yaml", ".yml")) else TASK_FOLDER / f"{name}.yaml"
    try:
        record = yaml.safe_load(file.read_text("utf-8"))
    except OSError:
        raise UsageError(f"{file}: no such task file") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or the 40th of a month
        raise UsageError(f"{file}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(record, dict):
        raise UsageError(f"{file}: must hold the entries of a task, {', '.join(_required(Task))}, …")
    for own in ("name", "file"):
        if own in record:
            raise UsageError(f"{file}: unknown entry {own!r}; a task is named as its file is")
    prompts = record.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(prompt, dict) for prompt in prompts.values()):
        raise UsageError(f"{file}: prompts must be entries by name, each with version and item")
    made = {key: _build(Prompt, prompt, f"{file}: prompt {key}") for key, prompt in prompts.items()}
    task = _build(Task, record | {"name": file.stem, "prompts": made, "file": file}, str(file))
    _check(task, file)
    return task


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into a template; braces in the values mean nothing, nor do those around no name of a value."""
    return re.sub(r"\{([\w.]+)\}", lambda match: values.get(match[1], match[0]), template)


def _build(kind: type, record: dict[str, Any], place: str) -> Any:
    known = {entry.name: entry for entry in fields(kind)}
    for key in record:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"{place}: unknown entry {key!r}{hint}")
    missing = [name for name in _required(kind) if name not in record]
    if missing:
        raise UsageError(f"{place}: lacks {', '.join(missing)}")
    made = {}
    for key, value in record.items():
        try:
            made[key] = _shaped(value, known[key].type)
        except ValueError as error:
            raise UsageError(f"{place}: entry {key} must be {error}") from None
    return kind(**made)


def _shaped(value: Any, wanted: Any) -> Any:
    """A value of YAML as a type has it: numbers as texts, single values as tuples of one; ValueError with what it must be."""
    if value is None:
        raise ValueError("filled or left out")
    inner = get_args(wanted)
    if get_origin(wanted) is tuple:
        return tuple(_shaped(each, inner[0]) for each in (value if isinstance(value, list) else [value]))
    if get_origin(wanted) is Mapping:
        if not isinstance(value, dict):
            raise ValueError("a mapping")
        return {_shaped(key, inner[0]): _shaped(each, inner[1]) for key, each in value.items()}
    if wanted is int and type(value) is not int:
        raise ValueError("a whole number")
    if wanted is str or isinstance(wanted, UnionType):
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError("text, in quotation marks where YAML reads something else")
        return str(value)
    return value


def _required(kind: type) -> list[str]:
    return [
        entry.name
        for entry in fields(kind)
        if entry.default is MISSING and entry.default_factory is MISSING and entry.name != "name"
    ]


def _check(task: Task, file: Path) -> None:
    """Raise UsageError for a declaration that contradicts itself."""

    def demand(right: object, what: str) -> None:
        if not right:
            raise UsageError(f"{file}: {what}")

    demand(task.kind in get_args(Kind), f"kind {task.kind!r} must be one of {', '.join(get_args(Kind))}")
    demand(task.files or task.hub, "needs files or hub")
    _check_places(task, demand)
    demand(not task.format or task.format in FORMATS, f"format {task.format!r} must be one of {', '.join(FORMATS)}")
    for name in task.honest:
        known = [key for key, baseline in HONEST.items() if task.kind in baseline.kinds]
        demand(name in known, f"no baseline {name!r} for a {task.kind}; there are {', '.join(known)}")
    for metric in task.metrics:
        demand(metric in METRICS, f"unknown metric {metric!r}; known are {', '.join(METRICS)}")
        kinds = ("regression",) if metric in CORRELATION else ("span",) if metric in TEXT else _CHOOSING
        demand(task.kind in kinds, f"metric {metric} is none of a {task.kind}, but of {' or '.join(kinds)}")
    demand(task.primary in task.metrics, f"the primary metric {task.primary!r} is not among the metrics")
    demand(
        task.decided_by in NORMALISATIONS.values(), f"decided_by must be one of {', '.join(NORMALISATIONS.values())}"
    )
    pmi = task.decided_by == "pmi" or "accuracy_pmi" in task.metrics
    without = [key for key, prompt in task.prompts.items() if prompt.neutral is None]
    demand(
        not pmi or (task.prompts and not without), f"pmi needs the entry neutral of the prompts {', '.join(without)}"
    )
    if task.kind in ("choice", "pair"):
        demand(len(task.choices) > 1, f"a {task.kind} needs choices, the fields that hold them")
        demand(len(set(task.choices)) == len(task.choices), "choices names a field twice")
    if task.kind in ("classification", "regression"):
        demand(len(task.classes) > 1, f"a {task.kind} needs classes, each label with the word that is scored")
        words = [word.strip() for word in task.classes.values()]
        demand(all(words), "a class has an empty word")
        demand(len(set(words)) == len(words), "two classes have the same word, which cannot tell them apart")
    if task.kind == "regression":
        numbers = all(type(key) in (int, float) and math.isfinite(key) for key in task.classes)
        demand(numbers, "the classes of a regression must be numbers, each with its word")
    demand(task.max_tokens > 0, f"max_tokens {task.max_tokens} must be at least 1")
    demand(task.kind == "pair" or task.fields, "needs fields, the texts that are asked about")
    demand(task.kind in ("pair", "span") or task.label, "needs label, the field of the right answer")
    demand(task.kind == "pair" or task.prompts, "needs a prompt")
    names = {*task.fields, *task.other, "choices"}
    for key, prompt in task.prompts.items():
        unknown = [name for name in re.findall(r"\{([\w.]+)\}", prompt.item) if name not in names]
        demand(not unknown, f"prompt {key} names {', '.join(unknown)}, which is not among fields and other")


def _check_places(task: Task, demand: Callable[[object, str], None]) -> None:
    """What says where examples are and what they are made of."""
    hub, hashed = task.hub, task.hash_split
    if hub:
        texts = [hub.get("name"), hub.get("config", ""), hub.get("revision", "")]
        splits = hub.get("splits")
        whole = isinstance(splits, dict) and all(isinstance(text, str) for text in [*texts, *splits.values()])
        demand(
            whole and hub["name"],
            "hub needs name and splits, such as {valid: validation}; config and revision are texts",
        )
    if hashed:
        known = all(name in ("field", "of", *SPLITS) for name in hashed)
        whole = isinstance(hashed.get("field"), str) and type(hashed.get("of")) is int and hashed["of"] > 0
        demand(
            known and whole and task.files,
            "hash_split needs files, and the entries field, of and splits: {field: id, of: 10, test: [0]}",
        )
        lists: list[Any] = [hashed.get(split) for split in task.splits]
        demand(
            all(isinstance(each, list) for each in lists),
            f"hash_split needs a list for each of {', '.join(task.splits)}",
        )
        parts = [part for each in lists for part in each]
        demand(
            all(type(part) is int and 0 <= part < hashed["of"] for part in parts) and len(set(parts)) == len(parts),
            f"the splits of hash_split must have numbers below {hashed['of']}, each in one of them",
        )
    else:
        unknown = [split for split in task.files if split not in SPLITS]
        demand(not unknown, f"files has {', '.join(unknown)}; the splits are {', '.join(SPLITS)}")
    demand(task.splits, f"has none of the splits {', '.join(SPLITS)}")
    for pattern in task.files.values():
        demand(_globs(pattern), f"files: {pattern!r} must be a name or pattern below the folder of the data")
    for name, rule in task.extract.items():
        whole = {"field", "pattern"} <= set(rule) <= {"field", "pattern", "replace"}
        demand(whole, f"extract: {name} needs field and pattern, and may have replace")
        try:
            groups = re.compile(rule["pattern"]).groups
            re.sub(rule["pattern"], rule.get("replace", ""), "")
        except (re.error, IndexError) as error:
            demand(False, f"extract: {name} has a broken regular expression ({error})")
        demand("replace" in rule or groups, f"extract: the pattern of {name} needs a group, (…), or replace")
    for entry in task.published:
        demand(
            all(key in entry for key in ("who", "how", "split", "source")), "published needs who, how, split and source"
        )
    demand(all("set" in leak and "what" in leak for leak in task.leaks), "leaks needs set and what")


def _globs(pattern: str) -> bool:
    """Whether ``Path.glob`` takes a pattern."""
    try:
        next(Path(__file__).glob(pattern), None)
    except (ValueError, IndexError, NotImplementedError):
        return False
    return True
