"""A run that begins with a model has its weights and its shape, and refuses what does not go with it."""

import json
import shutil

import pytest
import torch

from jgpt import load_model, write_shards
from jgpt.training.pretrain import Interrupted, pretrain
from scripts.main import run
from stage.errors import ArtifactError, UsageError
from stage.manifest import read_manifest
from tokenizer import train_tokenizer
from tokenizer.config import TokenizerConfig

pytestmark = pytest.mark.usefixtures("known_speed")
SHAPE = {"architecture": "llama", "kv_heads": 1}


def train(root, out, config, **more):
    return pretrain(root / "shards", out, config, threads=1, quiet=True, **more)


@pytest.fixture(scope="module")
def first(root, tmp_path_factory, new_config):
    out = tmp_path_factory.mktemp("first") / "model"
    train(root, out, new_config(SHAPE, steps=6))
    return out


@pytest.fixture
def second_config(new_config):
    """Of the shape nothing is asked for, but that there be less dropout."""
    config = new_config(steps=4, learning_rate=1e-3)
    config.model = type(config.model)(dropout=0.05)
    return config


def weights(folder):
    return load_model(folder).state_dict()


def test_a_run_begins_with_the_weights_and_the_shape_of_a_model(root, tmp_path, first, second_config, after_step):
    seen = {}
    manifest = train(root, tmp_path / "model", second_config, init_from=first)
    config = load_model(tmp_path / "model").config
    assert (config.architecture, config.width, config.kv_heads, config.dropout) == ("llama", 32, 1, 0.05)
    entry = manifest.input("model")
    assert (entry.path, entry.sha256) == (str(first), read_manifest(first).data_sha256)
    assert manifest.counts["steps"] == 4
    after_step(1, lambda step: seen.update({name: one.clone() for name, one in step.model.state_dict().items()}))
    second_config.train.learning_rate = second_config.train.embedding_rate = 1e-9
    second_config.train.head_rate = second_config.train.vector_rate = 1e-9
    train(root, tmp_path / "still", second_config, init_from=first)
    for name, weight in weights(first).items():
        torch.testing.assert_close(seen[name], weight, atol=1e-6, rtol=1e-6)


def test_it_may_begin_with_a_checkpoint(root, tmp_path, first, second_config):
    best = first / "checkpoints" / "best"
    manifest = train(root, tmp_path / "model", second_config, init_from=best)
    assert manifest.input("model").path == str(best)
    other = train(root, tmp_path / "other", second_config, init_from=first / "checkpoints" / "trunk")
    assert manifest.input("model").sha256 != other.input("model").sha256
    with pytest.raises(ArtifactError, match="another input"):
        train(root, tmp_path / "model", second_config, init_from=first)


def test_such_a_run_resumes(root, tmp_path, first, second_config, stop_after):
    whole = train(root, tmp_path / "whole", second_config, init_from=first)
    stop_after(2)
    second_config.train.checkpoint_every = 1
    with pytest.raises(Interrupted):
        train(root, tmp_path / "model", second_config, init_from=first)
    assert run(["pretrain", "--out", str(tmp_path / "model"), "--resume", "--quiet"]) == 0
    assert read_manifest(tmp_path / "model").data_sha256 == whole.data_sha256


def test_a_first_model_that_moved_is_named_and_found_again(root, tmp_path, first, second_config, stop_after):
    shutil.copytree(first, tmp_path / "first")
    stop_after(2)
    with pytest.raises(Interrupted):
        train(root, tmp_path / "model", second_config, init_from=tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "moved")
    with pytest.raises(
        UsageError, match=r"model that this run began with, recorded as .*first, is not there: name it with"
    ):
        pretrain(None, tmp_path / "model", resume=True, quiet=True)
    manifest = pretrain(None, tmp_path / "model", resume=True, init_from=tmp_path / "moved", quiet=True)
    assert manifest.input("model").path == str(tmp_path / "moved")


def test_what_contradicts_the_model_is_refused_by_name(root, tmp_path, first, capsys):
    flags = ["pretrain", "--shards", str(root / "shards"), "--init_from", str(first), "--quiet"]
    for flag, value, named in (
        ("--model.depth", "2", "--model.depth 2: the model"),
        ("--model.depth", "4", "--model.depth 4: the model"),  # the default, but asked for
        ("--model.architecture", "gpt2", "--model.architecture gpt2: the model"),
        ("--model.context_length", "64", "--model.context_length 64: the model"),
    ):
        assert run([*flags, "--out", str(tmp_path / "model"), flag, value]) == 2
        message = capsys.readouterr().err
        assert named in message and "leave the flag out" in message and message.count("\n") == 1
    # what agrees may be said
    agreeing = ["--model.depth", "1", "--model.width", "32", "--train.steps", "1", "--threads", "1"]
    assert run([*flags, "--out", str(tmp_path / "model"), *agreeing]) == 0


def test_what_is_no_model_is_refused(root, tmp_path, first, second_config):
    for place, message in (
        (tmp_path / "nothing", "no such folder"),
        (root / "tokenizer", "holds no model"),
        (first / "checkpoints", "holds no model"),
    ):
        with pytest.raises(ArtifactError, match=message) as caught:
            train(root, tmp_path / "model", second_config, init_from=place)
        assert "\n" not in str(caught.value)
    for out, message in ((first, "holds the model"), (first / "checkpoints" / "best", "is the model that is read")):
        with pytest.raises(UsageError, match=message):
            train(root, out, second_config, init_from=first / "checkpoints" / "best")
    shutil.copytree(first, tmp_path / "broken")
    file = tmp_path / "broken" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match=r"model\.safetensors: has \d+ bytes"):
        train(root, tmp_path / "model", second_config, init_from=tmp_path / "broken")
    assert not (tmp_path / "model").exists()


def test_a_model_of_another_tokenizer_is_refused(root, tmp_path, first, second_config):
    train_tokenizer(
        tmp_path / "tokenizer", TokenizerConfig(boundaries="none", vocab_size=380), corpus=root / "corpus", quiet=True
    )
    write_shards(root / "corpus", tmp_path / "tokenizer", tmp_path / "shards", workers=1, quiet=True)
    with pytest.raises(UsageError, match=r"--init_from .*model: its tokenizer is not that of the shards .*shards"):
        train(tmp_path, tmp_path / "model", second_config, init_from=first)
    assert not (tmp_path / "model").exists()


def test_the_licences_of_its_text_stay_with_the_model(root, tmp_path, first, second_config):
    shutil.copytree(root / "shards", tmp_path / "shards")
    file = tmp_path / "shards" / "manifest.json"
    record = json.loads(file.read_text("utf-8"))
    record["licenses"] = [{"source": "青空文庫", "license": "public domain"}]
    file.write_text(json.dumps(record), "utf-8")
    for place in (first, first / "checkpoints" / "best"):
        manifest = train(tmp_path, tmp_path / "model", second_config, init_from=place, overwrite=True)
        assert [entry["source"] for entry in manifest.licenses] == ["青空文庫", "own"]
