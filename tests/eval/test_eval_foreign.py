"""The same tasks for models of other makers: figures of one model are the same by whatever way it is reached."""

import json

import pytest

from eval import evaluate
from eval.config import EvalConfig
from eval.grid import FinetuneConfig
from jgpt import export_model, load_model
from stage.errors import UsageError
from stage.manifest import read_manifest
from tokenizer import JapaneseTokenizer


def config(**settings):
    return EvalConfig(**{"bootstrap": 100, "tasks": ["jcommonsenseqa", "jnli", "jsquad"], "language": False} | settings)


def read(folder):
    results = json.loads((folder / "results.json").read_text("utf-8"))
    return results, [json.loads(line) for line in (folder / "samples.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture
def plain(jglue, write_lines):
    """The same items with texts that no normalisation changes, as models of other makers get them."""
    file = jglue / "jglue" / "jcommonsenseqa-v1.3" / "valid-v1.3.json"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    write_lines(file, [row | {"question": row["question"].replace("？", "か")} for row in rows])
    return jglue


def test_an_exported_model_gets_the_same_figures(tiny_run, plain, tmp_path):
    export_model(tiny_run / "model", tmp_path / "hf")
    evaluate(tiny_run / "model", tmp_path / "own", config(), data=plain, quiet=True)
    made = evaluate(tmp_path / "hf", tmp_path / "theirs", config(), data=plain, quiet=True)
    assert made.inputs[0].role == "foreign model"
    (own, lines), (theirs, others) = read(tmp_path / "own"), read(tmp_path / "theirs")
    assert "5-gram" in own["tasks"]["jnli"]["baselines"] and "5-gram" not in theirs["tasks"]["jnli"]["baselines"]
    for line, other in zip(lines, others, strict=True):
        assert line["context"] == other["context"]
        if "scores" in line:
            assert line["scores"]["sum"] == pytest.approx(other["scores"]["sum"], abs=1e-3)
            assert line["scores"]["pmi"] == pytest.approx(other["scores"]["pmi"], abs=1e-3)
    for name in ("jcommonsenseqa", "jnli"):
        assert own["tasks"][name]["metrics"] == theirs["tasks"][name]["metrics"]


def test_shards_give_a_model_of_others_bits_and_the_tasks_made_of_them(tiny_run, tmp_path):
    export_model(tiny_run / "model", tmp_path / "hf")
    settings = config(tasks=["particle"], language=True, limit=10)
    evaluate(tmp_path / "hf", tmp_path / "theirs", settings, shards=tiny_run / "shards", quiet=True)
    evaluate(tiny_run / "model", tmp_path / "own", settings, quiet=True)
    own, theirs = read(tmp_path / "own")[0], read(tmp_path / "theirs")[0]
    bits = [each["language"]["bits_per_character"]["value"] for each in (own, theirs)]
    assert bits[0] == pytest.approx(bits[1], rel=1e-4)
    assert own["language"]["baselines"] == theirs["language"]["baselines"]
    with pytest.raises(UsageError, match="made of the documents of shards: name some with --shards"):
        evaluate(tmp_path / "hf", tmp_path / "out", settings, quiet=True)


def test_an_endpoint_is_asked_by_text(tiny_run, plain, tmp_path, completions_server):
    model, tokenizer = load_model(tiny_run / "model", "cpu"), JapaneseTokenizer(tiny_run / "model")
    settings = config(tasks=["jnli"])
    with completions_server.serving(completions_server.Server(model, tokenizer)) as address:
        evaluate(address, tmp_path / "out", settings, data=plain, quiet=True)
    evaluate(tiny_run / "model", tmp_path / "own", settings, data=plain, quiet=True)
    assert read_manifest(tmp_path / "out").inputs[0].role == "endpoint"
    for line, other in zip(read(tmp_path / "own")[1], read(tmp_path / "out")[1], strict=True):
        assert line["scores"]["sum"] == pytest.approx(other["scores"]["sum"], abs=1e-3)


def test_only_models_of_jgpt_are_fine_tuned(tiny_run, plain, tmp_path):
    export_model(tiny_run / "model", tmp_path / "hf")
    settings = config(tasks=["jnli"], method="finetune", finetune=FinetuneConfig(seeds=1))
    with pytest.raises(UsageError, match="needs a model folder of jgpt"):
        evaluate(tmp_path / "hf", tmp_path / "out", settings, data=plain, quiet=True)
