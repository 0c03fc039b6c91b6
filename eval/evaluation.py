"""Measure a model: bits per character and tasks, with baselines, into ``results.json`` and ``samples.jsonl``."""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from eval.config import EvalConfig
from eval.documents import Documents
from eval.intrinsic import build_intrinsic
from eval.language import held_out, language_record
from eval.multiple_choice import ChoiceTask, ItemScores, encode_items, measure, predict, score_items, trivial_baselines
from eval.ngram import KneserNey
from eval.scoring import ModelScorer, is_cut
from eval.task import build_items, find_tasks
from jgpt.data.shards import ShardSet, pooled
from jgpt.model.folder import load_config, load_model, model_input
from jgpt.model.gpt import GPT
from stage.errors import ArtifactError, UsageError
from stage.files import sha256_file
from stage.folder import Made, write_folder
from stage.manifest import NAME as MANIFEST
from stage.manifest import Input, Manifest, artifact_input, read_manifest, write_json
from tokenizer import JapaneseTokenizer

log = logging.getLogger(__name__)

SCHEMA = 1


def evaluate(
    model: Path | str,
    out: Path | str,
    config: EvalConfig | None = None,
    *,
    data: Path | str | None = None,
    shards: Path | str | Sequence[Path | str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Measure a model folder, or one of its checkpoints, on all the shards that it was trained on or on ``shards``.

    ``data`` holds the files of the tasks that need some. Raises ArtifactError for folders that are not what they should
    be, UsageError where something is missing from the request, InputError for data files that are not as declared.
    """
    model, config = Path(model), config or EvalConfig()
    made_by = model_input(model)
    places = _shards_of(model, shards)
    inputs = [made_by, *(artifact_input("shards", place, "shard") for place in places)]
    opened = [ShardSet(place) for place in places]
    tokenizer_sha256 = sha256_file(str(model / "tokenizer.model"))
    for each in opened:
        if each.tokenizer_sha256 != tokenizer_sha256:
            raise ArtifactError(
                f"{each.folder}: was written with another tokenizer than {model} has: shard the corpus with that one"
            )
    preset = load_config(model).normalization or "none"
    declared: dict[str, ChoiceTask | None] = dict.fromkeys(config.tasks)
    for name, (task, valid, train) in find_tasks(config, data).items():
        inputs += [Input("data", str(file), sha256_file(str(file))) for file in (valid, train) if file is not None]
        # read now: a broken file should fail before minutes of scoring
        declared[name] = build_items(
            task, valid, train, shots=config.shots, limit=config.limit, seed=config.seed, preset=preset
        )
    if data is not None and not any(declared.values()):
        asked = ", ".join(config.tasks) or "asked for"
        log.warning("--data %s: has no effect, none of the tasks %s reads files", data, asked)

    def make(folder: Path) -> Made:
        found = load_model(model, device=device, dtype=dtype)
        about = {"path": model.name, "data_sha256": made_by.sha256}  # a whole path would make the data depend on it
        return _measure_all(folder, config, found, about, opened, declared, quiet)

    return write_folder(out, stage="eval", parameters=asdict(config), inputs=inputs, make=make, overwrite=overwrite)


def _measure_all(
    folder: Path,
    config: EvalConfig,
    model: GPT,
    about: dict[str, Any],
    shards: list[ShardSet],
    declared: dict[str, ChoiceTask | None],
    quiet: bool,
) -> Made:
    """Write ``results.json`` and ``samples.jsonl``; tasks that are None are made from the documents of the split."""
    tokenizer = JapaneseTokenizer(shards[0].folder)
    sources = list(chain.from_iterable(each.sources(config.split) for each in shards))
    documents = Documents(pooled(each.split(config.split) for each in shards), tokenizer, sources)
    train = Documents(pooled(each.split("train") for each in shards), tokenizer)
    texts = held_out(documents, config.max_characters, config.seed)
    scorer = ModelScorer(model, config.batch_tokens, quiet)
    ngrams = {
        name: KneserNey(train.sample(config.ngram_tokens, config.seed), tokenizer.vocab_size, order)
        for name, order in (("5-gram", 5), ("unigram", 1))
    }
    about = about | {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "context_length": scorer.context_length,
        "vocab_size": model.config.vocab_size,
    }
    results: dict[str, Any] = {"schema": SCHEMA, "model": about}
    results |= {"language": language_record(texts, scorer, ngrams, config), "tasks": {}}
    counts: dict[str, Any] = {"characters": sum(map(len, texts.texts)), "documents": len(texts.ids)}
    with (folder / "samples.jsonl").open("w", encoding="utf-8") as samples:
        for name, task in declared.items():
            task = task or _intrinsic(name, documents, shards, config)
            counts[f"{name}_items"] = len(task.items)
            if not task.items:
                # a corpus of few short documents has none; its other figures stand
                results.setdefault("skipped", {})[name] = "; ".join(task.notes)
                log.warning("%s: left out, the validation documents yield no items: %s", name, task.notes[0])
                continue
            record, lines = run_task(task, scorer, ngrams["5-gram"], tokenizer, config)
            results["tasks"][name] = record
            samples.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_json(folder / "results.json", results)
    precision = str(next(model.parameters()).dtype).removeprefix("torch.")
    return Made(counts | {"device": str(model.device), "dtype": precision})


def _intrinsic(name: str, documents: Documents, shards: list[ShardSet], config: EvalConfig) -> ChoiceTask:
    entries = chain.from_iterable(each.manifest.licenses for each in shards)
    licenses = sorted({entry["license"] for entry in entries if entry.get("license")})
    task = build_intrinsic(name, documents, seed=config.seed, limit=config.limit)
    task.license = ", ".join(licenses) or task.license
    task.source = f"the {config.split} documents of the shards"
    if config.shots:
        task.notes.append("takes no solved examples: shots have no effect here")
    return task


def run_task(
    task: ChoiceTask, scorer: ModelScorer, ngram: KneserNey, tokenizer: Any, config: EvalConfig
) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """Score a task with the model and with the 5-gram: its part of ``results.json``, and a line for each item."""
    items = task.items
    encoded = encode_items(items, tokenizer)
    requests = list(chain.from_iterable(encoded))
    scores = score_items(items, scorer.score(requests, task.name))
    metrics = measure(items, scores, task.metrics, bootstrap=config.bootstrap, seed=config.seed)
    baselines = trivial_baselines(items, task.metrics)
    ngram_scores = score_items(items, ngram.score(requests))
    baselines["5-gram"] = measure(items, ngram_scores, task.metrics, bootstrap=config.bootstrap, seed=config.seed)
    notes = [*task.notes]
    if cut := sum(any(is_cut(request, scorer.context_length) for request in of_item) for of_item in encoded):
        notes.append(
            f"{cut} items were longer than the context of {scorer.context_length} tokens and cut from the left"
        )
    primary = metrics[task.primary]
    if primary.get("high", math.inf) < baselines["majority"][task.primary]["value"]:
        notes.append("below the majority baseline")
    record = {
        "title": task.title,
        "items": len(items),
        "primary": task.primary,
        "metrics": metrics,
        "baselines": baselines,
        "notes": notes,
        "license": task.license,
        "source": task.source,
    }
    return record, _samples(task, scores)


def _samples(task: ChoiceTask, scores: list[ItemScores]) -> Iterator[dict[str, Any]]:
    for item, score, prediction in zip(task.items, scores, predict(scores, task.primary), strict=True):
        yield {
            "task": task.name,
            "id": item.id,
            "context": item.context,
            "choices": list(item.choices),
            "scores": score.record(),
            "prediction": prediction,
            "gold": item.gold,
        }


def _shards_of(model: Path, shards: Path | str | Sequence[Path | str] | None) -> list[Path]:
    """The shards asked for, or those that the model was trained on, which must still be what they were."""
    if shards is not None:
        return [Path(place) for place in ([shards] if isinstance(shards, str | Path) else shards)]
    recorded = _recorded_shards(model)
    if not recorded:
        raise UsageError(f"{model}: does not say what it was trained on: name the shards with --shards DIR")
    return [_found(model, entry) for entry in recorded]


def _found(model: Path, recorded: Input) -> Path:
    """Where shards that a model was trained on lie now."""
    changed = None
    # a run folder that was moved as a whole holds the shards beside the model
    for place in (Path(recorded.path), model.absolute().parent / Path(recorded.path).name):
        if (place / MANIFEST).is_file():
            if read_manifest(place, "shard").data_sha256 == recorded.sha256:
                return place
            changed = changed or place
    if changed:
        raise ArtifactError(
            f"{changed}: has changed since {model} was trained on it, so the model may know its validation text: "
            "name shards with --shards DIR if you want them nevertheless"
        )
    raise UsageError(
        f"{recorded.path}: the shards that {model} was trained on are not there: name them with --shards DIR"
    )


def _recorded_shards(model: Path) -> list[Input]:
    """What the manifest of the model says, or for a checkpoint the run two folders above."""
    for folder in (model, *model.absolute().parents[:2]):
        for name in (MANIFEST, "run.json"):
            if (folder / name).is_file():
                try:
                    entries = json.loads((folder / name).read_text("utf-8"))["inputs"]
                    return [Input(**entry) for entry in entries if entry["role"] == "shards"]
                except (ValueError, KeyError, TypeError):
                    raise ArtifactError(f"{folder / name}: is not as jgpt wrote it") from None
    return []
