"""A model to numbers: bits per character, tasks with baselines, intervals, comparisons."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eval.evaluation import evaluate

__all__ = ["evaluate"]


def __getattr__(name: str) -> Any:
    if name == "evaluate":
        from eval.evaluation import evaluate

        return evaluate
    raise AttributeError(f"module 'eval' has no attribute {name!r}")
