"""Two processes train as one does: the same samples and losses, checkpoints for any number of them, one word on a failure.

Run as a program, with a file of runs to make, this is one of the processes.
"""

import faulthandler
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from jgpt import load_model
from jgpt.config import ModelConfig, PretrainConfig, TrainConfig
from jgpt.data.mixture import Samples
from jgpt.training import planning
from jgpt.training.plan import Plan
from jgpt.training.pretrain import pretrain
from jgpt.training.step import TrainingStep
from stage.errors import ArtifactError
from stage.manifest import read_manifest

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5
"""Relative, of losses: sums are taken in another order."""
KINDS = ("ddp", "fsdp")
FLAGS = [
    "--model.depth=1",
    "--model.width=32",
    "--model.context_length=32",
    "--train.steps=2",
    "--train.batch_tokens=128",
]


def config(optimizer="muon", parallel="auto", **train):
    """8 samples a step, 2 at once."""
    model = {"depth": 2, "width": 32, "heads": 2, "context_length": 32, "dropout": 0.1}
    if optimizer == "adamw":
        model |= {"architecture": "llama", "tie_embeddings": True}
    short = {"steps": 12, "batch_tokens": 256, "micro_batch": 2, "checkpoint_every": 3, "valid_tokens": 512}
    short |= {"optimizer": optimizer, "parallel": parallel} | train
    return PretrainConfig(ModelConfig(**model), TrainConfig(**short), dtype="float32")


def make(wanted):
    """Make a run in this process; returns the samples that it read and how it ended."""
    read, original = [], (Samples.batch, TrainingStep.run)

    def batch(self, position, count):
        read.append((position, count))
        return original[0](self, position, count)

    def step(self, number):
        if number == wanted.get("at") and int(os.environ.get("RANK", "0")) in wanted.get("ranks", [0, 1]):
            if wanted["act"] == "fail":
                raise ValueError("吾輩は猫である")
            os.kill(os.getpid(), getattr(signal, wanted["act"]))
        original[1](self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Samples, "batch", batch)
        patch.setattr(TrainingStep, "run", step)
        patch.setattr(planning, "peak_flops", lambda *_: 1e11)
        given = wanted["config"]
        settings = given | {"model": ModelConfig(**given["model"]), "train": TrainConfig(**given["train"])}
        ended = ["", ""]
        try:
            pretrain(wanted["shards"], wanted["out"], PretrainConfig(**settings), device="cpu", threads=1, quiet=True)
        except BaseException as error:  # noqa: BLE001 - also SystemExit
            ended = [type(error).__name__, str(error)]
    return {"read": read, "ended": ended}


def together(folder, runs):
    """Make runs in two processes, one after another; returns what ``make`` returned, by run and rank, if it did."""
    folder.mkdir()
    # the meeting places are open from now on, as torchrun's is, so that nobody else can take their ports
    stores = [torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False) for _ in runs]
    for wanted, store in zip(runs, stores, strict=True):
        wanted["port"] = str(store.port)
    (folder / "runs.json").write_text(json.dumps(runs))
    shared = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)], env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            process.wait(timeout=120)
    finally:
        for process in processes:
            process.kill()
    files = {wanted["name"]: [folder / f"{wanted['name']}-{rank}.json" for rank in range(2)] for wanted in runs}
    return {name: [json.loads(file.read_text()) for file in two if file.exists()] for name, two in files.items()}


def metrics(out, name="loss"):
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {record["step"]: record[name] for record in records if name in record}


def weights(out):
    return (out / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """The folder with all runs, and what each process said of them."""
    folder = tmp_path_factory.mktemp("processes")

    def wanted(name, settings, out=None, **more):
        out = str(folder / (out or name))
        return {"name": name, "config": asdict(settings), "shards": str(root / "shards"), "out": out} | more

    alone = [wanted(f"alone-{optimizer}", config(optimizer)) for optimizer in ("muon", "adamw")]
    # ended in its eighth step, the last checkpoint is from the sixth
    alone += [wanted(f"from-one-{kind}", config(parallel=kind), at=7, act="fail") for kind in KINDS]
    said = {run["name"]: [make(run)] for run in alone}
    both = [wanted(f"{kind}-{optimizer}", config(optimizer, kind)) for kind in KINDS for optimizer in ("muon", "adamw")]
    both += [
        wanted("odd", config(batch_tokens=96)),
        wanted("stopped", config(), at=4, act="SIGTERM", ranks=[1]),
        wanted("ended-fsdp", config(parallel="fsdp"), at=7, act="fail"),
        wanted("ended-ddp", config(parallel="ddp"), at=7, act="SIGKILL"),
    ]
    said |= together(folder / "first", both)
    for kind in KINDS:
        shutil.copytree(folder / f"ended-{kind}", folder / f"to-one-{kind}")
    said |= together(
        folder / "second",
        [wanted(f"on-{kind}", config(parallel=kind), f"ended-{kind}") for kind in KINDS]
        + [wanted(f"from-one-{kind}", config(parallel=kind)) for kind in KINDS]
        + [wanted("failed", config(), at=4, act="fail", ranks=[1])],
    )
    for kind in KINDS:
        said[f"to-one-{kind}"] = [make(wanted(f"to-one-{kind}", config(parallel=kind)))]
    return folder, said


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_lose_as_one_does(made, kind, optimizer):
    folder, said = made
    assert [one["ended"] for one in said[f"{kind}-{optimizer}"]] == [["", ""]] * 2
    one, two = folder / f"alone-{optimizer}", folder / f"{kind}-{optimizer}"
    losses = metrics(one)
    assert sorted(losses) == list(range(1, 13)) and losses[12] < 0.9 * losses[1]
    assert metrics(two) == pytest.approx(losses, rel=TOLERANCE)
    assert metrics(two, "grad_norm") == pytest.approx(metrics(one, "grad_norm"), rel=10 * TOLERANCE)
    valid = metrics(one, "valid_loss")
    assert metrics(two, "valid_loss") == pytest.approx(valid, rel=TOLERANCE)
    assert metrics(two, "valid_loss")[0] == valid[0]  # the same weights still


@pytest.mark.parametrize("kind", KINDS)
def test_processes_share_the_samples_of_one_and_never_overlap(made, kind):
    _, said = made

    def positions(read):
        return [place for position, count in read for place in range(position, position + count)]

    first, second = (positions(one["read"]) for one in said[f"{kind}-muon"])
    assert not set(first) & set(second)
    assert sorted(first + second) == positions(said["alone-muon"][0]["read"]) == list(range(12 * 8))


@pytest.mark.parametrize("kind", KINDS)
def test_killed_processes_go_on_to_the_same_bits(made, kind):
    folder, said = made
    assert not said["ended-ddp"]  # killed, they could say nothing
    assert [one["ended"] for one in said[f"on-{kind}"]] == [["", ""]] * 2
    assert min(position for one in said[f"on-{kind}"] for position, _ in one["read"]) == 6 * 8
    assert weights(folder / f"ended-{kind}") == weights(folder / f"{kind}-muon")
    assert metrics(folder / f"ended-{kind}") == metrics(folder / f"{kind}-muon")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["to", "from"])
def test_run_goes_on_with_another_number_of_processes(made, change, kind):
    folder, said = made
    name = f"{change}-one-{kind}"
    assert all(one["ended"] == ["", ""] for one in said[name])
    assert {position // 8 for one in said[name] for position, _ in one["read"]} == set(range(6, 12))
    assert metrics(folder / name) == pytest.approx(metrics(folder / "alone-muon"), rel=TOLERANCE)
    final, usual = (load_file(folder / run / "model.safetensors") for run in (name, "alone-muon"))
    for weight in usual:
        assert torch.allclose(final[weight], usual[weight], atol=1e-4), weight


def test_each_process_writes_its_part_and_the_checkpoint_is_a_model(made):
    folder, _ = made
    last = folder / "fsdp-muon" / "checkpoints" / "step-00000012"
    parts = [load_file(file) for file in sorted((last / "optimizer").iterdir())]
    rows = [part["blocks.0.mlp.expand.weight/momentum"].shape for part in parts]
    assert rows == [(64, 32), (64, 32)]
    model, whole = load_model(last, device="cpu"), load_model(folder / "fsdp-muon", device="cpu")
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), whole.parameters(), strict=True))


def test_missing_part_of_a_checkpoint_is_named(made, root, tmp_path):
    folder, _ = made
    out = shutil.copytree(folder / "fsdp-muon", tmp_path / "model")
    (out / "manifest.json").unlink()
    last = out / "checkpoints" / "step-00000012"
    next((last / "optimizer").iterdir()).unlink()
    with pytest.raises(ArtifactError, match=r"step-00000012.*not a whole checkpoint.*parts of .* are missing"):
        pretrain(root / "shards", out, config(parallel="fsdp"), device="cpu", threads=1, quiet=True)


def test_one_process_says_what_is_wrong_for_all(made):
    _, said = made
    (kind, message), other = sorted((one["ended"] for one in said["odd"]), reverse=True)
    assert kind == "UsageError" and "--train.batch_tokens 96" in message and "multiple of 64" in message
    assert other == ["SystemExit", "2"]


def test_signal_to_one_process_stops_all_after_the_same_step(made):
    folder, said = made
    (kind, message), other = sorted(one["ended"] for one in said["stopped"])
    assert kind == "Interrupted" and "stopped at step 5 of 12" in message
    assert other == ["SystemExit", "1"]
    assert json.loads((folder / "stopped/checkpoints/step-00000005/state.json").read_text())["step"] == 5


def test_failure_of_one_process_ends_the_others(made):
    _, said = made
    assert [one["ended"] for one in said["failed"]] == [["SystemExit", "1"], ["ValueError", "吾輩は猫である"]]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6, 12])
def test_batch_is_split_among_any_number_of_processes_that_divides_it(ranks):
    plan = Plan(True, 12, 4, "float32", False, 1, 1.0, 0.0)
    at_once, times = plan.split(ranks)
    assert at_once <= 4 and at_once * times * ranks == 12


def test_command_runs_under_torchrun(root, tmp_path):
    out = tmp_path / "model"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "scripts"]
    command += ["pretrain", "--shards", root / "shards", "--out", out, "--device=cpu", *FLAGS]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("2 processes (ddp)") == done.stderr.count(f"{out}: parameters") == 1
    assert read_manifest(out, "pretrain").counts["plan"]["ranks"] == 2


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100)  # where a process hangs, before it is ended
    place = Path(sys.argv[1])
    for entry in json.loads((place / "runs.json").read_text()):
        os.environ["MASTER_PORT"] = entry["port"]
        outcome = make(entry)
        (place / f"{entry['name']}-{os.environ['RANK']}.json").write_text(json.dumps(outcome))
