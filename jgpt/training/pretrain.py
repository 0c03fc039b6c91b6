"""Pretraining: shards to a model, in steps that can be stopped at any point and gone on with exactly."""

import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jgpt.config import ModelConfig, PretrainConfig, TrainConfig
from jgpt.data.loader import Loader
from jgpt.data.shards import ShardSet
from jgpt.device import autocast, choose_device, choose_dtype, keep_freed_memory
from jgpt.model.folder import save_model
from jgpt.model.gpt import GPT
from jgpt.training.checkpoint import (
    TrainingState,
    checkpoint_name,
    keep_last,
    last_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from jgpt.training.metrics import NAME as METRICS
from jgpt.training.metrics import Metrics
from jgpt.training.optimizer import make_optimizer
from jgpt.training.plan import Plan, batch_shape, check_memory, derive_training, describe, number_of_steps
from jgpt.training.schedule import learning_rate_factor
from jgpt.training.signals import stop_on_signal
from jgpt.training.validation import ValidationLoss
from stage.errors import ArtifactError, JgptError, UsageError
from stage.folder import Made, difference, finish_run, read_run, run_folder
from stage.manifest import NAME, Input, Manifest, artifact_input
from stage.progress import progress
from stage.replacing import checked_out

log = logging.getLogger(__name__)


class Interrupted(JgptError):
    """Training was stopped by the user (Ctrl-C or SIGTERM) after a checkpoint."""


def pretrain(
    shards: Path | str | None,
    out: Path | str,
    config: PretrainConfig | None = None,
    *,
    resume: bool = False,
    device: str = "auto",
    threads: int = 0,
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Train a GPT on token shards in the folder ``out``.

    An unfinished run with the same shards and configuration goes on from its last checkpoint; with ``resume`` shards and
    configuration are taken from the folder (``config`` must then be None or the same).

    Raises Interrupted after Ctrl-C (a checkpoint is written first); JgptError when the loss is no longer finite; InputError
    for shards shorter than a context; ArtifactError for folders that are not what they should be.
    """
    out = checked_out(out)
    if resume:
        shards, config = _recorded(out, shards, config)
    if shards is None:
        raise UsageError("give the token shards to train on (--shards DIR)")
    config = config or PretrainConfig()
    shard_set = ShardSet(shards)
    model_config = config.model.derived(shard_set.vocab_size, shard_set.normalization)
    train = derive_training(config.train, model_config)
    inputs = [artifact_input("shards", shards, "shard")]
    parameters = asdict(config)
    need_bytes = model_config.parameters * 4 * (1 + 3 * (train.keep_checkpoints + 2))
    # what cannot be done is seen before anything is written or replaced
    target = choose_device(device)
    loader = Loader(shard_set.split("train"), model_config.context_length, config.seed)
    if train.batch_tokens > 2 * max(len(loader.stream), 65536):
        raise UsageError(
            f"--train.batch_tokens {train.batch_tokens}: a single step would read all {len(loader.stream)} training tokens "
            "several times over; ask for fewer"
        )
    if overwrite or not (out / NAME).is_file():
        check_memory(model_config, batch_shape(train, model_config.context_length)[1], target)
    with run_folder(
        out, stage="pretrain", parameters=parameters, inputs=inputs, overwrite=overwrite, need_bytes=need_bytes
    ) as manifest:
        if manifest is not None:
            return manifest
        run = _Run(out, shard_set, loader, model_config, train, config, target, threads, quiet)
        state = run.train()
        counts = run.counts(state)
        made = Made(counts, shard_set.manifest.licenses, not_data=[METRICS, "plan.json"])
        return finish_run(
            out,
            stage="pretrain",
            parameters=parameters,
            inputs=inputs,
            made=made,
            seconds=state.seconds,
            keep_out=["checkpoints"],
        )


class _Run:
    """One run of the training loop."""

    def __init__(
        self,
        out: Path,
        shards: ShardSet,
        loader: Loader,
        model: ModelConfig,
        train: TrainConfig,
        config: PretrainConfig,
        device: torch.device,
        threads: int,
        quiet: bool,
    ) -> None:
        keep_freed_memory()
        self.out, self.shards, self.loader, self.device, self.quiet = out, shards, loader, device, quiet
        self.config, self.model_config = config, model
        self.train_config = train
        self.checkpoints = out / "checkpoints"
        self.valid = ValidationLoss(shards, model.context_length, train.valid_tokens)
        self.plan = Plan.read(out) or self._make_plan(threads)
        torch.set_num_threads(self.plan.threads)
        torch.set_flush_denormal(True)
        self.dtype = torch.bfloat16 if self.plan.dtype == "bfloat16" else torch.float32
        self.model = GPT(model, config.seed).to(device)
        self.optimizer = make_optimizer(self.model, train)
        self.state = TrainingState()
        self._losses: list[torch.Tensor] = []
        self._norm = torch.zeros(())
        for line in describe(model, train, self.plan, self.loader.windows, str(device)):
            log.info("%s", line)

    def train(self) -> TrainingState:
        """Go on from the last checkpoint to the end of the plan; returns where the run then stands."""
        plan, state = self.plan, self.state
        last = last_checkpoint(self.checkpoints)
        if last is not None:
            state = self.state = load_checkpoint(last, self.model, self.optimizer)
            log.info("going on after step %d of %d", state.step, plan.steps)
        self.metrics = Metrics(self.out / METRICS, state.step)
        started = time.monotonic() - state.seconds
        logged_at = time.monotonic()
        tokens_a_step = plan.batch * self.model_config.context_length
        with (
            stop_on_signal() as stop,
            self.metrics,
            progress(
                total=plan.steps * tokens_a_step, description="pretrain", unit="tok", quiet=self.quiet, unit_scale=True
            ) as bar,
        ):
            bar.update(state.tokens)
            if state.step == 0:
                self._measure(started)
            while state.step < plan.steps:
                if not plan.settled and state.step >= plan.decay_from:
                    self._settle(time.monotonic() - started)
                    bar.total = plan.steps * tokens_a_step
                self._step(state.step)
                state.step += 1
                state.tokens += tokens_a_step
                bar.update(tokens_a_step)
                done = state.step == plan.steps
                keep = state.step % plan.checkpoint_every == 0 or done or stop.is_set()
                measure = state.step % plan.valid_every == 0 or done
                if keep or measure or state.step % plan.log_every == 0:
                    now = time.monotonic()
                    state.seconds = now - started
                    loss = self._log(len(self._losses) * tokens_a_step / max(now - logged_at, 1e-9))
                    bar.set_postfix_str(
                        f"step {state.step}/{plan.steps}, loss {loss:.3f}, {self.valid.shown}", refresh=False
                    )
                    if measure:
                        self._measure(started)
                    logged_at = time.monotonic()
                if keep:
                    self._keep()
                if stop.is_set() and not done:
                    raise Interrupted(
                        f"stopped at step {state.step} of {plan.steps}; a checkpoint is written, go on with: "
                        f"jgpt pretrain --out {self.out} --resume"
                    )
            state.seconds = time.monotonic() - started
        save_model(self.model, self.out, self.shards.folder)
        return state

    def counts(self, state: TrainingState) -> dict[str, Any]:
        """What the manifest says of the run."""
        return {
            "parameters": self.model_config.parameters,
            "steps": state.step,
            "tokens": state.tokens,
            "epochs": round(state.step * self.plan.batch / self.loader.windows, 3),
            "train_tokens": len(self.loader.stream),
            "tokens_per_second": round(state.tokens / max(state.seconds, 1e-9), 1),
            "best_valid_loss": state.best_valid_loss,
            "last_valid_loss": state.last_valid_loss,
            "device": str(self.device),
            "plan": asdict(self.plan),
            "derived": {"model": asdict(self.model_config), "train": asdict(self.train_config)},
            "tokenizer_sha256": self.shards.tokenizer_sha256,
            "torch": torch.__version__,
        }

    def _step(self, step: int) -> None:
        """One optimiser step; the loss stays on the device until it is logged."""
        plan, model = self.plan, self.model
        model.train()
        # dropout follows from seed and step alone
        torch.manual_seed((self.config.seed * 1_000_003 + step) & 0x7FFFFFFFFFFFFFFF)
        factor = learning_rate_factor(
            step, plan.steps, plan.warmup_steps, plan.decay_from, self.train_config.final_rate_share
        )
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        total = torch.zeros((), device=self.device)
        for turn in range(plan.accumulation):
            ids, targets = self.loader.batch(step * plan.batch + turn * plan.micro_batch, plan.micro_batch)
            ids, targets = ids.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)
            with autocast(self.device, self.dtype):
                _, loss = model(ids, targets)
            assert loss is not None
            (loss / plan.accumulation).backward()
            total += loss.detach() / plan.accumulation
        limit = self.train_config.gradient_clip or math.inf
        self._norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._losses.append(total)

    def _log(self, tokens_per_second: float) -> float:
        """Write the mean loss since the last time; raises JgptError when it is not finite."""
        if not self._losses:
            return math.nan
        losses = torch.stack(self._losses).tolist()
        first = self.state.step - len(losses) + 1
        self._losses.clear()
        for number, loss in enumerate(losses):
            self._check_finite(f"the loss became {loss} at step {first + number}", loss)
        self._check_finite(f"the gradient is no longer finite at step {self.state.step}", float(self._norm))
        mean = sum(losses) / len(losses)
        self.metrics.write(
            {
                "step": self.state.step,
                "tokens": self.state.tokens,
                "seconds": round(self.state.seconds, 3),
                "loss": mean,
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "grad_norm": float(self._norm),
                "tokens_per_second": round(tokens_per_second, 1),
            }
        )
        return mean

    def _measure(self, started: float) -> None:
        """Loss on the valid split; a checkpoint when it is the best so far (but not before the first step)."""
        loss = self.valid.measure(self.model, self.dtype, self.plan.micro_batch)
        if loss is None:
            return
        self._check_finite(f"the loss on the valid split became {loss} at step {self.state.step}", loss)
        self.state.seconds = time.monotonic() - started
        self.state.last_valid_loss = loss
        self.metrics.write(
            {
                "step": self.state.step,
                "tokens": self.state.tokens,
                "seconds": round(self.state.seconds, 3),
                "valid_loss": loss,
                "valid_bits_per_character": self.valid.bits_per_character(loss),
            }
        )
        if self.state.step and (self.state.best_valid_loss is None or loss < self.state.best_valid_loss):
            self.state.best_valid_loss = loss
            self.checkpoints.mkdir(exist_ok=True)
            save_checkpoint(self.checkpoints / "best", self.model, self.optimizer, self.state, self.shards.folder)

    def _check_finite(self, what: str, value: float) -> None:
        """Raise JgptError with what may help unless the value is finite."""
        if math.isfinite(value):
            return
        last = last_checkpoint(self.checkpoints)
        kept = f"; the checkpoint {last} is from before" if last else ""
        raise JgptError(
            f"{self.out}: {what}{kept}: try a lower --train.learning_rate (it was "
            f"{self.train_config.learning_rate:.2g}), a longer --train.warmup_share, or --dtype float32, with --overwrite"
        )

    def _keep(self) -> None:
        # the last step may have spoilt the weights though the loss before it was finite
        total = torch.stack([parameter.detach().abs().sum() for parameter in self.model.parameters()]).sum()
        self._check_finite(f"weights are no longer finite after step {self.state.step}", float(total))
        self.checkpoints.mkdir(exist_ok=True)
        target = self.checkpoints / checkpoint_name(self.state.step)
        save_checkpoint(target, self.model, self.optimizer, self.state, self.shards.folder)
        keep_last(self.checkpoints, self.train_config.keep_checkpoints)

    def _make_plan(self, threads: int) -> Plan:
        """Fix what the run does; where minutes were given, its speed is measured on a model that is then thrown away."""
        train, model = self.train_config, self.model_config
        batch, micro = batch_shape(train, model.context_length)
        if threads:
            torch.set_num_threads(threads)
        dtype = choose_dtype(self.config.dtype, self.device)
        plan = Plan(
            steps=1,
            warmup_steps=1,
            decay_from=1,
            settled=not train.minutes,
            batch=batch,
            micro_batch=micro,
            dtype=str(dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            valid_every=1,
            checkpoint_every=1,
            log_every=1,
            seconds_per_step=0.0,
        )
        if train.minutes:
            plan.seconds_per_step = self._seconds_per_step(plan, dtype)
        plan.set_steps(number_of_steps(train, self.loader.windows, batch, plan.seconds_per_step), train)
        plan.write(self.out)
        return plan

    def _settle(self, seconds: float) -> None:
        before = self.plan.steps
        self.plan.settle(self.state.step, seconds, self.train_config, self.loader.windows)
        self.plan.write(self.out)
        if self.plan.steps != before:
            log.info("%d steps instead of %d, to end in the time there is", self.plan.steps, before)

    def _seconds_per_step(self, plan: Plan, dtype: torch.dtype) -> float:
        log.info("measuring the speed of a training step")
        self.plan, self.dtype = plan, dtype
        self.model = GPT(self.model_config, self.config.seed).to(self.device)
        self.optimizer = make_optimizer(self.model, self.train_config)
        self._losses = []
        times: list[float] = []
        begun = time.monotonic()
        while len(times) < 3 or (time.monotonic() - begun < 8 and len(times) < 30):
            started = time.monotonic()
            self._step(0)
            self._losses.pop().item()  # waits for the device
            times.append(time.monotonic() - started)
        useful = sorted(times[1:])  # the first step allocates
        # measurements on the valid split and checkpoints take a few per cent more
        return 1.05 * useful[len(useful) // 2]


def _recorded(out: Path, shards: Path | str | None, config: PretrainConfig | None) -> tuple[Path | str, PretrainConfig]:
    """Shards and configuration of the run in a folder; a configuration that was given must be the same."""
    record = read_run(out, "pretrain")
    parameters = record["parameters"]
    try:
        saved = PretrainConfig(
            **parameters | {"model": ModelConfig(**parameters["model"]), "train": TrainConfig(**parameters["train"])}
        )
        recorded = next(Input(**entry) for entry in record["inputs"] if entry["role"] == "shards")
    except (TypeError, KeyError, StopIteration):
        raise ArtifactError(
            f"{out}: its run was begun by another version of jgpt; begin anew with --overwrite"
        ) from None
    if config is not None and (differing := difference(asdict(saved), asdict(config))):
        raise UsageError(f"--resume goes on as the run began, but {'; '.join(differing[:5])}; leave these flags out")
    if shards is None and not Path(recorded.path).exists():
        raise UsageError(
            f"{out}: the shards of this run, recorded as {recorded.path}, are not there: name them with --shards"
        )
    return shards or recorded.path, saved
