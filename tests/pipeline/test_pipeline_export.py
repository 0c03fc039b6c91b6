"""``jgpt export`` as a user runs it."""

import json
import re

import pytest
import torch


def test_a_model_of_a_run_becomes_a_folder_that_transformers_continues_texts_with(finished, jgpt, tmp_path):
    import transformers

    run, out = finished[0], tmp_path / "out"
    status, printed, told = jgpt("export", "--model", run / "model", "--results", run / "eval", "--out", out)
    assert (status, printed) == (0, "")
    assert float(re.search(r"largest difference of a logit is (\S+)", told)[1]) <= 1e-4
    value = json.loads((run / "eval" / "results.json").read_text("utf-8"))["language"]["bits_per_character"]["value"]
    card = (out / "README.md").read_text("utf-8")
    assert f"{value:.3f} bits per character (95 % interval" in card and "public domain" in card
    assert "| kougo |" in card and "文語訳聖書" in card
    status, printed, _ = jgpt("info", out)
    assert status == 0 and "export, whole" in printed and "文語訳聖書" in printed
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    ids = tokenizer("元始に神", return_tensors="pt").input_ids
    _, scores, _ = jgpt("score", "--model", run / "model", "--json", "元始に神")
    lines = [json.loads(line) for line in scores.splitlines()]
    with torch.inference_mode():
        logits = transformers.AutoModelForCausalLM.from_pretrained(out)(ids).logits[0]
    surprisals = -torch.log_softmax(logits, -1)[:-1].gather(1, ids[0, 1:, None])[:, 0] / torch.log(torch.tensor(2.0))
    assert ids[0, 1:].tolist() == [line["id"] for line in lines[:-1]]  # </s> is scored besides
    assert surprisals.tolist() == pytest.approx([line["surprisal"] for line in lines[:-1]], abs=1e-3)


def test_again_nothing_is_done_and_another_model_is_refused(finished, jgpt, tmp_path):
    run, out = finished[0], tmp_path / "out"
    best = run / "model" / "checkpoints" / "best"
    assert jgpt("export", "--model", best, "--out", out, "--quiet") == (0, "", "")
    assert "steps" in (out / "README.md").read_text("utf-8")
    assert "up to date" in jgpt("export", "--model", best, "--out", out)[2]
    status, printed, errors = jgpt("export", "--model", run / "model", "--out", out)
    assert (status, printed, errors.count("\n")) == (1, "", 1) and "--overwrite" in errors
    assert jgpt("export", "--model", run / "model", "--out", out, "--overwrite", "--quiet")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--out", "out"], 2, "missing: --model"),
        (["--model", "{run}/model"], 2, "missing: --out"),
        (["--model", "{run}/model", "--out", "out", "--dtype", "bfloat16"], 2, "--dtype"),
        (["--model", "nothing", "--out", "out"], 1, "nothing: no such folder"),
        (["--model", "{run}/shards", "--out", "out"], 1, "holds no model"),
        (["--model", "{run}/model", "--out", "{run}"], 2, "holds the model"),
        (["--model", "{run}/model", "--out", "{run}/model/hub"], 2, "lies in the folder of the model"),
        (["--model", "{run}/model", "--out", "{run}/shards"], 1, "choose another --out"),
        (["--model", "{run}/model", "--out", "out", "--results", "{run}/shards"], 1, "a results folder was expected"),
        (["--model", "{run}/model/checkpoints/best", "--out", "out", "--results", "{run}/eval"], 2, "of another model"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_mistakes_get_one_line(arguments, status, message, finished, jgpt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = jgpt("export", *(argument.format(run=finished[0]) for argument in arguments))
    assert (found[0], found[1], found[2].count("\n")) == (status, "", 1)
    assert found[2].startswith("jgpt export: ") and message in found[2]
    assert not list(tmp_path.iterdir())
