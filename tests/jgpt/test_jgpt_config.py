"""What is derived, and what is refused."""

from dataclasses import asdict
from itertools import pairwise

import pytest
import torch

from jgpt import GPT, device
from jgpt.config import GenerateConfig, ModelConfig, PretrainConfig, ShardConfig, TrainConfig
from jgpt.training import speed
from jgpt.training.plan import Plan, batch_shape, check_memory, derive_training, memory_bytes, number_of_steps
from jgpt.training.schedule import learning_rate_factor, phases
from stage.errors import InputError, UsageError


def test_width_heads_and_vocabulary_are_derived():
    model = ModelConfig(depth=6).derived(8000, "ja-v1")
    assert (model.width, model.heads, model.vocab_size, model.normalization) == (384, 6, 8000, "ja-v1")
    assert ModelConfig(depth=1).derived(400).width == 256
    assert ModelConfig(width=32).derived(400).heads == 1


def test_what_was_given_is_kept():
    model = ModelConfig(width=96, heads=3, vocab_size=500, normalization="none").derived(400, "ja-v1")
    assert (model.width, model.heads, model.vocab_size, model.normalization) == (96, 3, 500, "none")
    rates = {"learning_rate": 0.5, "embedding_rate": 0.25, "head_rate": 0.125, "vector_rate": 0.75}
    train = TrainConfig(steps=3, batch_tokens=100, **rates)
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


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_larger_models_take_larger_batches_and_lower_rates_but_for_muon(optimizer):
    train = TrainConfig(optimizer=optimizer)
    small, large = (derive_training(train, ModelConfig(width=width).derived(400)) for width in (256, 1024))
    assert large.batch_tokens > small.batch_tokens
    for name in ("learning_rate", "embedding_rate", "head_rate", "vector_rate"):
        lower = getattr(large, name) < getattr(small, name)
        assert lower == (name != "learning_rate" or optimizer == "adamw")
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


def new_plan(train, steps):
    plan = Plan(False, 8, 8, "float32", False, 2, 1e12, 0.5)
    plan.set_steps(steps, train, context_length=1024)
    return plan


def test_measurements_and_checkpoints_are_spread_over_the_run():
    plan = new_plan(TrainConfig(), 120)
    assert (plan.warmup_steps, plan.decay_from, plan.checkpoint_every, plan.log_every) == (2, 36, 12, 1)
    assert (plan.valid_every, new_plan(TrainConfig(), 12_000).valid_every) == (120 // 4, 12_000 // 20)
    plan = new_plan(TrainConfig(valid_every=7, checkpoint_every=5), 12_000)
    assert (plan.valid_every, plan.checkpoint_every, plan.log_every) == (7, 5, 10)


def test_a_run_by_minutes_falls_when_their_share_is_over_and_ends_with_them():
    train = TrainConfig(minutes=1, warmup_share=0.1, decay_share=0.5)
    plan = new_plan(train, 120)
    assert not plan.settle(30, 29.0, train, 64, windows=1000)
    assert (plan.steps, plan.settled) == (120, False)
    assert plan.settle(
        31, 31.0, train, 64, windows=1000
    )  # half of the 60 seconds are over: 29 more steps of a second fit
    assert (plan.steps, plan.decay_from, plan.settled, plan.warmup_steps) == (60, 31, True, 12)
    factors = [learning_rate_factor(step, 60, 12, 31, 0.05) for step in range(30, 60)]
    assert factors[0] == 1 and factors == sorted(factors, reverse=True) and factors[-1] < 0.1


def test_a_run_by_minutes_goes_no_further_than_its_epochs():
    train = TrainConfig(minutes=1, epochs=2)
    plan = new_plan(train, 1000)
    assert not plan.settle(40, 1.0, train, 64, windows=800)
    assert plan.settle(60, 1.5, train, 64, windows=800)  # 200 steps of .025 s, 140 of which are for the decay
    assert (plan.steps, plan.decay_from) == (200, 60)
    plan = new_plan(train, 1000)
    assert plan.settle(30, 90.0, train, 64, windows=800)  # the time is over already
    assert plan.steps == 31


def test_a_bad_guess_of_the_speed_is_made_anew_after_some_steps():
    train = TrainConfig(minutes=1, warmup_share=0.1)
    plan = new_plan(train, 6000)  # guessed: .5 s a step
    assert not plan.look(9, 9.0, train, 64, 1000) and plan.warmup_steps == 600
    assert plan.look(10, 2.0, train, 64, 1000)
    assert (plan.steps, plan.warmup_steps, plan.checkpoint_every, plan.seconds_per_step) == (300, 30, 30, 0.2)
    assert not plan.look(10, 2.0, train, 64, 1000)  # it fits now
    assert new_plan(train, 6000).look(10, 20.0, train, 64, 1000)
    plan = new_plan(train, 6000)
    assert plan.look(10, 20.0, train, 64, 1000) and plan.steps == 30
    assert (plan.warmup_steps, plan.settled) == (6, False)


def test_measurements_and_checkpoints_follow_the_length_that_is_settled():
    train = TrainConfig(minutes=1, warmup_share=0.01)
    plan = new_plan(train, 6000)
    assert plan.checkpoint_every == 600
    assert plan.settle(60, 30.0, train, 1024, windows=100_000)
    assert (plan.steps, plan.checkpoint_every) == (120, 12)


def test_a_container_may_have_less_memory_than_its_machine(tmp_path, monkeypatch):
    whole = device.free_memory(torch.device("cpu"))
    monkeypatch.setattr(device, "_CGROUP", tmp_path)
    for limit, wanted in (("max", whole), ("3000000", 1_000_000)):
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text("2000000")
        assert device.free_memory(torch.device("cpu")) == pytest.approx(wanted, rel=0.2)


def test_no_run_by_minutes_falls_before_it_is_warm():
    train = TrainConfig(minutes=1, warmup_share=0.1)
    plan = new_plan(train, 100)
    assert not plan.settle(9, 59.0, train, 64, windows=1000)
    assert plan.settle(10, 59.0, train, 64, windows=1000)


@pytest.mark.parametrize("architecture", ["default", "gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_counted_as_they_are(architecture, tied):
    fields = {"depth": 3, "width": 48, "heads": 4, "context_length": 16, "vocab_size": 500, "tie_embeddings": tied}
    others = [{"bias": True}] if architecture == "gpt2" else [{"kv_heads": 2, "mlp_width": 80}, {"kv_heads": 1}]
    for more in ({}, *others):
        model = GPT(ModelConfig(architecture, **fields, **more))
        assert model.config.parameters == sum(parameter.numel() for parameter in model.parameters())
        linear = (module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear))
        assert model.config.matrix_parameters == sum(linear)


def test_the_memory_of_a_step_grows_with_what_it_is_made_of(monkeypatch):
    small, wide, deep = (ModelConfig(**fields).derived(8000) for fields in ({}, {"width": 512}, {"depth": 8}))
    sizes = [memory_bytes(model, 8) for model in (small, wide, deep)]
    assert memory_bytes(small, 16) > sizes[0] < min(sizes[1:])
    # weights, gradients and two means of them at least; on two cores a step of the default model took some 300 MB
    assert 16 * small.parameters < sizes[0] < 1e9
    check_memory(small, 8, torch.device("cpu"))
    with pytest.raises(InputError, match=r"needs about .* GB of memory .* --train\.micro_batch \(now 4096\)"):
        check_memory(ModelConfig(width=8192, depth=96).derived(8000), 4096, torch.device("cpu"))


@pytest.mark.parametrize(
    ("train", "tokens", "there", "wanted"),
    [
        (TrainConfig(minutes=30), 1e9, True, True),
        (TrainConfig(minutes=30), 1e9, False, False),  # no C++ compiler
        (TrainConfig(minutes=30), 1e5, True, False),  # its text is read long before
        (TrainConfig(minutes=1), 1e12, True, False),
        (TrainConfig(steps=10), 1e3, True, False),
        (TrainConfig(steps=10), 1e9, True, True),
        (TrainConfig(minutes=30, compile="no"), 1e9, True, False),
        (TrainConfig(steps=1, compile="yes"), 1, False, True),
    ],
)
def test_what_is_compiled_depends_on_the_run_and_the_machine_alone(monkeypatch, train, tokens, there, wanted):
    monkeypatch.setattr(speed, "_cpp_compiler", lambda: "g++" if there else None)
    model = ModelConfig().derived(8000)
    assert speed.worth_compiling(train, model, tokens, torch.device("cpu")) == wanted
    if train.compile == "auto":
        assert not speed.worth_compiling(train, model, tokens, torch.device("mps"))


def test_bfloat16_is_chosen_by_what_the_processor_can_do_and_not_by_a_timing(monkeypatch):
    monkeypatch.setattr(device, "_processor_features", lambda: {"avx2", "amx_bf16"})
    assert device.choose_dtype("auto", torch.device("cpu")) == torch.bfloat16
    monkeypatch.setattr(device, "_processor_features", lambda: {"avx2"})
    assert device.choose_dtype("auto", torch.device("cpu")) == torch.float32
