"""A run of the training loop: steps, measurements, checkpoints, until the plan is done or somebody stops it."""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from jgpt.config import ModelConfig, PretrainConfig, TrainConfig
from jgpt.data.mixture import Samples
from jgpt.data.shards import ShardSet
from jgpt.device import is_memory_error, keep_freed_memory, peak_memory
from jgpt.model.folder import load_weights, save_model
from jgpt.model.gpt import GPT
from jgpt.training.bigram import bigram_init
from jgpt.training.checkpoint import (
    TRUNK,
    TrainingState,
    checkpoint_name,
    keep_last,
    last_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from jgpt.training.distributed import ALONE, Ranks, gathered, local
from jgpt.training.metrics import NAME as METRICS
from jgpt.training.metrics import Metrics, bits_per_nat, cut_back
from jgpt.training.plan import Plan, describe
from jgpt.training.planning import for_ranks, make_plan
from jgpt.training.samples import NAME as SAMPLES
from jgpt.training.samples import SampleTexts
from jgpt.training.signals import stop_on_signal
from jgpt.training.speed import keep_compiled_code, step_flops
from jgpt.training.step import TrainingStep
from jgpt.training.trackers import open_tracker
from jgpt.training.validation import ValidationLoss
from stage.errors import JgptError
from stage.manifest import NAME as MANIFEST
from stage.progress import progress

log = logging.getLogger(__name__)
_MOST_SKIPPED = 10
"""Steps in a row that may be left out before a run ends."""


class Interrupted(JgptError):
    """Training was stopped by the user (Ctrl-C or SIGTERM) after a checkpoint."""


class Run:
    """One run in the folder ``out``; ``train`` goes on from its last checkpoint, or begins."""

    def __init__(
        self,
        out: Path,
        sources: Sequence[tuple[ShardSet, float | None]],
        samples: Samples,
        model: ModelConfig,
        train: TrainConfig,
        config: PretrainConfig,
        init_from: Path | None,
        device: torch.device,
        threads: int,
        quiet: bool,
        tracker: str,
        texts: SampleTexts,
        ranks: Ranks = ALONE,
    ) -> None:
        keep_freed_memory()
        keep_compiled_code()
        torch.set_flush_denormal(True)
        self.out, self.samples, self.device, self.ranks, self.quiet = out, samples, device, ranks, quiet
        self.config, self.model_config, self.train_config = config, model, train
        self.tokenizer, self.tokenizer_sha256 = sources[0][0].folder, sources[0][0].tokenizer_sha256
        self.checkpoints = out / "checkpoints"
        self.valid = ValidationLoss(sources, model.context_length, train.valid_tokens, train.across_documents)
        self.bits_per_nat = bits_per_nat(sources)
        self.tracker, self.texts = tracker, texts
        plan = Plan.read(out) or make_plan(config, model, train, samples.windows, device, ranks.count, threads)
        self.plan = ranks.share(for_ranks(plan, train, ranks.count, threads))
        if ranks.leads:
            self.plan.write(out)
        torch.set_num_threads(self.plan.threads)
        self.tokens_a_step = self.plan.batch * model.context_length
        self.model = GPT(model, config.seed)
        if init_from is not None:
            load_weights(self.model, init_from)
        elif train.bigram_init and last_checkpoint(self.checkpoints) is None:
            bigram_init(self.model, samples, config.seed)
        self.model.to(device)
        self.step = TrainingStep(self.model, samples, self.plan, train, device, config.seed, ranks)
        if self.plan.compiled and not self._compiles():
            self.plan.compiled = False
            if ranks.leads:
                self.plan.write(out)
        self.state = TrainingState()
        told = describe(model, train, self.plan, samples.windows, str(device), self.step.parallel.kind)
        for line in told + samples.describe(self.plan.steps * self.plan.batch):
            log.info("%s", line)

    def _compiles(self) -> bool:
        """Compile the model; whether that works here."""
        log.info("compiling the model: up to a minute the first time")
        try:
            self.step.compile()
        except Exception as error:  # compilers fail in many ways, and training goes on without
            if is_memory_error(error):
                raise
            if self.train_config.compile == "yes":  # as it is with several processes, which must do alike
                raise JgptError(f"--train.compile yes: compiling failed ({str(error).splitlines()[0]})") from None
            log.info("compiling does not work here; going on without")
            self.step.compile(undo=True)
            return False
        return True

    def train(self) -> TrainingState:
        """Go on from the last checkpoint to the end of the plan; returns where the run then stands."""
        plan, state = self.plan, self.state
        last = self.ranks.share(last_checkpoint(self.checkpoints))
        if last is not None:
            state = self.state = load_checkpoint(last, self.model, self.step.optimizers)
            self.step.recall(state)
            self.valid.last = state.last_valid_loss
            log.info("going on after step %d of %d", state.step, plan.steps)
        parameters = {"model": asdict(self.model_config), "train": asdict(self.train_config), "seed": self.config.seed}
        self.metrics = None
        if self.ranks.leads:
            self.metrics = Metrics(self.out / METRICS, state.step, open_tracker(self.tracker, self.out, parameters))
            cut_back(self.out / SAMPLES, state.step)
        self.started = time.monotonic() - state.seconds
        self.logged_at = time.monotonic()
        with (
            stop_on_signal() as stop,
            self.metrics or nullcontext(),
            progress(
                total=plan.steps * self.tokens_a_step,
                unit="tok",
                quiet=self.quiet or not self.ranks.leads,
                unit_scale=True,
                bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining}, {rate_fmt}{postfix}",
            ) as bar,
        ):
            bar.initial = bar.n = bar.last_print_n = state.tokens  # what was done before says nothing of the speed
            if state.step == 0:
                self._measure()
            while state.step < plan.steps or not plan.settled:
                if not plan.settled and state.step and self._settle():
                    bar.total = plan.steps * self.tokens_a_step
                if plan.settled and state.step == plan.decay_from:
                    self._save(TRUNK)
                self.step.run(state.step)
                state.step += 1
                state.tokens += self.tokens_a_step
                bar.update(self.tokens_a_step)
                done = plan.settled and state.step == plan.steps
                stopped = self.ranks.any(stop.is_set())
                keep = state.step % plan.checkpoint_every == 0 or done or stopped
                measure = state.step % plan.valid_every == 0 or done
                if keep or measure or state.step % plan.log_every == 0:
                    bar.set_postfix_str(self._log(), refresh=False)
                if measure:
                    self._measure()
                if keep:
                    self._keep()
                if stopped and not done:
                    self.ranks.any(False)  # nobody leaves while another writes
                    raise Interrupted(
                        f"stopped at step {state.step} of {plan.steps}; a checkpoint is written, go on with: "
                        f"jgpt pretrain --out {self.out} --resume"
                    )
            state.seconds = time.monotonic() - self.started
        weights = gathered(self.model.named_parameters(), self.ranks)
        if self.ranks.leads:
            (self.out / MANIFEST).unlink(missing_ok=True)  # that of the shorter run which this one extends
            save_model(self.model, self.out, self.tokenizer, weights)
        return state

    def counts(self) -> dict[str, Any]:
        """What the manifest says of the run."""
        state, samples = self.state, self.samples
        return {
            "parameters": self.model_config.parameters,
            "steps": state.step,
            "tokens": state.tokens,
            "epochs": round(state.step * self.plan.batch / samples.windows, 3),
            "epochs_by_source": samples.epochs(state.step * self.plan.batch),
            "train_tokens": samples.tokens,
            "tokens_per_second": round(state.tokens / max(state.seconds - state.valid_seconds, 1e-9), 1),
            "skipped_steps": state.skipped,
            "best_valid_loss": state.best_valid_loss,
            "last_valid_loss": state.last_valid_loss,
            "device": str(self.device),
            "plan": asdict(self.plan),
            "derived": {"model": asdict(self.model_config), "train": asdict(self.train_config)},
            "tokenizer_sha256": self.tokenizer_sha256,
            "torch": torch.__version__,
        }

    def _log(self) -> str:
        """Write the mean loss since the last time; returns it for the progress bar. Raises JgptError when training has gone astray."""
        state, step = self.state, self.step
        if not step.losses:
            return ""
        losses = [loss for loss in self.ranks.mean(torch.stack(step.losses)).tolist() if math.isfinite(loss)]
        now = time.monotonic()
        speed = len(step.losses) * self.tokens_a_step / max(now - self.logged_at, 1e-9)
        share = step_flops(self.model_config, 1) * speed / (self.plan.peak_flops * self.ranks.count)
        waited = step.waited / max(now - self.logged_at, 1e-9)
        step.losses.clear()
        step.waited = 0.0
        self.logged_at, state.seconds = now, now - self.started
        step.remember(state)
        loss = sum(losses) / len(losses) if losses else math.nan
        bits = loss * self.bits_per_nat if self.bits_per_nat else math.nan
        if state.skipped_in_a_row >= _MOST_SKIPPED:
            self._fail(f"{state.skipped_in_a_row} steps in a row up to {state.step} had a gradient that was no good")
        if state.step > self.plan.warmup_steps and losses and loss > 1.5 * math.log(self.model_config.vocab_size):
            self._fail(f"the loss is {loss:.2f} at step {state.step}, above that of guessing: training diverges")
        self._write(
            {
                "loss": loss,
                "bits_per_character": bits,
                "learning_rate": step.learning_rate,
                "grad_norm": float(step.norm),
                "skipped": state.skipped,
                "tokens_per_second": round(speed, 1),
                "share_of_peak": round(share, 4),
                "loader_share": round(waited, 6),
                "peak_memory_gb": round(peak_memory(self.device) / 1e9, 3),
            }
        )
        skipped = f", {state.skipped} skipped" if state.skipped else ""
        return f"loss {loss:.2f}, {bits:.2f} bits/char, {self.valid.shown}, {share:.0%} of peak{skipped}"

    def _measure(self) -> None:
        """Loss on the valid split, and texts; a checkpoint when it is the best so far (but not before the first step)."""
        state = self.state
        begun = time.monotonic()
        loss = self.valid.measure(self.model, self.step.dtype, self.plan.micro_batch, self.ranks)
        if loss is not None and not math.isfinite(loss):
            self._fail(f"the loss on the valid split became {loss} at step {state.step}")
        if self.ranks.leads or self.step.parallel.kind == "fsdp":
            file = self.out / SAMPLES if self.ranks.leads else None
            self.texts.write(file, self.model, state.step, state.tokens)
        self.step.parallel.release()
        self.logged_at = time.monotonic()
        state.valid_seconds += self.logged_at - begun
        if loss is None:
            return
        state.seconds = time.monotonic() - self.started
        state.last_valid_loss = loss
        self._write(
            {
                "valid_loss": loss,
                "valid_bits_per_character": self.valid.bits_per_character(loss),
                **({"by_source": self.valid.by_source} if self.valid.by_source else {}),
            }
        )
        if state.step and (state.best_valid_loss is None or loss < state.best_valid_loss):
            state.best_valid_loss = loss
            self._save("best")
        self.logged_at = time.monotonic()

    def _write(self, figures: dict[str, Any]) -> None:
        """A line of metrics: where the run stands, and some figures."""
        if self.metrics:
            state = self.state
            times = {"seconds": state.seconds, "valid_seconds": state.valid_seconds, "time": time.time()}
            times = {name: round(seconds, 3) for name, seconds in times.items()}
            self.metrics.write({"step": state.step, "tokens": state.tokens, **times, **figures})

    def _keep(self) -> None:
        # the last step may have spoilt the weights though the loss before it was finite
        total = torch.stack([local(parameter.detach()).abs().sum() for parameter in self.model.parameters()]).sum()
        if self.ranks.any(not math.isfinite(float(total))):
            self._fail(f"weights are no longer finite after step {self.state.step}")
        self._save(checkpoint_name(self.state.step))
        if self.ranks.leads:
            keep_last(self.checkpoints, self.train_config.keep_checkpoints)
        self.logged_at = time.monotonic()

    def _save(self, name: str) -> None:
        if self.ranks.leads:
            self.checkpoints.mkdir(exist_ok=True)
        self.step.remember(self.state)
        save_checkpoint(
            self.checkpoints / name, self.model, self.step.optimizers, self.state, self.tokenizer, self.ranks
        )

    def _fail(self, what: str) -> None:
        """Raise JgptError with what may help."""
        last = last_checkpoint(self.checkpoints)
        kept = f"; the checkpoint {last} is from before" if last else ""
        raise JgptError(
            f"{self.out}: {what}{kept}: try a lower --train.learning_rate (it was "
            f"{self.train_config.learning_rate:.2g}), a longer --train.warmup_share, or --dtype float32, with --overwrite"
        )

    def _settle(self) -> bool:
        """Where minutes were given: fix how many steps fit into them, when it is time for the decay. Whether they have changed."""
        seconds, state = self.ranks.share(time.monotonic() - self.started), self.state
        given = (self.train_config, self.model_config.context_length, self.samples.windows)
        if not self.plan.settle(state.step, seconds, *given):
            looked = self.plan.look(state.step, seconds - self.ranks.share(state.valid_seconds), *given)
            if looked and self.ranks.leads:
                self.plan.write(self.out)
            return looked
        if self.ranks.leads:
            self.plan.write(self.out)
        log.info("the learning rate falls from step %d; the run ends after %d", self.plan.decay_from, self.plan.steps)
        return True
