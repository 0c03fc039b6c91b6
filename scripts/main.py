"""The ``jgpt`` command: finds the subcommand, imports only that one, turns mistakes into one line."""

import difflib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import BinaryIO

from stage.errors import InputError, JgptError
from stage.version import VERSION

# subcommand: function in a module below scripts.commands, line of help; two words where a stage has several commands
COMMANDS: dict[str, tuple[str, str]] = {
    "quickstart": (
        "run.quickstart",
        "the whole pipeline on the embedded default corpus, a few minutes on a laptop CPU",
    ),
    "run": ("run.run", "the whole pipeline from a YAML recipe, into runs/NAME"),
    "corpus build": ("corpus.corpus_build", "raw text to clean documents"),
    "corpus decontaminate": ("corpus.corpus_decontaminate", "documents without those that evaluation files share"),
    "corpus diff": ("corpus.corpus_diff", "what two documents folders differ in"),
    "corpus filter": ("corpus.corpus_filter", "the same documents judged by other rules"),
    "corpus rejected": ("corpus.corpus_rejected", "documents that a build left out, and why"),
    "corpus stats": ("corpus.corpus_stats", "figures of a documents folder"),
    "corpus trust": ("corpus.corpus_trust", "models of good text, to judge documents by"),
    "tokenizer train": ("tokenizing.tokenizer_train", "train a SentencePiece tokenizer on documents or text files"),
    "tokenizer extend": ("tokenizing.tokenizer_extend", "more pieces for a tokenizer, whose ids stay"),
    "tokenizer prune": ("tokenizing.tokenizer_prune", "a smaller vocabulary"),
    "tokenizer measure": ("tokenizing.tokenizer_measure", "compare tokenizers, of jgpt and others, on a text"),
    "tokenizer show": ("tokenizing.tokenizer_show", "a text cut into its pieces"),
    "tokenizer encode": ("tokenizing.tokenizer_encode", "text on stdin to ids"),
    "tokenizer decode": ("tokenizing.tokenizer_decode", "ids on stdin to text"),
    "shard": ("shard.shard", "documents and a tokenizer to token files"),
    "pretrain": ("pretrain.pretrain", "token files to a GPT"),
    "eval": ("evaluation.evaluate", "a model to numbers: bits per character and tasks"),
    "eval compare": ("evaluation.eval_compare", "two results, item by item"),
    "eval tasks": ("evaluation.eval_tasks", "the tasks there are"),
    "eval show": ("evaluation.eval_show", "rendered prompts of a task"),
    "generate": ("generation.generate", "continue a prompt"),
    "score": ("generation.score", "surprisal of each token of a text"),
    "export": ("export.export", "a model to a folder that transformers loads"),
    "info": ("info.info", "what is this folder, and is it whole?"),
    "report": ("run.report", "write report.html of a run folder anew"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    _prepare_streams()
    try:
        try:
            status = run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output (head, less) has gone: not an error, and nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 0
    except KeyboardInterrupt:  # once more, while the first was being told
        status = 130
    except OSError as error:
        sys.stderr.write(f"jgpt: cannot read or write: {error}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 1
    raise SystemExit(status)


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    for before, word in zip(["", *arguments], arguments, strict=False):
        if any("\ud800" <= character <= "\udfff" for character in word):
            flag = next((each.split("=")[0] for each in (word, before) if each.startswith("--")), "an argument")
            sys.stderr.write(f"jgpt: {flag} is not UTF-8 text; check the terminal's locale (LANG)\n")
            return 2
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("--version", "version"):
        print(f"jgpt {VERSION}")
        return 0
    below = [name for name in COMMANDS if name.startswith(f"{arguments[0]} ")]
    if below and arguments[0] not in COMMANDS and (len(arguments) == 1 or arguments[1] in ("-h", "--help")):
        print("\n".join(f"  jgpt {name:<20}{COMMANDS[name][1]}" for name in below))
        return 0
    words = next((words for words in (2, 1) if " ".join(arguments[:words]) in COMMANDS), 0)
    name, rest = " ".join(arguments[:words]), arguments[words:]
    if not name:
        asked = " ".join(arguments[:2]) if below else arguments[0]
        near = below or difflib.get_close_matches(asked, list(COMMANDS), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see jgpt --help"
        sys.stderr.write(f"jgpt: there is no command {asked!r}; {hint}\n")
        return 2
    # Threads that wait should sleep: where another process needs a core, spinning ones made training many times slower
    # (docs/experiments.md); on a machine of one's own OMP_WAIT_POLICY=ACTIVE is somewhat faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _log_to_stderr(quiet="--quiet" in rest)
    try:
        module, function = COMMANDS[name][0].split(".")
        with _interrupt_ends():
            commands = import_module(f"scripts.commands.{module}")
        getattr(commands, function)(f"jgpt {name}", rest)
        return 0
    except JgptError as error:
        sys.stderr.write(f"jgpt {name}: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        sys.stderr.write(f"jgpt {name}: interrupted; nothing half-written is left in the way, run it again\n")
        return 130
    except MemoryError:
        sys.stderr.write(f"jgpt {name}: not enough memory; a smaller batch, model or number of --workers needs less\n")
        return 1


def overview() -> str:
    """What ``jgpt --help`` prints."""
    commands = "\n".join(f"  {name:<19}{text}" for name, (_, text) in COMMANDS.items())
    return f"""\
jgpt {VERSION}: from your own Japanese text to a small GPT that you have measured

usage: jgpt COMMAND [FLAGS]      jgpt COMMAND --help explains one

{commands}

first steps:
  jgpt quickstart
  jgpt corpus build novel.txt --out my/corpus
  jgpt tokenizer train --corpus my/corpus --out my/tokenizer"""


@contextmanager
def _interrupt_ends() -> Iterator[None]:
    """Let Ctrl-C end the process without a word: libraries that it hits while they are imported raise something else."""
    python = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ours = python and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _ClosedStdin(io.StringIO):
    @property
    def buffer(self) -> BinaryIO:
        raise InputError("stdin is closed; pipe the text into this command")


def _prepare_streams() -> None:
    """UTF-8 whatever the locale; what was closed is replaced, lest the next file that is opened take its place."""
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
        sys.stdin = _ClosedStdin()
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is None:
        sys.stderr.write("jgpt: stdout is closed; use > /dev/null to drop what is printed\n")
        raise SystemExit(1)
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)


class _AboveBars(logging.Handler):
    """Writes messages above running progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        tqdm = sys.modules.get("tqdm")
        if tqdm is None:
            sys.stderr.write(text + "\n")
        else:
            tqdm.tqdm.write(text, file=sys.stderr)


def _log_to_stderr(quiet: bool) -> None:
    handler = _AboveBars()
    handler.setFormatter(logging.Formatter("%(message)s"))
    for room in ("stage", "corpora", "tokenizer", "jgpt", "eval", "scripts"):
        logger = logging.getLogger(room)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.WARNING if quiet else logging.INFO)
        logger.propagate = False


if __name__ == "__main__":
    main()
