"""What is derived, and what is refused."""

from dataclasses import asdict
from itertools import pairwise

import pytest
import torch

from jgpt import device
from jgpt.config import GenerateConfig, ModelConfig, PretrainConfig, ShardConfig, TrainConfig
from jgpt.training.plan import Plan, batch_shape, derive_training, number_of_steps
from jgpt.training.schedule import learning_rate_factor, phases
from stage.errors import UsageError


def test_width_heads_and_vocabulary_are_derived():
    model = ModelConfig(depth=6).derived(8000, "ja-v1")
    assert (model.width, model.heads, model.vocab_size, model.normalization) == (384, 6, 8000, "ja-v1")
    assert ModelConfig(depth=1).derived(400).width == 128
    assert ModelConfig(width=32).derived(400).heads == 1


def test_what_was_given_is_kept():
    model = ModelConfig(width=96, heads=3, vocab_size=500, normalization="none").derived(400, "ja-v1")
    assert (model.width, model.heads, model.vocab_size, model.normalization) == (96, 3, 500, "none")
    train = TrainConfig(steps=3, batch_tokens=100, learning_rate=0.5, embedding_rate=0.25, head_rate=0.125)
    assert derive_training(train, model) == train


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"depth": 0}, "model.depth"),
        ({"context_length": 0}, "model.context_length"),
        ({"width": -1}, "model.width"),
        ({"dropout": 1.0}, "model.dropout"),
        ({"dropout": float("nan")}, "model.dropout"),
        ({"bias": True}, "model.bias"),
        ({"architecture": "rnn"}, "model.architecture"),
        ({"rope_theta": 0.0}, "model.rope_theta"),
        ({"rope_theta": float("nan")}, "model.rope_theta"),
    ],
)
def test_an_impossible_model_is_refused_by_name(fields, named):
    with pytest.raises(UsageError, match=named):
        ModelConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"width": 100, "heads": 3}, "multiple of --model.heads 3"),
        ({"width": 9, "heads": 3}, "even head size"),
        ({"vocab_size": 300}, "less than the tokenizer's 400"),
    ],
)
def test_contradictions_are_refused(fields, named):
    with pytest.raises(UsageError, match=named):
        ModelConfig(**fields).derived(400)


def test_an_odd_head_size_is_fine_without_rotary_positions():
    assert ModelConfig("gpt2", width=9, heads=3).derived(400).width == 9


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"steps": -1}, "train.steps"),
        ({"minutes": float("nan")}, "train.minutes"),
        ({"epochs": float("inf")}, "train.epochs"),
        ({"learning_rate": -1.0}, "train.learning_rate"),
        ({"warmup_share": 0.6, "decay_share": 0.6}, "add up"),
        ({"beta2": 1.0}, "train.beta2"),
        ({"keep_checkpoints": 0}, "train.keep_checkpoints"),
        ({"steps": 5, "minutes": 1.0}, "not both"),
        ({"steps": 5, "epochs": 1.0}, "not both"),
    ],
)
def test_an_impossible_training_is_refused_by_name(fields, named):
    with pytest.raises(UsageError, match=named):
        TrainConfig(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": -1},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"repetition_penalty": 0.0},
        {"stop": [""]},
        {"seed": 1 << 64},
    ],
)
def test_an_impossible_generation_is_refused_by_name(fields):
    with pytest.raises(UsageError, match=next(iter(fields))):
        GenerateConfig(**fields)


def test_other_impossible_values_are_refused():
    with pytest.raises(UsageError, match="limit"):
        ShardConfig(limit=-1)
    with pytest.raises(UsageError, match="seed"):
        PretrainConfig(seed=1 << 64)


def test_a_record_of_a_later_version_is_refused_by_name():
    record = asdict(ModelConfig(depth=2))
    assert ModelConfig.from_record(record) == ModelConfig(depth=2)
    with pytest.raises(UsageError, match="value_embeddings"):
        ModelConfig.from_record(record | {"value_embeddings": True})


def test_larger_models_take_larger_batches_and_lower_rates():
    small, large = (derive_training(TrainConfig(), ModelConfig(width=width).derived(400)) for width in (256, 1024))
    assert large.batch_tokens > small.batch_tokens
    assert large.learning_rate < small.learning_rate
    assert small.epochs > 0
    assert derive_training(TrainConfig(steps=3), ModelConfig().derived(400)).epochs == 0


@pytest.mark.parametrize(
    ("asked", "batch", "micro"), [(0, 12, 12), (5, 12, 4), (12, 12, 12), (100, 12, 12), (1, 12, 1)]
)
def test_micro_batches_divide_the_batch(asked, batch, micro):
    train = TrainConfig(batch_tokens=12 * 32, micro_batch=asked)
    assert batch_shape(train, 32) == (batch, micro)


def test_a_batch_is_at_least_one_sequence():
    assert batch_shape(TrainConfig(batch_tokens=10), 256) == (1, 1)


def test_steps_follow_from_what_limits_first():
    assert number_of_steps(TrainConfig(steps=7), 100, 4, 0) == 7
    assert number_of_steps(TrainConfig(epochs=2), 100, 4, 0) == 50
    assert number_of_steps(TrainConfig(minutes=1), 100, 4, 0.5) == 120
    assert number_of_steps(TrainConfig(minutes=1, epochs=2), 100, 4, 0.5) == 50
    assert number_of_steps(TrainConfig(minutes=0.001), 100, 4, 60) == 1


def test_the_learning_rate_rises_stays_and_falls_in_a_line():
    train = TrainConfig(warmup_share=0.1, decay_share=0.5, final_rate_share=0.1)
    factors = [learning_rate_factor(step, 100, *phases(100, train), 0.1) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10:50] == [1.0] * 40
    falls = [before - after for before, after in pairwise(factors[50:])]
    assert falls == pytest.approx([0.9 / 51] * 49)
    assert 0.1 < factors[-1] < 0.15


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_the_learning_rate_is_never_zero_nor_above_its_peak(steps):
    for train in (TrainConfig(), TrainConfig(warmup_share=0, decay_share=1, final_rate_share=0)):
        share = train.final_rate_share
        assert all(0 < learning_rate_factor(step, steps, *phases(steps, train), share) <= 1 for step in range(steps))


def test_a_run_that_is_slower_than_measured_is_shortened_and_falls_from_where_it_stands():
    train = TrainConfig(minutes=1, warmup_share=0.1, decay_share=0.5)
    plan = Plan(1, 1, 1, False, 8, 8, "float32", 2, 1, 1, 1, 0.5)
    plan.set_steps(120, train)
    assert (plan.warmup_steps, plan.decay_from, plan.valid_every, plan.checkpoint_every) == (12, 60, 6, 12)
    plan.settle(60, 40.0, train, windows=1000)  # 40 of 60 seconds are gone: 30 more steps fit
    assert (plan.steps, plan.decay_from, plan.settled) == (90, 60, True)
    factors = [learning_rate_factor(step, 90, 12, 60, 0.05) for step in range(59, 90)]
    assert factors[0] == 1 and factors == sorted(factors, reverse=True) and factors[-1] < 0.1


def test_a_run_that_is_faster_than_measured_goes_no_further_than_its_epochs():
    train = TrainConfig(minutes=1, epochs=2)
    plan = Plan(1, 1, 1, False, 8, 8, "float32", 2, 1, 1, 1, 0.5)
    plan.set_steps(100, train)
    plan.settle(30, 1.0, train, windows=800)
    assert plan.steps == 200
    plan.settle(30, 90.0, train, windows=800)  # the time is over already
    assert plan.steps == 31


def test_bfloat16_is_chosen_by_what_the_processor_can_do_and_not_by_a_timing(monkeypatch):
    monkeypatch.setattr(device, "_processor_features", lambda: {"avx2", "amx_bf16"})
    assert device.choose_dtype("auto", torch.device("cpu")) == torch.bfloat16
    monkeypatch.setattr(device, "_processor_features", lambda: {"avx2"})
    assert device.choose_dtype("auto", torch.device("cpu")) == torch.float32
