"""Another length for a run that is there: it goes back to where the learning rate began to fall, and on from there.

The steps until then do not depend on how many follow, so the result is that of a run which was planned so from the beginning,
with the same warm-up (Hägele et al. 2024, https://arxiv.org/abs/2405.18392).
"""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

from jgpt.config import TrainConfig
from jgpt.training.checkpoint import BEST, STATE, TRUNK, checkpoint_name, read_state, step_checkpoints
from jgpt.training.plan import LENGTH, Plan, number_of_steps
from stage.errors import ArtifactError, UsageError
from stage.manifest import NAME as MANIFEST
from stage.manifest import write_json


def extended_plan(out: Path, train: TrainConfig, windows: int, context_length: int) -> Plan | None:
    """The plan when a derived configuration asks for another length than ``plan.json`` in a run folder; None for the same.

    Raises UsageError for less than was trained already; ArtifactError when no checkpoint is left to go on from.
    """
    old = Plan.read(out)
    asked = {name: getattr(train, name) for name in LENGTH}
    if old is None or old.asked == asked:
        return None
    plan = replace(old, settled=not train.minutes)
    steps = step_checkpoints(out / "checkpoints")
    done = read_state(steps[-1]) if steps else None
    if done:
        plan.seconds_per_step = done.seconds / done.step
    number = number_of_steps(train, windows, plan.batch, plan.seconds_per_step)
    if done and number <= done.step:
        flags = " ".join(f"--train.{name} {value:g}" for name, value in asked.items() if value)
        raise UsageError(
            f"{flags}: the run in {out} took {done.step} steps and {done.seconds / 60:.1f} minutes already; ask for more"
        )
    plan.set_steps(number, train, context_length, old.warmup_steps)
    start = _start(out, old)
    if start:
        plan.decay_from = max(plan.decay_from, read_state(start).step)
    return plan


def go_back(out: Path, plan: Plan) -> None:
    """Make the checkpoint that the new plan goes on from the last one, and write the plan; does the rest after a kill."""
    old = Plan.read(out)
    assert old is not None, "only a run with a plan is extended"
    start = _start(out, old)
    if start:
        state = read_state(start)
        last = start.with_name(checkpoint_name(state.step))
        if start != last:
            start.rename(last)
        for later in step_checkpoints(out / "checkpoints"):
            if later.name > last.name:
                shutil.rmtree(later)
        best = out / "checkpoints" / BEST
        if (best / STATE).is_file() and read_state(best).step > state.step:
            # it lies on the way that was left: the next measurement takes its place
            write_json(last / STATE, asdict(replace(state, best_valid_loss=None)))
    plan.write(out)


def _start(out: Path, plan: Plan) -> Path | None:
    """The newest checkpoint from before the learning rate fell; None when nothing was trained yet."""
    trunk = out / "checkpoints" / TRUNK
    found = [entry for entry in (trunk, *step_checkpoints(out / "checkpoints")) if (entry / STATE).is_file()]
    steps = {entry: read_state(entry).step for entry in found}
    before = [entry for entry in found if not plan.settled or steps[entry] <= plan.decay_from]
    if not before and (found or (out / MANIFEST).is_file()):
        raise ArtifactError(
            f"{out}: no checkpoint is left from before its learning rate fell (step {plan.decay_from}), so that it cannot "
            "be extended; train anew with --overwrite, or begin another run with --init_from it"
        )
    return max(before, key=lambda entry: (steps[entry], entry != trunk), default=None)
