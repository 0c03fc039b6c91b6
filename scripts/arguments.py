"""Flags from dataclasses: one parser for every subcommand, with errors in one line."""

import dataclasses
import difflib
import logging
import math
import os
import re
import sys
import typing
from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from docstring_parser import parse_from_object
from jsonargparse import ActionYesNo, ArgumentParser, Namespace, set_parsing_settings

from stage.errors import UsageError
from stage.manifest import Manifest

log = logging.getLogger(__name__)
set_parsing_settings(docstring_parse_attribute_docstrings=True)

C = TypeVar("C")

# Flags that mean the same everywhere: name, type, default (... for none, so it must be given), help.
COMMON: dict[str, tuple[Any, Any, str]] = {
    "corpus": (str, ..., "Documents folder."),
    "tokenizer": (str, ..., "Folder that holds a tokenizer."),
    "model": (str, ..., "Model folder, or one of its checkpoints."),
    "out": (str, ..., "Folder to write."),
    "workers": (int, 0, "Processes that work at once; 0: one a core."),
    "engine": (
        typing.Literal["local", "ray"],
        "local",
        "Where the work is done: local: processes of this machine; ray: the Ray cluster that RAY_ADDRESS names or that runs here, "
        "else one started for the time (pip install 'jgpt[ray]'). All nodes must see the same files under the same paths.",
    ),
    "device": (str, "auto", "cpu, cuda, cuda:1, mps; auto: the fastest that is there."),
    "threads": (int, 0, "Threads of the tensor library; 0: its own choice."),
    "tracker": (
        typing.Literal["none", "tensorboard", "wandb"],
        None,
        "Where else training is watched: none, tensorboard or wandb; a run that goes on has the one it had.",
    ),
    "overwrite": (bool, False, "Replace the output folder where it was made with other parameters."),
    "quiet": (bool, False, "No progress bars and no messages but warnings and errors."),
}

# What the tensor library and the random generators take of flags of these names.
MOST = {"threads": 4 * (os.cpu_count() or 1), "workers": 1024, "seed": (1 << 63) - 1, "count": 1 << 31}


class Parser(ArgumentParser):
    """jsonargparse's parser with jgpt's conventions: no abbreviations, ``--config FILE``, one-line errors, exit status 2."""

    def __init__(self, prog: str = "", description: str = "", examples: Sequence[str] = (), **more: Any) -> None:
        self.examples = examples
        self.needed: list[str] = []
        # jsonargparse makes parsers of the same class for its own use, with arguments of its own
        super().__init__(**{"prog": prog, "description": description, "allow_abbrev": False, **more})

    def format_help(self, *arguments: Any) -> str:
        """What the command is for and examples of it come before the many flags."""
        text = str(super().format_help(*arguments))
        heads = (text.find(f"\n{head}:") for head in ("positional arguments", "options"))
        start = next((place for place in heads if place >= 0), 0)  # the help of one group has neither
        return (
            f"usage: {self._call()}\n\n{self.description}\n\nexamples:\n"
            + "".join(f"  {each}\n" for each in self.examples)
            + text[start:]
        )

    def _call(self) -> str:
        """The command with what it cannot do without."""
        marks = {"*": "[{} …]", "+": "{} …", "?": "[{}]"}
        names = [marks.get(str(each.nargs), "{}").format(each.dest.upper()) for each in self._get_positional_actions()]
        return " ".join([self.prog, *names, *(f"--{name} {name.upper()}" for name in self.needed), "[flags]"])

    def flag(self, name: str, kind: Any, default: Any, text: str, **more: Any) -> None:
        """Add a flag; a bool needs no value, a default of ... means that the flag must be given."""
        if kind is bool:
            self.add_argument(f"--{name}", action=ActionYesNo, default=default, help=text)
        else:
            more |= {"required": True} if default is ... else {"default": default}
            self.needed += [name] * (default is ...)
            self.add_argument(f"--{name}", type=kind, help=text, **more)

    def common(self, *names: str) -> None:
        """Add flags that mean the same everywhere."""
        for name in names:
            self.flag(name, *COMMON[name])

    def configuration(self, config: type, prefix: str = "", skip: Sequence[str] = ()) -> None:
        """Add a flag for each field of a dataclass, nested ones with dots (``prefix`` ends with one)."""
        fields = {entry.name: (hint, entry.default) for entry, hint in _fields(config) if entry.name not in skip}
        switches = [name for name, (hint, _) in fields.items() if hint is bool]  # jsonargparse would demand a value
        nested = [name for name, (hint, _) in fields.items() if dataclasses.is_dataclass(hint)]
        if fields.keys() - {*switches, *nested}:
            left_out = {*skip, *switches, *nested}
            self.add_class_arguments(config, prefix.removesuffix(".") or None, as_group=True, skip=left_out)
        texts = {entry.arg_name: entry.description or "" for entry in parse_from_object(config).params}
        for name in switches:
            self.flag(f"{prefix}{name}", bool, fields[name][1], texts.get(name, ""))
        for name in nested:
            self.configuration(fields[name][0], f"{prefix}{name}.")

    def config_file(self) -> None:
        """Add ``--config FILE``."""
        self.add_argument("--config", action="config", help="YAML file with these settings; flags after it win.")

    def parse_args(self, arguments: Sequence[str]) -> Namespace:  # type: ignore[override]
        """Parse; first the configuration files are checked, of which jsonargparse lets some mistakes pass."""
        for before, word in zip(["", *arguments], arguments, strict=False):
            file = word if before == "--config" else word.removeprefix("--config=")
            if (before == "--config" or file != word) and os.path.isfile(file):
                self._check_file(file)
        given = super().parse_args(arguments)
        for name, most in MOST.items():
            if not 0 <= (value := given.get(name, 0)) <= most:
                self.error(f"--{name} {value}: must be a whole number from 0 to {most}")
        return given

    def _check_file(self, file: str) -> None:
        try:
            settings = yaml.safe_load(Path(file).read_text("utf-8"))
        except UnicodeDecodeError as error:
            self.error(f"{file}: byte {error.start} is not UTF-8 text")
        except (yaml.YAMLError, ValueError) as error:
            self.error(str(error).replace("<unicode string>", file))
        self._check_mapping(settings, file, "")

    def _check_mapping(self, settings: Any, file: str, prefix: str) -> None:
        where = f"{file}: {prefix.removesuffix('.')}".removesuffix(": ")
        if not isinstance(settings, dict):
            self.error(f"{where}: {_shown(settings)}; a mapping of settings is expected")
        hints = {action.dest: getattr(action, "_typehint", None) for action in self._actions}
        several = {action.dest for action in self._actions if action.nargs in ("+", "*")}
        for key, value in settings.items():
            name = f"{prefix}{key}"
            inner = next(iter(typing.get_args(hints.get(name))), None)
            if any(known.startswith(f"{name}.") and known != f"{name}.help" for known in hints):
                self._check_mapping(value, file, f"{name}.")
            elif name not in hints:
                near = difflib.get_close_matches(name, list(hints), n=1)
                hint = f"did you mean {near[0]}?" if near else "it is no setting"
                self.error(f"{file}: {name}: {hint}")
            elif dataclasses.is_dataclass(inner):
                if not (
                    isinstance(value, list) and all(isinstance(entry, dict) and "path" in entry for entry in value)
                ):
                    self.error(f"{file}: {name}: each entry needs path: …, as in [{{path: novel.txt}}]")
            elif name in several and not (
                isinstance(value, list) and all(isinstance(each, str | int | float) for each in value)
            ):
                self.error(f"{file}: {name}: a list is expected, as in [one, two]")
            elif value is None:
                self.error(f"{file}: {name}: is empty; give a value or leave it out")

    def first_positional(self, arguments: Sequence[str]) -> int | None:
        """Where in the arguments the first one stands that is neither a flag nor the value of one."""
        value = False
        for place, word in enumerate(arguments):
            if not value and not word.startswith("-"):
                return place
            action = self._option_string_actions.get(word)
            value = not value and action is not None and action.nargs != 0
        return None

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line and exit with status 2; a parser of jsonargparse's own use tells the outer one."""
        if not self.exit_on_error:
            raise ArgumentError(None, message) from ex
        sys.stderr.write(f"{self.prog}: {self._one_line(message)}\n")
        raise SystemExit(2)

    def _one_line(self, message: str) -> str:
        text = " ".join(message.split())
        text = re.sub(r'^Parser key "([\w.]+)": ', lambda found: f"--{found.group(1)}: ", text)
        text = re.sub(r"Problem with given class_path '[\w.]+': ", "", text)
        text = re.sub(r'Parser key "([\w.]+)": ', r"\1: ", text)
        text = re.sub(r"Expected a typing\.Literal\[(.*?)\]\. Got value: (.*)", r"expected one of \1, got \2", text)
        text = re.sub(r"Expected an? <class '(\w+)'>\. Got value: (.*)", r"expected \1, got \2", text)
        text = re.sub(r"expected float, got (nan|[+-]?inf)", r"expected a finite number, got \1", text)
        unknown = re.search(r"unrecognized arguments: (--[\w.]+)", text) or re.search(
            r"Group '([\w.]+)' does not accept option '(\w+)'", text
        )
        if unknown:
            name = unknown.group(1) if unknown.group(1).startswith("--") else f"--{unknown.group(1)}.{unknown.group(2)}"
            near = difflib.get_close_matches(name, list(self._option_string_actions), n=2)
            text += f"; did you mean {' or '.join(near)}?" if near else ""
        missing = re.search(r"the following arguments are required: (.*)", text)
        if missing:
            text = f"missing: {', '.join(self._shown(name.strip()) for name in missing.group(1).split(','))}"
        return f"{text} (see {self.prog} --help)"

    def _shown(self, name: str) -> str:
        return f"--{name}" if f"--{name}" in self._option_string_actions else name


def shared(given: Namespace, skip: str = "") -> dict[str, Any]:
    """The flags about the machine that a command has, which the functions of the stages take by the same names."""
    names = ("workers", "engine", "device", "threads", "tracker", "overwrite", "quiet")
    return {name: given[name] for name in names if name in given and name != skip}


def tell_counts(out: str, manifest: Manifest) -> None:
    """Log what a stage made in one line."""
    told = {
        name: value for name, value in manifest.counts.items() if isinstance(value, (int, float)) or name == "device"
    }
    counts = (f"{name} {value:,.5g}" if isinstance(value, float) else f"{name} {value}" for name, value in told.items())
    log.info("%s: %s", out, ", ".join(counts))


def build(config: type[C], values: Namespace | dict[str, Any], **given: Any) -> C:
    """Make a dataclass of parsed values, nested ones included; ``given`` replaces fields. Its own checks raise UsageError."""
    values = vars(values) if isinstance(values, Namespace) else values
    hints = {entry.name: hint for entry, hint in _fields(config) if entry.name in values and entry.name not in given}
    return config(**{name: _value(name, hint, values[name]) for name, hint in hints.items()}, **given)


def _value(name: str, hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and not isinstance(value, hint):
        if not isinstance(value, (Namespace, dict)):
            raise UsageError(f"{name}: {_shown(value)}; a mapping of settings is expected")
        try:
            return build(hint, value)
        except UsageError as error:
            # the configuration names its flags as they are without this section
            text = re.sub(rf"--(?!{name}\.)(?=\w)", f"--{name}.", str(error))
            raise UsageError(text if "--" in text else f"{name}: {text}") from None
    if typing.get_origin(hint) is list and isinstance(value, list):
        (inner,) = typing.get_args(hint)
        return [_value(name, inner, entry) for entry in value]
    if value is None and hint in (int, float, str):
        raise UsageError(f"--{name}: is empty; expected {hint.__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"--{name}: expected a finite number, got {value}")
    return value


def _shown(value: Any) -> str:
    return "is empty" if value is None else f"is a {type(value).__name__}"


def _fields(config: type) -> list[tuple[dataclasses.Field[Any], Any]]:
    hints = typing.get_type_hints(config)
    return [(entry, hints[entry.name]) for entry in dataclasses.fields(config)]
