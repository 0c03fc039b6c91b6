"""Rules that documents must meet, as comparisons of their stored measures with thresholds: ``swallow,chars>=100,max_sentence<=inf``."""

import math
import operator
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from corpora.measures import ASKS, MEASURES, check_measures
from stage.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_COMPARISON = re.compile(r"(\w+)\s*([<>]=?)\s*([^\s<>=]+)")


class Comparison(NamedTuple):
    """A measure that must lie on one side of a threshold."""

    name: str
    operator: str
    threshold: float

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{self.threshold:.12g}"


class Rules(NamedTuple):
    """Comparisons that a document must meet, in the order in which they are tried."""

    comparisons: tuple[Comparison, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The measures that are needed, each once."""
        return tuple(dict.fromkeys(comparison.name for comparison in self.comparisons))

    def verdicts(self, columns: "Mapping[str, NDArray[Any]]") -> list[tuple[str, float]]:
        """For each document the first comparison that fails and its measure, or ``("", 0.0)``; columns are [N] by measure.

        Raises ArtifactError where measures are not stored, or not for every document, which says how they are.
        """
        import numpy as np

        if lacking := [name for name in self.names if name not in columns or np.isnan(columns[name]).any()]:
            more = f" and {len(lacking) - 1} more" * (len(lacking) > 1)
            raise ArtifactError(
                f"not all documents have the measure {lacking[0]}{more}: build the corpus again with {_asked(lacking)}"
            )
        verdicts = [("", 0.0)] * len(next(iter(columns.values()), ()))
        left = np.arange(len(verdicts))
        for comparison in self.comparisons:
            values = np.asarray(columns[comparison.name])[left]
            with np.errstate(over="ignore"):  # a threshold beyond float32 is as infinite
                meets = _OPERATORS[comparison.operator](values, comparison.threshold)
            for number, value in zip(left[~meets].tolist(), values[~meets].tolist(), strict=True):
                verdicts[number] = str(comparison), float(value)
            left = left[meets]
        return verdicts


def parse_rules(text: str) -> Rules:
    """Rules from a preset, a YAML file with one, or nothing, and comparisons after it, parted by commas.

    A comparison replaces the one of the preset that bounds the same measure on the same side; an infinite threshold takes it away.
    Raises UsageError for what is unknown, no comparison or cannot be met.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if parts and not re.search("[<>=]", parts[0]) and parts[0] not in MEASURES:
        parts[:1] = _preset(parts[0])
    bounds = {(each.name, each.operator[0]): each for each in map(_parse, parts)}
    for (name, side), lower in bounds.items():
        upper = bounds.get((name, "<"))
        strict = upper is not None and len(lower.operator + upper.operator) < 4
        if side == ">" and upper and (lower.threshold, strict) > (upper.threshold, False):
            raise UsageError(f"{lower} and {upper}: no document meets both; change one of them")
    return Rules(tuple(comparison for comparison in bounds.values() if math.isfinite(comparison.threshold)))


def read_presets(file: Path) -> dict[str, dict[str, Any]]:
    """The presets of a YAML file by name: ``rules`` and, for people, ``origin`` and ``deviations``."""
    try:
        presets = yaml.safe_load(file.read_text("utf-8"))
        lists = [preset["rules"] for preset in presets.values()]
        if all(isinstance(rules, list) and all(isinstance(rule, str) for rule in rules) for rules in lists):
            return presets
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        pass
    raise UsageError(f"{file}: must hold a preset, as in my-rules: {{rules: ['chars>=100']}}")


PRESETS = read_presets(Path(__file__).with_name("rules.yaml"))
"""The presets that come along."""


def _preset(name: str) -> list[str]:
    if name.endswith((".yaml", ".yml")):
        presets = read_presets(Path(name))
        if len(presets) != 1:
            raise UsageError(f"{name}: holds {len(presets)} presets, but a .yaml file with one preset is expected")
        return next(iter(presets.values()))["rules"]
    if name not in PRESETS:
        hint = f" (did you mean {near[0]}?)" if (near := get_close_matches(name, PRESETS)) else ""
        raise UsageError(
            f"there are no rules {name!r}{hint}: it must be {', '.join(PRESETS)}, or a .yaml file with one preset"
        )
    return PRESETS[name]["rules"]


def _asked(names: Sequence[str]) -> str:
    """The settings that have these measures stored."""
    settings = {f"--{ASKS[name]}" + " (made with --against)" * (name == "quality") for name in names if name in ASKS}
    plain = ",".join(name for name in names if name not in ASKS)
    return " and ".join([f"--measures {plain}"] * bool(plain) + sorted(settings))


def _parse(text: str) -> Comparison:
    match = _COMPARISON.fullmatch(text.strip())
    try:
        name, sign, threshold = match[1], match[2], float(match[3])  # type: ignore[index]
        if not math.isnan(threshold):
            check_measures([name])
            return Comparison(name, sign, threshold)
    except (TypeError, ValueError):
        pass
    raise UsageError(
        f"{text!r} is no comparison: write a measure, >= <= > or <, and a number, in quotes, as in 'chars>=100'"
    )
