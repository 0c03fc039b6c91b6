"""What cannot be trained is said in one line that names the mend, and loses nothing."""

import shutil

import pytest
import torch

from jgpt import load_model, write_shards
from jgpt.training import run as run_module
from jgpt.training.pretrain import pretrain
from scripts.main import run
from tokenizer import train_tokenizer
from tokenizer.config import TokenizerConfig

pytestmark = pytest.mark.usefixtures("known_speed")
FLAGS = [
    *("--model.depth", "1", "--model.width", "32", "--model.heads", "2", "--model.context_length", "32"),
    *("--train.steps", "4", "--train.batch_tokens", "128", "--dtype", "float32", "--threads", "1"),
]


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs ``jgpt pretrain``, which must end with one line; returns it."""

    def call(*arguments, status=1):
        capsys.readouterr()
        assert run(["pretrain", "--out", str(tmp_path / "model"), *map(str, arguments), "--quiet"]) == status
        message = capsys.readouterr().err
        assert message.count("\n") == 1 and "Traceback" not in message
        return message

    return call


@pytest.fixture
def shards(root, tmp_path):
    shutil.copytree(root / "shards", tmp_path / "shards")
    return tmp_path / "shards"


def test_shards_shorter_than_a_context(refused, root, tmp_path):
    message = refused("--shards", root / "shards", *FLAGS, "--model.context_length", "100000")
    assert "fewer than one context of 100000" in message and "smaller --model.context_length" in message
    assert not (tmp_path / "model").exists()


def test_a_context_longer_than_the_documents_is_only_warned_of(root, tmp_path, new_config, caplog):
    config = new_config({"context_length": 256}, steps=1, batch_tokens=256)
    assert pretrain(root / "shards", tmp_path / "model", config, quiet=True).counts["steps"] == 1
    assert "windows of 256 span several documents: try a smaller --model.context_length" in caplog.text


def test_shards_of_different_tokenizers(refused, root, tmp_path):
    train_tokenizer(
        tmp_path / "tokenizer", TokenizerConfig(boundaries="none", vocab_size=380), corpus=root / "corpus", quiet=True
    )
    write_shards(root / "corpus", tmp_path / "tokenizer", tmp_path / "other", workers=1, quiet=True)
    message = refused("--shards", root / "shards", tmp_path / "other", *FLAGS)
    assert "were written with different tokenizers" in message and "with the same --tokenizer" in message
    assert not (tmp_path / "model").exists()


def test_a_token_file_that_was_cut(refused, shards, tmp_path):
    file = shards / "train-00000.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    message = refused("--shards", shards, *FLAGS)
    assert "train-00000.npy: has" in message and f"{len(whole)} were written" in message and "--overwrite" in message
    assert not (tmp_path / "model").exists()


def test_token_files_that_hold_ids_beyond_the_vocabulary(refused, shards, tmp_path, monkeypatch):
    monkeypatch.setattr("stage.manifest._SMALL", 0)  # a file of real size is not hashed each time
    file = shards / "train-00001.npy"
    tokens = bytearray(file.read_bytes())
    tokens[-400:-398] = (60_000).to_bytes(2, "little")
    file.write_bytes(tokens)
    message = refused("--shards", shards, *FLAGS, "--train.steps", "300")
    assert "train-00001.npy: holds no documents of this folder's tokenizer; write the shards anew" in message


def test_a_checkpoint_of_another_configuration(refused, root, tmp_path, new_config, stop_after):
    stop_after(3)
    with pytest.raises(run_module.Interrupted):
        pretrain(root / "shards", tmp_path / "model", new_config(), quiet=True)
    pretrain(root / "shards", tmp_path / "other", new_config({"width": 64, "architecture": "llama"}), quiet=True)
    place = tmp_path / "model" / "checkpoints" / "step-00000003"
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "other" / "checkpoints" / "step-00000012", place)
    message = refused("--resume")
    assert "step-00000003: is of another model (architecture llama, now default; width 64, now 32;" in message


def test_no_tokens_to_validate_on(root, tmp_path, new_corpus, texts, new_config, caplog):
    corpus = new_corpus(tmp_path / "corpus", texts[:20], ["train"] * 20, 1)
    write_shards(corpus, root / "tokenizer", tmp_path / "shards", workers=1, quiet=True)
    pretrain(tmp_path / "shards", tmp_path / "model", new_config(steps=2), quiet=True)
    assert "valid split is shorter than a context: training goes unwatched and keeps no best checkpoint" in caplog.text


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("architecture", ["default", "gpt2"])
def test_a_learning_rate_that_diverges(refused, root, tmp_path, optimizer, architecture):
    flags = ["--train.learning_rate", "1e6", "--train.optimizer", optimizer, "--model.architecture", architecture]
    message = refused("--shards", root / "shards", *FLAGS, *flags, "--train.steps", "60")
    assert "try a lower --train.learning_rate (it was 1e+06)" in message
    assert not (tmp_path / "model" / "manifest.json").exists()
    for checkpoint in (tmp_path / "model" / "checkpoints").glob("*"):
        assert all(bool(torch.isfinite(tensor).all()) for tensor in load_model(checkpoint).state_dict().values())


def test_shards_that_are_gone_when_a_run_resumes(refused, shards, tmp_path, new_config, stop_after):
    stop_after(3)
    with pytest.raises(run_module.Interrupted):
        pretrain(shards, tmp_path / "model", new_config(), quiet=True)
    shutil.rmtree(shards)
    message = refused("--resume", status=2)
    assert f"recorded as {shards}, are not there: name them with --shards" in message


def test_resuming_what_is_no_run(refused, root, tmp_path):
    assert "model: holds no pretrain run to go on with" in refused("--resume")
    assert not (tmp_path / "model").exists()
    shutil.copytree(root / "shards", tmp_path / "model")
    assert "model: holds no pretrain run to go on with" in refused("--resume")


@pytest.mark.parametrize(("risen", "told"), [(4.03, False), (4.05, True)])
def test_a_run_that_ends_above_its_best_says_where_that_is(
    root, tmp_path, new_config, monkeypatch, caplog, risen, told
):
    losses = iter([6.0, 5.0, 4.0, 4.5, risen])
    monkeypatch.setattr(run_module.ValidationLoss, "measure", lambda *_: next(losses))
    pretrain(root / "shards", tmp_path / "model", new_config(valid_every=3), quiet=True)
    lines = [entry.getMessage() for entry in caplog.records if "lowest" in entry.getMessage()]
    assert len(lines) == told
    if told:
        assert "lowest after step 6 (4.000) and has risen to 4.050" in lines[0] and "--model.dropout" in lines[0]
        assert str(tmp_path / "model" / "checkpoints" / "best") in lines[0]


def test_settings_that_nobody_can_mean_are_refused_by_name(root, tmp_path, capsys):
    shards = ["pretrain", "--shards", str(root / "shards"), "--out", str(tmp_path / "model"), "--quiet"]
    for flag, value, most in (
        ("--train.learning_rate", "1e39", "1e+36"),
        ("--train.weight_decay", "1e300", "1e+36"),
        ("--train.steps", "99999999999999999999", "1e+12"),
        ("--train.epochs", "1e300", "1e+06"),
    ):
        assert run([*shards, flag, value]) == 2
        message = capsys.readouterr().err
        assert f"{flag} " in message and f"from 0 to {most}" in message and message.count("\n") == 1


def test_a_broken_record_of_a_run_or_checkpoint_is_named_with_a_mend(root, tmp_path, new_config, capsys):
    out = tmp_path / "model"
    pretrain(root / "shards", out, new_config(steps=2, checkpoint_every=1), threads=1, quiet=True)
    (out / "manifest.json").unlink()
    state = out / "checkpoints" / "step-00000002" / "state.json"
    state.write_text(state.read_text("utf-8")[:20])
    assert run(["pretrain", "--out", str(out), "--resume", "--quiet", "--train.steps", "4"]) == 1
    message = capsys.readouterr().err
    assert "state.json: is broken or cut short" in message and "delete" in message and message.count("\n") == 1
    (out / "run.json").write_text("[")
    assert run(["pretrain", "--out", str(out), "--resume", "--quiet"]) == 1
    message = capsys.readouterr().err
    assert "its run.json is broken, begin anew with --overwrite" in message and message.count("\n") == 1
