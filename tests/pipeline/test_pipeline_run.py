"""The whole pipeline: once, twice, and killed in each of its stages."""

import json
import os
import re
import shutil
import signal
import time

import pytest

from stage.manifest import read_manifest

STAGES = ("corpus", "tokenizer", "shards", "model", "eval")


def hashes(out):
    return {name: read_manifest(out / name).data_sha256 for name in STAGES}


def snapshot(out):
    return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in out.rglob("*")}


def test_a_run_ends_with_figure_samples_report_and_what_to_try_next(finished):
    out, printed = finished
    assert set(STAGES) <= {entry.name for entry in out.iterdir()}
    results = json.loads((out / "eval" / "results.json").read_text("utf-8"))
    bits = results["language"]["bits_per_character"]
    assert bits["low"] <= bits["value"] <= bits["high"]
    assert re.search(rf"^validation: {bits['value']:.3f}\b.* bits per character", printed, re.MULTILINE)
    samples = json.loads((out / "samples.json").read_text("utf-8"))
    drawn = [(entry["prompt"], entry["temperature"], entry["seed"]) for entry in samples]
    assert drawn == [("元始に神", 0.5, 1), ("元始に神", 1.0, 1), ("", 0.5, 2), ("", 1.0, 2)]
    for number, entry in enumerate(samples[::2], 1):
        assert f"sample {number}: {entry['prompt']}▸{entry['text']}" in printed
    assert str(out / "report.html") in printed
    following = printed.split("next:\n")[1].splitlines()
    assert [word for line in following for word in line.split()[:3] if word in ("generate", "score", "corpus")] == [
        "generate",
        "score",
        "corpus",
    ]
    page = (out / "report.html").read_text("utf-8")
    assert page.startswith("<!") and page.rstrip().endswith("</html>")


def test_what_was_read_is_recorded_along_the_chain(finished):
    out, _ = finished
    for name, before in (("tokenizer", ["corpus"]), ("shards", ["corpus", "tokenizer"]), ("model", ["shards"])):
        recorded = {entry.role: entry.sha256 for entry in read_manifest(out / name).inputs}
        assert {role: recorded[role] for role in before} == {role: hashes(out)[role] for role in before}
    assert read_manifest(out / "model").licenses == read_manifest(out / "corpus").licenses != []


def test_a_second_time_nothing_is_done(finished, recipe, start_jgpt):
    out, printed = finished
    before = snapshot(out)
    process = start_jgpt("run", recipe, "--out", out, "--workers", "2", "--threads", "1")
    again, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert again == printed
    assert snapshot(out) == before
    for name in (*STAGES, "samples.json", "report.html"):
        assert f"{out / name}: up to date" in errors


def test_another_setting_is_refused_by_name_and_loses_nothing(finished, recipe, jgpt):
    out, _ = finished
    before = snapshot(out)
    status, _, errors = jgpt("run", recipe, "--out", out, "--tokenizer.vocab_size", "800", "--quiet")
    assert status == 1
    assert "vocab_size: 700, now 800" in errors and errors.count("\n") == 1
    assert snapshot(out) == before


def seen(out, name):
    """Whether a stage is under way."""
    if name == "model":
        return (out / "model" / "checkpoints" / "step-00000010").is_dir()
    return (out / f"{name}.partial").is_dir()


def test_a_run_killed_in_each_stage_ends_as_if_undisturbed(finished, recipe, start_jgpt, tmp_path):
    """One run, killed with SIGKILL in the corpus stage, started again and killed in the next stage, and so on."""
    out = tmp_path / "run"
    arguments = ("run", recipe, "--out", out, "--workers", "2", "--threads", "1")
    for name in STAGES:
        process = start_jgpt(*arguments, stdout=None, stderr=None)
        while not seen(out, name):
            assert process.poll() is None, f"ended before {name} began"
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (out / name / "manifest.json").exists(), f"{name} was done before the signal came"
    process = start_jgpt(*arguments)
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    undisturbed, printed_undisturbed = finished
    assert hashes(out) == hashes(undisturbed)
    assert printed == printed_undisturbed.replace(str(undisturbed), str(out))
    assert not list(out.rglob("*.partial")) and not list(out.rglob("*.old"))


def test_ctrl_c_says_how_to_go_on_in_one_line(recipe, start_jgpt, tmp_path):
    out = tmp_path / "run"
    process = start_jgpt("run", recipe, "--out", out, "--workers", "1", "--quiet")
    while not (out / "corpus.partial").is_dir():
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the group
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert printed == "" and "Traceback" not in errors
    assert "interrupted" in errors and errors.count("\n") == 1


def test_overwriting_makes_anew_only_what_differs(finished, recipe, jgpt, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    before = snapshot(out)
    arguments = ("run", recipe, "--out", out, "--threads", "1", "--quiet", "--eval.limit", "10")
    status, _, errors = jgpt(*arguments)
    assert status == 1 and "limit: 20, now 10" in errors
    assert snapshot(out) == before
    assert jgpt(*arguments, "--overwrite")[0] == 0
    after = snapshot(out)
    changed = {file.relative_to(out).parts[0] for file in after if after[file] != before.get(file)}
    assert changed == {"eval", "report.html"}
    assert read_manifest(out / "eval").parameters["limit"] == 10


def test_flags_of_a_recipe_may_be_switches(tmp_path, jgpt):
    yaml = (
        "name: x\ncorpus:\n  sources: [{path: nothing.txt}]\n  deduplicate: false\npretrain:\n  model: {bias: true}\n"
    )
    (tmp_path / "x.yaml").write_text(yaml, "utf-8")
    assert "--pretrain.model.bias belongs to" in jgpt("run", tmp_path / "x.yaml")[2]
    status, _, errors = jgpt(
        "run", tmp_path / "x.yaml", "--no_pretrain.model.bias", "--out", tmp_path / "run", "--quiet"
    )
    assert status == 1 and "nothing.txt: no such file" in errors
    assert not (tmp_path / "run" / "corpus").exists()


def test_samples_and_report_are_made_anew_when_they_are_gone_or_broken(finished, recipe, jgpt):
    out, _ = finished
    samples = (out / "samples.json").read_bytes()
    (out / "samples.json").write_bytes(samples[:40])
    (out / "report.html").unlink()
    status, _, _ = jgpt("run", recipe, "--out", out, "--threads", "1", "--quiet")
    assert status == 0
    assert (out / "samples.json").read_bytes() == samples
    assert (out / "report.html").is_file()


@pytest.mark.parametrize("place", ["first", "last"])
def test_the_recipe_may_stand_before_or_after_the_flags(recipe, jgpt, tmp_path, place):
    flags = ["--data", str(tmp_path), "--quiet", "--corpus.limit", "nonsense"]
    arguments = [recipe, *flags] if place == "first" else [*flags, recipe]
    status, _, errors = jgpt("run", *arguments)
    assert status == 2 and "--corpus.limit" in errors
