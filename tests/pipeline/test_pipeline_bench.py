"""The parts of the benchmarks of pretraining and tokenizers, on tiny data; what they measure is not measured here."""

import gzip
import json
import math
import shlex
import sys
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

import jgpt
from corpora.documents import iterate_texts
from jgpt.config import ModelConfig
from jgpt.data.shards import ShardSet
from jgpt.model.folder import load_config, load_model, save_model
from jgpt.model.gpt import GPT
from scripts.bench import nanogpt, pretraining, tokenization, tokenizer_choice
from scripts.bench.nanogpt import Recipe
from scripts.bench.pretraining_results import Point, Run, read_metrics, read_runs, table
from scripts.commands.pretrain import pretrain
from stage.errors import JgptError
from tokenizer import opening
from tokenizer.config import TokenizerConfig

SENTENCES = [
    "山路を登りながら、こう考えた。",
    "智に働けば角が立つ。",
    "𠮷野の桜は、もう散った。",
    "ｶﾞﾗｽの窓に雨があたる。",
]
TINY = {"depth": 1, "heads": 2, "width": 32, "context_length": 16, "batch": 4, "valid_tokens": 64, "warmup_steps": 4}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "aozora").mkdir()
    with gzip.open(folder / "aozora" / "works.jsonl.gz", "wt", encoding="utf-8") as stream:
        for number in range(24):
            text = "".join(SENTENCES[(number + place * place) % 4] for place in range(30)) + str(number)
            stream.write(json.dumps({"text": text}) + "\n")
    return pretraining.make_shards(folder, folder / "work", vocab_size=360)


@pytest.fixture
def clock(monkeypatch):
    """A clock for nanoGPT's loop that goes on by a second whenever it is read."""
    state = SimpleNamespace(now=1000.0)

    def read():
        state.now += 1
        return state.now

    monkeypatch.setattr(nanogpt, "time", SimpleNamespace(time=read))
    return state


def new_run(row, points, seed=1, clock=None, minutes=1.0, rate=None):
    points = [Point(*point) for point in points]
    more = {"cpu_seconds": 90.0, "load": (1.0, 2.0), "shares": {"loader_share": 0.002}, "machine": "", "decided": ""}
    end = clock or points[-1].clock
    return Run(f"{row} {seed} {minutes}", row, minutes, seed, rate, 6_900_000, points, end, wall_seconds=100.0, **more)


def test_nanogpt_learns_until_the_time_is_over_and_measuring_does_not_count(shards, clock, tmp_path):
    nanogpt.train(ShardSet(shards), Recipe(3e-3, minutes=3, points=6, **TINY), tmp_path / "model", started_at=1000.0)
    points, valid_seconds, _ = read_metrics(tmp_path / "model" / "metrics.jsonl", 1000.0)
    assert len(points) == 7
    assert points[0].tokens == 0
    assert [points[0].clock < 30, points[-1].clock >= 180] == [True, True]
    assert valid_seconds > 0
    assert all(later.tokens > earlier.tokens for earlier, later in pairwise(points))
    assert points[-1].tokens % (4 * 16) == 0
    assert points[-1].loss < points[0].loss - 0.5
    assert load_model(tmp_path / "model").config == Recipe(**TINY).model(360)


def test_nanogpt_run_that_diverges_ends_and_ranks_last(shards, clock, tmp_path):
    nanogpt.train(ShardSet(shards), Recipe(1e30, minutes=60, **TINY), tmp_path / "model", started_at=1000.0)
    points, _, _ = read_metrics(tmp_path / "model" / "metrics.jsonl", 1000.0)
    assert points[-1].loss == nanogpt.DIVERGED
    assert points[-1].clock < 3600


def test_baseline_has_the_documented_shape_rate_and_decay():
    recipe = Recipe()
    config = recipe.model(8192)
    assert config.parameters == 8192 * 256 + 256 * 256 + 6 * 12 * 256**2 + 13 * 256
    rates = [nanogpt.learning_rate(recipe, step, decayed) for step, decayed in ((0, 0), (99, 0), (100, 0), (500, 0.5))]
    assert rates == pytest.approx([1e-3 / 101, 1e-3 * 100 / 101, 1e-3, 5.5e-4])
    assert nanogpt.learning_rate(recipe, 900, 1.0) == pytest.approx(1e-4)
    model = GPT(Recipe(**TINY).model(360))
    decayed, others = nanogpt.make_optimizer(model, recipe).param_groups
    assert any(parameter is model.embedding.weight for parameter in decayed["params"])
    assert [decayed["weight_decay"], others["weight_decay"], decayed["betas"]] == [0.1, 0.0, (0.9, 0.99)]
    assert all(parameter.ndim == 1 for parameter in others["params"])
    assert nanogpt.make_optimizer(model, Recipe(strong=True)).param_groups[0]["fused"]
    assert not decayed["fused"]


def test_random_samples_are_followed_by_their_targets(shards):
    stream = ShardSet(shards).split("train")
    torch.manual_seed(0)
    ids, targets = nanogpt.random_batch(stream, 64, 16)
    assert ids.shape == targets.shape == (64, 16)
    assert torch.equal(ids[:, 1:], targets[:, :-1])
    assert len({tuple(row.tolist()) for row in ids}) > 8


def test_clock_of_a_point_starts_with_the_process_and_stands_still_while_measuring(tmp_path):
    lines = [
        {"step": 0, "tokens": 0, "time": 1010.0, "valid_seconds": 2.0, "valid_loss": 9.0},
        {"step": 5, "tokens": 500, "time": 1015.0, "valid_seconds": 2.0, "loss": 7.0, "share_of_peak": 0.5},
        {"step": 10, "tokens": 1000, "time": 1022.0, "valid_seconds": 4.0, "valid_loss": 6.0},
        {"step": 15, "tokens": 1500, "time": 1025.0, "valid_seconds": 4.0, "loss": 5.5, "share_of_peak": 0.6},
        {"step": 20, "tokens": 3000, "time": 1044.0, "valid_seconds": 6.0, "valid_loss": 5.0},
    ]
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    points, valid_seconds, shares = read_metrics(file, started_at=1000.0)
    assert points == [(8.0, 0, 9.0), (18.0, 1000, 6.0), (38.0, 3000, 5.0)]
    assert [valid_seconds, shares] == [6.0, {"share_of_peak": 0.55}]
    run = new_run("jgpt", points, clock=41.0)
    assert run.tokens_per_second == 100
    assert run.start_up == 8
    assert run.first_at(6.5) == (18.0, 1000, 6.0)
    assert run.first_at(5.0) == (41.0, 3000, 5.0)
    assert run.first_at(4.9) is None


def test_metrics_of_pretraining_can_be_read(shards, tmp_path):
    from jgpt.config import ModelConfig, PretrainConfig, TrainConfig

    config = PretrainConfig(
        ModelConfig(depth=1, width=32, heads=2, context_length=16),
        TrainConfig(steps=4, batch_tokens=32, valid_every=2, valid_tokens=64),
        dtype="float32",
    )
    jgpt.pretrain(shards, tmp_path / "model", config, quiet=True)
    points, valid_seconds, _ = read_metrics(tmp_path / "model" / "metrics.jsonl", started_at=0.0)
    assert [point.tokens for point in points] == [0, 64, 128]
    assert valid_seconds > 0
    assert load_config(tmp_path / "model").parameters > 0


@pytest.mark.parametrize("name", pretraining.ROWS)
def test_every_row_is_a_command_that_jgpt_takes(name, monkeypatch):
    taken = []
    monkeypatch.setattr(jgpt, "pretrain", lambda *given, **more: taken.append(given[2]), raising=False)
    monkeypatch.setattr("scripts.commands.pretrain.tell_counts", lambda *_: None)
    flags = f"--shards shards --out model --train.minutes 1.5 {pretraining.ROWS[name].flags} {pretraining.MEASURED}"
    pretrain("jgpt pretrain", shlex.split(flags))
    model = taken[0].model.derived(8192)
    assert [model.context_length, taken[0].train.valid_tokens] == [256, 61440]
    if "parameters" in name:
        assert model.parameters == pytest.approx(Recipe().model(8192).parameters, rel=0.05)


def test_bench_takes_the_best_rate_goes_on_where_it_was_and_stops_at_the_goal(shards, tmp_path, monkeypatch):
    started, losses = [], {"--minutes 25": 5.9, "--minutes 10": 5.8, "--train.minutes 1.5": 5.85, "rate 0.002": 6.0}

    def start(command, env, **_):
        flags = " ".join(command)
        started.append((flags, env))
        out = pretraining.Path(command[command.index("--out") + 1])
        save_model(GPT(Recipe(**TINY).model(360)), out)
        now = float(env[nanogpt.STARTED_AT]) + 100
        loss = next((loss for part, loss in losses.items() if part in flags), 5.7 if "--train" in flags else 7.0)
        (out / "plan.json").write_text('{"dtype": "bfloat16", "compiled": true, "threads": 2}')
        line = {"step": 9, "tokens": 90, "time": now, "valid_seconds": 1, "valid_loss": loss}
        (out / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(pretraining.subprocess, "run", start)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")

    def new_bench():
        return pretraining.Bench(shards, tmp_path / "work", tmp_path / "runs.jsonl")

    with pytest.raises(JgptError, match="baseline"):
        new_bench().baseline("strong baseline")
    for name in pretraining.BASELINES:
        new_bench().baseline(name)
    sweeps = [len(baseline.rates) for baseline in pretraining.BASELINES.values()]
    assert len(started) == sweeps[0] + 2 + sweeps[1] + 2
    assert sum("--learning_rate 0.002 " in flags and "--minutes 25 " in flags for flags, _ in started) == 2
    assert ["--strong" in flags for flags, _ in started] == [False] * (sweeps[0] + 2) + [True] * (sweeps[1] + 2)
    assert not any("OMP_WAIT_POLICY" in environment for _, environment in started)
    del started[:]
    for _ in range(2):
        new_bench().row("jgpt")
    asked = [flags.split("--train.minutes ")[1].split()[0] for flags, _ in started]
    assert asked == ["1.5", "2", "1.5", "2"]  # two seeds, and nothing longer than what reached both goals
    for name in pretraining.BASELINES:
        new_bench().baseline(name)
    assert len(started) == 4
    assert {run.decided for run in read_runs(tmp_path / "runs.jsonl").values()} == {"bfloat16, compiled, 2 threads"}
    printed = table(read_runs(tmp_path / "runs.jsonl").values(), pretraining.BASELINES)
    assert "To 5.900 nats a token, where baseline (seed 1) was after 99 s" in printed


def test_a_process_that_fails_is_named_with_its_log(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    with pytest.raises(JgptError, match=r"jgpt: .*failed, .*/jgpt-1\.5-minutes-seed-1\.log says why"):
        pretraining.Bench(shards, tmp_path / "work", tmp_path / "runs.jsonl").row("jgpt")


def test_table_has_ratios_of_time_and_tokens_to_the_harder_seed_of_each_baseline():
    runs = [
        new_run("baseline sweep", [(300, 900_000, 6.6)], rate=1e-3),
        new_run("baseline", [(1500, 4_400_000, 5.853)], seed=1, rate=1e-3),
        new_run("baseline", [(1501, 4_400_000, 5.900)], seed=2, rate=1e-3),
        new_run("jgpt", [(60, 500_000, 6.0), (90, 880_000, 5.860)], minutes=1.5),
        new_run("jgpt", [(70, 600_000, 6.0), (110, 1_000_000, 5.8), (118, 1_100_000, 5.7)], minutes=2.0, clock=120),
        new_run("jgpt, float32", [(240, 900_000, 5.97)], minutes=4.0),
    ]
    printed = table(runs, ["baseline", "strong baseline"])
    assert "To 5.853 nats a token, where baseline (seed 1) was after 1500 s and 4.40M tokens:" in printed
    assert "| jgpt | 1 | 2 | 110 | 13.6 | 1.00M | 4.4 |" in printed
    assert "| jgpt, float32 | 1 |  | not reached: 5.970 |  |  |  |" in printed
    assert printed.count("\n| baseline") == 3
    assert "strong" not in printed


def test_the_benchmark_of_tokenizers_times_every_row(shards, tmp_path, monkeypatch, capsys):
    work = shards.parent
    flags = ["--corpus", str(work / "corpus"), "--tokenizer", str(work / "tokenizer"), "--rounds", "1"]
    flags += ["--vocab_size", "330", "--out", str(tmp_path / "rounds.jsonl")]
    monkeypatch.setattr(sys, "argv", ["tokenization", *flags])
    tokenization.main()
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "rounds.jsonl").read_text("utf-8"))
    assert (
        "| jgpt shard, more text, two processes |" in printed
        and record["jgpt shard"] > 0
        and "of raw encoding" in printed
    )


def test_the_choice_of_tokenizers_is_told_best_first():
    runs = [
        {
            "variant": name,
            "seed": seed,
            "bits_per_character": bits + seed / 100,
            "charged_for_unknown": 0.0,
            "sources": {"青空": bits},
            "vocab_size": 8000,
            "characters_per_token": 1.5,
            "parameters": 7_000_000,
            "tokens": 4_000_000,
        }
        for name, bits in (("char", 4.2), ("bpe", 3.9))
        for seed in (1, 2)
    ]
    lines = tokenizer_choice.table(runs).splitlines()
    assert lines[2].startswith("| bpe | 8,000 | 1.50 | 2 | 3.915 | 3.910 to 3.920 | 青空 3.90 |")
    assert lines[3].startswith("| char |") and len(lines) == 4


def test_tokenizers_of_others_are_measured_on_the_same_text_with_unknowns_as_bytes(shards, tmp_path, monkeypatch):
    corpus = shards.parent / "corpus"
    monkeypatch.setattr(
        tokenizer_choice, "TokenizerConfig", lambda **more: TokenizerConfig(**{"vocab_size": 360} | more)
    )
    monkeypatch.setattr(tokenizer_choice, "_WORDS_SHARE", 0.92)
    texts = list(iterate_texts(corpus, "valid"))
    found = {}
    for name, how in (
        ("other", "defaults 42"),
        ("stages", "two stages"),
        ("own", "--boundaries none --vocab_size 340"),
    ):
        tokenizer_choice.make_shards(corpus, tmp_path / name, how, None)
        model = GPT(ModelConfig(depth=1, width=32, heads=2, context_length=16, vocab_size=360))
        save_model(model, tmp_path / "model", tmp_path / name / "shards")
        found[name] = tokenizer_choice.bits_per_character(corpus, tmp_path / name, tmp_path / "model")
        assert ShardSet(tmp_path / name / "shards").manifest.counts["valid_characters"] == sum(map(len, texts))
    assert found["stages"]["charged_for_unknown"] == found["own"]["charged_for_unknown"] == 0
    other = opening.SentencePieceTokenizer(tmp_path / "other" / "other.model")
    assert tokenizer_choice.unknown_bytes(other, "鷗と𩸽") >= 7
    # a model that has learned nothing spends log2(360) bits on each token, and </s>, and eight on each unknown byte
    tokens = sum(len(other.encode(text)) + 1 for text in texts)
    charged = 8 * sum(tokenizer_choice.unknown_bytes(other, text) for text in texts)
    expected = (tokens * math.log2(360) + charged) / sum(map(len, texts))
    assert found["other"]["bits_per_character"] == pytest.approx(expected, rel=0.05)
