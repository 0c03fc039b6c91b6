import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from eval import evaluate
from eval.comparison import compare
from eval.config import EvalConfig
from eval.grid import FinetuneConfig
from eval.task import load_task
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import read_manifest


def config(**settings):
    return EvalConfig(**{"bootstrap": 100, "batch_tokens": 512} | settings)


@pytest.fixture(scope="module")
def results(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("eval") / "results"
    evaluate(tiny_run / "model", out, config(), quiet=True)
    return out


def read(folder):
    return json.loads((folder / "results.json").read_text("utf-8"))


def test_results_hold_language_and_tasks_with_baselines_and_intervals(results, tiny_run):
    found = read(results)
    assert found["schema"] == 2
    assert found["model"]["data_sha256"] == read_manifest(tiny_run / "model").data_sha256
    assert found["model"]["context_length"] == 64
    language = found["language"]
    assert language["documents"] == 10
    for part in (language, language["baselines"]["5-gram"], language["baselines"]["unigram"]):
        for name in ("bits_per_character", "bits_per_byte"):
            assert part[name]["low"] <= part[name]["value"] <= part[name]["high"]
    value = {name: part["bits_per_character"]["value"] for name, part in language["baselines"].items()}
    assert value["5-gram"] < value["unigram"] < language["bits_per_character"]["value"]
    assert {name: part["documents"] for name, part in language["sources"].items()} == {"旧約": 3, "新約": 7}
    assert list(found["tasks"]) == ["particle", "continuation"]
    for task in found["tasks"].values():
        assert task["items"] > 20
        assert task["license"] == "CC0"
        for baseline in ("random", "majority", "5-gram"):
            assert "value" in task["baselines"][baseline][task["primary"]]
            assert "value" in task["baselines"][baseline]["accuracy"]
        for metric in task["metrics"].values():
            assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1


def test_samples_explain_the_figures(results):
    found = read(results)["tasks"]
    samples = [json.loads(line) for line in (results / "samples.jsonl").read_text("utf-8").splitlines()]
    for name, task in found.items():
        mine = [sample for sample in samples if sample["task"] == name]
        assert len(mine) == task["items"]
        right = [sample["prediction"] == sample["gold"] for sample in mine]
        assert sum(right) / len(right) == pytest.approx(task["metrics"][task["primary"]]["value"])
        assert all(len(sample["scores"]["sum"]) == len(sample["choices"]) for sample in mine)


def test_the_same_evaluation_is_up_to_date_and_another_is_refused(results, tiny_run):
    before = (results / "results.json").stat().st_mtime_ns
    evaluate(tiny_run / "model", results, config(), quiet=True)
    assert (results / "results.json").stat().st_mtime_ns == before
    with pytest.raises(ArtifactError, match="seed: 0, now 1"):
        evaluate(tiny_run / "model", results, config(seed=1), quiet=True)


def test_data_hash_does_not_depend_on_where_the_folders_lie(tiny_run, tmp_path):
    settings = config(tasks=["particle"], limit=10, max_characters=500)
    first = evaluate(tiny_run / "model", tmp_path / "one", settings, quiet=True)
    for name in ("model", "shards"):
        shutil.copytree(tiny_run / name, tmp_path / "moved" / name)
    moved = tmp_path / "moved"
    second = evaluate(moved / "model", moved / "eval", settings, shards=moved / "shards", quiet=True)
    assert first.data_sha256 == second.data_sha256


def test_batches_do_not_change_the_figures(results, tiny_run, tmp_path):
    evaluate(tiny_run / "model", tmp_path / "out", config(batch_tokens=64, tasks=[]), quiet=True)
    one, other = read(results)["language"], read(tmp_path / "out")["language"]
    assert one["bits_per_character"]["value"] == pytest.approx(other["bits_per_character"]["value"], rel=1e-6)


def test_tasks_with_data(tiny_run, jglue, tmp_path):
    out = tmp_path / "out"
    manifest = evaluate(
        tiny_run / "model", out, config(tasks=["jcommonsenseqa", "jnli"]), data=jglue, device="cpu", quiet=True
    )
    assert [entry.role for entry in manifest.inputs] == ["model", "shards", "data", "data", "data"]
    found = read(out)["tasks"]
    assert found["jcommonsenseqa"]["items"] == 4
    assert found["jcommonsenseqa"]["baselines"]["random"]["accuracy"]["value"] == pytest.approx(0.2)
    assert set(found["jnli"]["metrics"]) >= {"accuracy", "accuracy_pmi", "balanced_accuracy", "macro_f1"}


def test_a_killed_run_goes_on_with_the_items_that_it_had_not_scored(tiny_run, jglue, tmp_path, monkeypatch):
    from eval import models

    settings = config(tasks=["particle", "jcommonsenseqa", "jnli"], language=False)
    whole = evaluate(tiny_run / "model", tmp_path / "whole", settings, data=jglue, quiet=True)
    monkeypatch.setattr(models.JgptModel, "at_once", 4)
    score, asked = models.JgptModel.score_choices, []

    def count(model, part, description=""):
        asked.append(part)
        if len(asked) == limit:
            raise KeyboardInterrupt
        return score(model, part)

    monkeypatch.setattr(models.JgptModel, "score_choices", count)
    limit = 3
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny_run / "model", tmp_path / "out", settings, data=jglue, quiet=True)
    first, limit = asked.copy(), 0
    asked.clear()
    again = evaluate(tiny_run / "model", tmp_path / "out", settings, data=jglue, quiet=True)
    assert first[:2] and first[0] not in asked[:1] and first[2] == asked[0]
    for name in ("results.json", "samples.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert again.data_sha256 == whole.data_sha256
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "results.json",
        "samples.jsonl",
    ]


def test_answers_are_generated_without_looking_at_the_gold_ones(tiny_run, jglue, tmp_path):
    settings = config(tasks=["jsquad"], language=False)
    evaluate(tiny_run / "model", tmp_path / "out", settings, data=jglue, quiet=True)
    task = read(tmp_path / "out")["tasks"]["jsquad"]
    assert (task["method"], task["primary"], task["items"]) == ("generate", "f1", 3)
    assert set(task["metrics"]) == {"exact_match", "f1", "exact_match_normalised", "f1_normalised"}
    lines = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text("utf-8").splitlines()]
    file = jglue / "jglue" / "jsquad-v1.3" / "valid-v1.3.json"
    file.write_text(file.read_text("utf-8").replace('"text": "ベガ"', '"text": "ベガは七夕の織姫星である"'), "utf-8")
    evaluate(tiny_run / "model", tmp_path / "other", settings, data=jglue, quiet=True)
    others = [json.loads(line) for line in (tmp_path / "other" / "samples.jsonl").read_text("utf-8").splitlines()]
    assert [line["prediction"] for line in lines] == [line["prediction"] for line in others]
    assert any("left no room" in note for note in task["notes"])


def test_a_task_is_learned_from_its_train_split_beside_random_weights(tiny_run, jglue, tmp_path, write_lines):
    rows = [
        {"sentence_pair_id": str(n), "sentence1": f"第{n}の猫が寝る", "sentence2": "猫が" + word, "label": label}
        for n in range(40)
        for word, label in [(("寝る", "entailment"), ("走る", "contradiction"), ("𠮷い", "neutral"))[n % 3]]
    ]
    write_lines(jglue / "jglue" / "jnli-v1.3" / "train-v1.3.json", rows)
    small = FinetuneConfig(learning_rates=(1e-3, 3e-3), epochs=(2,), dropouts=(0.0,), rungs=(0.5,), seeds=2, tokens=32)
    settings = config(tasks=["jnli", "jcommonsenseqa"], method="finetune", language=False, finetune=small)
    with pytest.raises(InputError, match="too few to choose a setting"):
        evaluate(tiny_run / "model", tmp_path / "out", settings, data=jglue, quiet=True)
    settings.tasks = ["jnli"]
    evaluate(tiny_run / "model", tmp_path / "out", settings, data=jglue, quiet=True)
    task = read(tmp_path / "out")["tasks"]["jnli"]
    assert task["method"] == "finetune"
    assert set(task["metrics"]) == {"accuracy", "balanced_accuracy", "macro_f1"}
    assert set(task["baselines"]) >= {"random", "majority", "5-gram", "random weights"}
    difference = task["metrics"]["accuracy"]["value"] - task["baselines"]["random weights"]["accuracy"]["value"]
    assert task["gain"]["accuracy"]["value"] == pytest.approx(difference)
    lines = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text("utf-8").splitlines()]
    assert [len(line["predictions"]) for line in lines] == [2] * 6
    right = [[answer == line["gold"] for answer in line["predictions"]] for line in lines]
    assert sum(map(sum, right)) / 12 == pytest.approx(task["metrics"]["accuracy"]["value"])


def test_figures_of_another_precision_or_of_other_weights_are_not_taken_for_these(tiny_run, tmp_path):
    settings = config(tasks=["particle"], language=False)
    evaluate(tiny_run / "model", tmp_path / "out", settings, dtype="float32", quiet=True)
    with pytest.raises(ArtifactError, match="dtype"):
        evaluate(tiny_run / "model", tmp_path / "out", settings, dtype="bfloat16", quiet=True)
    shutil.copytree(tiny_run / "model", tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="was changed since it was written"):
        evaluate(tmp_path / "model", tmp_path / "other", settings, shards=tiny_run / "shards", quiet=True)


def test_items_that_the_model_has_read_are_counted_and_left_out_beside(tiny_run, jglue, tmp_path, write_lines):
    from jgpt.data.shards import ShardSet
    from tokenizer import JapaneseTokenizer

    shards = ShardSet(tiny_run / "shards").split("train")
    read_text = JapaneseTokenizer(tiny_run / "shards").decode(np.asarray(shards[1:80], np.int64).tolist())
    file = jglue / "jglue" / "jnli-v1.3" / "valid-v1.3.json"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    write_lines(file, [rows[0] | {"sentence1": read_text[:40].replace("\n", "")}, *rows[1:]])
    evaluate(tiny_run / "model", tmp_path / "out", config(tasks=["jnli"], language=False), data=jglue, quiet=True)
    found = read(tmp_path / "out")["tasks"]["jnli"]["contamination"]
    assert found["found"]["training text"]["items"] == found["contaminated"]["items"] == 1
    assert found["clean"]["items"] == 5
    settings = config(tasks=["jnli"], language=False, contamination=False)
    evaluate(tiny_run / "model", tmp_path / "without", settings, data=jglue, quiet=True)
    assert "contamination" not in read(tmp_path / "without")["tasks"]["jnli"]


def test_long_prompts_are_cut_and_counted(tiny_run, jglue, tmp_path):
    evaluate(tiny_run / "model", tmp_path / "out", config(tasks=["jcommonsenseqa"], shots=3), data=jglue, quiet=True)
    notes = read(tmp_path / "out")["tasks"]["jcommonsenseqa"]["notes"]
    assert any("4 items were longer than the context of 64 tokens" in note for note in notes)


def test_missing_or_wrong_data_leaves_nothing_behind(tiny_run, jglue, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="--data"):
        evaluate(tiny_run / "model", out, config(tasks=["jnli"]), quiet=True)
    (jglue / "jglue" / "jnli-v1.3" / "valid-v1.3.json").write_text("{}\n")
    with pytest.raises(InputError, match="has no field"):
        evaluate(tiny_run / "model", out, config(tasks=["jnli"]), data=jglue, quiet=True)
    assert list(tmp_path.glob("out*")) == []


def test_a_checkpoint_finds_the_shards_of_its_run(tiny_run, tmp_path):
    checkpoint = tmp_path / "model" / "checkpoints" / "step-00000001"
    shutil.copytree(tiny_run / "model", checkpoint)
    (checkpoint / "manifest.json").rename(tmp_path / "model" / "manifest.json")
    evaluate(checkpoint, tmp_path / "out", config(tasks=[], max_characters=200), quiet=True)
    assert read(tmp_path / "out")["language"]["characters"] >= 200


def test_a_moved_run_finds_the_shards_beside_the_model(tiny_run, tmp_path):
    for name in ("model", "shards"):
        shutil.copytree(tiny_run / name, tmp_path / name)
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text("utf-8"))
    manifest["inputs"][0]["path"] = "runs/elsewhere/shards"
    (tmp_path / "model" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    evaluate(tmp_path / "model", tmp_path / "out", config(tasks=[], max_characters=100), quiet=True)
    shutil.rmtree(tmp_path / "shards")
    with pytest.raises(UsageError, match="--shards DIR"):
        evaluate(tmp_path / "model", tmp_path / "other", config(tasks=[]), quiet=True)


def test_all_shards_that_a_model_was_trained_on_are_measured(results, tiny_run, tmp_path):
    from jgpt import write_shards
    from jgpt.config import ShardConfig

    for name in ("model", "shards"):
        shutil.copytree(tiny_run / name, tmp_path / name)
    more, train_only = tmp_path / "more", tmp_path / "train_only"
    for out, limit in ((more, 23), (train_only, 20)):
        write_shards(tiny_run / "corpus", tiny_run / "tokenizer", out, ShardConfig(limit), workers=1, quiet=True)
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text("utf-8"))
    manifest["inputs"].append({"role": "shards", "path": str(more), "sha256": read_manifest(more).data_sha256})
    (tmp_path / "model" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    made = evaluate(tmp_path / "model", tmp_path / "both", config(tasks=[]), quiet=True)
    assert [entry.role for entry in made.inputs] == ["model", "shards", "shards"]
    counts = [read_manifest(folder).counts for folder in (tmp_path / "shards", more)]
    assert made.counts["documents"] == sum(each["valid_documents"] for each in counts) == 13
    assert made.counts["characters"] == sum(each["valid_characters"] for each in counts)
    # with more to train on and the same to measure, only the n-gram models differ
    named = [tmp_path / "shards", train_only]
    evaluate(tmp_path / "model", tmp_path / "named", config(tasks=[]), shards=named, quiet=True)
    one, other = read(results)["language"], read(tmp_path / "named")["language"]
    assert one["bits_per_character"] == other["bits_per_character"]
    assert one["baselines"]["5-gram"] != other["baselines"]["5-gram"]


def test_folders_that_do_not_fit_are_refused(tiny_run, tmp_path):
    with pytest.raises(ArtifactError, match="neither a model folder nor a checkpoint"):
        evaluate(tmp_path, tmp_path / "out", config(), quiet=True)
    with pytest.raises(ArtifactError, match="corpus"):
        evaluate(tiny_run / "model", tmp_path / "out", config(), shards=tiny_run / "corpus", quiet=True)
    other = tmp_path / "model"
    shutil.copytree(tiny_run / "model", other)
    (other / "manifest.json").unlink()
    (other / "tokenizer.model").write_bytes(b"another")
    with pytest.raises(ArtifactError, match="another tokenizer"):
        evaluate(other, tmp_path / "out", config(), shards=tiny_run / "shards", quiet=True)


def test_comparison_pairs_the_items(results, tiny_run, tmp_path):
    same = compare(results, results)["tasks"]["continuation"]
    assert same["difference"]["value"] == 0 and same["p_value"] == 1.0 and same["only_a"] == []
    import torch
    from safetensors.torch import load_file, save_file

    other = tmp_path / "model"
    shutil.copytree(tiny_run / "model", other)
    (other / "manifest.json").unlink()
    weights = load_file(other / "model.safetensors")
    generator = torch.Generator().manual_seed(9)
    weights["embedding.weight"] = torch.randn(weights["embedding.weight"].shape, generator=generator)
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    evaluate(other, tmp_path / "b", config(tasks=["continuation"]), shards=tiny_run / "shards", quiet=True)
    found = compare(results, tmp_path / "b")["tasks"]
    assert list(found) == ["continuation"]
    task = found["continuation"]
    assert task["only_a"] or task["only_b"]
    changed = len(task["only_b"]) - len(task["only_a"])
    assert task["difference"]["value"] == pytest.approx(changed / task["items"])
    assert task["b"] - task["a"] == pytest.approx(task["difference"]["value"])
    assert 0 < task["p_value"] <= 1


def test_results_of_other_items_are_not_compared(results, tiny_run, tmp_path):
    evaluate(tiny_run / "model", tmp_path / "b", config(tasks=["particle"], seed=1), quiet=True)
    with pytest.raises(ArtifactError, match="particle"):
        compare(results, tmp_path / "b")
    evaluate(tiny_run / "model", tmp_path / "c", config(tasks=[]), quiet=True)
    with pytest.raises(ArtifactError, match="no task in common"):
        compare(results, tmp_path / "c")
    with pytest.raises(ArtifactError, match="results folder"):
        compare(results, tiny_run / "model")


def test_a_task_without_items_is_left_out_and_named(tiny_run, tmp_path, caplog):
    evaluate(tiny_run / "model", tmp_path / "out", config(tasks=["particle"], limit=1), data=tmp_path, quiet=True)
    found = read(tmp_path / "out")
    assert found["tasks"] == {}
    assert "particle" in found["skipped"]
    assert "yield no items" in caplog.text
    assert "has no effect" in caplog.text


def test_choices_of_the_real_tokenizer_join_to_the_text(tiny_run):
    from eval.scoring import encode_choices
    from tokenizer import JapaneseTokenizer

    tokenizer = JapaneseTokenizer(tiny_run / "shards")
    context, choices = "神は光を見て善", ["しとした", "し", "𠮷野家で👨‍👩‍👧が", "\n人は海の魚を治めた"]
    requests = encode_choices(tokenizer, context, choices)
    assert len({tuple(before) for before, _ in requests}) == 1
    for choice, (before, after) in zip(choices, requests, strict=True):
        assert after
        assert tokenizer.decode([*before[1:], *after]) == context + choice
        assert [*before[1:], *after] == tokenizer.encode(context + choice)


def test_configuration_loads_nothing_heavy():
    code = (
        "import sys, eval, eval.config; print([m for m in ('numpy', 'torch', 'yaml', 'fugashi') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_results_of_another_method_tell_both_metrics(tiny_run, jglue, tmp_path, monkeypatch):
    for out, primary in (("a", "accuracy_pmi"), ("b", "accuracy")):
        task = replace(load_task("jcommonsenseqa"), primary=primary)
        monkeypatch.setattr("eval.preparing.load_task", lambda _, task=task: task)
        settings = config(tasks=["jcommonsenseqa"], language=False)
        evaluate(tiny_run / "model", tmp_path / out, settings, data=jglue, quiet=True)
    with pytest.raises(ArtifactError, match=r"\(accuracy\) than in .* \(accuracy_pmi\).*--method"):
        compare(tmp_path / "a", tmp_path / "b")


def test_shards_named_twice_are_refused(tiny_run, tmp_path):
    shards = tiny_run / "shards"
    with pytest.raises(UsageError, match="is named twice"):
        evaluate(tiny_run / "model", tmp_path / "e", config(), shards=[shards, shards], quiet=True)


def test_a_setting_of_endpoints_is_refused_for_a_folder(tiny_run, tmp_path):
    with pytest.raises(UsageError, match="--endpoint_parallel 9: has no effect"):
        evaluate(tiny_run / "model", tmp_path / "e", config(), endpoint_parallel=9, quiet=True)
    assert not list(tmp_path.iterdir())
