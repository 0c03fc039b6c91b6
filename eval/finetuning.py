"""Fine-tune a GPT for a task, and the same net from random weights beside it, each with its own best setting.

As JGLUE's paper does with encoders (Kurihara et al. 2022): the setting is chosen on a part of the training examples, the
test examples are read once for each seed of the chosen setting, and by nothing that decides.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from eval.encoding import Rows, encode_example
from eval.examples import Example, Kind, Predictions
from eval.fitting import HEADS, Scale, fit, number_of_steps, predict
from eval.grid import FinetuneConfig, Setting
from eval.holdout import split_dev, subset
from eval.learnable import check_learnable
from eval.metrics import measure
from jgpt.device import choose_device, choose_dtype, give_back_memory
from jgpt.heads import HeadedGPT
from jgpt.model.folder import load_model
from jgpt.model.gpt import GPT
from stage.errors import InputError, UsageError
from stage.progress import progress
from tokenizer import JapaneseTokenizer

Start = Literal["pretrained", "scratch"]


@dataclass(frozen=True)
class Fitted:
    """What came of one start: the pretrained weights, or random ones."""

    setting: Setting
    """The chosen one."""
    steps: int
    """Optimiser steps of its runs, which ``run_tokens`` may have made fewer than its epochs need."""
    grid: list[dict[str, Any]]
    """Every comparison: ``rung``, ``examples``, the setting's fields, and ``score`` and ``loss`` on those kept back."""
    predictions: list[Predictions]
    """Of the test examples, for each seed."""


@dataclass(frozen=True)
class FinetuneResult:
    """Both starts, and what they were given."""

    pretrained: Fitted
    scratch: Fitted | None
    counts: dict[str, int]
    """Examples of ``train``, ``dev`` and ``test``; how many were ``train_cut`` and ``test_cut``, and by how many ``tokens_cut``."""
    seconds: float
    """Of all runs, those of earlier processes included."""


def finetune(
    model: GPT | Path | str,
    tokenizer: JapaneseTokenizer,
    kind: Kind,
    train: Sequence[Example],
    test: Sequence[Example],
    *,
    metric: str,
    config: FinetuneConfig | None = None,
    device: str = "auto",
    dtype: str = "auto",
    quiet: bool = False,
    done: Mapping[str, dict[str, Any]] | None = None,
    keep: Callable[[str, dict[str, Any]], None] | None = None,
) -> FinetuneResult:
    """Choose a setting by ``metric`` on a part of ``train``, fit it with several seeds, answer ``test``.

    Each run is a unit with a name, whose outcome (JSON) is given to ``keep`` when it is finished; those in ``done`` are
    not run again. What determines them (model, examples, configuration) the caller has to know to be the same.
    Raises UsageError without training examples, InputError for examples that cannot be learned from.
    """
    config = config or FinetuneConfig()
    check_learnable(kind, train, test)
    gpt = model if isinstance(model, GPT) else load_model(model, device="cpu")
    if not _finite(gpt):
        raise InputError("the model's weights are not finite: its training diverged, take an earlier checkpoint")
    most = min(config.tokens, gpt.config.context_length)
    texts = 1 if kind == "pair" else len(train[0].texts) + (kind == "choice")
    if most < 2 * texts + 1:
        raise UsageError(f"--finetune.tokens: rows of {most} tokens have no room for {texts} texts")
    taught, dev = split_dev(train, config.dev_share, config.dev_most)
    parts = [[encode_example(each, kind, tokenizer, most) for each in part] for part in (taught, dev, test)]
    place = choose_device(device)
    runs = _Runs(gpt, kind, metric, config, place, choose_dtype(dtype, place), quiet, done or {}, keep)
    pretrained = runs.run("pretrained", *parts)
    scratch = runs.run("scratch", *parts) if config.scratch else None
    counts = {name: len(part) for name, part in zip(("train", "dev", "test"), parts, strict=True)}
    counts["row_tokens"] = most
    counts["train_cut"] = sum(each.cut > 0 for part in parts[:2] for each in part)
    counts["test_cut"] = sum(each.cut > 0 for each in parts[2])
    counts["tokens_cut"] = sum(each.cut for part in parts for each in part)
    return FinetuneResult(pretrained, scratch, counts, runs.seconds)


@dataclass
class _Runs:
    """The runs of a task, each from weights of its own."""

    gpt: GPT
    kind: Kind
    metric: str
    config: FinetuneConfig
    device: torch.device
    dtype: torch.dtype
    quiet: bool
    done: Mapping[str, dict[str, Any]]
    keep: Callable[[str, dict[str, Any]], None] | None
    seconds: float = 0.0

    def run(self, start: Start, train: list[Rows], dev: list[Rows], test: list[Rows]) -> Fitted:
        """Choose a setting, then fit it with each seed."""
        config = self.config
        setting, grid = self._choose(start, train, dev)
        seeds = range(config.seed, config.seed + config.seeds)
        found = [
            self._unit(f"{start}, {setting}, seed {seed}", start, setting, train, test, 1.0, seed)["predictions"]
            for seed in progress(seeds, description=f"{start}: {setting}", unit="run", quiet=self.quiet)
        ]
        if not all(found):
            raise InputError(f"fine-tuning diverged with {setting} ({start}): give lower --finetune.learning_rates")
        return Fitted(setting, number_of_steps(train, setting, config.batch, self._most(1.0)), grid, found)

    def _choose(self, start: Start, train: list[Rows], dev: list[Rows]) -> tuple[Setting, list[dict[str, Any]]]:
        """Successive halving: all settings on few examples, the better ones on more."""
        settings = self._distinct(train)
        grid: list[dict[str, Any]] = []
        rungs = self.config.rungs or (1.0,)
        gold = [each.example for each in dev]
        least = min(1.0, self.config.rung_least / len(train))
        rungs = tuple(dict.fromkeys(max(least, share) for share in rungs))
        for rung, share in enumerate(rungs if len(settings) > 1 else ()):
            part = [train[place] for place in subset([each.example for each in train], share)]
            scores: list[tuple[float, float]] = []
            told = f"{start}: settings on {len(part)} examples"
            for setting in progress(settings, description=told, unit="run", quiet=self.quiet):
                name = f"{start}, {setting}, rung {rung}, {len(part)} examples"
                unit = self._unit(name, start, setting, part, dev, share, self.config.seed)
                score = None
                if unit["predictions"]:
                    score = measure(self.metric, gold, unit["predictions"], bootstrap=1, seed=0)["value"]
                # few examples often teach no more than the most frequent class: the loss decides among equal scores
                scores.append((-math.inf if score is None else score, -unit["loss"]))
                found = {"score": score, "loss": unit["loss"]}
                grid.append({"rung": rung, "examples": len(part), **asdict(setting), **found})
            kept = 1 if rung == len(rungs) - 1 else max(2, round(self.config.kept * len(settings)))
            best = sorted(range(len(settings)), key=lambda place: scores[place], reverse=True)[:kept]
            settings = [settings[place] for place in sorted(best)]
        return settings[0], grid

    def _distinct(self, train: list[Rows]) -> list[Setting]:
        """The grid, without settings that ``run_tokens`` makes the same as others."""
        found: dict[tuple[float, float, int], Setting] = {}
        for setting in self.config.settings():
            steps = number_of_steps(train, setting, self.config.batch, self._most(1.0))
            found.setdefault((setting.learning_rate, setting.dropout, steps), setting)
        return list(found.values())

    def _unit(
        self, name: str, start: Start, setting: Setting, train: list[Rows], test: list[Rows], share: float, seed: int
    ) -> dict[str, Any]:
        """One run: its predictions and seconds, from ``done`` where they are there."""
        outcome = self.done.get(name)
        if outcome is None:
            began = time.perf_counter()
            model = self._model(start, setting, train[0].example, seed)
            how: dict[str, Any] = {"most_tokens": self._most(share), "dtype": self.dtype, "quiet": self.quiet}
            fit(model, train, setting, self.config, seed=seed, **how)
            answers: Predictions = []  # none of a run that diverged
            loss = 0.0
            if _finite(model):
                answers, loss = predict(model, test, Scale(train), batch=2 * self.config.batch, dtype=self.dtype)
            del model
            give_back_memory()
            outcome = {"predictions": list(answers), "loss": loss, "seconds": time.perf_counter() - began}
            if self.keep is not None:
                self.keep(name, outcome)
        self.seconds += outcome["seconds"]
        return dict(outcome)

    def _most(self, share: float) -> float:
        """Training tokens of a run on a share of the examples."""
        return self.config.run_tokens * share or math.inf

    def _model(self, start: Start, setting: Setting, example: Example, seed: int) -> HeadedGPT:
        gpt = GPT(replace(self.gpt.config, dropout=setting.dropout), seed)
        if start == "pretrained":
            gpt.load_state_dict(self.gpt.state_dict())
        texts = 1 if self.kind == "pair" else len(example.texts) + (self.kind == "choice")
        return HeadedGPT(
            gpt.to(self.device),
            HEADS[self.kind],
            texts=texts,
            classes=len(example.choices) or 1,
            causal=self.config.causal,
            seed=seed,
        )


def _finite(model: torch.nn.Module) -> bool:
    return all(bool(weight.isfinite().all()) for weight in model.parameters())
