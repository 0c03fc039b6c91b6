"""A task's part of ``results.json``: every metric with its interval, and what stands beside it."""

import math
from collections.abc import Sequence
from typing import Any

from eval.baselines import HONEST, honest_baseline
from eval.comparison import compare_task
from eval.config import EvalConfig
from eval.examples import Example, Predictions, grouped
from eval.measuring import SCRATCH, Answers, Outcome
from eval.metrics import measure, picked, statistic
from eval.multiple_choice import ChoiceTask, trivial_baselines
from eval.preparing import Prepared
from eval.statistics import Interval, paired_bootstrap

Figures = dict[str, Interval]


def task_record(
    task: ChoiceTask, kind: str, method: str, examples: Sequence[Example], outcome: Outcome, config: EvalConfig
) -> dict[str, Any]:
    """Everything but what comes from the declaration of the task."""
    primary, metrics = task.primary, figures(outcome.answers, examples, config)
    baselines = trivial(examples, task.metrics)
    baselines |= {name: figures(found, examples, config) for name, found in outcome.baselines.items()}
    notes = [*task.notes, *outcome.notes]
    least = baselines.get("majority", {}).get(primary, {}).get("value")
    if least is not None and metrics[primary].get("high", math.inf) < least:
        notes.append("below the majority baseline")
    record = {
        "title": task.title,
        "kind": kind,
        "method": method,
        "items": len(examples),
        "primary": primary,
        "metrics": metrics,
        "baselines": baselines,
        "paired": paired(primary, outcome, examples, config),
        "groups": groups(primary, outcome, examples, config),
        "notes": notes,
        "license": task.license,
        "source": task.source,
    }
    if SCRATCH in outcome.baselines:
        record["gain"] = gain(outcome.answers, outcome.baselines[SCRATCH], examples, config)
    return record | outcome.more


def figures(answers: Answers, examples: Sequence[Example], config: EvalConfig) -> Figures:
    """Every metric with its interval."""
    how = {"bootstrap": config.bootstrap, "seed": config.seed}
    return {metric: measure(metric, examples, *seeds, **how) for metric, seeds in answers.items()}


def gain(own: Answers, other: Answers, examples: Sequence[Example], config: EvalConfig) -> Figures:
    """What the one has more than the other in every metric, the same examples being drawn for both."""
    found = {}
    for metric, seeds in own.items():
        a, b = (statistic(metric, examples, *each) for each in (other[metric], seeds))
        found[metric], _ = paired_bootstrap(a, b, len(examples), config.bootstrap, config.seed)
    return found


def paired(primary: str, outcome: Outcome, examples: Sequence[Example], config: EvalConfig) -> dict[str, Any]:
    """What the model has more than each of the others, item by item, and in each group: figures alone, no items."""

    def lines(answers: Answers) -> list[dict[str, Any]]:
        return [
            {
                "id": example.id,
                "gold": example.label,
                "answers": example.answers,
                "group": example.group,
                "predictions": predictions,
            }
            for example, *predictions in zip(examples, *answers[primary], strict=True)
        ]

    own = lines(outcome.answers)
    told = ("difference", "p_value", "p_holm", "test", "groups")
    found = {}
    for name, other in outcome.baselines.items():
        compared = compare_task(primary, lines(other), own, seed=config.seed)
        found[name] = {key: compared[key] for key in told if key in compared}
    return found


def groups(primary: str, outcome: Outcome, examples: Sequence[Example], config: EvalConfig) -> dict[str, Any]:
    """The primary metric of the model and of baselines in each group of examples, the largest group first."""
    places = grouped(examples)
    if len(places) < 2:
        return {}
    how = {"bootstrap": config.bootstrap, "seed": config.seed}
    return {
        name: {
            "items": len(chosen),
            primary: picked(primary, examples, outcome.answers[primary], chosen, **how),
            "baselines": {
                other: picked(primary, examples, found[primary], chosen, **how)
                for other, found in outcome.baselines.items()
            },
        }
        for name, chosen in sorted(places.items(), key=lambda entry: -len(entry[1]))
    }


def honest(given: Prepared, metrics: Sequence[str], config: EvalConfig) -> dict[str, Figures]:
    """The task's own baselines, those that have to learn where there is a train split."""
    found = {}
    for name in given.task.honest:
        if given.train or not HONEST[name].needs_train:
            answered: Predictions = honest_baseline(name, given.train, given.examples)
            found[name] = figures({metric: [answered] for metric in metrics}, given.examples, config)
    return found


def trivial(examples: Sequence[Example], metrics: Sequence[str]) -> dict[str, Figures]:
    """Random and majority, where they have a meaning."""
    if not examples[0].choices:
        return {}
    return trivial_baselines(
        [example.label for example in examples], [len(example.choices) for example in examples], metrics
    )
