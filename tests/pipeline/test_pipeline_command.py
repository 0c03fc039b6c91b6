"""The command: helps, streams, refuses mistakes in one line, and tells what a folder is."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scripts.arguments import Parser, build
from scripts.main import COMMANDS
from scripts.recipe import FOLDER, RecipeConfig, with_data
from stage.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("stage", "corpora", "tokenizer", "jgpt", "eval", "scripts")
HEAVY = {"numpy", "torch", "pandas", "pyarrow", "datasets", "fugashi", "sentencepiece", "transformers"}


def python(code):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)


def test_help_loads_no_library():
    loaded = python("import sys; from scripts.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)")
    assert loaded.returncode == 0
    assert all(name in loaded.stdout for name in COMMANDS)
    roots = {name.split(".")[0] for name in loaded.stderr.split()}
    assert not roots & (HEAVY | {"jsonargparse", "yaml", "tqdm"})


def test_help_of_a_command_loads_no_heavy_library():
    code = (
        "import sys\nfrom scripts.main import COMMANDS, run\n"
        "for name in COMMANDS:\n"
        "    try:\n        run([*name.split(), '--help'])\n"
        "    except SystemExit as exit:\n        assert exit.code == 0, name\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    loaded = python(code)
    assert loaded.returncode == 0, loaded.stderr
    assert not {name.split(".")[0] for name in loaded.stderr.split()} & {"torch", "pandas", "datasets", "transformers"}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name, jgpt):
    status, printed, errors = jgpt(*name.split(), "--help")
    assert (status, errors) == (0, "")
    assert "examples:" in printed and printed.startswith(f"usage: jgpt {name} ")


def test_the_first_words_of_commands_list_them(jgpt):
    for arguments in (["corpus"], ["tokenizer", "--help"]):
        status, printed, errors = jgpt(*arguments)
        assert (status, errors) == (0, "")
        assert f"jgpt {arguments[0]} " in printed
    assert jgpt("--version")[:2] == (0, "jgpt 0.1.0\n")


def test_an_interrupt_while_libraries_are_imported_ends_without_a_word():
    code = (
        "import os, signal, scripts.main as command\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "command.import_module = lambda name: os.kill(os.getpid(), signal.SIGINT)\n"
        "command.main(['corpus', 'stats', 'x'])"
    )
    found = python(code)
    assert (found.returncode, found.stdout, found.stderr) == (-signal.SIGINT, "", "")


def test_what_a_build_left_out_is_printed_as_json_lines(jgpt, tmp_path):
    texts = [
        "短い",
        "English only, and long enough.",
        *(f"{number}番目の文であり、猫は窓辺で眠っていた。" for number in range(60)),
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert jgpt("corpus", "build", tmp_path / "a.jsonl", "--out", tmp_path / "out", "--quiet")[0] == 0
    status, printed, _ = jgpt("corpus", "rejected", tmp_path / "out", "--reason", "chars>=20")
    assert (status, json.loads(printed)) == (
        0,
        {"id": "a/a.jsonl/0", "reason": "chars>=20", "measure": 2.0, "text": "短い"},
    )
    assert jgpt("corpus", "rejected", tmp_path / "out", "--limit", "0")[1].count("\n") == 2
    message = one_line(jgpt("corpus", "rejected", tmp_path / "out", "--reason", "html"), 2)
    assert "nothing was left out for it; there are chars>=20 (1), japanese_ratio>=0.2 (1)" in message


def test_each_room_is_that_of_the_checkout():
    found = python(f"import importlib\nfor room in {ROOMS}: print(importlib.import_module(room).__file__)")
    assert found.stdout.split() == [str(ROOT / room / "__init__.py") for room in ROOMS]


def test_no_file_below_scripts_hides_a_room():
    names = {path.stem for path in (ROOT / "scripts").rglob("*.py")}
    rooms = set(ROOMS) | {"data", "model"}
    # files that are only ever imported as scripts.commands.x do not stand first on a path
    hidden = names & rooms
    assert not hidden


@pytest.mark.parametrize("recipe", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_built(recipe):
    parser = Parser("jgpt run")
    parser.config_file()
    parser.configuration(RecipeConfig)
    built = build(RecipeConfig, parser.parse_args(["--config", str(recipe)]))
    assert built.name == recipe.stem
    assert built.corpus.sources and all(source.path for source in built.corpus.sources)
    assert "{data}" not in with_data(built, Path("somewhere")).corpus.sources[0].path
    if any("{data}" in source.path for source in built.corpus.sources):
        with pytest.raises(UsageError, match="--data DIR"):
            with_data(built, None)


def one_line(found, status):
    """Check that a command failed as it should."""
    assert found[0] == status, found
    assert found[1] == "", found
    assert found[2].startswith("jgpt") and found[2].count("\n") == 1 and len(found[2]) > 15, found
    return found[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrian"], "did you mean pretrain?"),
        (["corpus", "bild"], "corpus build"),
        (["generate"], "missing: --model"),
        (["generate", "--model", "x", "--temprature", "1"], "did you mean --temperature"),
        (["generate", "--model", "x", "--max", "1"], "--max"),
        (["generate", "--model", "x", "--top_k", "many"], "--top_k: expected int, got many"),
        (["generate", "--model", "x", "--top_p", "2"], "--top_p 2.0"),
        (["pretrain", "--out", "x"], "--shards"),
        (["pretrain", "--shards", "x", "--out", "y", "--train.stepz", "3"], "did you mean --train.steps"),
        (["pretrain", "--shards", "x", "--out", "y", "--model.depth", "0"], "--model.depth 0"),
        (["pretrain", "--shards", "x", "--out", "y", "--train.steps", "2", "--train.minutes", "1"], "not both"),
        (["pretrain", "--shards", "x", "--out", "y", "--dtype", "float8"], "--dtype: expected one of"),
        (["eval", "--model", "x", "--out", "y", "--tasks", "particel"], "did you mean particle"),
        (["eval", "show", "nothing"], "nothing"),
        (["run", "nothing.yaml"], "shipped recipes are"),
        (["run"], "missing: recipe"),
        (["tokenizer", "train", "--corpus", "x", "--out", "y", "--vocab_size", "12"], "--vocab_size 12"),
        (["corpus", "build", "--out", "y"], "no source"),
        (["quickstart", "--colour", "red"], "--colour"),
        (["quickstart", "--pretrain.model.depth", "0"], "--pretrain.model.depth 0"),
        (["quickstart", "--samples.generate.top_p", "2"], "--samples.generate.top_p 2.0"),
        (["quickstart", "--corpus.limit", "-1"], "--corpus.limit -1"),
        (["quickstart", "--eval.tasks", "[jnli]"], "task jnli needs --data DIR"),
        (["quickstart", "--pretrain.model.normalization", "nfkc"], "there are ja-v1, code, none"),
        (["pretrain", "--shards", "x", "--out", "y", "--model.normalization", "nfkc"], "there are ja-v1, code, none"),
        (["pretrain", "--shards", "x", "--out", "y", "--threads", "-1"], "--threads -1"),
        (["pretrain", "--shards", "x", "--out", "y", "--train.minutes", "inf"], "expected a finite number, got inf"),
        (["generate", "--model", "x", "--temperature", "nan"], "expected a finite number, got nan"),
        (["score", "猫", "--model", "x", "--threads", "100000"], "--threads 100000"),
        (["quickstart", "--workers", "-1"], "--workers -1"),
        (["eval", "compare", "x", "y", "--seed", "-1"], "--seed -1"),
        (["eval", "show", "particle", "--count", "-1"], "--count -1"),
        (["eval", "--model", "x", "--out", "y", "--shots", "3"], "shots 3: has no effect"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_wrong_usage_gets_one_line_and_status_2(arguments, message, jgpt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in one_line(jgpt(*arguments), 2)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\n  colour: red\n", "colour"),
        ("name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\nflavour: sweet\n", "flavour"),
        ("name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\n      markup: latex\n", "markup: expected one of"),
        ("name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\ntokenizer:\n  vocab_size: big\n", "vocab_size"),
        ("name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\npretrain:\n  train:\n    steps: -1\n", "steps"),
        (
            "name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\npretrian: {}\n",
            "wrong.yaml: pretrian: did you mean pretrain?",
        ),
        (
            "name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\npretrain:\n  model: {dpth: 1}\n",
            "did you mean pretrain.model.depth?",
        ),
        (
            "name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\npretrain:\n  model: [1]\n",
            "pretrain.model: is a list; a mapping",
        ),
        ("name: x\ncorpus:\n  sources:\n    - path: embedded:kougo\npretrain:\n  seed:\n", "pretrain.seed: is empty"),
        ("name: x\ncorpus:\n", "corpus: is empty; a mapping"),
        ("name: x\ncorpus:\n  sources:\n", "corpus.sources: each entry needs path"),
        ("name: x\ncorpus:\n  sources: [file.txt]\n", "corpus.sources: each entry needs path"),
        ("name: x\n  - y: [\n", 'in "wrong.yaml", line 2'),
        ("just text\n", "wrong.yaml: is a str; a mapping"),
        ("", "wrong.yaml: is empty; a mapping"),
        ("corpus:\n  sources:\n    - path: embedded:kougo\n", "name"),
        ("name: a/b\ncorpus:\n  sources:\n    - path: embedded:kougo\n", "name 'a/b'"),
    ],
)
def test_a_wrong_recipe_gets_one_line_and_status_2(content, message, jgpt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text(content, "utf-8")
    assert message in one_line(jgpt("run", "wrong.yaml", "--quiet"), 2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["wrong.yaml"]


def test_a_binary_recipe_gets_one_line(jgpt, tmp_path):
    (tmp_path / "wrong.yaml").write_bytes(bytes(range(256)))
    one_line(jgpt("run", tmp_path / "wrong.yaml", "--out", tmp_path / "run"), 2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, "no such file"),
        ("a.txt", b"", ""),
        ("a.txt", b"\x00\x01\x02\x03" * 300, ""),
        ("a.txt", "吾輩は猫である。".encode()[:-1] + b"\xff\xfe" * 9, "byte"),
        ("a.jsonl", '{"text": "吾輩は猫である。"}\n{"text": \n'.encode(), "line 2"),
        ("a.jsonl", '{"body": "吾輩は猫である。"}\n'.encode(), "text"),
        ("a.parquet", b"PAR1 no", "a.parquet"),
        ("a.txt.gz", b"\x1f\x8b\x08\x00broken", "a.txt.gz"),
        ("a.pdf", b"%PDF", "a.pdf"),
    ],
)
def test_an_unusable_file_gets_one_line_and_nothing_is_written(name, content, message, jgpt, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.iterdir())
    found = jgpt("corpus", "build", tmp_path / name, "--out", tmp_path / "corpus", "--workers", "1", "--quiet")
    assert message in one_line(found, 1)
    assert str(tmp_path / name) in found[2]
    assert not (tmp_path / "corpus").exists()
    assert [entry for entry in sorted(tmp_path.iterdir()) if not entry.name.endswith(".partial")] == before


def test_folders_that_are_not_the_artifact_are_refused(finished, jgpt, tmp_path):
    out, _ = finished
    (tmp_path / "empty").mkdir()
    new = tmp_path / "new"
    for wrong in (tmp_path / "nothing", tmp_path / "empty", out / "eval"):
        for arguments in (
            ["tokenizer", "train", "--corpus", wrong, "--out", new],
            ["shard", "--corpus", wrong, "--tokenizer", out / "tokenizer", "--out", new],
            ["shard", "--corpus", out / "corpus", "--tokenizer", wrong, "--out", new],
            ["pretrain", "--shards", wrong, "--out", new],
            ["eval", "--model", wrong, "--out", new],
            ["generate", "--model", wrong],
            ["score", "猫", "--model", wrong],
            ["corpus", "stats", wrong],
            ["tokenizer", "show", "猫", "--tokenizer", wrong],
            ["eval", "compare", wrong, wrong] if wrong != out / "eval" else ["corpus", "stats", wrong],
            ["report", wrong],
        ):
            assert str(wrong) in one_line(jgpt(*arguments), 1)
            assert not new.exists()


def test_nothing_of_the_user_is_overwritten(finished, jgpt, tmp_path):
    out, _ = finished
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("大事", "utf-8")
    (tmp_path / "file").write_text("大事", "utf-8")
    for target in ("mine", "file", "file/below"):
        for overwrite in ([], ["--overwrite"]):
            found = jgpt(
                *("shard", "--corpus", out / "corpus", "--tokenizer", out / "tokenizer"),
                *("--out", tmp_path / target, "--quiet", *overwrite),
            )
            one_line(found, 2 if target == "file/below" else 1)
    assert (tmp_path / "mine" / "diary.txt").read_text("utf-8") == "大事"
    assert (tmp_path / "file").read_text("utf-8") == "大事"


def test_shards_of_another_tokenizer_are_refused(finished, jgpt, tmp_path):
    out, _ = finished
    quiet = ["--quiet"]
    assert (
        jgpt("tokenizer", "train", "--corpus", out / "corpus", "--out", tmp_path / "t", "--vocab_size", "650", *quiet)[
            0
        ]
        == 0
    )
    found = jgpt(
        *("shard", "--corpus", out / "corpus", "--tokenizer", tmp_path / "t", "--out", tmp_path / "s"),
        *("--workers", "1", *quiet),
    )
    assert found[0] == 0
    found = jgpt("eval", "--model", out / "model", "--shards", tmp_path / "s", "--out", tmp_path / "e", *quiet)
    assert "tokenizer" in one_line(found, 1)
    assert not (tmp_path / "e").exists()


def test_generate_prints_the_prompt_and_its_continuation_alone(finished, start_jgpt, jgpt):
    out, _ = finished
    arguments = ("generate", "--model", out / "model", "--prompt", "元始に神", "--max_tokens", "9", "--seed", "3")
    printed, errors = start_jgpt(*arguments).communicate(timeout=120)
    assert printed.startswith("元始に神") and printed.endswith("\n") and len(printed) > 6
    assert errors == ""
    assert jgpt(*arguments) == (0, printed, "")
    assert jgpt(*arguments, "--max_tokens", "0") == (0, "元始に神\n", "")
    again = jgpt("generate", "--model", out / "model" / "checkpoints" / "best", "--prompt", "ｶﾞﾗｽ", "--max_tokens", "0")
    assert again == (0, "ガラス\n", "")  # normalised as the training text was
    text = printed[4:-1]
    stopped = jgpt(*arguments, "--stop", text[2:4], "無い文字列")
    assert stopped == (0, "元始に神" + text[: text.index(text[2:4])] + "\n", "")


def test_a_prompt_that_is_no_text_gets_one_line(finished, jgpt):
    out, _ = finished
    for arguments, name in (
        (["--prompt", "\udcff猫"], "--prompt"),
        (["--prompt=\udcff"], "--prompt"),
        (["\udcff"], "argument"),
    ):
        found = one_line(jgpt("generate", "--model", out / "model", *arguments), 2)
        assert f"{name} is not UTF-8 text; check the terminal's locale (LANG)" in found


def test_score_prints_a_line_a_token_and_the_sum(finished, jgpt):
    out, _ = finished
    status, printed, errors = jgpt("score", "元始に神", "--model", out / "model")
    assert (status, errors) == (0, "")
    *lines, last = printed.splitlines()
    total = sum(float(line.split()[0]) for line in lines)
    assert float(last.split()[0]) == pytest.approx(total, abs=0.01)
    assert f"in {len(lines)} tokens, {total / 4:.3f} a character" in last or "a character" in last
    tokens = [
        json.loads(line) for line in jgpt("score", "元始に神", "--model", out / "model", "--json")[1].splitlines()
    ]
    assert [f"{token['surprisal']:.3f}" for token in tokens] == [line.split()[0] for line in lines]


def test_a_reader_that_goes_away_is_no_error(finished, start_jgpt):
    out, _ = finished
    for arguments in (["generate", "--model", out / "model", "--max_tokens", "200"], ["help"], ["pretrain", "--help"]):
        reading, writing = os.pipe()
        process = start_jgpt(*arguments, stdout=writing)
        os.close(writing)
        os.close(reading)
        assert process.communicate(timeout=120)[1] == ""
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--help >&-", "stdout is closed"),
        ("corpus stats $OUT/corpus >&-", "stdout is closed"),
        ("corpus stats $OUT/corpus >/dev/full", "No space left"),
        ("generate --model $OUT/model --max_tokens 1 >/dev/full", "No space left"),
        ("tokenizer encode --tokenizer $OUT/tokenizer <&-", "stdin is closed"),
    ],
)
def test_a_closed_or_full_stream_gets_one_line(command, message, finished):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OUT": str(finished[0])}
    shell = ["bash", "-c", f'"{sys.executable}" -m scripts {command}']
    ended = subprocess.run(shell, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)
    assert message in one_line((ended.returncode, ended.stdout, ended.stderr), 1)


def test_output_is_utf8_whatever_the_locale(finished):
    command = [
        sys.executable,
        "-m",
        "scripts",
        "tokenizer",
        "show",
        "に神",
        "--tokenizer",
        finished[0] / "tokenizer",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment, timeout=120)
    assert shown.stdout.decode("utf-8").replace("|", "").strip() == "に神"


def test_tokenizer_encode_and_decode_are_inverse(finished, start_jgpt):
    out, _ = finished
    text = "元始に神𠮷\n\u3000か\u3099👨‍👩‍👧\n\n"
    flags = ("--tokenizer", out / "tokenizer")
    ids = start_jgpt("tokenizer", "encode", *flags, stdin=subprocess.PIPE).communicate(text, timeout=60)[0]
    assert start_jgpt("tokenizer", "decode", *flags, stdin=subprocess.PIPE).communicate(ids, timeout=60)[0] == text
    for wrong, place in (("1 2\nx\n", "line 2"), ("99999\n", "99999")):
        process = start_jgpt("tokenizer", "decode", *flags, stdin=subprocess.PIPE)
        _, errors = process.communicate(wrong, timeout=60)
        assert process.returncode in (1, 2) and place in errors and errors.count("\n") == 1


def test_stdin_that_is_not_utf8_gets_one_line(finished, jgpt, monkeypatch, tmp_path):
    out, _ = finished
    (tmp_path / "bytes").write_bytes(b"1 2\n\xff\xfe\n")
    for command in (["tokenizer", "encode"], ["tokenizer", "decode"]):
        with (tmp_path / "bytes").open(encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            status, _, errors = jgpt(*command, "--tokenizer", out / "tokenizer")
        assert status == 1 and "line 2" in errors and errors.count("\n") == 1
    with (tmp_path / "bytes").open(encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert "byte 4" in one_line(jgpt("generate", "--model", out / "model", "--prompt", "-"), 1)


def test_info_tells_what_every_artifact_is(finished, jgpt):
    out, _ = finished
    stages = {"corpus": "corpus", "tokenizer": "tokenizer", "shards": "shard", "model": "pretrain", "eval": "eval"}
    for folder, stage in stages.items():
        status, printed, errors = jgpt("info", out / folder)
        assert (status, errors) == (0, "")
        assert printed.startswith(f"{out / folder}: {stage}, whole")
        assert json.loads(jgpt("info", out / folder, "--json")[1])["stage"] == stage
    assert jgpt("info", out)[1].count("whole") == 5
    assert jgpt("info", out / "model" / "checkpoints")[1].count("checkpoint after step") >= 2
    assert "after step 60" in jgpt("info", out / "model" / "checkpoints" / "step-00000060")[1]


@pytest.mark.parametrize("folder", ["corpus", "tokenizer", "shards", "model", "eval"])
def test_info_finds_every_damage(finished, jgpt, tmp_path, folder):
    out, _ = finished
    copy = tmp_path / folder
    shutil.copytree(out / folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    record = json.loads((copy / "manifest.json").read_text("utf-8"))
    file = copy / max(record["outputs"], key=lambda output: output["bytes"])["path"]
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "content was changed" in one_line(jgpt("info", copy), 1)
    file.write_bytes(content[:-1])
    assert f"{len(content) - 1} bytes" in one_line(jgpt("info", copy), 1)
    file.unlink()
    assert "is missing" in one_line(jgpt("info", copy), 1)
    (copy / "manifest.json").write_text("{}", "utf-8")
    assert "is not a manifest" in one_line(jgpt("info", copy), 1)
    (copy / "manifest.json").unlink()
    assert "has no manifest.json" in one_line(jgpt("info", copy), 1)


def test_an_unfinished_model_says_which_checkpoint_can_be_used(finished, jgpt, tmp_path):
    out, _ = finished
    shutil.copytree(out / "model", tmp_path / "model")
    for name in ("manifest.json", "model.safetensors", "config.json"):
        (tmp_path / "model" / name).unlink()
    assert "not finished" in one_line(jgpt("info", tmp_path / "model"), 1)
    assert "step-00000060" in one_line(jgpt("generate", "--model", tmp_path / "model"), 1)
    assert jgpt("generate", "--model", tmp_path / "model" / "checkpoints" / "best", "--max_tokens", "2")[0] == 0


def test_a_damaged_checkpoint_gets_one_line(finished, jgpt, tmp_path):
    out, _ = finished
    shutil.copytree(out / "model" / "checkpoints" / "best", tmp_path / "best")
    (tmp_path / "best" / "state.json").write_text("[]", "utf-8")
    assert "state.json" in one_line(jgpt("info", tmp_path / "best"), 1)


def test_a_diverged_training_ends_in_one_line(finished, jgpt, tmp_path):
    out, _ = finished
    flags = ["--model.depth", "1", "--model.width", "32", "--model.heads", "2", "--model.context_length", "64"]
    flags += ["--train.steps", "40", "--train.batch_tokens", "128", "--train.learning_rate", "1e30", "--quiet"]
    with_nan = jgpt("pretrain", "--shards", out / "shards", "--out", tmp_path / "model", *flags, "--dtype", "float32")
    assert "lower --train.learning_rate" in one_line(with_nan, 1)
    assert torch.get_num_threads() >= 1


def test_the_shell_scripts_can_be_parsed():
    for name in ("quickstart.sh", "test.sh", "install.sh"):
        parsed = subprocess.run(["bash", "-n", ROOT / "scripts" / name], capture_output=True, text=True)
        assert (parsed.returncode, parsed.stderr) == (0, "")
    for name in ("quickstart.sh", "test.sh"):
        assert os.access(ROOT / "scripts" / name, os.X_OK)


def test_a_wrong_python_gets_one_line(tmp_path):
    """With a python3 on the path that is too old, and no other one."""
    checkout, path = tmp_path / "checkout", tmp_path / "bin"
    (checkout / "scripts").mkdir(parents=True)
    path.mkdir()
    for name in ("install.sh", "quickstart.sh", "test.sh"):
        shutil.copy(ROOT / "scripts" / name, checkout / "scripts" / name)
    old = path / "python3"
    old.write_text('#!/bin/bash\n[ "$1" = --version ] && echo "Python 3.8.10" && exit 0\nexit 1\n')
    old.chmod(0o755)
    for name in ("bash", "dirname", "cat", "head", "sha256sum", "cut", "rm", "env"):
        (path / name).symlink_to(shutil.which(name))
    for name in ("quickstart.sh", "test.sh"):
        started = subprocess.run(
            [shutil.which("bash"), checkout / "scripts" / name],
            capture_output=True,
            text=True,
            env={"PATH": str(path)},
            timeout=60,
        )
        assert started.returncode == 1
        assert started.stdout == ""
        assert started.stderr.count("\n") == 1
        assert "needs Python 3.11 or newer" in started.stderr and "Python 3.8.10" in started.stderr
    assert not (checkout / ".venv").exists()
