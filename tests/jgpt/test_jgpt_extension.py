"""A run that gets another length becomes the one that was planned so, and until then its model is not lost."""

import hashlib
import json
import shutil

import pytest

from jgpt import load_model
from jgpt.training import pretrain as module
from jgpt.training import run as run_module
from jgpt.training.plan import Plan
from jgpt.training.pretrain import pretrain
from jgpt.training.run import Interrupted
from scripts.main import run
from stage.errors import ArtifactError
from stage.manifest import check_outputs, read_manifest

pytestmark = pytest.mark.usefixtures("known_speed")
SHARES = {"decay_share": 0.5, "valid_every": 4}


class Killed(BaseException):
    """Ends a run without any clearing up of its own, as a kill does."""


def kill(*_, **__):
    raise Killed


def train(root, out, config, **more):
    return pretrain(root / "shards", out, config, threads=1, quiet=True, **more)


def sha256(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def state(checkpoint):
    return json.loads((checkpoint / "state.json").read_text("utf-8"))


def contents(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def measured(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.fixture(scope="module")
def short_config(new_config):
    """Ten steps: two of warm-up, and from the sixth on the rate falls."""
    return new_config(steps=10, warmup_share=0.2, **SHARES)


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory, short_config):
    out = tmp_path_factory.mktemp("finished") / "model"
    train(root, out, short_config)
    return out


@pytest.fixture(scope="module")
def longer(root, tmp_path_factory, new_config):
    """The run of twenty steps with the same two of warm-up."""
    out = tmp_path_factory.mktemp("longer") / "model"
    train(root, out, new_config(steps=20, warmup_share=0.1, **SHARES))
    return out


@pytest.fixture
def out(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "model")
    return tmp_path / "model"


def check_longer(out, longer, checkpoint="step-00000020"):
    assert sha256(out) == sha256(longer)
    for name in (checkpoint, "trunk"):
        file = f"checkpoints/{name}/optimizer.safetensors"
        assert (out / file).read_bytes() == (longer / file).read_bytes()
    manifest = read_manifest(out, "pretrain")
    check_outputs(out, manifest, deep=True)
    assert manifest.parameters["train"]["steps"] == manifest.counts["steps"] == 20
    assert {output.path for output in manifest.outputs} == {output.path for output in read_manifest(longer).outputs}
    assert measured(out) == measured(longer)
    assert state(out / "checkpoints" / "trunk")["step"] == 10


def check_usable(out, finished):
    """The old model is whole."""
    manifest = read_manifest(out, "pretrain")
    check_outputs(out, manifest, deep=True)
    assert manifest.parameters["train"]["steps"] == 10
    assert manifest.data_sha256 == read_manifest(finished).data_sha256
    load_model(out)


def test_a_finished_run_that_is_extended_is_the_longer_one(out, longer):
    assert run(["pretrain", "--out", str(out), "--resume", "--train.steps", "20", "--quiet"]) == 0
    check_longer(out, longer)
    assert sorted(entry.name for entry in (out / "checkpoints").iterdir()) == [
        *("best", "step-00000018", "step-00000020", "trunk")
    ]
    before = contents(out)
    assert run(["pretrain", "--out", str(out), "--resume", "--quiet"]) == 0
    assert contents(out) == before


def test_a_run_is_extended_in_python_and_step_by_step(root, out, longer, new_config):
    for steps in (11, 14, 20):
        config = new_config(steps=steps, warmup_share=0.2, **SHARES)
        assert pretrain(None, out, config, resume=True, quiet=True).counts["steps"] == steps
    check_longer(out, longer)
    # afterwards it is as if it had been asked for so
    assert train(root, out, config).counts["steps"] == 20


@pytest.mark.parametrize("stop", [1, 4, 5, 8])
def test_an_unfinished_run_is_extended_as_well(root, tmp_path, short_config, longer, stop_after, stop):
    stop_after(stop)
    with pytest.raises(Interrupted):
        train(root, tmp_path / "model", short_config)
    assert run(["pretrain", "--out", str(tmp_path / "model"), "--resume", "--train.steps", "20", "--quiet"]) == 0
    check_longer(tmp_path / "model", longer)


def test_an_unfinished_run_that_is_shortened_falls_from_where_it_stands(root, tmp_path, new_config, stop_after):
    stop_after(9)
    with pytest.raises(Interrupted):
        train(root, tmp_path / "model", new_config(steps=20, warmup_share=0.1, **SHARES))
    assert run(["pretrain", "--out", str(tmp_path / "model"), "--resume", "--train.steps", "12", "--quiet"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "model" / "metrics.jsonl").read_text("utf-8").splitlines()]
    rates = [line["learning_rate"] / 0.02 for line in lines if "loss" in line]
    assert rates[2:9] == [pytest.approx(1.0)] * 7  # 9 steps are constant but for two of warm-up, 3 fall in a line
    assert rates[9:] == [pytest.approx(0.05 + 0.95 * left / 4) for left in (3, 2, 1)]


def test_an_unfinished_run_without_a_checkpoint_is_extended_too(root, tmp_path, short_config, longer, after_step):
    after_step(2, kill)
    with pytest.raises(Killed):
        train(root, tmp_path / "model", short_config)
    assert run(["pretrain", "--out", str(tmp_path / "model"), "--resume", "--train.steps", "20", "--quiet"]) == 0
    check_longer(tmp_path / "model", longer)


@pytest.mark.parametrize("where", ["before", "renamed", "cut", "planned", "trained", "saved"])
@pytest.mark.parametrize("command", [True, False])
def test_a_kill_while_extending_loses_neither_model_nor_run(
    root, out, finished, longer, new_config, monkeypatch, after_step, where, command
):
    config = new_config(steps=20, warmup_share=0.2, **SHARES)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        if where == "before":
            patched.setattr(module, "go_back", kill)
        elif where == "renamed":
            patched.setattr(shutil, "rmtree", kill)
        elif where == "cut":
            patched.setattr(Plan, "write", kill)
        elif where == "planned":
            patched.setattr(module, "Run", kill)
        elif where == "trained":
            after_step(14, kill)
        else:
            patched.setattr(module, "finish_run", kill)
        pretrain(None, out, config, resume=True, quiet=True)
    if where == "saved":
        assert not (out / "manifest.json").exists() and sha256(out) == sha256(longer)
    else:
        check_usable(out, finished)
    if command:
        assert run(["pretrain", "--out", str(out), "--resume", "--quiet"]) == 0
    else:  # as a run is started that was planned so
        train(root, out, config)
    check_longer(out, longer)


@pytest.mark.parametrize("asked", [("steps", "3"), ("epochs", "0.01"), ("minutes", "1e-05")])
def test_what_was_trained_already_is_refused_and_nothing_changes(out, capsys, asked):
    before = contents(out)
    assert run(["pretrain", "--out", str(out), "--resume", f"--train.{asked[0]}", asked[1], "--quiet"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and message.endswith("already; ask for more\n")
    assert f"--train.{asked[0]} {asked[1]}" in message and f": the run in {out} took 10 steps" in message
    # the length that it has is no mistake
    assert run(["pretrain", "--out", str(out), "--resume", "--train.steps", "10", "--quiet"]) == 0
    assert contents(out) == before


def test_nothing_but_the_length_may_change(root, out, new_config, capsys):
    before = contents(out)
    flags = ["--train.steps", "20", "--train.decay_share", "0.4", "--seed", "3"]
    assert run(["pretrain", "--out", str(out), "--resume", *flags, "--quiet"]) == 2
    message = capsys.readouterr().err
    assert "seed: 0, now 3" in message and "train.decay_share: 0.5, now 0.4" in message
    assert "train.steps" not in message.partition("(")[2] and message.count("\n") == 1
    # without --resume another length is another run
    with pytest.raises(ArtifactError, match=r"was made with train\.steps: 10, now 20"):
        train(root, out, new_config(steps=20, warmup_share=0.2, **SHARES))
    assert contents(out) == before


def test_a_run_by_epochs_goes_on_for_more_of_them(root, tmp_path, new_config):
    shape = {"batch_tokens": 512, "micro_batch": 16, **SHARES}
    counts = train(root, tmp_path / "whole", new_config(epochs=4.0, warmup_share=0.05, **shape)).counts
    train(root, tmp_path / "model", new_config(epochs=2.0, warmup_share=0.1, **shape))
    extended = pretrain(
        None, tmp_path / "model", new_config(epochs=4.0, warmup_share=0.1, **shape), resume=True, quiet=True
    )
    assert extended.counts["epochs"] == counts["epochs"] > 3.5
    plans = [entry["plan"]["warmup_steps"] for entry in (counts, extended.counts)]
    assert plans[0] == plans[1] and sha256(tmp_path / "model") == sha256(tmp_path / "whole")


def test_a_run_by_steps_goes_on_by_minutes(out, monkeypatch, longer):
    def settle(plan, step, *_):
        if step == 10:
            plan.decay_from, plan.steps, plan.settled = 10, 20, True
        return plan.settled

    monkeypatch.setattr(Plan, "settle", settle)
    assert run(["pretrain", "--out", str(out), "--resume", "--train.minutes", "5", "--quiet"]) == 0
    manifest = read_manifest(out)
    assert (manifest.parameters["train"]["steps"], manifest.parameters["train"]["minutes"]) == (0, 5.0)
    assert sha256(out) == sha256(longer)
    monkeypatch.undo()
    assert run(["pretrain", "--out", str(out), "--resume", "--train.steps", "21", "--quiet"]) == 0
    assert read_manifest(out).counts["steps"] == 21


def test_the_best_of_the_way_that_was_left_makes_room(root, tmp_path, new_config, monkeypatch):
    losses = iter([6.0, 3.5, 4.0, 3.0, 4.5, 4.2, 4.4])
    monkeypatch.setattr(run_module.ValidationLoss, "measure", lambda *_: next(losses))
    config = new_config(steps=10, warmup_share=0.2, decay_share=0.5, valid_every=4)
    train(root, tmp_path / "model", config)  # measured at 0, 4, 8 and 10
    best = tmp_path / "model" / "checkpoints" / "best"
    assert (state(best)["step"], state(best)["best_valid_loss"]) == (10, 3.0)
    config.train.steps = 14
    manifest = pretrain(None, tmp_path / "model", config, resume=True, quiet=True)  # at 8, 12 and 14
    assert manifest.counts["best_valid_loss"] == 4.2
    assert (state(best)["step"], state(best)["best_valid_loss"]) == (12, 4.2)


@pytest.mark.parametrize("deleted", ["checkpoints", "checkpoints/trunk"])
def test_a_run_whose_checkpoints_were_deleted_cannot_be_extended(out, deleted, capsys):
    shutil.rmtree(out / deleted)
    before = contents(out)
    assert run(["pretrain", "--out", str(out), "--resume", "--train.steps", "20", "--quiet"]) == 1
    message = capsys.readouterr().err
    assert "no checkpoint is left from before its learning rate fell (step 5)" in message and message.count("\n") == 1
    assert contents(out) == before
