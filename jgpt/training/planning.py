"""Making the plan of a run: what was asked for, and what this machine can do, measured once."""

from dataclasses import replace

import torch

from jgpt.config import ModelConfig, PretrainConfig, TrainConfig
from jgpt.device import choose_dtype
from jgpt.training.plan import Plan, batch_shape, number_of_steps
from jgpt.training.speed import peak_flops, step_flops, worth_compiling

_USUAL_SHARE = 0.25
"""Of the peak, for a first guess at the time that a run takes."""


def make_plan(
    config: PretrainConfig,
    model: ModelConfig,
    train: TrainConfig,
    windows: int,
    device: torch.device,
    ranks: int,
    threads: int,
) -> Plan:
    """The plan for derived configurations of model and training, ``windows`` samples an epoch and ``ranks`` processes."""
    if threads:
        torch.set_num_threads(threads)
    batch, micro_batch = batch_shape(train, model.context_length)
    dtype = choose_dtype(config.dtype, device)
    peak = peak_flops(device, dtype)
    seconds = step_flops(model, batch * model.context_length) / (_USUAL_SHARE * peak * ranks)
    tokens = (train.steps * batch or train.epochs * windows) * model.context_length
    plan = Plan(
        settled=not train.minutes,
        batch=batch,
        micro_batch=micro_batch,
        dtype=str(dtype).removeprefix("torch."),
        compiled=worth_compiling(train, model, tokens, device) if ranks == 1 else train.compile == "yes",
        threads=torch.get_num_threads(),
        peak_flops=round(peak),
        seconds_per_step=seconds,
        ranks=ranks,
    )
    plan.set_steps(number_of_steps(train, windows, batch, seconds), train, model.context_length)
    return plan


def for_ranks(plan: Plan, train: TrainConfig, ranks: int, threads: int) -> Plan:
    """The same for another number of processes, or of threads. Several are compiled if that is asked for: each waits for the last."""
    if plan.ranks == ranks:
        return replace(plan, threads=threads or plan.threads)
    compiled = train.compile == "yes" if ranks > 1 else plan.compiled
    return replace(plan, ranks=ranks, threads=threads or torch.get_num_threads(), compiled=compiled)
