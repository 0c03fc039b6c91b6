"""What is left of a run after a kill is bitwise what it would have been, whatever was trained and how."""

import errno
import json
import shutil

import pytest
import torch
from safetensors import SafetensorError

from jgpt import load_model
from jgpt.model import folder as model_folder
from jgpt.training import planning
from jgpt.training import run as run_module
from jgpt.training.pretrain import pretrain
from jgpt.training.step import TrainingStep
from scripts.main import run
from stage.errors import ArtifactError, JgptError, UsageError
from stage.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("known_speed")


class Killed(BaseException):
    """Ends a run without any clearing up of its own, as a kill does."""


def kill(*_):
    raise Killed


def train(shards, out, config, **more):
    return pretrain(shards, out, config, threads=1, quiet=True, **more)


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    times = ("seconds", "valid_seconds", "time", "tokens_per_second", "share_of_peak", "loader_share", "peak_memory_gb")
    return [{name: value for name, value in line.items() if name not in times} for line in lines]


def state(checkpoint):
    return json.loads((checkpoint / "state.json").read_text("utf-8"))


def check_equal(one, other, step):
    """Model, optimisers, where they stand, and what was measured on the way."""
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    for checkpoint in (step, "best", "trunk"):
        pair = [folder / "checkpoints" / checkpoint for folder in (one, other)]
        for name in ("model.safetensors", "optimizer.safetensors"):
            assert (pair[0] / name).read_bytes() == (pair[1] / name).read_bytes(), (checkpoint, name)
        states = [state(folder) for folder in pair]
        for entry in states:
            del entry["seconds"], entry["valid_seconds"]
        assert states[0] == states[1]
    assert metrics(one) == metrics(other)


SHAPES = {
    "muon": ({}, {}),
    "adamw": ({"architecture": "llama", "kv_heads": 1}, {"optimizer": "adamw"}),
    "within documents": ({"architecture": "qwen3", "kv_heads": 1}, {"across_documents": False}),
    "gpt2": ({"architecture": "gpt2", "bias": True, "tie_embeddings": True}, {"gradient_clip": 0}),
}


@pytest.fixture(scope="module")
def second(root, tmp_path_factory, new_corpus, texts):
    """Another shards folder of the same tokenizer."""
    from jgpt import write_shards

    folder = tmp_path_factory.mktemp("second")
    corpus = new_corpus(folder / "corpus", texts[10:30], ["train"] * 16 + ["valid"] * 4, files=2)
    write_shards(corpus, root / "tokenizer", folder / "shards", workers=1, quiet=True)
    return folder / "shards"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_kill_changes_nothing(root, second, tmp_path, new_config, after_step, shape):
    model, how = SHAPES[shape]
    config = new_config(model, valid_every=4, **how)
    shards = [f"{root / 'shards'}:0.7", f"{second}:0.3"]
    train(shards, tmp_path / "whole", config)
    after_step(8, kill)
    with pytest.raises(Killed):
        train(shards, tmp_path / "killed", config)
    assert not (tmp_path / "killed" / "manifest.json").exists()
    torch.set_num_threads(2)  # what the run began with is obeyed
    pretrain(None, tmp_path / "killed", resume=True, quiet=True)
    check_equal(tmp_path / "whole", tmp_path / "killed", "step-00000012")
    counts = [read_manifest(tmp_path / name).counts for name in ("whole", "killed")]
    assert counts[0]["epochs_by_source"] == counts[1]["epochs_by_source"]


def test_the_checkpoint_of_a_run_in_bfloat16_holds_it_exactly(root, tmp_path, new_config, after_step):
    config = new_config(optimizer="muon")
    config.dtype = "bfloat16"
    train(root / "shards", tmp_path / "whole", config)
    after_step(8, kill)
    with pytest.raises(Killed):
        train(root / "shards", tmp_path / "killed", config)
    train(root / "shards", tmp_path / "killed", config)
    check_equal(tmp_path / "whole", tmp_path / "killed", "step-00000012")


def spoil(monkeypatch, factors):
    """Multiply the gradient of the head in some steps (from 1)."""
    original, hooked = TrainingStep.run, {}

    def stepped(self, step):
        if id(self) not in hooked:
            hooked[id(self)] = self
            self.model.head.weight.register_hook(lambda gradient: gradient * factors.get(self.number, 1.0))
        self.number = step + 1
        before = [weight.detach().clone() for weight in self.model.parameters()]
        original(self, step)
        unchanged = all(torch.equal(*pair) for pair in zip(before, self.model.parameters(), strict=True))
        assert unchanged == (step + 1 in factors)

    monkeypatch.setattr(TrainingStep, "run", stepped)


def test_steps_with_a_spoilt_gradient_are_left_out_counted_and_remembered(
    root, tmp_path, new_config, monkeypatch, after_step
):
    spoil(monkeypatch, {1: float("inf"), 4: 1e6, 7: float("nan"), 8: 1e6})
    config = new_config(checkpoint_every=5)
    manifest = train(root / "shards", tmp_path / "whole", config)
    assert manifest.counts["skipped_steps"] == 4
    skipped = [line["skipped"] for line in metrics(tmp_path / "whole") if "loss" in line]
    assert skipped == [1] * 3 + [2] * 3 + [3] + [4] * 5
    after_step(8, kill)
    with pytest.raises(Killed):
        train(root / "shards", tmp_path / "killed", config)
    at_five = state(tmp_path / "killed" / "checkpoints" / "step-00000005")
    assert at_five["skipped"] == 2 and at_five["usual_norm"] > 0
    train(root / "shards", tmp_path / "killed", config)
    check_equal(tmp_path / "whole", tmp_path / "killed", "step-00000012")


@pytest.mark.parametrize("spoilt", [float("inf"), 1e6])
def test_too_many_spoilt_steps_in_a_row_end_the_run_with_advice(
    root, tmp_path, new_config, monkeypatch, stop_after, spoilt
):
    spoil(monkeypatch, dict.fromkeys(range(6, 100), spoilt))
    config = new_config(steps=40, valid_every=40, warmup_share=0.1)
    stop_after(10)  # those before it count
    with pytest.raises(run_module.Interrupted):
        train(root / "shards", tmp_path / "model", config)
    with pytest.raises(
        JgptError, match=r"10 steps in a row up to 15 had .*step-000000\d\d is from .*lower --train"
    ) as caught:
        train(root / "shards", tmp_path / "model", config)
    assert "\n" not in str(caught.value)
    kept = list((tmp_path / "model" / "checkpoints").iterdir())
    assert all(
        bool(torch.isfinite(tensor).all()) for entry in kept for tensor in load_model(entry).state_dict().values()
    )


def test_a_resumed_run_measures_and_decides_nothing_anew(root, tmp_path, new_config, stop_after, monkeypatch):
    train(root / "shards", tmp_path / "whole", new_config())
    stop_after(5)
    with pytest.raises(run_module.Interrupted):
        train(root / "shards", tmp_path / "model", new_config())
    plan = (tmp_path / "model" / "plan.json").read_bytes()
    for name in ("peak_flops", "choose_dtype", "worth_compiling", "number_of_steps", "batch_shape"):
        monkeypatch.setattr(planning, name, lambda *_: pytest.fail("decided again"))
    train(root / "shards", tmp_path / "model", new_config())
    assert (tmp_path / "model" / "plan.json").read_bytes() == plan
    check_equal(tmp_path / "whole", tmp_path / "model", "step-00000012")


def test_a_compiler_that_fails_is_done_without(root, tmp_path, new_config, monkeypatch, caplog):
    train(root / "shards", tmp_path / "plain", new_config())

    def fail(*_, **__):
        raise RuntimeError("g++: 見つかりません\nand a long story")

    monkeypatch.setattr(torch.nn.Module, "compile", fail)
    monkeypatch.setattr(planning, "worth_compiling", lambda *_: True)
    manifest = train(root / "shards", tmp_path / "model", new_config())
    assert manifest.counts["plan"]["compiled"] is False
    assert "見つかりません" not in caplog.text
    assert json.loads((tmp_path / "model" / "plan.json").read_text("utf-8"))["compiled"] is False
    check_equal(tmp_path / "plain", tmp_path / "model", "step-00000012")
    with pytest.raises(JgptError, match=r"--train\.compile yes: compiling failed \(g\+\+: 見つかりません\)$"):
        train(root / "shards", tmp_path / "asked", new_config(compile="yes"))


@pytest.mark.parametrize("call", [3, 4, 8])  # of the first checkpoint, the optimiser of one, and a later one
def test_a_full_disk_costs_nothing_but_the_time_since_the_last_checkpoint(
    root, tmp_path, new_config, monkeypatch, capsys, call
):
    train(root / "shards", tmp_path / "whole", new_config())
    calls, original = [], model_folder.save_file

    def full(tensors, file, **more):
        calls.append(file)
        if len(calls) == call:
            file.write_bytes(b"half of it")
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        original(tensors, file, **more)

    out = tmp_path / "model"
    monkeypatch.setattr(model_folder, "save_file", full)
    with pytest.raises(JgptError, match=r"model: the disk is full; free some space and run the same command again$"):
        train(root / "shards", out, new_config())
    assert not list(out.rglob("*.partial"))
    for checkpoint in (out / "checkpoints").iterdir():
        load_model(checkpoint)
    assert run(["pretrain", "--out", str(out), "--resume", "--quiet"]) == 0
    check_equal(tmp_path / "whole", out, "step-00000012")


def test_a_full_disk_at_the_very_end_leaves_the_last_checkpoint(root, tmp_path, new_config, monkeypatch):
    train(root / "shards", tmp_path / "whole", new_config())
    original = model_folder.save_file

    def full(tensors, file, **more):
        if file.parent == tmp_path / "model":
            raise OSError(errno.ENOSPC, "No space left on device")
        original(tensors, file, **more)

    with monkeypatch.context() as patched, pytest.raises(JgptError, match="the disk is full"):
        patched.setattr(model_folder, "save_file", full)
        train(root / "shards", tmp_path / "model", new_config())
    train(root / "shards", tmp_path / "model", new_config())
    check_equal(tmp_path / "whole", tmp_path / "model", "step-00000012")


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "config.json"])
def test_a_cut_checkpoint_is_told_and_the_one_before_serves(root, tmp_path, new_config, after_step, name):
    out = tmp_path / "model"
    train(root / "shards", tmp_path / "whole", new_config())
    after_step(8, kill)
    with pytest.raises(Killed):
        train(root / "shards", out, new_config())
    last = out / "checkpoints" / "step-00000006"
    (last / name).write_bytes((last / name).read_bytes()[:-20])
    mend = rf"step-00000006: is not a whole checkpoint \({name}.*\); delete it to go on from the one before, step-00000003$"
    with pytest.raises(ArtifactError, match=mend) as caught:
        train(root / "shards", out, new_config())
    assert "\n" not in str(caught.value)
    shutil.rmtree(last)
    train(root / "shards", out, new_config())
    check_equal(tmp_path / "whole", out, "step-00000012")


def test_a_cut_first_checkpoint_means_to_begin_anew(root, tmp_path, new_config, after_step):
    out = tmp_path / "model"
    after_step(5, kill)
    with pytest.raises(Killed):
        train(root / "shards", out, new_config())
    (out / "checkpoints" / "step-00000003" / "optimizer.safetensors").write_bytes(b"")
    with pytest.raises(
        ArtifactError, match=r"step-00000003: is not a whole .*; delete it to begin anew, as there is none"
    ):
        train(root / "shards", out, new_config())


def test_shards_that_moved_are_named_and_found_again(root, tmp_path, new_config, stop_after):
    shutil.copytree(root / "shards", tmp_path / "shards")
    stop_after(5)
    with pytest.raises(run_module.Interrupted):
        train(tmp_path / "shards", tmp_path / "model", new_config())
    (tmp_path / "shards").rename(tmp_path / "moved")
    with pytest.raises(
        UsageError, match=r"the shards of this run, recorded as .*shards, are not there: name .* --shards"
    ):
        pretrain(None, tmp_path / "model", resume=True, quiet=True)
    stop_after(7)
    with pytest.raises(run_module.Interrupted):
        pretrain(tmp_path / "moved", tmp_path / "model", resume=True, quiet=True)
    assert pretrain(None, tmp_path / "model", resume=True, quiet=True).counts["steps"] == 12
