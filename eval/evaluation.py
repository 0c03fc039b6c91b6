"""Measure a model: bits per character and tasks, with baselines, into ``results.json`` and ``samples.jsonl``."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.normalization import normalize_prompt
from eval.config import INTRINSIC, EvalConfig
from eval.contamination import clean_record, contaminated, seen
from eval.documents import Documents
from eval.examples import Example
from eval.figures import honest, task_record
from eval.intrinsic import build_intrinsic
from eval.language import held_out, language_record
from eval.likelihood import score_items
from eval.measuring import Outcome, by_finetuning, by_generation, by_likelihood, finetuned_metrics, likeliest
from eval.models import CountedModel, JgptModel, LanguageModel, identify, open_model, precision_of
from eval.multiple_choice import ChoiceTask
from eval.ngram import KneserNey
from eval.origin import given_shards, shards_of
from eval.preparing import Prepared, prepare
from eval.prompts import items, render
from eval.store import Store
from eval.task import Prompt
from jgpt.data.shards import ShardSet, pooled
from stage.errors import ArtifactError, UsageError
from stage.files import sha256_file
from stage.folder import Made, write_folder
from stage.manifest import Manifest, artifact_input, write_json
from stage.progress import progress
from tokenizer import JapaneseTokenizer

log = logging.getLogger(__name__)

SCHEMA = 2
_FOUND = "found"
"""The folder for scores of items while a run is at work."""


def evaluate(
    model: Path | str,
    out: Path | str,
    config: EvalConfig | None = None,
    *,
    data: Path | str | None = None,
    shards: Path | str | Sequence[Path | str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    endpoint_model: str = "",
    endpoint_parallel: int = 4,
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Measure a model: a folder of jgpt or one of its checkpoints, a folder of Hugging Face's form, or an endpoint.

    Bits per character are measured on all the shards that it was trained on or on ``shards``, without which models of
    other makers have none. ``data`` holds the files of the tasks that need some. A run that was killed goes on, when it is
    called again, with the items that it had not scored. Raises ArtifactError for folders that are not what they should be,
    UsageError where something is missing from the request, InputError for data files that are not as declared.
    """
    config = config or EvalConfig()
    made_by, preset = identify(model, endpoint_model)
    own = made_by.role == "model"
    places = shards_of(Path(model), shards) if own else given_shards(shards)
    _check_possible(config, str(model), own, bool(places))
    opened = [ShardSet(place) for place in places]
    if own:
        _check_tokenizer(Path(model), opened)
    inputs = [made_by, *(artifact_input("shards", place, "shard") for place in places)]
    # read now: a broken file should fail before minutes of scoring
    prepared = prepare(config, data, preset)
    inputs += chain.from_iterable(each.inputs for each in prepared.values())
    if data is not None and not prepared:
        asked = ", ".join(config.tasks) or "asked for"
        log.warning("--data %s: has no effect, none of the tasks %s reads files", data, asked)

    # figures of the one precision or device are not those of another
    parameters = asdict(config) | {"device": device, "dtype": dtype}

    def make(folder: Path) -> Made:
        found = open_model(
            model,
            device=device,
            dtype=dtype,
            batch_tokens=config.batch_tokens,
            quiet=quiet,
            endpoint_model=endpoint_model,
            endpoint_parallel=endpoint_parallel,
            reference=config.reference,
        )
        about = {"path": found.name, "data_sha256": made_by.sha256}  # a whole path would make the data depend on it
        run = _Run(config, found, about, opened, prepared, (device, dtype), quiet)
        with Store(folder / _FOUND / "scores.jsonl") as store:
            return run.measure(folder, store)

    return write_folder(
        out, stage="eval", parameters=parameters, inputs=inputs, make=make, overwrite=overwrite, keep=_FOUND
    )


def _check_possible(config: EvalConfig, model: str, own: bool, shards: bool) -> None:
    """Raise UsageError for what needs shards or weights that are not there."""
    if not own and config.method == "finetune":
        raise UsageError(f"--method finetune: needs a model folder of jgpt, which {model} is not")
    made_of_shards = [name for name in config.tasks if name in INTRINSIC]
    if made_of_shards and not shards:
        raise UsageError(
            f"--tasks {','.join(made_of_shards)}: made of the documents of shards: name some with --shards DIR, "
            "or other tasks with --tasks"
        )
    if not config.tasks and not (config.language and shards):
        raise UsageError("--tasks: names none, and there is nothing else to measure without --shards DIR")


def _check_tokenizer(model: Path, shards: Sequence[ShardSet]) -> None:
    tokenizer_sha256 = sha256_file(str(model / "tokenizer.model"))
    for each in shards:
        if each.tokenizer_sha256 != tokenizer_sha256:
            raise ArtifactError(
                f"{each.folder}: was written with another tokenizer than {model} has: shard the corpus with that one"
            )


class _Run:
    """One evaluation: everything that its tasks share."""

    def __init__(
        self,
        config: EvalConfig,
        model: LanguageModel,
        about: dict[str, Any],
        shards: list[ShardSet],
        prepared: dict[str, Prepared],
        where: tuple[str, str],
        quiet: bool,
    ) -> None:
        self.config, self.model, self.shards, self.prepared = config, model, shards, prepared
        self.preset, self.quiet = model.normalization, quiet
        self.device, self.dtype = where
        self.about = about | {"context_length": model.context_length}
        if (weights := getattr(model, "model", None)) is not None:
            self.about["parameters"] = sum(weight.numel() for weight in weights.parameters())
            self.about["vocab_size"] = weights.config.vocab_size
        self.ngrams: dict[str, KneserNey] = {}
        self.counted: CountedModel | None = None
        if shards:
            self.tokenizer = JapaneseTokenizer(shards[0].folder)
            sources = list(chain.from_iterable(each.sources("valid") for each in shards))
            self.documents = Documents(pooled(each.split("valid") for each in shards), self.tokenizer, sources)
            self.train = Documents(pooled(each.split("train") for each in shards), self.tokenizer)
            self.ngrams = {
                name: KneserNey(self.train.sample(config.ngram_tokens, config.seed), self.tokenizer.vocab_size, order)
                for name, order in (("5-gram", 5), ("unigram", 1))
            }
            self.counted = CountedModel(self.ngrams["5-gram"], self.tokenizer)

    def measure(self, folder: Path, store: Store) -> Made:
        """Write ``results.json`` and ``samples.jsonl``."""
        results: dict[str, Any] = {"schema": SCHEMA, "model": self.about}
        counts: dict[str, Any] = {}
        if self.config.language and self.shards:
            texts = held_out(self.documents, self.config.max_characters, self.config.seed)
            counts |= {"characters": sum(map(len, texts.texts)), "documents": len(texts.ids)}
            results["language"] = language_record(texts, self.model, self.ngrams, self.config)
        results["tasks"] = {}
        with (folder / "samples.jsonl").open("w", encoding="utf-8") as samples:
            for path in self.config.tasks:
                name = Path(path).stem if path not in INTRINSIC else path
                found = self._intrinsic(name, store) if path in INTRINSIC else self._declared(name, store)
                if isinstance(found, list):
                    # a corpus of few short documents has none; its other figures stand
                    results.setdefault("skipped", {})[name] = "; ".join(found)
                    log.warning("%s: left out, the validation documents yield no items: %s", name, found[0])
                    continue
                record, lines = found
                counts[f"{name}_items"] = record["items"]
                results["tasks"][name] = record
                samples.writelines(json.dumps({"task": name} | line, ensure_ascii=False) + "\n" for line in lines)
        write_json(folder / "results.json", results)
        if (weights := getattr(self.model, "model", None)) is not None:
            counts |= {"device": str(weights.device), "dtype": precision_of(weights)}
        return Made(counts)

    def _intrinsic(self, name: str, store: Store) -> tuple[dict[str, Any], Iterable[dict[str, Any]]] | list[str]:
        config = self.config
        entries = chain.from_iterable(each.manifest.licenses for each in self.shards)
        licenses = sorted({entry["license"] for entry in entries if entry.get("license")})
        task = build_intrinsic(name, self.documents, seed=config.seed, limit=config.limit)
        task.license = ", ".join(licenses) or task.license
        task.source = "the valid documents of the shards"
        if config.shots:
            task.notes.append("takes no solved examples: shots have no effect here")
        if not task.items:
            return task.notes
        outcome = by_likelihood(task, self.model, self.counted, store, self.quiet)
        examples = [Example(item.id, {}, item.choices, item.gold, group=item.group) for item in task.items]
        kind = "pair" if len(task.items[0].choices) == 2 else "choice"
        return task_record(task, kind, "likelihood", examples, outcome, config), outcome.lines

    def _declared(self, name: str, store: Store) -> tuple[dict[str, Any], Iterable[dict[str, Any]]]:
        given = self.prepared[name]
        task, prompt = given.task, given.prompt
        made = ChoiceTask(
            name, task.title, [], task.metrics, task.primary, task.license, task.source, list(given.notes)
        )
        made.decided_by, made.grid = task.decided_by, task.grid if task.kind == "regression" else ()
        if given.method == "generate":
            assert prompt is not None
            outcome = self._generated(given, prompt, store)
        elif given.method == "likelihood":
            made.items = items(task, prompt, given.examples, given.few_shot, self.preset)
            outcome = by_likelihood(made, self.model, self.counted, store, self.quiet)
        else:
            where = {"device": self.device, "dtype": self.dtype}
            assert isinstance(self.model, JgptModel)
            outcome = by_finetuning(
                given, self.model.model, self.model.tokenizer, store, self.config, self.quiet, **where
            )
            made.metrics, made.primary = finetuned_metrics(task)
            if self.counted is not None and task.prompts and task.kind != "span":
                made.items = items(task, task.prompt(), given.examples, given.few_shot, self.preset)
                outcome.baselines["5-gram"] = likeliest(made, score_items(made.items, self.counted))
        record = task_record(made, task.kind, given.method, given.examples, outcome, self.config)
        record["baselines"] |= honest(given, made.metrics, self.config)
        if found := self._contamination(given, made.primary, outcome):
            record["contamination"] = found
        record |= {"published": [dict(entry) for entry in task.published], "leaks": [dict(leak) for leak in task.leaks]}
        return record, outcome.lines

    def _contamination(self, given: Prepared, primary: str, outcome: Outcome) -> dict[str, Any]:
        """Which items the model has read, was tuned on or shown, and its figure on the others."""
        if not self.config.contamination:
            return {}
        flags = {"training text": self.read[given.task.name]} if given.task.name in self.read else {}
        if given.method == "finetune":
            flags["tuning data"] = seen(given.examples, given.train)
        if shown := given.few_shot.pool():
            flags["solved examples"] = seen(given.examples, shown)
        if not flags:
            return {}
        bounds = {"bootstrap": self.config.bootstrap, "seed": self.config.seed}
        return clean_record(primary, given.examples, outcome.answers[primary], flags, **bounds)

    @cached_property
    def read(self) -> dict[str, NDArray[np.bool_]]:
        """For each declared task which of its items stand in the training text, which is read once for all of them."""
        if not self.shards or not self.prepared:
            return {}
        texts = (self.train[number] for number in range(len(self.train)))
        told = progress(texts, total=len(self.train), description="contamination", unit="document", quiet=self.quiet)
        every = [example for given in self.prepared.values() for example in given.examples]
        found = contaminated(every, told, normalized=self.preset.startswith("ja-v1"))
        ends = np.cumsum([len(given.examples) for given in self.prepared.values()])[:-1]
        return dict(zip(self.prepared, np.split(found, ends), strict=True))

    def _generated(self, given: Prepared, prompt: Prompt, store: Store) -> Outcome:
        task = given.task
        prompts = [
            normalize_prompt(render(task, prompt, example, given.few_shot.examples(number, example)), self.preset)
            for number, example in enumerate(given.examples)
        ]
        stop = [prompt.closing, "\n"] if prompt.closing else ["\n"]
        return by_generation(given.examples, prompts, stop, self.model, store, task, self.quiet)
