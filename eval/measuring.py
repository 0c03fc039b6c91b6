"""One task to its part of ``results.json`` and its lines of ``samples.jsonl``, in each of the three ways."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from eval.baselines import HONEST, honest_baseline
from eval.comparison import compare_task
from eval.config import EvalConfig
from eval.examples import Example, Predictions
from eval.likelihood import score_items
from eval.metrics import measure
from eval.multiple_choice import ChoiceTask, Item, ItemScores, predict, sample, trivial_baselines
from eval.preparing import Prepared
from eval.statistics import Interval
from eval.store import Store
from eval.task import Task
from stage.progress import progress

Figures = dict[str, Interval]
SCRATCH = "random weights"
"""The baseline of fine-tuning: the same net without pretraining."""
_PROMPTS = 64  # answered and kept at once


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
    seeds: Any = None
    """The ``FinetuneResult``, whose figures are means over seeds."""


def by_likelihood(task: ChoiceTask, model: Any, ngram: Any, store: Store, config: EvalConfig, quiet: bool) -> Outcome:
    """The choices of every item scored by the model and by the 5-gram, if there is one."""
    scores = score_items(task.items, model, name=task.name, store=store, quiet=quiet)
    found = answers(task, scores)
    lines = map(sample, task.items, scores, found[task.primary])
    baselines = {}
    if ngram is not None:
        baselines["5-gram"] = answers(task, score_items(task.items, ngram))
    return Outcome(found, lines, baselines, _cut_notes(scores, model))


def answers(task: ChoiceTask, scores: Sequence[ItemScores]) -> dict[str, Predictions]:
    """For each metric of a task what it judges."""
    return {metric: predict(scores, metric, task.grid, task.decided_by) for metric in task.metrics}


def _cut_notes(scores: Sequence[ItemScores], model: Any) -> list[str]:
    if cut := sum(score.cut for score in scores):
        return [f"{cut} items were longer than the context of {model.context_length} tokens and cut from the left"]
    return []


def by_generation(
    examples: Sequence[Example],
    prompts: Sequence[str],
    stop: Sequence[str],
    model: Any,
    store: Store,
    task: Task,
    quiet: bool,
) -> Outcome:
    """A greedy answer to every prompt, up to a stop string; the answers that are accepted are not looked at."""
    found: list[str] = []
    with progress(total=len(prompts), description=task.name, unit="item", quiet=quiet) as bar:
        for begin in range(0, len(prompts), _PROMPTS):
            part = prompts[begin : begin + _PROMPTS]
            key = f"{task.name}/{begin}"
            if key not in store.found:
                answers = model.generate(part, max_tokens=task.max_tokens, stop=stop)
                store.put({key: [text.strip() for text in answers]})
            found += store.found[key]
            bar.update(len(part))
    lines = (
        {
            "id": example.id,
            **({"group": example.group} if example.group else {}),
            "context": prompt,
            "answers": list(example.answers),
            "prediction": text,
            "gold": example.answers[0],
        }
        for example, prompt, text in zip(examples, prompts, found, strict=True)
    )
    notes = []
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is not None and model.context_length:
        room = model.context_length - task.max_tokens - 1
        if cut := sum(len(ids) > room for ids in tokenizer.encode_batch(prompts)):
            notes.append(f"{cut} prompts left no room for an answer in the context and were cut from the left")
    return Outcome(dict.fromkeys(task.metrics, found), lines, notes=notes)


def by_finetuning(
    given: Prepared, model: Any, tokenizer: Any, store: Store, config: EvalConfig, quiet: bool, **where: str
) -> Outcome:
    """The task learned from its train split, by the model and by the same net from random weights."""
    from eval.finetuning import finetune

    task, name = given.task, given.task.name
    metrics, primary = finetuned_metrics(task)
    done = {key.removeprefix(f"{name}/"): value for key, value in store.found.items() if key.startswith(f"{name}/")}
    result = finetune(
        model,
        tokenizer,
        task.kind,
        given.train,
        given.examples,
        metric=primary,
        config=config.finetune,
        quiet=quiet,
        done=done,
        keep=lambda unit, outcome: store.put({f"{name}/{unit}": outcome}),
        **where,
    )
    # seconds differ from run to run, so they stay out of what is compared
    starts = {"pretrained": result.pretrained, "scratch": result.scratch}
    fitted = {
        start: {"setting": asdict(found.setting), "grid": found.grid}
        for start, found in starts.items()
        if found is not None
    }
    seeds = result.pretrained.predictions
    lines = (
        {
            "id": example.id,
            **({"group": example.group} if example.group else {}),
            "texts": list(example.texts),
            "choices": list(example.choices),
            **({"answers": list(example.answers)} if example.answers else {}),
            "prediction": seeds[0][place],
            "predictions": [found[place] for found in seeds],
            **({"scratch": [found[place] for found in result.scratch.predictions]} if result.scratch else {}),
            "gold": example.answers[0] if example.answers else example.label,
        }
        for place, example in enumerate(given.examples)
    )
    counts = result.counts
    notes = [
        f"fine-tuned with {len(seeds)} seeds: {result.pretrained.setting}",
        f"the setting was chosen on {counts['dev']} of the training examples, the other {counts['train']} were learned from",
    ]
    if result.scratch is not None:
        notes.append(f"the same net from random weights had the same grid: {result.scratch.setting}")
    if counts["test_cut"]:
        notes.append(f"{counts['test_cut']} items were longer than {config.finetune.tokens} tokens and lost their ends")
    return Outcome(
        dict.fromkeys(metrics, seeds[0]), lines, notes=notes, more={"finetune": counts | fitted}, seeds=result
    )


def finetuned_metrics(task: Task) -> tuple[tuple[str, ...], str]:
    """The metrics of a task that a classifier has, and its primary one: normalisations of likelihood are not among them."""
    metrics = dict.fromkeys("accuracy" if metric.startswith("accuracy") else metric for metric in task.metrics)
    return tuple(metrics), "accuracy" if task.primary.startswith("accuracy") else task.primary


def figures(predictions: Mapping[str, Predictions], examples: Sequence[Example], config: EvalConfig) -> Figures:
    """Every metric with its interval."""
    return {
        metric: measure(metric, examples, found, bootstrap=config.bootstrap, seed=config.seed)
        for metric, found in predictions.items()
    }


def seed_figures(
    result: Any, examples: Sequence[Example], metrics: Sequence[str], config: EvalConfig
) -> tuple[Figures, Figures, Figures]:
    """Every metric of a fine-tuned model, of the same net from random weights, and what the one has more than the other."""
    from eval.seeds import figures as over_seeds

    found = over_seeds(result, examples, metrics, bootstrap=config.bootstrap, seed=config.seed)
    own = {metric: values["pretrained"] for metric, values in found.items()}
    scratch, gain = (
        {metric: values[name] for metric, values in found.items() if name in values}
        for name in ("scratch", "difference")
    )
    return own, scratch, gain


def paired(
    primary: str, own: Predictions, others: Mapping[str, Predictions], examples: Sequence[Example], config: EvalConfig
) -> dict[str, Any]:
    """What the model has more than each of the others, item by item, and in each group: figures alone, no items."""

    def lines(predictions: Predictions) -> list[dict[str, Any]]:
        return [
            {
                "id": example.id,
                "gold": example.label,
                "answers": example.answers,
                "group": example.group,
                "prediction": prediction,
            }
            for example, prediction in zip(examples, predictions, strict=True)
        ]

    found = {name: compare_task(primary, lines(other), lines(own), seed=config.seed) for name, other in others.items()}
    told = ("difference", "p_value", "p_holm", "test", "groups")
    return {name: {key: record[key] for key in told if key in record} for name, record in found.items()}


def honest(given: Prepared, metrics: Sequence[str], config: EvalConfig) -> dict[str, Figures]:
    """The task's own baselines, those that have to learn where there is a train split."""
    found = {}
    for name in given.task.honest:
        if given.train or not HONEST[name].needs_train:
            answered = honest_baseline(name, given.train, given.examples)
            found[name] = figures(dict.fromkeys(metrics, answered), given.examples, config)
    return found


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
