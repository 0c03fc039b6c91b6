"""The commands and the Python of the README, run as they stand there but for the length of the training."""

import os
import re
import shlex
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from corpora.embedded import embedded_file, read_verses

ROOT = Path(__file__).parents[2]
TEXTS = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "README.ja.md")}


def blocks(text, language=""):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text):
    (block,) = (block for block in blocks(text) if "jgpt corpus build" in block)
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines() if line.startswith("jgpt ")]


@pytest.fixture
def place(tmp_path):
    """A folder with a novel.txt in it."""
    verses = [text for _, text in islice(read_verses(embedded_file()), 4000)]
    (tmp_path / "novel.txt").write_text("\n".join(verses), "utf-8")
    return tmp_path


def run(arguments, place):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=place, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_both_languages_show_the_same_commands_and_the_same_python():
    assert commands(TEXTS["README.md"]) == commands(TEXTS["README.ja.md"]) != []
    assert blocks(TEXTS["README.md"], "python") == blocks(TEXTS["README.ja.md"], "python") != []


def test_the_commands_for_ones_own_corpus_run_one_after_another(place):
    for words in commands(TEXTS["README.md"]):
        if "--train.minutes" in words:
            at = words.index("--train.minutes")
            words = [*words[:at], "--train.steps", "3", *words[at + 2 :], "--model.width", "64"]
        words = ["4000" if word == "8000" else word for word in words]
        printed = run(["-m", "scripts", *words], place)
    assert printed.startswith("吾輩は")
    assert {"corpus", "tokenizer", "shards", "model", "eval"} <= {entry.name for entry in (place / "my").iterdir()}


def test_the_python_example_runs(place):
    (example,) = blocks(TEXTS["README.md"], "python")
    short = example.replace("minutes=30", "steps=3").replace("depth=4", "depth=1").replace("8000", "4000")
    assert short.count("steps=3") == short.count("depth=1") == 1
    # the stages start worker processes, which import the main module again
    (place / "example.py").write_text('if __name__ == "__main__":\n    ' + short.replace("\n", "\n    "), "utf-8")
    assert run(["example.py"], place).strip()
