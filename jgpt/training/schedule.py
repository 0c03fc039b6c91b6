"""The learning rate over a run: warm-up, constant, linear decay (WSD; Hu et al. 2024)."""

from jgpt.config import TrainConfig


def learning_rate_factor(step: int, steps: int, config: TrainConfig) -> float:
    """Share of the peak learning rate for optimiser step ``step`` (from 0) of ``steps``."""
    warmup = max(1, round(config.warmup_share * steps))
    if step < warmup:
        return (step + 1) / (warmup + 1)
    decay = round(config.decay_share * steps)
    left = steps - step
    if left > decay:
        return 1.0
    return config.final_rate_share + (1 - config.final_rate_share) * left / (decay + 1)
