"""Fine-tune a GPT for a task, and the same net from random weights beside it, each with its own best setting.

As JGLUE's paper does with encoders (Kurihara et al. 2022): the setting is chosen on a part of the training examples, the
test examples are read once for each seed of the chosen setting, and by nothing that decides.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from eval.encoding import Rows, encode_example
from eval.examples import Example, Kind, Predictions
from eval.fitting import HEADS, Scale, fit, predict
from eval.grid import FinetuneConfig, Setting, split_dev, subset
from eval.metrics import measure
from jgpt.config import ModelConfig
from jgpt.device import choose_device, choose_dtype, keep_freed_memory
from jgpt.heads import HeadedGPT
from jgpt.model.folder import load_model
from jgpt.model.gpt import GPT
from stage.errors import InputError, UsageError
from tokenizer import JapaneseTokenizer

log = logging.getLogger(__name__)
Start = Literal["pretrained", "scratch"]


@dataclass(frozen=True)
class Fitted:
    """What came of one start: the pretrained weights, or random ones."""

    setting: Setting
    """The chosen one."""
    grid: list[dict[str, Any]]
    """Every comparison: ``rung``, ``examples``, the setting's fields, and the ``score`` on the examples kept back."""
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
    _check(kind, train, test)
    chosen = choose_device(device)
    tuning = _Tuning(
        model, tokenizer, kind, metric, config, chosen, choose_dtype(dtype, chosen), quiet, done or {}, keep
    )
    taught, dev = split_dev(train, config.dev_share, config.dev_most)
    encoded = [[tuning.encode(example) for example in part] for part in (taught, dev, test)]
    pretrained = tuning.run("pretrained", *encoded)
    scratch = tuning.run("scratch", *encoded) if config.scratch else None
    counts = {name: len(part) for name, part in zip(("train", "dev", "test"), encoded, strict=True)}
    counts |= {"train_cut": sum(each.cut > 0 for part in encoded[:2] for each in part)}
    counts |= {"test_cut": sum(each.cut > 0 for each in encoded[2])}
    counts |= {"tokens_cut": sum(each.cut for part in encoded for each in part)}
    return FinetuneResult(pretrained, scratch, counts, tuning.seconds)


class _Tuning:
    """The runs of a task, each from weights of its own."""

    def __init__(
        self,
        model: GPT | Path | str,
        tokenizer: JapaneseTokenizer,
        kind: Kind,
        metric: str,
        config: FinetuneConfig,
        device: torch.device,
        dtype: torch.dtype,
        quiet: bool,
        done: Mapping[str, dict[str, Any]],
        keep: Callable[[str, dict[str, Any]], None] | None,
    ) -> None:
        gpt = model if isinstance(model, GPT) else load_model(model, device="cpu")
        self.shape: ModelConfig = gpt.config
        self.weights: dict[str, Tensor] = gpt.state_dict()
        self.tokenizer, self.kind, self.metric, self.config = tokenizer, kind, metric, config
        self.device, self.dtype, self.quiet, self.done, self.keep = device, dtype, quiet, done, keep
        self.most = min(config.tokens, self.shape.context_length)
        self.seconds = 0.0
        keep_freed_memory()

    def encode(self, example: Example) -> Rows:
        return encode_example(example, self.kind, self.tokenizer, self.most)

    def run(self, start: Start, train: list[Rows], dev: list[Rows], test: list[Rows]) -> Fitted:
        """Choose a setting, then fit it with each seed."""
        setting, grid = self._choose(start, train, dev)
        seeds = range(self.config.seed, self.config.seed + self.config.seeds)
        # a whole list: nothing has been decided by the answers when the last of them are given
        found = [
            self._unit(f"{start}, {setting}, seed {seed}", start, setting, train, test, 1.0, seed)["predictions"]
            for seed in tqdm(seeds, desc=f"{start}: {setting}", disable=self.quiet)
        ]
        return Fitted(setting, grid, found)

    def _choose(self, start: Start, train: list[Rows], dev: list[Rows]) -> tuple[Setting, list[dict[str, Any]]]:
        """Successive halving: all settings on few examples, the better ones on more."""
        settings, grid = self.config.settings(), []
        by_example = {id(each.example): each for each in train}
        shares = self.config.rungs or (1.0,)
        gold = [each.example for each in dev]
        for rung, share in enumerate(shares if len(settings) > 1 else ()):
            part = [by_example[id(example)] for example in subset([each.example for each in train], share)]
            scores = []
            for setting in tqdm(settings, desc=f"{start}: settings on {len(part)} examples", disable=self.quiet):
                name = f"{start}, {setting}, {len(part)} examples"
                unit = self._unit(name, start, setting, part, dev, share, self.config.seed)
                score = measure(self.metric, gold, unit["predictions"], bootstrap=1, seed=0)["value"]
                scores.append(score if score is not None else -float("inf"))
                grid.append({"rung": rung, "examples": len(part), **asdict(setting), "score": score})
            kept = 1 if share == shares[-1] else max(2, round(self.config.kept * len(settings)))
            best = sorted(range(len(settings)), key=lambda place: -scores[place])[:kept]
            settings = [settings[place] for place in sorted(best)]
        return settings[0], grid

    def _unit(
        self, name: str, start: Start, setting: Setting, train: list[Rows], test: list[Rows], share: float, seed: int
    ) -> dict[str, Any]:
        """One run: its predictions and seconds, from ``done`` where they are there."""
        outcome = self.done.get(name)
        if outcome is None:
            began = time.perf_counter()
            model = self._model(start, setting, train, seed)
            most = self.config.run_tokens * share or float("inf")
            fit(model, train, setting, self.config, most_tokens=most, dtype=self.dtype, seed=seed)
            batch = 2 * self.config.batch
            answers = predict(model, test, Scale(train), batch=batch, dtype=self.dtype)
            outcome = {"predictions": list(answers), "seconds": time.perf_counter() - began}
            if self.keep is not None:
                self.keep(name, outcome)
        self.seconds += outcome["seconds"]
        return dict(outcome)

    def _model(self, start: Start, setting: Setting, train: list[Rows], seed: int) -> HeadedGPT:
        gpt = GPT(replace(self.shape, dropout=setting.dropout), seed)
        if start == "pretrained":
            gpt.load_state_dict(self.weights)
        example = train[0].example
        texts = 1 if self.kind == "pair" else len(example.texts) + (self.kind == "choice")
        classes = len(example.choices) or 1
        return HeadedGPT(
            gpt.to(self.device), HEADS[self.kind], texts=texts, classes=classes, causal=self.config.causal, seed=seed
        )


def _check(kind: Kind, train: Sequence[Example], test: Sequence[Example]) -> None:
    """Raise what ``finetune`` says."""
    if not train:
        raise UsageError(
            "fine-tuning needs the training file of the task: put it beside the other, or choose another method"
        )
    if not test:
        raise UsageError("fine-tuning needs examples to measure on, and the split has none")
    if kind in ("classification", "choice", "pair"):
        for example in (*train, *test):
            choices = example.choices or (example.texts if kind == "pair" else ())
            if not 0 <= int(example.label) < len(choices):
                raise InputError(
                    f"example {example.id}: its label {example.label} is none of its {len(choices)} choices"
                )
    if kind == "classification":
        missing = {example.label for example in test} - {example.label for example in train}
        if missing:
            names = ", ".join(test[0].choices[int(place)] for place in sorted(missing))
            raise InputError(f"no training example has the class {names}: use the whole training file of the task")
    if kind == "span" and all(example.answer_start < 0 for example in train):
        raise InputError("no answer of the training examples stands in its text: answer_start is missing or wrong")
