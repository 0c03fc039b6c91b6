"""The graph of stages: each reads folders and writes one; what is up to date is left alone."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts.recipe import RecipeConfig, SamplesConfig, check_preset
from stage.manifest import NAME, Manifest, read_manifest, write_json

log = logging.getLogger(__name__)
STAGES = ("corpus", "tokenizer", "shards", "model", "eval")
SAMPLES = "samples.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Machine:
    """What does not change a result: how a run uses the machine, and what it may replace."""

    workers: int = 0
    device: str = "auto"
    threads: int = 0
    overwrite: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Finished:
    """What a run ends with."""

    out: Path
    results: dict[str, Any]
    samples: list[dict[str, Any]]
    report: Path


def run_pipeline(recipe: RecipeConfig, out: Path, machine: Machine, data: Path | None = None) -> Finished:
    """Run every stage of a recipe into ``out``. A second time with the same recipe nothing is done."""
    corpus, tokenizer, shards, model, results = (out / name for name in STAGES)
    w, o, q = machine.workers, machine.overwrite, machine.quiet

    def build_documents() -> Manifest:
        from corpora.build import build_corpus

        return build_corpus(recipe.corpus, corpus, workers=w, overwrite=o, quiet=q)

    def train_pieces() -> Manifest:
        from tokenizer.training import train_tokenizer

        return train_tokenizer(tokenizer, recipe.tokenizer, corpus=corpus, overwrite=o, quiet=q)

    def encode() -> Manifest:
        from jgpt import write_shards

        return write_shards(corpus, tokenizer, shards, recipe.shard, workers=w, overwrite=o, quiet=q)

    def train() -> Manifest:
        from jgpt import pretrain

        return pretrain(
            shards, model, recipe.pretrain, device=machine.device, threads=machine.threads, overwrite=o, quiet=q
        )

    def measure() -> Manifest:
        from eval import evaluate

        if machine.threads:
            import torch

            torch.set_num_threads(machine.threads)
        return evaluate(
            model, results, recipe.eval, data=data, shards=shards, device=machine.device, overwrite=o, quiet=q
        )

    stages: list[tuple[str, Callable[[], Manifest]]] = [
        ("corpus", build_documents),
        ("tokenizer", train_pieces),
        ("shards", encode),
        ("pretrain", train),
        ("eval", measure),
    ]
    check_preset(recipe.pretrain)
    from eval.task import build_items, find_tasks

    # a file that is missing or broken should not be found after hours of training
    for task, valid, train_file in find_tasks(recipe.eval, data).values():
        build_items(task, valid, train_file, shots=recipe.eval.shots, limit=recipe.eval.limit, seed=recipe.eval.seed)
    for number, (name, work) in enumerate(stages, 1):
        log.info("── %d/%d %s", number, len(stages), name)
        manifest = work()
        log.info("%s: %.1f s", name, manifest.seconds)
    samples = write_samples(model, out / SAMPLES, recipe.samples, machine)
    report = _write_report(out)
    return Finished(out, json.loads((results / "results.json").read_text("utf-8")), samples, report)


def write_samples(model: Path, file: Path, config: SamplesConfig, machine: Machine) -> list[dict[str, Any]]:
    """Generate a text after each prompt into a JSON file, unless it holds just these already."""
    wanted = [
        {
            "prompt": prompt,
            **asdict(replace(config.generate, seed=config.generate.seed + number)),
            "model": read_manifest(model, "pretrain").data_sha256,
        }
        for number, prompt in enumerate(config.prompts)
    ]
    if file.is_file():
        try:
            there: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
            if [{key: value for key, value in entry.items() if key != "text"} for entry in there] == wanted:
                log.info("%s: up to date", file)
                return there
        except (ValueError, AttributeError, TypeError):
            log.warning("%s: was not whole and is written anew", file)
    from corpora.normalization import normalize_prompt
    from jgpt import generate, load_model
    from tokenizer import JapaneseTokenizer

    loaded, tokenizer = load_model(model, machine.device), JapaneseTokenizer(model)
    samples = []
    for entry in wanted:
        prompt = normalize_prompt(str(entry["prompt"]), loaded.config.normalization or "none")
        text = generate(loaded, tokenizer, prompt, replace(config.generate, seed=int(entry["seed"])))
        samples.append(entry | {"text": text})
    write_json(file, samples)
    return samples


def _write_report(out: Path) -> Path:
    """Write the report, unless it is newer than everything that it tells of."""
    report = out / REPORT
    sources = [*(out / name / NAME for name in STAGES), out / SAMPLES]
    if report.is_file() and report.stat().st_mtime_ns >= max(source.stat().st_mtime_ns for source in sources):
        log.info("%s: up to date", report)
        return report
    from scripts.report import write_report

    return write_report(out)
