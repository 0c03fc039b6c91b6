"""A model to numbers: bits per character, tasks with baselines, intervals, comparisons."""

from typing import TYPE_CHECKING

from stage.exports import exports

if TYPE_CHECKING:
    from eval.evaluation import evaluate as evaluate

__getattr__ = exports(__name__, {"evaluate": "eval.evaluation"})

__all__ = ["evaluate"]
