"""Configurations of the language model and its training. Standard library only: ``--help`` must not load torch."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from stage.errors import UsageError

Architecture = Literal["default", "gpt2", "llama", "qwen3"]


@dataclass
class ShardConfig:
    """How documents become token files."""

    limit: int = 0
    """Read at most so many documents of each documents file; 0 reads all."""

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise UsageError(f"--limit {self.limit} must be 0 (all) or more")


@dataclass
class ModelConfig:
    """The shape of a GPT. Only ``depth`` need be given; fields left at 0 are derived from it."""

    architecture: Architecture = "default"
    """default: rotary positions, RMSNorm without gains, QK-norm, squared ReLU. llama: RMSNorm with gains, SwiGLU. qwen3: llama
    with QK-norm. gpt2: learned positions, LayerNorm, GELU. Each is exported as a family of transformers."""

    depth: int = 4
    """Number of transformer blocks, the one dial for the size of the model."""

    width: int = 0
    """Channels of the residual stream; 0: 64 times depth, at least 256."""

    heads: int = 0
    """Attention heads; 0: one for each 64 channels."""

    kv_heads: int = 0
    """Heads of keys and values, shared by neighbouring query heads (grouped-query attention); 0: as many as heads."""

    mlp_width: int = 0
    """Channels inside the MLP; 0: 4 times width; with SwiGLU 8/3 of it, rounded up to a multiple of 64."""

    context_length: int = 256
    """Most tokens that the model sees at once."""

    vocab_size: int = 0
    """Number of pieces; 0: that of the tokenizer."""

    dropout: float = 0.0
    """Probability with which outputs of attention and MLP are dropped in training; helps where a small text is read many
    times."""

    tie_embeddings: bool = False
    """Whether the output head shares its weights with the token embedding (the classic GPT-2 does)."""

    bias: bool = False
    """Whether linear layers and LayerNorms have biases (gpt2 only)."""

    rope_theta: float = 10000.0
    """Base of the rotary frequencies (not for gpt2)."""

    normalization: str = ""
    """Preset by which prompts are normalised; empty: that of the training text."""

    def __post_init__(self) -> None:
        if self.architecture not in get_args(Architecture):
            known = ", ".join(get_args(Architecture))
            raise UsageError(f"--model.architecture {self.architecture}: known are {known}")
        for name, least, most in (
            ("depth", 1, 1000),
            ("context_length", 1, 1 << 20),
            ("width", 0, 1 << 16),
            ("heads", 0, 1 << 10),
            ("kv_heads", 0, 1 << 10),
            ("mlp_width", 0, 1 << 18),
            ("vocab_size", 0, 1 << 22),
        ):
            if not isinstance(getattr(self, name), int) or not least <= getattr(self, name) <= most:
                raise UsageError(f"--model.{name} {getattr(self, name)} must be a whole number from {least} to {most}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--model.dropout {self.dropout} lies outside 0 to 1")
        if not 0 < self.rope_theta < float("inf"):
            raise UsageError(f"--model.rope_theta {self.rope_theta} must be above 0")
        if self.architecture == "gpt2" and self.rope_theta != ModelConfig.rope_theta:
            raise UsageError(
                "--model.rope_theta has no effect with --model.architecture gpt2, whose positions are learned"
            )
        if self.bias and self.architecture != "gpt2":
            raise UsageError("--model.bias belongs to --model.architecture gpt2; the others have no biases")

    def derived(self, vocab_size: int, normalization: str = "none") -> "ModelConfig":
        """The same with every field that was left open filled in: from the depth, and from the shards.

        Raises UsageError where the fields contradict one another.
        """
        if self.vocab_size and self.vocab_size < vocab_size:
            raise UsageError(f"--model.vocab_size {self.vocab_size} is less than the tokenizer's {vocab_size}")
        width = self.width or max(256, 64 * self.depth)
        heads = self.heads or max(1, width // 64)
        if width % heads:
            raise UsageError(f"--model.width {width} is not a multiple of --model.heads {heads}")
        kv_heads = self.kv_heads or heads
        if heads % kv_heads:
            raise UsageError(f"--model.heads {heads} is not a multiple of --model.kv_heads {kv_heads}")
        if kv_heads != heads and self.architecture == "gpt2":
            raise UsageError(
                "--model.kv_heads: gpt2 has as many as heads; use --model.architecture llama, qwen3 or default"
            )
        if (width // heads) % 2 and self.architecture != "gpt2":
            raise UsageError(
                f"--model.width {width} over --model.heads {heads} is odd; rotary positions need an even head size"
            )
        return replace(
            self,
            width=width,
            heads=heads,
            kv_heads=kv_heads,
            mlp_width=self.mlp_width or (-(-8 * width // 192) * 64 if self.gated else 4 * width),
            vocab_size=self.vocab_size or vocab_size,
            normalization=self.normalization or normalization,
        )

    @property
    def gated(self) -> bool:
        """Whether the MLP is gated (SwiGLU) and norms have gains, as in llama and qwen3."""
        return self.architecture in ("llama", "qwen3")

    @property
    def head_size(self) -> int:
        """Channels of a head of a derived configuration."""
        return self.width // self.heads

    @property
    def matrix_parameters(self) -> int:
        """Weights of a derived configuration that are multiplied with each token: those of the blocks and the head."""
        attention = (2 * self.heads + 2 * self.kv_heads) * self.head_size * self.width
        mlp = (3 if self.gated else 2) * self.mlp_width * self.width
        return self.depth * (attention + mlp) + self.vocab_size * self.width

    @property
    def parameters(self) -> int:
        """Number of weights of a derived configuration."""
        total = self.matrix_parameters + (0 if self.tie_embeddings else self.vocab_size * self.width)
        norms = (2 * self.depth + 1) * self.width
        if self.gated:
            total += norms + (2 * self.depth * self.head_size if self.architecture == "qwen3" else 0)
        if self.architecture == "gpt2":
            total += self.context_length * self.width + norms * (2 if self.bias else 1)
            total += self.depth * (5 * self.width + self.mlp_width) if self.bias else 0
        return total

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "ModelConfig":
        """From the dictionary in a ``config.json``; raises UsageError for a field that this version does not know."""
        known = {entry.name for entry in fields(cls)}
        unknown = sorted(record.keys() - known)
        if unknown:
            raise UsageError(f"the model's configuration has fields that this jgpt does not know: {', '.join(unknown)}")
        return cls(**record)


_MOST = dict.fromkeys(("learning_rate", "embedding_rate", "head_rate", "vector_rate", "weight_decay"), 1e36)
_MOST |= {"minutes": 1e6, "epochs": 1e6, "keep_checkpoints": 1e6}
"""The largest values of training settings: what a float32 holds, and what can be meant."""


@dataclass
class TrainConfig:
    """How a model is trained. Fields left at 0 are derived from the model, the data and the time there is."""

    steps: int = 0
    """Optimiser steps; 0: as many as --train.minutes allow, or --train.epochs need."""

    minutes: float = 0.0
    """Time for the training steps, to which the schedule is fitted on the way; compiling comes on top; 0: no limit."""

    epochs: float = 0.0
    """Passes over the training tokens, at most those that --train.minutes allow; 0: 4, unless steps are given."""

    batch_tokens: int = 0
    """Tokens a step; 0: derived from the width (4096 up to 256, doubling with each doubling of the width)."""

    micro_batch: int = 0
    """Sequences that go through the model at once, the rest by gradient accumulation; 0: as many as make 8192 tokens."""

    optimizer: Literal["muon", "adamw"] = "muon"
    """Of the matrices in the blocks; everything else has AdamW."""

    learning_rate: float = 0.0
    """Peak learning rate of those matrices; 0: derived (0.02 for Muon, 0.003 for AdamW at a width of 256; gpt2: 0.001)."""

    embedding_rate: float = 0.0
    """Peak learning rate of the embedding; 0: derived (0.15 at a width of 256, 0.003 if the head is tied to it; gpt2: 0.001)."""

    head_rate: float = 0.0
    """Peak learning rate of an untied head; 0: derived (0.012 at a width of 256; gpt2: 0.001)."""

    vector_rate: float = 0.0
    """Peak learning rate of gains and biases; 0: derived (0.003 at a width of 256; gpt2: 0.001)."""

    warmup_share: float = 0.02
    """Share of the steps in which the learning rate rises to its peak."""

    decay_share: float = 0.7
    """Share of the steps, at the end, in which it falls linearly; between the two it is constant."""

    final_rate_share: float = 0.05
    """What is left of the peak at the last step."""

    weight_decay: float = 0.1
    """Decoupled weight decay of the matrices (Loshchilov and Hutter 2019)."""

    momentum: float = 0.95
    """Of Muon."""

    beta1: float = 0.9
    """Decay of AdamW's mean of the gradient."""

    beta2: float = 0.95
    """Decay of AdamW's mean of the squared gradient."""

    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0: no clipping."""

    bigram_init: bool = False
    """Whether embedding and head begin as a bigram model counted on the training text instead of at random; a head start in
    runs of minutes. Not for gpt2, nor with a tied head."""

    across_documents: bool = True
    """Whether attention reaches into the documents before in the same window; off costs time, mostly on a CPU."""

    compile: Literal["auto", "yes", "no"] = "auto"
    """Whether the blocks are compiled; auto: where the run is long enough for it to pay and there is a C++ compiler, but not
    under torchrun, where each process would wait for the slowest."""

    parallel: Literal["auto", "ddp", "fsdp"] = "auto"
    """How the processes of torchrun share the model: ddp, each holds it whole; fsdp, each holds a part of each weight and of
    the optimiser; auto: fsdp from 500M parameters. Without effect on a process alone."""

    valid_every: int = 0
    """Steps between measurements on the valid split; 0: up to twenty in a run, fewer where they would take long."""

    valid_tokens: int = 65536
    """Tokens of the valid split that these measurements read."""

    checkpoint_every: int = 0
    """Steps between checkpoints; 0: about ten in a run, and at the end."""

    keep_checkpoints: int = 2
    """Checkpoints that are kept besides the best one, and the one from before the learning rate fell (trunk)."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            value, most = getattr(self, entry.name), _MOST.get(entry.name, 1e12)
            if isinstance(value, str):
                if value not in get_args(entry.type):
                    known = ", ".join(get_args(entry.type))
                    raise UsageError(f"--train.{entry.name} {value}: known are {known}")
            elif not 0 <= value <= most:
                raise UsageError(f"--train.{entry.name} {value} must be a number from 0 to {most:g}")
        for name in ("warmup_share", "decay_share", "final_rate_share"):
            if getattr(self, name) > 1:
                raise UsageError(f"--train.{name} {getattr(self, name)} must be at most 1")
        if self.warmup_share + self.decay_share > 1:
            raise UsageError("--train.warmup_share and --train.decay_share add up to more than 1")
        for name in ("beta1", "beta2", "momentum"):
            if getattr(self, name) >= 1:
                raise UsageError(f"--train.{name} {getattr(self, name)} must be below 1")
        if self.keep_checkpoints < 1:
            raise UsageError("--train.keep_checkpoints must be at least 1: a run resumes from the last one")
        for name in ("minutes", "epochs"):
            if self.steps and getattr(self, name):
                raise UsageError(f"give --train.steps or --train.{name}, not both (0 unsets one)")


@dataclass
class PretrainConfig:
    """Everything that determines a pretrained model, but for the shards."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """The model."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """Its training."""

    seed: int = 0
    """Initial weights, order of the samples and dropout follow from it."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of matrix products; weights and optimiser stay in float32. auto: bfloat16 where the processor has it."""

    def __post_init__(self) -> None:
        _check_seed(self.seed)


@dataclass
class GenerateConfig:
    """How text is drawn from a model."""

    max_tokens: int = 128
    """Most tokens to generate; generation also ends at </s>."""

    temperature: float = 0.8
    """Divides the logits: below 1 likelier pieces are preferred, 0 takes the likeliest one."""

    top_k: int = 0
    """Draw only from so many of the likeliest pieces; 0: from all."""

    top_p: float = 0.95
    """Draw only from the likeliest pieces that together have this probability (Holtzman et al. 2020); 1: from all."""

    repetition_penalty: float = 1.0
    """Divides (or multiplies, where negative) the logits of pieces that occurred already (Keskar et al. 2019); 1: none."""

    seed: int = 0
    """The same seed gives the same text."""

    stop: list[str] = field(default_factory=list)
    """Strings that end the generation; they are not given out."""

    def __post_init__(self) -> None:
        if self.max_tokens < 0:
            raise UsageError(f"--max_tokens {self.max_tokens} must not be negative")
        if not 0 <= self.temperature < float("inf"):
            raise UsageError(f"--temperature {self.temperature} must be 0 (the likeliest piece) or more")
        if self.top_k < 0:
            raise UsageError(f"--top_k {self.top_k} must be 0 (all) or more")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"--top_p {self.top_p} must lie above 0 and at most at 1")
        if not 0.01 <= self.repetition_penalty <= 100:
            raise UsageError(
                f"--repetition_penalty {self.repetition_penalty} lies outside .01 to 100; 1 changes nothing"
            )
        if any(not text for text in self.stop):
            raise UsageError("--stop: an empty string stops nothing")
        _check_seed(self.seed)


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 1 << 63:
        raise UsageError(f"--seed {seed} must be 0 or more, and fit into 63 bits")
