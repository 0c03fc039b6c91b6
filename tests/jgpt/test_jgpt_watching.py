"""Watching a run: the bar, metrics.jsonl, trackers, and texts that are written meanwhile."""

import hashlib
import io
import json
import logging
import math
import os
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from jgpt.config import ModelConfig, PretrainConfig, TrainConfig
from jgpt.data.shards import ShardSet
from jgpt.training import run as module
from jgpt.training.metrics import Metrics, bits_per_nat, cut_back, read_lines
from jgpt.training.pretrain import pretrain
from jgpt.training.trackers import Tracker, open_tracker
from stage.errors import JgptError, UsageError
from stage.manifest import read_manifest

PROMPTS = ["吾輩は", "ｶﾞﾗｽの"]


def train(root, out, config, **more):
    return pretrain(root / "shards", out, config, threads=1, **{"quiet": True} | more)


def interrupted(self, number):
    raise KeyboardInterrupt


def stopped_after(step, monkeypatch, *arguments, **more):
    """A run that somebody stops, and that goes on."""
    original = module.TrainingStep.run

    def stop(self, number):
        if number == step:
            raise KeyboardInterrupt
        original(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(module.TrainingStep, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            train(*arguments, **more)
    return train(*arguments, **more)


def sha256(out):
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def unwatched(root, tmp_path_factory):
    model = ModelConfig(depth=1, width=32, heads=2, context_length=32, dropout=0.1, normalization="ja-v1")
    short = TrainConfig(steps=12, batch_tokens=128, micro_batch=2, checkpoint_every=3, valid_tokens=256, valid_every=4)
    config = PretrainConfig(model, short, dtype="float32")
    out = tmp_path_factory.mktemp("unwatched") / "model"
    train(root, out, config)
    return out, config


# --- metrics.jsonl ---------------------------------------------------------------------------------------------------


def test_lines_of_steps_that_are_made_again_are_cut_off(tmp_path):
    file = tmp_path / "metrics.jsonl"
    with Metrics(file, 0, Tracker()) as metrics:
        for step in range(1, 7):
            metrics.write({"step": step, "text": "改行\u2028と\u0085と\n"})
    file.write_bytes(file.read_bytes() + '{"step": 7, "text": "吾輩'.encode()[:-1])
    assert [record["step"] for record in cut_back(file, 4)] == [1, 2, 3, 4]
    assert read_lines(file)[3] == {"step": 4, "text": "改行\u2028と\u0085と\n"}
    assert len(read_lines(file)) == 4
    assert cut_back(file, 0) == [] and file.read_text() == ""
    assert cut_back(tmp_path / "none.jsonl", 3) == [] and not (tmp_path / "none.jsonl").exists()


def test_what_is_not_finite_is_written_as_null(tmp_path):
    with Metrics(tmp_path / "metrics.jsonl", 0, Tracker()) as metrics:
        metrics.write(
            {"step": 1, "loss": math.nan, "grad_norm": math.inf, "by_source": {"甲": {"valid_loss": math.nan}}}
        )
    text = (tmp_path / "metrics.jsonl").read_text("utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["by_source"] == {"甲": {"valid_loss": None}}


def test_bits_of_the_training_text_count_sources_by_size_or_weight(tmp_path, new_shards):
    def shards(name, tokens, characters):
        return ShardSet(new_shards(tmp_path / name, [[20] * (tokens - 2)], characters=characters))

    small, large = shards("甲", 100, 300), shards("乙", 300, 300)
    assert bits_per_nat([(small, None), (large, None)]) == pytest.approx(400 / 600 / math.log(2))
    assert bits_per_nat([(small, 1.0), (large, 1.0)]) == pytest.approx(1 / 2 / math.log(2))


def test_metrics_tell_bits_per_character_of_the_training_text(unwatched, root):
    counts = ShardSet(root / "shards").manifest.counts
    lines = [line for line in read_lines(unwatched[0] / "metrics.jsonl") if "loss" in line]
    assert len(lines) == 12
    for line in lines:
        bits = line["loss"] * counts["train_tokens"] / counts["train_characters"] / math.log(2)
        assert line["bits_per_character"] == pytest.approx(bits)


# --- the bar ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def fileno(self):
        return 2


def test_the_bar_fits_into_100_columns_and_tells_all(root, tmp_path, unwatched, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((100, 30)))
    train(root, tmp_path / "model", unwatched[1], quiet=False)
    last = terminal.getvalue().replace("\r", "\n").rstrip().splitlines()[-1]
    assert len(last) <= 100
    assert re.fullmatch(
        r"100%\|\S+\| 00:\d\d<00:00, [\d.]+k?tok/s, loss \d\.\d\d, \d\.\d\d bits/char, valid \d\.\d\d, \d+% of peak",
        last,
    )
    assert len(re.sub(r"\|.*\|", "||", last)) + len("1:00:00<1:00:00, 10 skipped") - len("00:00<00:00") <= 100


# --- texts written meanwhile -----------------------------------------------------------------------------------------


def test_texts_are_written_at_every_measurement_and_change_nothing_else(root, tmp_path, unwatched, caplog):
    out = tmp_path / "model"
    caplog.set_level(logging.INFO, logger="jgpt")
    manifest = train(root, out, unwatched[1], sample_prompts=PROMPTS)
    assert sha256(out) == sha256(unwatched[0])
    texts = read_lines(out / "samples.jsonl")
    steps = [line["step"] for line in read_lines(out / "metrics.jsonl") if "valid_loss" in line]
    # prompts are folded as the training text was
    assert [(text["step"], text["prompt"]) for text in texts] == [
        (step, prompt) for step in steps for prompt in ("吾輩は", "ガラスの")
    ]
    assert [text["tokens"] for text in texts] == [text["step"] * 128 for text in texts]
    assert len({text["text"] for text in texts if text["prompt"] == "吾輩は"}) == len(steps)
    assert any(message.startswith("step 12: 吾輩は▸") for message in caplog.messages)
    assert not next(entry for entry in manifest.outputs if entry.path == "samples.jsonl").data
    assert not (unwatched[0] / "samples.jsonl").exists()


def test_texts_of_a_run_that_was_stopped_are_those_of_one_that_was_not(root, tmp_path, unwatched, monkeypatch):
    train(root, tmp_path / "whole", unwatched[1], sample_prompts=PROMPTS)
    stopped_after(10, monkeypatch, root, tmp_path / "model", unwatched[1], sample_prompts=PROMPTS)
    assert (tmp_path / "model/samples.jsonl").read_bytes() == (tmp_path / "whole/samples.jsonl").read_bytes()


def test_a_run_that_goes_on_has_the_prompts_that_it_had(root, tmp_path, unwatched, monkeypatch):
    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(module.TrainingStep, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(root, out, unwatched[1], sample_prompts=["春は"])
    pretrain(None, out, resume=True, threads=1, quiet=True)
    assert [text["prompt"] for text in read_lines(out / "samples.jsonl")] == ["春は"] * 4


def test_a_prompt_that_is_no_text_is_refused_before_anything_is_written(root, tmp_path, unwatched):
    with pytest.raises(UsageError, match="lone surrogate"):
        train(root, tmp_path / "model", unwatched[1], sample_prompts=["\ud800"])
    assert not (tmp_path / "model").exists()


# --- trackers --------------------------------------------------------------------------------------------------------


def test_a_tracker_that_is_not_installed_is_said_before_anything_is_written(root, tmp_path, unwatched, monkeypatch):
    (tmp_path / "wandb").mkdir()  # the folder that the library leaves behind is not the library
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(UsageError, match=f"--tracker {name}: is not installed; get it with: pip install {name}$"):
            train(root, tmp_path / "model", unwatched[1], tracker=name)
    with pytest.raises(UsageError, match="--tracker mlflow: known are none, tensorboard, wandb"):
        train(root, tmp_path / "model", unwatched[1], tracker="mlflow")
    assert not (tmp_path / "model").exists()


def points(out):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(out / "tracking" / "tensorboard"))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(out, name):
    return [(line["step"], pytest.approx(line[name])) for line in read_lines(out / "metrics.jsonl") if name in line]


def test_tensorboard_has_each_point_once_though_the_run_was_stopped(root, tmp_path, unwatched, monkeypatch):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    out = tmp_path / "model"
    manifest = stopped_after(10, monkeypatch, root, out, unwatched[1], tracker="tensorboard")
    assert sha256(out) == sha256(unwatched[0])
    assert manifest.data_sha256 == read_manifest(unwatched[0]).data_sha256
    assert not any("tracking" in entry.path for entry in manifest.outputs)
    drawn = points(out)
    for name in ("loss", "bits_per_character", "learning_rate", "grad_norm", "valid_loss", "valid_bits_per_character"):
        assert drawn[name] == expected(out, name), name
    assert len(drawn["loss"]) == 12 and "time" not in drawn


def test_a_tracker_that_comes_later_knows_the_run_from_its_beginning(root, tmp_path, unwatched, monkeypatch):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(module, "checkpoint_name", stop_at_six)
        with pytest.raises(KeyboardInterrupt):
            train(root, out, unwatched[1])
    train(root, out, unwatched[1], tracker="tensorboard")
    assert points(out)["loss"] == expected(out, "loss")


def stop_at_six(step):
    if step == 6:
        raise KeyboardInterrupt
    return f"step-{step:08d}"


class Service:
    """A stand-in for wandb that keeps what it is told by run, as the service does."""

    class Error(Exception):
        pass

    def __init__(self):
        self.begun, self.runs, self.finished = [], {}, 0

    def init(self, **settings):
        self.begun.append(settings)
        rows = self.runs.setdefault(settings["id"], [])
        return SimpleNamespace(
            starting_step=rows[-1][0] + 1 if rows else 0,
            log=lambda figures, step: rows.append((step, figures)),
            finish=self.finish,
        )

    def finish(self):
        self.finished += 1


@pytest.fixture
def service(monkeypatch):
    fake = Service()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr("jgpt.training.trackers.find_spec", lambda name: SimpleNamespace(origin=name))
    return fake


def test_wandb_goes_on_with_the_same_run_and_has_each_point_once(root, tmp_path, unwatched, monkeypatch, service):
    out = tmp_path / "model"
    stopped_after(10, monkeypatch, root, out, unwatched[1], tracker="wandb")
    assert service.finished == 2 and len(service.begun) == 2
    (rows,) = service.runs.values()
    assert [(step, figures["loss"]) for step, figures in rows if "loss" in figures] == expected(out, "loss")
    first, second = service.begun
    assert first["id"] == second["id"] and first["resume"] == "allow" and first["name"].endswith("/model")
    assert first["config"]["train"]["steps"] == 12 and first["dir"] == str(out / "tracking")
    # what is there is no file of the user's
    train(root, out, replace(unwatched[1], seed=1), overwrite=True)
    assert not (out / "tracking").exists()


def test_sources_are_tracked_apart(tmp_path, service):
    tracker = open_tracker("wandb", tmp_path, {})
    tracker.write(
        {"step": 0, "time": 1.5, "valid_loss": 2.0, "grad_norm": None, "by_source": {"甲": {"valid_loss": 1.0}}}
    )
    ((_, figures),) = service.runs.popitem()[1]
    assert figures == {"valid_loss": 2.0, "valid_loss/甲": 1.0}


def test_a_service_that_cannot_be_had_is_one_line(tmp_path, service, monkeypatch):
    def refuse(**_):
        raise service.Error("no API key configured\nsee https://example.org")

    monkeypatch.setattr(service, "init", refuse)
    with pytest.raises(JgptError, match=r"no API key configured; run wandb login, or set WANDB_MODE=offline$"):
        open_tracker("wandb", tmp_path, {})


def test_wandb_works_without_a_network(root, tmp_path, unwatched, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    out = tmp_path / "model"
    stopped_after(10, monkeypatch, root, out, unwatched[1], tracker="wandb")
    assert sha256(out) == sha256(unwatched[0])
    assert len(list((out / "tracking" / "wandb").glob("offline-run-*"))) == 2
