"""A tiny recipe, run as a user runs it, and a way to run the command in this process."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = """\
name: tiny
corpus:
  sources:
    - path: embedded:kougo
      rules: none
  limit: 60
tokenizer:
  vocab_size: 700
  boundaries: none
pretrain:
  dtype: float32
  model: {depth: 1, width: 32, heads: 2, context_length: 64, dropout: 0.1}
  train: {steps: 60, batch_tokens: 512, micro_batch: 4, checkpoint_every: 5, valid_every: 20, valid_tokens: 1024}
eval:
  limit: 20
  bootstrap: 100
  max_characters: 4000
samples:
  prompts: [元始に神, ""]
  temperatures: [0.5, 1.0]
  generate: {max_tokens: 12, seed: 1}
"""


def start(*arguments, folder=ROOT, **more):
    """Start the command in a process group of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen(
        [sys.executable, "-m", "scripts", *map(str, arguments)],
        cwd=folder,
        env=environment,
        start_new_session=True,
        # Ctrl-C is ignored in what a shell starts in the background
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | more,
    )


@pytest.fixture(scope="session")
def start_jgpt():
    return start


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    file = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    file.write_text(RECIPE, "utf-8")
    return file


@pytest.fixture(scope="session")
def finished(recipe, tmp_path_factory):
    """A run folder that nothing disturbed, and what its command printed."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    process = start("run", recipe, "--out", out, "--workers", "2", "--threads", "1")
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out, printed


@pytest.fixture
def jgpt(capfd):
    """Runs the command in this process: exit status, stdout and stderr."""
    from scripts.main import run

    rooms = [logging.getLogger(room) for room in ("stage", "corpora", "tokenizer", "jgpt", "eval", "scripts")]
    before = [(room.handlers[:], room.level, room.propagate) for room in rooms]

    def call(*arguments):
        capfd.readouterr()
        try:
            status = run(list(map(str, arguments)))
        except SystemExit as exit:
            status = exit.code
        sys.stdout.flush()
        printed = capfd.readouterr()
        return status, printed.out, printed.err

    yield call
    for room, (handlers, level, propagate) in zip(rooms, before, strict=True):
        room.handlers[:], room.propagate = handlers, propagate
        room.setLevel(level)
