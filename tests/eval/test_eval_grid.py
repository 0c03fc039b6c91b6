"""What fine-tuning may be told."""

import math

import pytest

from eval.grid import FinetuneConfig
from stage.errors import UsageError


@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rates": (math.nan,)},
        {"run_tokens": -1},
        {"seed": -1},
        {"seed": (1 << 63) - 1},
        {"learning_rates": (1e300,)},
        {"embedding_factor": 1e300},
        {"embedding_factor": -1.0},
        {"weight_decay": -1.0},
        {"warmup_share": 5.0},
        {"gradient_clip": 0.0},
    ],
)
def test_settings_without_a_meaning_are_named(fields):
    with pytest.raises(UsageError, match=f"--finetune.{next(iter(fields))}"):
        FinetuneConfig(**fields)
