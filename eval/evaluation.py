"""Measure a model: bits per character and tasks, with baselines, into ``results.json`` and ``samples.jsonl``."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.config import INTRINSIC, EvalConfig
from eval.documents import Documents
from eval.intrinsic import build_intrinsic
from eval.language import held_out, language_record
from eval.multiple_choice import (
    ChoiceTask,
    Item,
    ItemScores,
    encode_items,
    measure,
    predict,
    score_items,
    trivial_baselines,
)
from eval.ngram import KneserNey
from eval.scoring import ModelScorer, is_cut
from eval.task import build_items, load_task
from stage.errors import ArtifactError, UsageError
from stage.files import sha256_file
from stage.folder import Made, write_folder
from stage.manifest import NAME as MANIFEST
from stage.manifest import Input, Manifest, artifact_input, read_manifest, write_json

log = logging.getLogger(__name__)

SCHEMA = 1
PRESET = "ja-v1"
"""The normalisation of prompts where the model does not name one."""


def evaluate(
    model: Path | str,
    out: Path | str,
    config: EvalConfig | None = None,
    *,
    data: Path | str | None = None,
    shards: Path | str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Measure a model folder, or one of its checkpoints, on the shards that it was trained on or on ``shards``.

    ``data`` holds the files of the tasks that need some. Raises ArtifactError for folders that are not what they should
    be, UsageError where something is missing from the request, InputError for data files that are not as declared.
    """
    model, config = Path(model), config or EvalConfig()
    model_input = _model_input(model)
    place = _shards_of(model, shards)
    shards_input = artifact_input("shards", place, "shard")
    _check_tokenizers(model, place)
    inputs = [model_input, shards_input]
    preset = _preset_of(model)
    declared: list[Callable[[Documents, Manifest], ChoiceTask]] = []
    for name in config.tasks:
        if name in INTRINSIC:
            declared.append(_intrinsic(name, config))
            continue
        task = load_task(name)
        folder = None if data is None else Path(data)
        valid, train = task.find(folder, config.split), task.find_train(folder, config.shots)
        inputs += [Input("data", str(file), sha256_file(str(file))) for file in (valid, train) if file is not None]
        # read now: a broken file should fail before minutes of scoring
        items = build_items(task, valid, train, shots=config.shots, limit=config.limit, seed=config.seed, preset=preset)
        declared.append(_given(items))

    if data is not None and all(name in INTRINSIC for name in config.tasks):
        log.warning(
            "--data %s: has no effect, none of the tasks %s reads files", data, ", ".join(config.tasks) or "asked for"
        )

    def make(folder: Path) -> Made:
        return _make(folder, config, model, place, model_input, declared, device, dtype, quiet)

    return write_folder(out, stage="eval", parameters=asdict(config), inputs=inputs, make=make, overwrite=overwrite)


def _make(
    folder: Path,
    config: EvalConfig,
    model_folder: Path,
    shards_folder: Path,
    model_input: Input,
    declared: list[Callable[[Documents, Manifest], ChoiceTask]],
    device: str,
    dtype: str,
    quiet: bool,
) -> Made:
    from jgpt import load_model
    from jgpt.data.shards import ShardSet
    from tokenizer import JapaneseTokenizer

    tokenizer = JapaneseTokenizer(shards_folder)
    shard_set = ShardSet(shards_folder)
    documents = Documents(shard_set.split(config.split), tokenizer)
    train = Documents(shard_set.split("train"), tokenizer)
    texts = held_out(documents, config.max_characters, config.seed)
    model = load_model(model_folder, device=device, dtype=dtype)
    scorer = ModelScorer(model, config.batch_tokens)
    ngrams = {
        name: KneserNey(train.sample(config.ngram_tokens, config.seed), tokenizer.vocab_size, order)
        for name, order in (("5-gram", 5), ("unigram", 1))
    }
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "model": {
            "path": model_folder.name,  # the whole path is in the manifest: data must not depend on where it lies
            "data_sha256": model_input.sha256,
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "context_length": scorer.context_length,
            "vocab_size": model.config.vocab_size,
        },
        "language": language_record(
            texts,
            scorer,
            ngrams,
            split=config.split,
            bootstrap=config.bootstrap,
            seed=config.seed,
            quiet=quiet,
        ),
        "tasks": {},
    }
    counts: dict[str, Any] = {"characters": sum(texts.characters), "documents": len(texts.ids)}
    with (folder / "samples.jsonl").open("w", encoding="utf-8") as samples:
        for build in declared:
            task = build(documents, shard_set.manifest)
            counts[f"{task.name}_items"] = len(task.items)
            if not task.items:
                # a corpus of few short documents has none; its other figures stand
                results.setdefault("skipped", {})[task.name] = "; ".join(task.notes)
                log.warning("%s: left out, the validation documents yield no items: %s", task.name, task.notes[0])
                continue
            record, lines = run_task(task, scorer, ngrams["5-gram"], tokenizer, config, quiet=quiet)
            results["tasks"][task.name] = record
            samples.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_json(folder / "results.json", results)
    return Made(
        counts | {"device": str(model.device), "dtype": str(next(model.parameters()).dtype).removeprefix("torch.")}
    )


def run_task(
    task: ChoiceTask,
    scorer: ModelScorer,
    ngram: KneserNey,
    tokenizer: Any,
    config: EvalConfig,
    *,
    quiet: bool = True,
) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """Score a task with the model and with the 5-gram: its part of ``results.json``, and a line for each item."""
    items = task.items
    encoded = encode_items(items, tokenizer)
    scores = score_items(items, encoded, scorer, description=task.name, quiet=quiet)
    metrics = measure(items, scores, task.metrics, bootstrap=config.bootstrap, seed=config.seed)
    baselines = trivial_baselines(items, task.metrics)
    ngram_scores = score_items(items, encoded, ngram)
    baselines["5-gram"] = measure(items, ngram_scores, task.metrics, bootstrap=config.bootstrap, seed=config.seed)
    notes = [*task.notes]
    if config.shots and task.name in INTRINSIC:
        notes.append("takes no solved examples: shots have no effect here")
    cut = sum(any(is_cut(request, scorer.context_length) for request in requests) for requests in encoded)
    if cut:
        notes.append(
            f"{cut} items were longer than the context of {scorer.context_length} tokens and cut from the left"
        )
    high = metrics[task.primary].get("high")
    if high is not None and high < baselines["majority"][task.primary]["value"]:
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
    return record, _samples(task, items, scores)


def _samples(task: ChoiceTask, items: list[Item], scores: list[ItemScores]) -> Iterator[dict[str, Any]]:
    predictions = predict(scores, task.primary)
    for item, score, prediction in zip(items, scores, predictions, strict=True):
        yield {
            "task": task.name,
            "id": item.id,
            "context": item.context,
            "choices": list(item.choices),
            "scores": score.record(),
            "prediction": prediction,
            "gold": item.gold,
        }


def _intrinsic(name: str, config: EvalConfig) -> Callable[[Documents, Manifest], ChoiceTask]:
    def build(documents: Documents, manifest: Manifest) -> ChoiceTask:
        licenses = sorted({entry["license"] for entry in manifest.licenses if entry.get("license")})
        return build_intrinsic(
            name,
            documents,
            license=", ".join(licenses) or "that of the corpus",
            source=f"the {config.split} documents of the shards",
            seed=config.seed,
            limit=config.limit,
        )

    return build


def _given(task: ChoiceTask) -> Callable[[Documents, Manifest], ChoiceTask]:
    return lambda documents, manifest: task


def _model_input(model: Path) -> Input:
    """The model as an input: the hash of its artifact, or of the weights of a checkpoint."""
    if (model / MANIFEST).is_file():
        return artifact_input("model", model, "pretrain")
    weights = model / "model.safetensors"
    if not weights.is_file():
        raise ArtifactError(f"{model}: is neither a model folder nor a checkpoint of one")
    return Input("model", str(model), sha256_file(str(weights)))


def _shards_of(model: Path, shards: Path | str | None) -> Path:
    """The shards asked for, or those that the model was trained on, which must still be what they were."""
    if shards is not None:
        return Path(shards)
    recorded = _recorded_shards(model)
    if recorded is None:
        raise UsageError(f"{model}: does not say what it was trained on: name the shards with --shards DIR")
    # a run folder that was moved as a whole holds the shards beside the model
    for place in (Path(recorded.path), model.absolute().parent / Path(recorded.path).name):
        if (place / MANIFEST).is_file():
            if read_manifest(place, "shard").data_sha256 != recorded.sha256:
                raise ArtifactError(
                    f"{place}: has changed since {model} was trained on it, so the model may know its validation text: "
                    "name shards with --shards DIR if you want them nevertheless"
                )
            return place
    raise UsageError(
        f"{recorded.path}: the shards that {model} was trained on are not there: name them with --shards DIR"
    )


def _preset_of(model: Path) -> str:
    """The normalisation of the text that the model was trained on."""
    try:
        record = json.loads((model / "config.json").read_text("utf-8"))
        return str(record.get("normalization") or PRESET)
    except (OSError, ValueError, AttributeError):
        raise ArtifactError(f"{model}: holds no readable config.json, so it is no model of jgpt") from None


def _recorded_shards(model: Path) -> Input | None:
    """What the manifest of the model says, or for a checkpoint the run two folders above."""
    for folder in (model, *model.absolute().parents[:2]):
        for name in (MANIFEST, "run.json"):
            if (folder / name).is_file():
                try:
                    entries = json.loads((folder / name).read_text("utf-8"))["inputs"]
                    return next((Input(**entry) for entry in entries if entry["role"] == "shards"), None)
                except (ValueError, KeyError, TypeError):
                    raise ArtifactError(f"{folder / name}: is not as jgpt wrote it") from None
    return None


def _check_tokenizers(model: Path, shards: Path) -> None:
    files = [model / "tokenizer.model", shards / "tokenizer.model"]
    for file in files:
        if not file.is_file():
            raise ArtifactError(f"{file.parent}: holds no {file.name}")
    if sha256_file(str(files[0])) != sha256_file(str(files[1])):
        raise ArtifactError(
            f"{shards}: was written with another tokenizer than {model} has: shard the corpus with that one"
        )
