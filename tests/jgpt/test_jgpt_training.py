"""Training: repeatable to the bit, stopped and gone on with at any step, and clear about what went wrong."""

import hashlib
import json
import math
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from jgpt import GPT, load_model, write_shards
from jgpt.config import ModelConfig, TrainConfig
from jgpt.data.mixture import Samples
from jgpt.training import planning
from jgpt.training import pretrain as module
from jgpt.training.checkpoint import TrainingState, keep_last, load_checkpoint, save_checkpoint
from jgpt.training.optimizer import make_optimizers
from jgpt.training.plan import Plan, derive_training
from jgpt.training.pretrain import Interrupted, pretrain
from jgpt.training.step import TrainingStep
from jgpt.training.validation import ValidationLoss
from scripts.main import run
from stage.errors import ArtifactError, InputError, JgptError, UsageError
from stage.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("known_speed")

# runs the command, and sends itself a signal after a step
SIGNALLED = """
import os, signal, sys
from jgpt.training.step import TrainingStep
step, name = int(sys.argv[1]), sys.argv[2]
original = TrainingStep.run
def stepped(self, number):
    original(self, number)
    if number + 1 == step:
        os.kill(os.getpid(), getattr(signal, name))
TrainingStep.run = stepped
from scripts.main import main
main(sys.argv[3:])
"""
FLAGS = [
    *("--model.depth", "1", "--model.width", "32", "--model.heads", "2", "--model.context_length", "32"),
    *("--model.dropout", "0.1", "--train.steps", "12", "--train.batch_tokens", "128", "--train.micro_batch", "2"),
    *("--train.checkpoint_every", "3", "--train.valid_tokens", "256", "--dtype", "float32", "--threads", "1"),
]


def sha256(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


def train(root, out, config, **more):
    return pretrain(root / "shards", out, config, threads=1, quiet=True, **more)


@pytest.fixture(scope="module")
def undisturbed(root, tmp_path_factory):
    """A model that the command trained in one go, with dropout and two micro-batches a step."""
    out = tmp_path_factory.mktemp("undisturbed") / "model"
    assert run(["pretrain", "--shards", str(root / "shards"), "--out", str(out), "--quiet", *FLAGS]) == 0
    return out


def run_signalled(root, out, step, name):
    command = [sys.executable, "-c", SIGNALLED, str(step), name]
    command += ["pretrain", "--shards", str(root / "shards"), "--out", str(out), *FLAGS]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_two_runs_give_the_same_bytes(root, tmp_path, undisturbed, new_config):
    manifest = train(root, tmp_path / "model", new_config())
    assert sha256(tmp_path / "model") == sha256(undisturbed)
    assert manifest.data_sha256 == read_manifest(undisturbed).data_sha256
    assert manifest.counts["plan"]["batch"] == 4 and manifest.counts["plan"]["micro_batch"] == 2
    train(root, tmp_path / "other", new_config(seed=1))
    assert sha256(tmp_path / "other") != sha256(undisturbed)


def test_training_learns(undisturbed):
    valid = [entry["valid_loss"] for entry in metrics(undisturbed) if "valid_loss" in entry]
    assert valid[0] == pytest.approx(math.log(400), abs=0.01)
    assert valid[-1] < valid[0] - 0.1


def test_a_killed_run_goes_on_to_the_same_bytes(root, tmp_path, undisturbed):
    out = tmp_path / "model"
    assert run_signalled(root, out, 8, "SIGKILL").returncode == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    assert (out / "checkpoints" / "step-00000006").is_dir()
    with (out / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 9, "lo')  # as a kill in the middle of a line leaves it
    (out / "checkpoints" / "step-00000009.partial").mkdir()
    assert run(["pretrain", "--shards", str(root / "shards"), "--out", str(out), "--quiet", *FLAGS]) == 0
    assert sha256(out) == sha256(undisturbed)
    check_metrics(out, undisturbed)
    assert not list((out / "checkpoints").glob("*.partial"))


def check_metrics(out, undisturbed):
    for kind in ("loss", "valid_loss"):
        steps = [entry["step"] for entry in metrics(out) if kind in entry]
        assert steps == [entry["step"] for entry in metrics(undisturbed) if kind in entry]
    values = [entry["valid_loss"] for entry in metrics(out) if "valid_loss" in entry]
    assert values == [entry["valid_loss"] for entry in metrics(undisturbed) if "valid_loss" in entry]
    assert [entry["tokens"] for entry in metrics(out)] == [entry["step"] * 128 for entry in metrics(out)]


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(root, tmp_path, undisturbed, capfd):
    out = tmp_path / "model"
    stopped = run_signalled(root, out, 5, "SIGINT")
    assert stopped.returncode == 1
    assert "Traceback" not in stopped.stderr
    last = stopped.stderr.splitlines()[-1]
    assert "stopped at step 5 of 12" in last
    assert f"jgpt pretrain --out {out} --resume" in last
    assert (out / "checkpoints" / "step-00000005").is_dir()
    assert not (out / "manifest.json").exists()
    # as that line says: no shards, no configuration
    assert run(["pretrain", "--out", str(out), "--resume", "--quiet"]) == 0
    assert sha256(out) == sha256(undisturbed)
    check_metrics(out, undisturbed)


def test_a_second_ctrl_c_stops_at_once(root, tmp_path, new_config, stop_after):
    stop_after(5, times=2)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(root, tmp_path / "model", new_config())
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_sigterm_does_not_keep_the_checkpoint_from_being_written(root, tmp_path, new_config, stop_after):
    stop_after(5, times=2, what=signal.SIGTERM)
    with pytest.raises(Interrupted, match="stopped at step 5"):
        train(root, tmp_path / "model", new_config())
    assert (tmp_path / "model" / "checkpoints" / "step-00000005").is_dir()


def test_too_little_memory_is_one_line_with_a_mend(root, tmp_path, new_config, after_step, capsys):
    after_step(2, lambda _: torch.empty(1 << 60))
    assert run(["pretrain", "--shards", str(root / "shards"), "--out", str(tmp_path / "model"), "--quiet", *FLAGS]) == 1
    message = capsys.readouterr().err
    assert "not enough memory: ask for a smaller --train.micro_batch" in message and "Traceback" not in message


def test_products_are_as_exact_after_training_as_before(root, tmp_path, new_config):
    torch.set_float32_matmul_precision("highest")
    train(root, tmp_path / "model", new_config(steps=1))
    assert torch.get_float32_matmul_precision() == "highest"


def test_ctrl_c_in_the_last_step_finishes(root, tmp_path, new_config, stop_after, undisturbed):
    stop_after(12)
    train(root, tmp_path / "model", new_config())
    assert sha256(tmp_path / "model") == sha256(undisturbed)


def test_a_run_killed_before_its_manifest_is_completed(root, tmp_path, undisturbed, new_config):
    shutil.copytree(undisturbed, tmp_path / "model")
    for name in ("manifest.json", "model.safetensors"):
        (tmp_path / "model" / name).unlink()
    train(root, tmp_path / "model", new_config())
    assert sha256(tmp_path / "model") == sha256(undisturbed)
    check_metrics(tmp_path / "model", undisturbed)


def test_a_finished_model_is_left_alone(root, undisturbed, new_config):
    before = {file: file.stat().st_mtime_ns for file in undisturbed.rglob("*")}
    train(root, undisturbed, new_config())
    pretrain(None, undisturbed, resume=True, quiet=True)
    assert {file: file.stat().st_mtime_ns for file in undisturbed.rglob("*")} == before


def test_another_configuration_is_refused_by_the_name_of_the_field(root, tmp_path, new_config, stop_after, undisturbed):
    out = tmp_path / "model"
    stop_after(2)
    with pytest.raises(Interrupted):
        train(root, out, new_config())
    with pytest.raises(ArtifactError, match=r"unfinished run with train\.steps: 12, now 13"):
        train(root, out, new_config(steps=13))
    with pytest.raises(UsageError, match="seed: 0, now 1"):
        pretrain(None, out, new_config(seed=1), resume=True, quiet=True)
    with pytest.raises(ArtifactError, match=r"was made with model\.dropout: 0\.1, now 0\.2"):
        train(root, undisturbed, new_config({"dropout": 0.2}))
    assert (out / "checkpoints" / "step-00000002").is_dir()


def test_resuming_with_another_flag_names_that_flag_alone(root, tmp_path, new_config, stop_after, capsys):
    out = tmp_path / "model"
    stop_after(2)
    with pytest.raises(Interrupted):
        train(root, out, new_config())
    capsys.readouterr()
    for flag, named in (("--seed", "seed: 0, now 7"), ("--model.depth", "model.depth: 1, now 7")):
        assert run(["pretrain", "--out", str(out), "--resume", flag, "7", "--quiet"]) == 2
        message = capsys.readouterr().err
        assert named in message and message.count("now") == 1 and message.count("\n") == 1
    assert run(["pretrain", "--out", str(out), "--resume", "--model.depth", "4", "--quiet"]) == 2  # a default value
    assert "model.depth: 1, now 4" in capsys.readouterr().err


def test_resuming_where_nothing_began_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="holds no pretrain run"):
        pretrain(None, tmp_path / "model", resume=True, quiet=True)
    with pytest.raises(UsageError, match="--shards"):
        pretrain(None, tmp_path / "model", quiet=True)
    assert not any(tmp_path.iterdir())


def test_other_shards_are_refused(root, tmp_path, new_config, new_corpus, texts, splits, undisturbed):
    new_corpus(tmp_path / "corpus", texts[:40], splits[:40], files=1)
    write_shards(tmp_path / "corpus", root / "tokenizer", tmp_path / "shards", workers=1, quiet=True)
    before = sha256(undisturbed)
    with pytest.raises(ArtifactError, match="another input"):
        train(tmp_path, undisturbed, new_config())
    assert sha256(undisturbed) == before


@pytest.mark.parametrize("rate", [1e30, 1e8])
def test_a_loss_that_is_not_finite_ends_with_a_line_that_helps(root, tmp_path, new_config, rate):
    out = tmp_path / "model"
    config = new_config({"dropout": 0.0}, learning_rate=rate, gradient_clip=0, steps=60, checkpoint_every=1)
    with pytest.raises(JgptError, match=r"lower --train\.learning_rate") as caught:
        train(root, out, config)
    assert caught.value.exit_status == 1 and "\n" not in str(caught.value)
    assert not (out / "manifest.json").exists()
    for checkpoint in (out / "checkpoints").glob("*"):
        assert all(bool(torch.isfinite(tensor).all()) for tensor in load_model(checkpoint).state_dict().values())
    for line in (out / "metrics.jsonl").read_text("utf-8").splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_divergence_keeps_the_checkpoint_before_it(root, tmp_path, new_config, monkeypatch):
    original = TrainingStep.run

    def stepped(self, number):
        if number == 7:
            with torch.no_grad():
                self.model.head.weight.fill_(math.nan)
        original(self, number)

    monkeypatch.setattr(TrainingStep, "run", stepped)
    with pytest.raises(JgptError, match=r"became nan at step 9; the checkpoint .*step-00000006 is from before"):
        train(root, tmp_path / "model", new_config())
    load_model(tmp_path / "model" / "checkpoints" / "step-00000006")


def test_no_checkpoint_is_made_of_spoilt_weights(root, tmp_path, new_config, monkeypatch):
    original = TrainingStep.run

    def stepped(self, number):
        original(self, number)
        if number + 1 == 6:  # the loss before this step was finite
            with torch.no_grad():
                self.model.head.weight[0, 0] = math.inf

    monkeypatch.setattr(TrainingStep, "run", stepped)
    with pytest.raises(JgptError, match="weights are no longer finite after step 6"):
        train(root, tmp_path / "model", new_config(valid_every=12))
    names = {entry.name for entry in (tmp_path / "model" / "checkpoints").iterdir()}
    assert names == {"step-00000003", "trunk"}


def test_micro_batches_together_are_the_batch(root, tmp_path, new_config, monkeypatch):
    asked = []
    original = Samples.batch
    monkeypatch.setattr(
        Samples, "batch", lambda *given: asked.extend(range(given[1], sum(given[1:]))) or original(*given)
    )
    norms = {}
    for micro in (1, 2, 4):
        asked.clear()
        out = tmp_path / str(micro)
        train(root, out, new_config({"dropout": 0.0}, micro_batch=micro, steps=3))
        assert asked == list(range(12))
        norms[micro] = [(entry["loss"], entry["grad_norm"]) for entry in metrics(out) if "loss" in entry]
    assert norms[1] == [pytest.approx(pair, rel=1e-3) for pair in norms[4]]
    assert norms[2] == [pytest.approx(pair, rel=1e-3) for pair in norms[4]]


def test_what_cannot_be_trained_writes_and_loses_nothing(root, tmp_path, new_config, undisturbed):
    with pytest.raises(InputError, match="fewer than one context"):
        train(root, tmp_path / "model", new_config({"context_length": 100_000}))
    with pytest.raises(UsageError, match="no such device"):
        train(root, tmp_path / "model", new_config(), device="cuda:99")
    with pytest.raises(JgptError, match=r"memory|disk"):
        train(root, tmp_path / "model", new_config({"width": 1 << 16}))
    with pytest.raises(InputError, match="memory"):
        train(root, tmp_path / "model", new_config({"depth": 1000, "width": 8192}))
    with pytest.raises(UsageError, match="several times over; ask for fewer"):
        train(root, tmp_path / "model", new_config(batch_tokens=1 << 30))
    assert not any(tmp_path.iterdir())
    before = sha256(undisturbed)
    with pytest.raises(InputError, match="fewer than one context"):
        train(root, undisturbed, new_config({"context_length": 100_000}), overwrite=True)
    assert sha256(undisturbed) == before


@pytest.mark.parametrize("valid", [0, 1])
def test_a_valid_split_shorter_than_a_context_is_only_not_watched(root, tmp_path, new_config, new_corpus, texts, valid):
    corpus = new_corpus(
        tmp_path / "corpus", [*texts[:20], "短い。"][: 20 + valid], ["train"] * 20 + ["valid"] * valid, 1
    )
    write_shards(corpus, root / "tokenizer", tmp_path / "shards", workers=1, quiet=True)
    manifest = train(tmp_path, tmp_path / "model", new_config(steps=3))
    assert manifest.counts["best_valid_loss"] is None
    assert not (tmp_path / "model" / "checkpoints" / "best").exists()
    assert not any("valid_loss" in entry for entry in metrics(tmp_path / "model"))


@pytest.mark.parametrize("keep", [1, 3])
def test_the_last_checkpoints_and_the_best_are_kept(root, tmp_path, new_config, keep):
    train(root, tmp_path / "model", new_config(keep_checkpoints=keep))
    names = sorted(entry.name for entry in (tmp_path / "model" / "checkpoints").iterdir())
    assert names == ["best", *[f"step-{step:08d}" for step in (3, 6, 9, 12)][-keep:], "trunk"]


def test_the_best_checkpoint_has_the_lowest_loss_on_the_valid_split(root, tmp_path, new_config, monkeypatch):
    losses = iter([6.0, 5.0, 4.0, 4.5, 5.5])
    monkeypatch.setattr(ValidationLoss, "measure", lambda *_: next(losses))
    manifest = train(root, tmp_path / "model", new_config(valid_every=3))
    state = json.loads((tmp_path / "model" / "checkpoints" / "best" / "state.json").read_text("utf-8"))
    assert (state["step"], state["best_valid_loss"]) == (6, 4.0)
    assert manifest.counts["best_valid_loss"] == 4.0


def test_a_checkpoint_can_be_used_as_a_model(undisturbed):
    last, final = load_model(undisturbed / "checkpoints" / "step-00000012"), load_model(undisturbed)
    assert all(torch.equal(tensor, final.state_dict()[name]) for name, tensor in last.state_dict().items())
    assert not final.training


def test_half_replaced_checkpoints_are_mended(tmp_path):
    for name in ("best.old", "step-00000003.old", "step-00000003", "step-00000006", "step-00000007.partial"):
        (tmp_path / name).mkdir()
    keep_last(tmp_path, 1)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["best", "step-00000006"]


def test_a_checkpoint_of_another_model_is_refused(root, tmp_path):
    def make(**fields):
        model = GPT(ModelConfig(depth=1, width=32, heads=2, context_length=16, vocab_size=400, **fields))
        return model, make_optimizers(model, derive_training(TrainConfig(), model.config), torch.float32)

    model, optimizers = make()
    save_checkpoint(tmp_path / "step-00000001", model, optimizers, TrainingState(1), root / "tokenizer")
    with pytest.raises(ArtifactError, match=r"of another model \(dropout 0\.0, now 0\.5\)"):
        load_checkpoint(tmp_path / "step-00000001", *make(dropout=0.5))
    (tmp_path / "step-00000001" / "optimizer.safetensors").write_bytes(b"broken")
    with pytest.raises(ArtifactError, match="not a whole checkpoint"):
        load_checkpoint(tmp_path / "step-00000001", *make())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", "is not JSON"),
        ("config.json", b"[1]", "is not the configuration of a jgpt model"),
        ("config.json", b'{"model_type": "jgpt", "colour": 1}', "does not know: colour"),
        ("config.json", b'{"model_type": "jgpt", "depth": 1}', "leaves width, heads or vocab_size open"),
        ("config.json", b'{"model_type": "jgpt", "depth": "one"}', "config.json"),
        ("model.safetensors", b"", "broken or cut short"),
        ("model.safetensors", b"\xff" * 100, "broken or cut short"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(undisturbed, tmp_path, name, content, message):
    shutil.copytree(undisturbed, tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=message) as caught:
        load_model(tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_refused_by_name(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"depth": 2}))
    with pytest.raises(ArtifactError, match=r"weight blocks\.1\.\S+ is missing from the file"):
        load_model(tmp_path / "model")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"depth": 1, "width": 64}))
    with pytest.raises(ArtifactError, match=r"has shape \[.*\], the configuration says"):
        load_model(tmp_path / "model")


def test_folders_without_a_model_are_refused(tmp_path, root):
    with pytest.raises(ArtifactError, match="no such folder"):
        load_model(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="holds no model"):
        load_model(root / "tokenizer")


def settle_at(monkeypatch, decay_from, steps):
    def settle(plan, step, *_):
        if step == decay_from:
            plan.decay_from, plan.steps, plan.settled = decay_from, steps, True
        return plan.settled

    monkeypatch.setattr(Plan, "settle", settle)


def test_minutes_become_steps_that_a_resumed_run_obeys(root, tmp_path, new_config, stop_after, monkeypatch):
    out = tmp_path / "model"
    monkeypatch.setattr(planning, "number_of_steps", lambda *_: 12)
    settle_at(monkeypatch, 5, 15)
    stop_after(3)
    with pytest.raises(Interrupted, match="step 3 of 12"):
        train(root, out, new_config(minutes=0.01))
    monkeypatch.setattr(planning, "number_of_steps", lambda *_: pytest.fail("planned again"))
    before = json.loads((out / "plan.json").read_text("utf-8"))
    assert (before["steps"], before["settled"]) == (12, False)
    stop_after(7)
    with pytest.raises(Interrupted, match="of 15"):
        pretrain(None, out, resume=True, quiet=True)
    settled = json.loads((out / "plan.json").read_text("utf-8"))
    assert (settled["steps"], settled["settled"], settled["decay_from"]) == (15, True, 5)
    monkeypatch.setattr(Plan, "settle", lambda *_: pytest.fail("settled again"))
    assert pretrain(None, out, resume=True, quiet=True).counts["steps"] == 15
    assert metrics(out)[-1]["step"] == 15


def test_a_run_by_minutes_is_that_by_the_steps_that_they_become(root, tmp_path, new_config, monkeypatch, undisturbed):
    monkeypatch.setattr(planning, "number_of_steps", lambda *_: 12)
    settle_at(monkeypatch, json.loads((undisturbed / "plan.json").read_text("utf-8"))["decay_from"], 12)
    train(root, tmp_path / "model", new_config(minutes=1.0))  # too short to be compiled
    assert sha256(tmp_path / "model") == sha256(undisturbed)


def test_a_damaged_plan_is_refused(root, tmp_path, new_config, stop_after):
    stop_after(2)
    with pytest.raises(Interrupted):
        train(root, tmp_path / "model", new_config())
    (tmp_path / "model" / "plan.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"plan\.json: is not a plan"):
        train(root, tmp_path / "model", new_config())


@pytest.mark.parametrize("name", ["muon", "adamw"])
@pytest.mark.parametrize("architecture", ["default", "gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_each_kind_of_weight_has_its_rate_and_decay(name, architecture, tied):
    bias = architecture == "gpt2"
    shape = {"depth": 2, "width": 32, "heads": 2, "context_length": 16, "vocab_size": 400}
    model = GPT(ModelConfig(architecture, **shape, tie_embeddings=tied, bias=bias))
    rates = {"learning_rate": 0.1, "embedding_rate": 0.2, "head_rate": 0.3, "vector_rate": 0.5, "weight_decay": 0.4}
    optimizers = make_optimizers(model, TrainConfig(optimizer=name, **rates), torch.float32)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    wanted = {"matrices": (0.1, 0.4), "embedding": (0.2, 0.0), "head": (0.3, 0.0), "vectors": (0.5, 0.0)}
    if tied:
        del wanted["head"]
    if architecture == "default":
        del wanted["vectors"]
    assert {group["name"]: (group["peak"], group["weight_decay"]) for group in groups} == wanted
    trained = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(trained) == sorted(id(parameter) for parameter in model.parameters())
    kinds = {id(parameter): group["name"] for group in groups for parameter in group["params"]}
    of = {weight: kinds[id(parameter)] for weight, parameter in model.named_parameters(remove_duplicate=False)}
    assert of["embedding.weight"] == "embedding" and of["head.weight"] == ("embedding" if tied else "head")
    for weight in ("attention.query_key_value", "attention.output", "mlp.expand", "mlp.output"):
        assert of[f"blocks.1.{weight}.weight"] == "matrices"
    muon = {id(parameter) for group in optimizers[0].param_groups for parameter in group["params"]}
    if name == "muon":
        assert muon == {identity for identity, kind in kinds.items() if kind == "matrices"}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_command_resumes_what_it_began(root, tmp_path, stop_after, capfd, dtype):
    """With flags of every kind, and no shards the second time."""
    flags = [*("--model.depth", "1", "--model.width", "32", "--model.heads", "2", "--model.context_length", "32")]
    flags += ["--model.architecture", "gpt2", "--model.bias", "--model.tie_embeddings", "--dtype", dtype, "--quiet"]
    flags += ["--train.steps", "6", "--train.batch_tokens", "128", "--threads", "1", "--shards", str(root / "shards")]
    assert run(["pretrain", "--out", str(tmp_path / "one"), *flags]) == 0
    stop_after(4)
    assert run(["pretrain", "--out", str(tmp_path / "two"), *flags]) == 1
    assert run(["pretrain", "--out", str(tmp_path / "two"), "--resume", "--no_model.bias"]) == 2
    assert "model.bias: True, now False" in capfd.readouterr().err
    assert run(["pretrain", "--out", str(tmp_path / "two"), "--resume", "--model.bias", "--quiet"]) == 0
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")
    model = load_model(tmp_path / "two")
    assert model.config.bias and model.head.weight is model.embedding.weight


def test_gpt2_trains_and_resumes_as_well(root, tmp_path, new_config, stop_after):
    shape = {"architecture": "gpt2", "tie_embeddings": True, "bias": True}
    train(root, tmp_path / "one", new_config(shape, steps=6))
    stop_after(4)
    with pytest.raises(Interrupted):
        train(root, tmp_path / "two", new_config(shape, steps=6))
    pretrain(None, tmp_path / "two", resume=True, quiet=True)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")


def test_a_kill_after_the_last_checkpoint_changes_nothing_of_what_is_told(root, tmp_path, new_config, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(module, "finish_run", killed)
        train(root, tmp_path / "model", new_config())
    again = train(root, tmp_path / "model", new_config()).counts
    whole = train(root, tmp_path / "whole", new_config()).counts
    for name in ("last_valid_loss", "best_valid_loss", "steps", "tokens"):
        assert again[name] == whole[name] is not None
