"""The graph of stages: each reads folders and writes one; what is up to date is left alone."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.recipe import RecipeConfig, SamplesConfig, check_preset
from stage.manifest import NAME, Manifest, read_manifest, write_json

log = logging.getLogger(__name__)
STAGES = ("corpus", "tokenizer", "shards", "model", "eval")
SAMPLES = "samples.json"
REPORT = "report.html"


def run_pipeline(
    recipe: RecipeConfig,
    out: Path,
    data: Path | None,
    *,
    device: str,
    threads: int,
    workers: int,
    tracker: str | None = None,
    **every: Any,
) -> None:
    """Run every stage of a recipe into ``out``. A second time with the same recipe nothing is done.

    ``every``: overwrite and quiet, which every stage takes.
    """
    from corpora.build import build_corpus
    from eval import evaluate
    from eval.preparing import prepare
    from jgpt import pretrain, write_shards
    from jgpt.training.trackers import check_tracker
    from scripts.loading import limit_threads
    from tokenizer.training import train_tokenizer

    check_preset(recipe.pretrain)
    check_tracker(tracker or "none")
    # a file that is missing or broken should not be found after hours of training
    prepare(recipe.eval, data, "ja-v1")
    corpus, tokenizer, shards, model, results = (out / name for name in STAGES)

    def measure() -> Manifest:
        limit_threads(threads)
        return evaluate(model, results, recipe.eval, data=data, shards=shards, device=device, **every)

    learn = every | {"threads": threads, "tracker": tracker, "sample_prompts": recipe.samples.prompts[:1]}
    stages: dict[str, Callable[[], Manifest]] = {
        "corpus": lambda: build_corpus(recipe.corpus, corpus, workers=workers, **every),
        "tokenizer": lambda: train_tokenizer(tokenizer, recipe.tokenizer, corpus=corpus, **every),
        "shards": lambda: write_shards(corpus, tokenizer, shards, recipe.shard, workers=workers, **every),
        "pretrain": lambda: pretrain(shards, model, recipe.pretrain, device=device, **learn),
        "eval": measure,
    }
    for number, (name, work) in enumerate(stages.items(), 1):
        log.info("── %d/%d %s", number, len(stages), name)
        log.info("%s: %.1f s", name, work().seconds)
    write_samples(model, out / SAMPLES, recipe.samples, device)
    _write_report(out)


def write_samples(model: Path, file: Path, config: SamplesConfig, device: str) -> None:
    """Generate a text after each prompt into a JSON file, unless it holds just these already."""
    made_by = read_manifest(model, "pretrain").data_sha256
    settings = config.settings()
    wanted = [{"prompt": prompt, **asdict(setting), "model": made_by} for prompt, setting in settings]
    if file.is_file():
        try:
            there = json.loads(file.read_text("utf-8"))
            if [{key: value for key, value in entry.items() if key != "text"} for entry in there] == wanted:
                log.info("%s: up to date", file)
                return
        except (ValueError, AttributeError, TypeError):
            log.warning("%s: was not whole and is written anew", file)
    from jgpt import generate
    from scripts.loading import load, normalized

    loaded, tokenizer = load(model, device)
    texts = (generate(loaded, tokenizer, normalized(loaded, prompt), setting) for prompt, setting in settings)
    write_json(file, [entry | {"text": text} for entry, text in zip(wanted, texts, strict=True)])


def _write_report(out: Path) -> None:
    """Write the report, unless it is newer than everything that it tells of."""
    report = out / REPORT
    sources = [*(out / name / NAME for name in STAGES), out / SAMPLES]
    if report.is_file() and report.stat().st_mtime_ns >= max(source.stat().st_mtime_ns for source in sources):
        log.info("%s: up to date", report)
        return
    from scripts.report import write_report

    write_report(out)
