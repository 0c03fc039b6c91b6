"""The learning rate over a run: warm-up, constant, linear decay (WSD; Hu et al. 2024)."""

from jgpt.config import TrainConfig


def phases(steps: int, config: TrainConfig, warmup: int = 0) -> tuple[int, int]:
    """Number of warm-up steps, and the step (from 0) from which the rate falls, for a run of ``steps``.

    A run that was extended keeps the ``warmup`` that it began with.
    """
    warmup = warmup or max(1, round(config.warmup_share * steps))
    return warmup, max(warmup, steps - round(config.decay_share * steps))


def learning_rate_factor(step: int, steps: int, warmup: int, decay_from: int, final_rate_share: float) -> float:
    """Share of the peak learning rate for optimiser step ``step`` (from 0) of ``steps``."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if step < decay_from:
        return 1.0
    return final_rate_share + (1 - final_rate_share) * (steps - step) / (steps - decay_from + 1)
