"""How much sooner ``jgpt pretrain`` is where nanoGPT's recipe ends: ``python -m scripts.bench.pretraining --data DIR …``.

Aozora text (``DIR/aozora/*.jsonl.gz``) with a vocabulary of 8,192 pieces. The baseline is nanoGPT's recipe with the best of four
learning rates, 25 minutes of it; beside it the same with bfloat16, compile and fused AdamW, 10 minutes, the better of two rates.

The rules: every run is a fresh process. Its clock starts just before the process does and stops only while the loss on the held-out
text is measured, for everybody on the same first 61,440 tokens in windows of 256. Interpreter, imports, compilation with an empty
cache, initialisation, self-tests of speed and checkpoints are on the clock. The loss to reach is the lowest of the baseline's seeds;
jgpt is asked for runs of several lengths, since its learning rate falls over the whole of a run, and the shortest that gets there counts.
A baseline's threads and allocator are as torch finds them; settings of both in the environment are taken out for every run.

A JSON line a run goes to ``--out`` when the run ends, and a run whose line is there is not made again: started anew after an
interruption, the bench goes on. It takes some three hours. Load average and CPU seconds stand beside the times: where a run had fewer
CPU seconds than others of its kind for as many wall seconds, the machine was busy with something else.
"""

import argparse
import importlib.metadata
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from corpora.build import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from jgpt import write_shards
from jgpt.model.folder import load_config
from jgpt.training.metrics import NAME as METRICS
from jgpt.training.plan import NAME as PLAN
from scripts.bench.nanogpt import STARTED_AT, Recipe
from scripts.bench.pretraining_results import Run, append_run, read_metrics, read_runs, table, target
from stage.errors import JgptError, UsageError
from tokenizer.config import TokenizerConfig
from tokenizer.training import train_tokenizer


@dataclass(frozen=True)
class Baseline:
    """nanoGPT's recipe: its rate is swept first, then it runs with the best."""

    minutes: float
    rates: tuple[float, ...]
    """What is swept; where ``rates_of`` names another baseline, times the best rate of that one."""
    rates_of: str = ""
    strong: bool = False
    sweep_minutes: float = 5.0
    seeds: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Row:
    """A way to call ``jgpt pretrain``."""

    flags: str
    minutes: tuple[float, ...] = (1.5, 2.0, 2.5, 3.5)
    """Lengths of run, tried in this order until the losses of both baselines are reached."""
    seeds: tuple[int, ...] = (1,)
    warm_from: str = ""
    """The row whose compile cache is used; empty: the cache is empty too."""


BASELINES = {
    "baseline": Baseline(25, (6e-4, 1e-3, 2e-3, 3e-3)),
    "strong baseline": Baseline(10, (1.0, 2.0), rates_of="baseline", strong=True),
}
SHAPE = "--model.depth 4"
ONE = (1.5,)
"""A lever is shown by what it does to the shortest run."""
ROWS = {
    "jgpt": Row(SHAPE, seeds=(1, 2)),
    "jgpt, compile cache warm": Row(SHAPE, ONE, warm_from="jgpt"),
    "jgpt, float32": Row(f"{SHAPE} --dtype float32", (4,)),
    "jgpt, parameters as the baseline": Row("--model.depth 3 --model.width 256"),
    "jgpt, 6 x 256 as the baseline": Row("--model.depth 6 --model.width 256", ONE),
    "jgpt, bigram initialisation": Row(f"{SHAPE} --train.bigram_init", ONE, seeds=(1, 2)),
    "jgpt, not compiled": Row(f"{SHAPE} --train.compile no", ONE),
    "jgpt, AdamW alone": Row(f"{SHAPE} --train.optimizer adamw", ONE),
    "jgpt, one learning rate for all": Row(
        f"{SHAPE} --train.optimizer adamw --train.embedding_rate .003 --train.head_rate .003", ONE
    ),
    "jgpt, batches of 2,048": Row(f"{SHAPE} --train.batch_tokens 2048", ONE),
    "jgpt, batches of 8,192": Row(f"{SHAPE} --train.batch_tokens 8192", ONE),
    "jgpt, qwen3": Row(f"{SHAPE} --model.architecture qwen3", ONE),
}
VOCABULARY = 8192
MEASURED = (
    f"--model.context_length {Recipe.context_length} --train.valid_tokens {Recipe.valid_tokens} --train.valid_every 40"
)
STRIPPED = ("OMP_", "GOMP_", "KMP_", "MKL_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "TORCHINDUCTOR_")


def main() -> None:
    """Parse flags; make the runs that are missing; print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds aozora/*.jsonl.gz")
    parser.add_argument("--work", type=Path, default=Path("runs/bench-pretraining"), help="shards and models go here")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/bench-pretraining.jsonl"),
        help="a JSON line a run; another file for other code",
    )
    parser.add_argument("--only", nargs="+", default=[*BASELINES, *ROWS], choices=[*BASELINES, *ROWS], metavar="ROW")
    parser.add_argument("--minutes_scale", type=float, default=1.0, help="times every length: a look at how it goes")
    parser.add_argument("--threads", type=int, default=0, help="of every run; 0: as each chooses")
    parser.add_argument("--table", action="store_true", help="only print the tables of what is in --out")
    given = parser.parse_args()
    if not given.table:
        if given.data is None:
            parser.error("--data is needed")
        try:
            bench = Bench(
                make_shards(given.data, given.work), given.work, given.out, given.minutes_scale, given.threads
            )
            for name in given.only:
                make = bench.baseline if name in BASELINES else bench.row
                make(name)
        except JgptError as error:
            raise SystemExit(f"pretraining: {error}") from None
    print(table(read_runs(given.out).values(), BASELINES))


def make_shards(data: Path, work: Path, vocab_size: int = VOCABULARY) -> Path:
    """Corpus, tokenizer and shards of the Aozora text below ``work``; what is up to date is left alone."""
    files = sorted((data / "aozora").glob("*.jsonl.gz"))
    if not files:
        raise UsageError(f"{data / 'aozora'}: holds no .jsonl.gz file; the README says where the text is had")
    sources = [SourceConfig(path=str(file), license="public domain in Japan") for file in files]
    corpus, tokenizer, shards = (work / name for name in ("corpus", "tokenizer", "shards"))
    build_corpus(CorpusConfig(sources=sources), corpus)
    train_tokenizer(tokenizer, TokenizerConfig(vocab_size=vocab_size, boundaries="none"), corpus=corpus)
    write_shards(corpus, tokenizer, shards)
    return shards


@dataclass(frozen=True)
class Job:
    """What is asked of one process."""

    row: str
    minutes: float
    seed: int
    module: str
    flags: str
    learning_rate: float | None = None
    warm_from: str = ""

    @property
    def name(self) -> str:
        """Says everything that is asked, so that no job is done twice."""
        return f"{self.row}: python -m {self.module} {self.flags}"

    @property
    def folder(self) -> str:
        """A name for its folder."""
        rate = f"rate {self.learning_rate:g}" if self.learning_rate else ""
        return re.sub(r"[^\w.]+", "-", f"{self.row} {self.minutes:g} minutes seed {self.seed} {rate}").strip("-")


class Bench:
    """Does the jobs whose runs ``out`` does not hold yet, one after another."""

    def __init__(self, shards: Path, work: Path, out: Path, minutes_scale: float = 1.0, threads: int = 0) -> None:
        self.shards, self.work, self.out, self.scale, self.threads = shards, work, out, minutes_scale, threads
        self.runs = read_runs(out)

    def baseline(self, name: str) -> None:
        """The sweep of a baseline, and its runs with the best rate."""
        settings = BASELINES[name]
        times = self._best_rate(settings.rates_of) if settings.rates_of else 1.0
        more = " --strong" if settings.strong else ""
        for rate in settings.rates:
            self._nanogpt(
                f"{name} sweep", settings.sweep_minutes, settings.seeds[0], rate * times, f"{more} --points 4"
            )
        for seed in settings.seeds:
            self._nanogpt(name, settings.minutes, seed, self._best_rate(name), more)

    def row(self, name: str) -> None:
        """The runs of a row: with each seed ever longer ones, until it has reached what the baselines have."""
        for seed in ROWS[name].seeds:
            for minutes in ROWS[name].minutes:
                run = self._jgpt(name, minutes * self.scale, seed)
                goals = [target(self.runs.values(), baseline) for baseline in BASELINES]
                if all(goal is not None and run.first_at(goal.points[-1].loss) for goal in goals):
                    break

    def _best_rate(self, baseline: str) -> float:
        best = target(self.runs.values(), f"{baseline} sweep")
        if best is None or best.learning_rate is None:
            raise UsageError(f"the learning rate follows from the row {baseline!r}: name that as well")
        return best.learning_rate

    def _nanogpt(self, row: str, minutes: float, seed: int, rate: float, more: str) -> Run:
        minutes *= self.scale
        flags = f"--minutes {minutes:g} --learning_rate {rate:g} --seed {seed}{more}"
        return self._run(Job(row, minutes, seed, "scripts.bench.nanogpt", self._threaded(flags), rate))

    def _jgpt(self, row: str, minutes: float, seed: int) -> Run:
        flags = f"pretrain {ROWS[row].flags} {MEASURED} --train.minutes {minutes:g} --seed {seed} --quiet"
        return self._run(Job(row, minutes, seed, "scripts", self._threaded(flags), warm_from=ROWS[row].warm_from))

    def _threaded(self, flags: str) -> str:
        return f"{flags} --threads {self.threads}" if self.threads else flags

    def _run(self, job: Job) -> Run:
        """The run of that name from ``out``, or made now in a fresh process and added to it."""
        if job.name in self.runs:
            return self.runs[job.name]
        print(job.name, file=sys.stderr)
        folder = self.work / "runs" / job.folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", job.module, *shlex.split(job.flags)]
        command += ["--shards", str(self.shards), "--out", str(folder)]
        environment = self._environment(job)
        load, cpu_seconds = os.getloadavg()[0], _cpu_seconds()
        started_at = time.time()
        with (folder.parent / f"{folder.name}.log").open("w", encoding="utf-8") as log:
            environment[STARTED_AT] = str(started_at)
            if subprocess.run(command, env=environment, stdout=log, stderr=log).returncode:
                raise JgptError(f"{job.name}: failed, {log.name} says why; what ran before is kept")
        wall_seconds = time.time() - started_at
        points, valid_seconds, shares = read_metrics(folder / METRICS, started_at)
        run = Run(
            name=job.name,
            row=job.row,
            minutes=job.minutes,
            seed=job.seed,
            learning_rate=job.learning_rate,
            parameters=load_config(folder).parameters,
            points=points,
            clock=round(wall_seconds - valid_seconds, 2),
            wall_seconds=round(wall_seconds, 2),
            cpu_seconds=round(_cpu_seconds() - cpu_seconds, 2),
            load=(round(load, 2), round(os.getloadavg()[0], 2)),
            shares=shares,
            decided=_decided(folder),
            machine=f"{os.cpu_count()} processors, torch {importlib.metadata.version('torch')}",
        )
        append_run(self.out, run)
        self.runs[job.name] = run
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return run

    def _environment(self, job: Job) -> dict[str, str]:
        """That of the bench without settings of threads and allocator, and with a compile cache of the row's own."""
        compiled = self.work / "compiled" / re.sub(r"\W+", "-", job.warm_from or job.row)
        if not job.warm_from:
            shutil.rmtree(compiled, ignore_errors=True)
        elif not compiled.is_dir():
            raise UsageError(f"the row {job.row!r} uses the compile cache of {job.warm_from!r}: name that as well")
        stock = {name: value for name, value in os.environ.items() if not name.startswith(STRIPPED)}
        return stock | {"TORCHINDUCTOR_CACHE_DIR": str(compiled.absolute())}


def _decided(folder: Path) -> str:
    """What jgpt chose for the machine; nothing of a baseline, which chooses nothing."""
    file = folder / PLAN
    plan = json.loads(file.read_text("utf-8")) if file.exists() else {}
    compiled = ", compiled" if plan.get("compiled") else ""
    return f"{plan['dtype']}{compiled}, {plan['threads']} threads" if plan else ""


def _cpu_seconds() -> float:
    """Of all processes that were started and waited for until now."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
