"""The three ways to measure a task: what the model answers to its examples, by likelihood, generated or fine-tuned."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from eval.config import EvalConfig
from eval.examples import Example, Predictions
from eval.likelihood import score_items
from eval.models import CountedModel, LanguageModel
from eval.multiple_choice import ChoiceTask, ItemScores, predict
from eval.preparing import Prepared
from eval.store import Store
from eval.task import Task
from stage.progress import progress

Answers = Mapping[str, Sequence[Predictions]]
"""For each metric what it judges: the predictions of each seed, or of the one run."""
SCRATCH = "random weights"
"""The baseline of fine-tuning: the same net without pretraining."""


@dataclass
class Outcome:
    """What a way of measuring has found of a task."""

    answers: Answers
    lines: Iterable[dict[str, Any]]
    """Of ``samples.jsonl``, without the name of the task."""
    baselines: dict[str, Answers] = field(default_factory=dict)
    """The same of models that were asked the same."""
    notes: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    """What else goes into the record of the task."""


def by_likelihood(
    task: ChoiceTask, model: LanguageModel, ngram: CountedModel | None, store: Store, quiet: bool
) -> Outcome:
    """The choices of every item scored by the model and by the 5-gram, if there is one."""
    scores = score_items(task.items, model, name=task.name, store=store, quiet=quiet)
    found = likeliest(task, scores)
    lines = (
        line_of(
            item.id, item.group, item.gold, answer, context=item.context, choices=item.choices, scores=score.record()
        )
        for item, score, answer in zip(task.items, scores, found[task.primary][0], strict=True)
    )
    baselines = {} if ngram is None else {"5-gram": likeliest(task, score_items(task.items, ngram))}
    return Outcome(found, lines, baselines, _cut_notes(scores, model))


def likeliest(task: ChoiceTask, scores: Sequence[ItemScores]) -> Answers:
    """What the scores of a task's items answer."""
    return {metric: [predict(scores, metric, task.grid, task.decided_by)] for metric in task.metrics}


def line_of(id: str, group: str, gold: Any, prediction: Any, **more: Any) -> dict[str, Any]:
    """A line of ``samples.jsonl``, without the name of the task; what is empty is left out."""
    told = {name: value for name, value in ({"group": group} | more).items() if value}
    return {"id": id, **told, "prediction": prediction, "gold": gold}


def _cut_notes(scores: Sequence[ItemScores], model: Any) -> list[str]:
    if cut := sum(score.cut for score in scores):
        return [f"{cut} items were longer than the context of {model.context_length} tokens and cut from the left"]
    return []


def by_generation(
    examples: Sequence[Example],
    prompts: Sequence[str],
    stop: Sequence[str],
    model: LanguageModel,
    store: Store,
    task: Task,
    quiet: bool,
) -> Outcome:
    """A greedy answer to every prompt, up to a stop string; the answers that are accepted are not looked at."""
    found: list[str] = []
    with progress(total=len(prompts), description=task.name, unit="item", quiet=quiet) as bar:
        for begin in range(0, len(prompts), model.at_once):
            part = prompts[begin : begin + model.at_once]
            key = f"{task.name}/{begin}"
            if key not in store.found:
                texts = model.generate(part, max_tokens=task.max_tokens, stop=stop)
                store.put({key: [text.strip() for text in texts]})
            found += store.found[key]
            bar.update(len(part))
    lines = (
        line_of(example.id, example.group, example.answers[0], text, context=prompt, answers=example.answers)
        for example, prompt, text in zip(examples, prompts, found, strict=True)
    )
    notes = []
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is not None and model.context_length:
        room = model.context_length - task.max_tokens - 1
        if cut := sum(len(ids) > room for ids in tokenizer.encode_batch(prompts)):
            notes.append(f"{cut} prompts left no room for an answer in the context and were cut from the left")
    return Outcome({metric: [found] for metric in task.metrics}, lines, notes=notes)


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
    seeds, scratch = result.pretrained.predictions, result.scratch.predictions if result.scratch else []
    lines = (
        line_of(
            example.id,
            example.group,
            example.answers[0] if example.answers else example.label,
            seeds[0][place],
            texts=example.texts,
            choices=example.choices,
            answers=example.answers,
            predictions=[found[place] for found in seeds],
            scratch=[found[place] for found in scratch],
        )
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
        notes.append(f"{counts['test_cut']} items were longer than {counts['row_tokens']} tokens and lost their ends")
    baselines: dict[str, Answers] = {SCRATCH: dict.fromkeys(metrics, scratch)} if scratch else {}
    return Outcome(dict.fromkeys(metrics, seeds), lines, baselines, notes, {"finetune": counts | fitted})


def finetuned_metrics(task: Task) -> tuple[tuple[str, ...], str]:
    """The metrics of a task that a classifier has, and its primary one: normalisations of likelihood are not among them."""
    metrics = dict.fromkeys("accuracy" if metric.startswith("accuracy") else metric for metric in task.metrics)
    return tuple(metrics), "accuracy" if task.primary.startswith("accuracy") else task.primary
