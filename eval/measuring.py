"""One task to its part of ``results.json`` and its lines of ``samples.jsonl``, in each of the three ways."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eval.config import EvalConfig
from eval.examples import Example, Predictions
from eval.likelihood import score_items
from eval.metrics import measure
from eval.multiple_choice import ChoiceTask, Item, ItemScores, predict, sample, trivial_baselines
from eval.statistics import Interval
from eval.store import Store

Figures = dict[str, Interval]


@dataclass
class Outcome:
    """What a way of measuring has found of a task."""

    predictions: Mapping[str, Predictions]
    """For each metric, what it judges."""
    lines: Iterable[dict[str, Any]]
    """Of ``samples.jsonl``, without the name of the task."""
    baselines: Mapping[str, Mapping[str, Predictions]] = field(default_factory=dict)
    """The same of models that were asked the same."""
    notes: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    """What else goes into the record of the task."""


def by_likelihood(
    task: ChoiceTask, model: Any, ngram: Any, store: Store, config: EvalConfig, quiet: bool, grid: Sequence[float] = ()
) -> Outcome:
    """The choices of every item scored by the model and by the 5-gram, if there is one."""
    scores = score_items(task.items, model, name=task.name, store=store, quiet=quiet)
    found = {metric: predict(scores, metric, grid) for metric in task.metrics}
    lines = map(sample, task.items, scores, found[task.primary])
    baselines = {}
    if ngram is not None:
        counted = score_items(task.items, ngram)
        baselines["5-gram"] = {metric: predict(counted, metric, grid) for metric in task.metrics}
    return Outcome(found, lines, baselines, _cut_notes(scores, model))


def _cut_notes(scores: Sequence[ItemScores], model: Any) -> list[str]:
    if cut := sum(score.cut for score in scores):
        return [f"{cut} items were longer than the context of {model.context_length} tokens and cut from the left"]
    return []


def by_generation(
    examples: Sequence[Example],
    prompts: Sequence[str],
    stop: Sequence[str],
    max_tokens: int,
    model: Any,
    store: Store,
    name: str,
    metrics: Sequence[str],
    quiet: bool,
) -> Outcome:
    """A greedy answer to every prompt, up to a stop string; the answers that are accepted are not looked at."""
    from stage.progress import progress

    found: list[str] = []
    with progress(total=len(prompts), description=name, unit="item", quiet=quiet) as bar:
        for begin in range(0, len(prompts), _PROMPTS):
            part = prompts[begin : begin + _PROMPTS]
            key = f"{name}/{begin}"
            if key not in store.found:
                store.put({key: [text.strip() for text in model.generate(part, max_tokens=max_tokens, stop=stop)]})
            found += store.found[key]
            bar.update(len(part))
    lines = (
        {
            "id": example.id,
            "context": prompt,
            "answers": list(example.answers),
            "prediction": text,
            "gold": example.answers[0],
        }
        for example, prompt, text in zip(examples, prompts, found, strict=True)
    )
    return Outcome(dict.fromkeys(metrics, found), lines)


_PROMPTS = 64


def figures(predictions: Mapping[str, Predictions], examples: Sequence[Example], config: EvalConfig) -> Figures:
    """Every metric with its interval."""
    return {
        metric: measure(metric, examples, found, bootstrap=config.bootstrap, seed=config.seed)
        for metric, found in predictions.items()
    }


def groups(
    primary: str, own: Predictions, others: dict[str, Predictions], examples: Sequence[Example], config: EvalConfig
) -> dict[str, Any]:
    """The primary metric of the model and of baselines in each group of examples, the largest group first."""
    places: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        places.setdefault(example.group, []).append(place)
    if len(places) < 2:
        return {}
    found = {}
    for name, chosen in sorted(places.items(), key=lambda entry: -len(entry[1])):
        part = [examples[place] for place in chosen]

        def value(predictions: Predictions, part: list[Example] = part, chosen: list[int] = chosen) -> Interval:
            picked: Any = [predictions[place] for place in chosen]
            return measure(primary, part, picked, bootstrap=config.bootstrap, seed=config.seed)

        found[name or "other"] = {
            "items": len(part),
            primary: value(own),
            "baselines": {other: value(predictions) for other, predictions in others.items()},
        }
    return found


def trivial(examples: Sequence[Example], metrics: Sequence[str]) -> dict[str, Figures]:
    """Random and majority, where they have a meaning."""
    if not examples[0].choices:
        return {}
    return trivial_baselines(
        [example.label for example in examples], [len(example.choices) for example in examples], metrics
    )


def below_majority(metrics: Figures, baselines: dict[str, Figures], primary: str) -> bool:
    """Whether the whole interval lies below what always giving the same answer gets."""
    least = baselines.get("majority", {}).get(primary, {}).get("value")
    return least is not None and metrics[primary].get("high", math.inf) < least


def examples_of(items: Sequence[Item]) -> list[Example]:
    """Items that were made without a file, as examples."""
    return [Example(item.id, {}, item.choices, item.gold, group=item.group) for item in items]
