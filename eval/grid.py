"""What fine-tuning tries. Imports only the standard library."""

import math
from dataclasses import dataclass, fields
from itertools import product

from stage.errors import UsageError


@dataclass(frozen=True)
class Setting:
    """A point of the grid."""

    learning_rate: float
    epochs: int
    dropout: float

    def __str__(self) -> str:
        return f"rate {self.learning_rate!r}, {self.epochs} epochs, dropout {self.dropout!r}"


@dataclass
class FinetuneConfig:
    """How a model is fine-tuned for a task. The grid is that of small models: JGLUE's is for nets of 110M."""

    learning_rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    """Peak learning rates that are tried: Muon's for the matrices in the blocks, AdamW's for everything else."""
    epochs: tuple[int, ...] = (3, 10)
    """Passes over the training examples that are tried."""
    dropouts: tuple[float, ...] = (0.0, 0.1)
    """Probabilities of dropout that are tried."""
    rungs: tuple[float, ...] = (0.06, 0.25)
    """Shares of the training examples on which settings are compared, one after the other; empty: all settings on all
    examples."""
    rung_least: int = 1000
    """At least so many examples a rung: fewer may teach nothing but the most frequent class."""
    kept: float = 0.25
    """Share of the settings that goes from one rung to the next, at least two (successive halving; Jamieson and Talwalkar
    2016)."""
    seeds: int = 3
    """Runs of the chosen setting, which differ in the head's first weights, the order and dropout."""
    scratch: bool = True
    """Whether the same net from random weights is tuned and measured beside it: what pretraining is worth."""
    dev_share: float = 0.1
    """Share of the training examples on which the setting is chosen and no run is trained."""
    dev_most: int = 1000
    """At most so many of them."""
    tokens: int = 128
    """Most tokens of a row, at most those of the context; the longest text loses its last ones."""
    run_tokens: int = 1_000_000
    """Most training tokens of a run: it has fewer epochs where they would be more; 0: no limit."""
    batch: int = 32
    """Examples a step."""
    causal: bool = False
    """Whether tokens see only what precedes them, as in pretraining."""
    embedding_factor: float = 20.0
    """Learning rate of the embedding over the others, times the size of its weights (root mean square): pretraining leaves
    it larger than the rest."""
    warmup_share: float = 0.1
    """Share of the steps in which the learning rate rises; after it, it falls linearly to 0."""
    weight_decay: float = 0.01
    """Decoupled weight decay of the matrices."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    seed: int = 0
    """The first seed."""

    def __post_init__(self) -> None:
        for name in ("learning_rates", "epochs", "dropouts", "rungs"):
            values = tuple(getattr(self, name))
            if (not values and name != "rungs") or any(not 0 <= value < math.inf for value in values):
                raise UsageError(f"--finetune.{name} {values}: give one or more numbers from 0")
            setattr(self, name, values)
        for name in ("learning_rates", "epochs"):
            if 0 in getattr(self, name):
                raise UsageError(f"--finetune.{name}: nothing is learned with 0")
        for name in ("dropouts", "rungs", "kept", "dev_share"):
            value = getattr(self, name)
            if any(not 0 <= each < 1 for each in (value if isinstance(value, tuple) else (value,))):
                raise UsageError(f"--finetune.{name} {value} must lie from 0 to below 1")
        if not self.dev_share or 0 in self.rungs:
            raise UsageError("--finetune.dev_share and --finetune.rungs must be above 0")
        for entry in fields(self):
            if entry.name in ("seeds", "dev_most", "batch", "rung_least") and getattr(self, entry.name) < 1:
                raise UsageError(f"--finetune.{entry.name} {getattr(self, entry.name)} must be at least 1")
        for name in ("run_tokens", "seed", "embedding_factor", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"--finetune.{name} {getattr(self, name)} must be a number from 0")
        if self.seed + self.seeds > 1 << 63:
            raise UsageError(f"--finetune.seed {self.seed}: all seeds must fit into 63 bits")
        for name, largest in (("learning_rates", 1e30), ("embedding_factor", 1e5), ("weight_decay", 1e30)):
            value = getattr(self, name)
            if any(each > largest for each in (value if isinstance(value, tuple) else (value,))):
                raise UsageError(f"--finetune.{name} {value}: at most {largest:g}")
        if not 0 <= self.warmup_share <= 1:
            raise UsageError(f"--finetune.warmup_share {self.warmup_share} must lie from 0 to 1")
        if not 0 < self.gradient_clip < math.inf:
            raise UsageError(f"--finetune.gradient_clip {self.gradient_clip} must be above 0")
        if self.tokens < 8:
            raise UsageError(f"--finetune.tokens {self.tokens} must be at least 8")

    def settings(self) -> list[Setting]:
        """The grid."""
        return [Setting(*point) for point in product(self.learning_rates, self.epochs, self.dropouts)]
