"""`jgpt eval`'s scores and speed beside lm-evaluation-harness: ``python -m scripts.bench.evaluation --model DIR --data DIR``.

The same checkpoint and the same prompts three times: by jgpt, by lm-eval over an adapter of ours that computes each request by itself,
and by ``lm-eval --model hf`` over the exported folder (``jgpt export``). All in float32 on the CPU. Every log-likelihood of a choice
must agree to 1e-4 and every accuracy exactly. ``--data`` holds JGLUE and JCoLA; minimal pairs are made of its questions. ``--peers`` is the
Python that has ``lm_eval`` (``pip install 'jgpt[peers]'``); it runs in processes of its own, in turns with ours.

Prompts end in 「 and answers in 」, so that context and answer are parted alike. Where a token spans the join nevertheless, lm-eval scores
what is left of the joint encoding after as many tokens as the context alone has, and jgpt all after the last common token: such items are
counted and left out, and so are those longer than the context, which the two cut differently.

Seconds are those of tokenising and scoring, with us also of accuracies; for lm-eval the best of three batch sizes on a few items.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eval.likelihood import score_items
from eval.models import CountedModel
from eval.multiple_choice import Item, predict
from eval.prompts import FewShot
from eval.prompts import items as items_of
from eval.scoring import ModelScorer, encode_choices, is_cut
from eval.source import find_source
from eval.task import load_task
from jgpt.interchange.export import export_model
from jgpt.model.folder import load_config, load_model
from stage.errors import JgptError
from tokenizer import JapaneseTokenizer

SHOTS = 3
TIMED = ("jcommonsenseqa_fixed", "jcommonsenseqa_each")
BATCH_SIZES = (8, 16, 32)
TOLERANCE = 1e-4
_FEW = 48  # items that choose the batch size
_ROOT = Path(__file__).parents[2]


def main() -> None:
    """Parse flags; compare; print the tables, the ratios of speed last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers", default=sys.executable, help="Python that has lm_eval")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0, help="items a task; 0 means all")
    parser.add_argument("--only", nargs="+", metavar="TASK", help="of the tasks, these")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    preset = load_config(given.model).normalization or "none"
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(given.model, Path(work), given.peers, given.threads)
        tasks = make_tasks(given.data, preset, given.limit)
        record = bench.run({name: tasks[name] for name in given.only or tasks}, given.rounds)
    if given.out:
        given.out.write_text(json.dumps(record, ensure_ascii=False, indent=1), "utf-8")
    print(table(record))
    if wrong := disagreements(record):
        raise JgptError(f"the scores differ: {', '.join(wrong)}")


def make_tasks(data: Path, preset: str, limit: int) -> dict[str, list[Item]]:
    """Items by the name of their task."""

    def build(name: str, shots: int = 0, draw: str = "fixed") -> list[Item]:
        task = load_task(name)
        examples = find_source(task, "valid", data).examples(preset, limit)
        pool = find_source(task, "train", data).examples(preset) if shots else []
        return items_of(task, task.prompt(), examples, FewShot(task, pool, shots, draw=draw), preset)

    found = {
        "jcommonsenseqa": build("jcommonsenseqa"),
        "jcommonsenseqa_fixed": build("jcommonsenseqa", SHOTS),
        "jcommonsenseqa_each": build("jcommonsenseqa", SHOTS, "each"),  # as lm-eval's default is
        "jnli": build("jnli"),
        "jcola": build("jcola"),
    }
    found["minimal_pairs"] = minimal_pairs(found["jcommonsenseqa"])
    return {name: [replace(item, neutral=None) for item in each] for name, each in found.items()}  # no PMI in lm-eval


def minimal_pairs(items: Sequence[Item]) -> list[Item]:
    """Each sentence with を against the same with が there, without a context."""
    found = []
    for item in items:
        before, particle, after = item.context.partition("を")
        if particle:
            found.append(Item(item.id, "", (item.context, f"{before}が{after}"), 0))
    return found


class Bench:
    """A model, its export, and a folder for files that the processes share."""

    def __init__(self, model: Path, work: Path, peers: str, threads: int) -> None:
        self.model, self.work, self.peers, self.threads = model, work, peers, threads
        self.tokenizer = JapaneseTokenizer(model)
        self.scorer = ModelScorer(load_model(model, "cpu"))
        self.exported = work / "exported"
        (work / "tasks").mkdir()
        export_model(model, self.exported)

    def run(self, tasks: dict[str, list[Item]], rounds: int) -> dict[str, Any]:
        """Everything that is told, for JSON."""
        kept = {name: [item for item in items if self.is_comparable(item)] for name, items in tasks.items()}
        for name, items in kept.items():
            with (self.work / "tasks" / f"{name}.jsonl").open("w", encoding="utf-8") as stream:
                for item in items:
                    choices = [choice + item.closing for choice in item.choices]
                    line = {"context": item.context, "choices": choices, "gold": item.gold}
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        names, to_time = list(kept), [name for name in TIMED if name in kept]
        plain = self.peer("plain", self.model, names)
        few = {
            size: self.peer("hf", self.exported, to_time or names[:1], batch_size=size, limit=_FEW)
            for size in BATCH_SIZES
        }
        size = min(BATCH_SIZES, key=lambda each: sum(found["seconds"] for found in few[each].values()))
        own = {name: self.score(items) for name, items in kept.items()}  # warms up
        hf: dict[str, Any] = {}
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in to_time}
        for number in range(rounds if to_time else 1):
            timed = {name: self.score(kept[name])["seconds"] for name in to_time}
            found = self.peer("hf", self.exported, names if not number else to_time, batch_size=size)
            hf = found | hf
            for name in to_time:
                seconds[name].append((timed[name], found[name]["seconds"]))
        tables = {
            name: {
                "items": len(kept[name]),
                "left_out": len(tasks[name]) - len(kept[name]),
                "differences": {
                    kind: _difference(own[name], found[name]) for kind, found in (("plain", plain), ("hf", hf))
                },
                **{
                    metric: {kind: found[name][metric] for kind, found in (("jgpt", own), ("plain", plain), ("hf", hf))}
                    for metric in ("acc", "acc_norm")
                },
            }
            for name in names
        }
        parameters = self.scorer.model.config.parameters
        about = {"parameters": parameters, "threads": self.threads, "batch_size": size, "load": os.getloadavg()[0]}
        return about | {"tasks": tables, "seconds": seconds}

    def is_comparable(self, item: Item) -> bool:
        """Whether context and choices are parted by both at the same token, and nothing has to be cut."""
        context = [self.tokenizer.bos_id, *self.tokenizer.encode(item.context)]
        requests = encode_choices(self.tokenizer, *item.asked[0])
        length = self.scorer.context_length
        return all(list(before) == context and not is_cut((before, after), length) for before, after in requests)

    def score(self, items: list[Item]) -> dict[str, Any]:
        """What ``peer`` gives, by us."""
        started = time.perf_counter()
        scores = score_items(items, CountedModel(self.scorer, self.tokenizer))
        metrics = {"acc": "accuracy", "acc_norm": "accuracy_per_character"}
        gold = np.array([item.gold for item in items])
        found = {name: float(np.mean(gold == predict(scores, metric))) for name, metric in metrics.items()}
        return found | {"seconds": time.perf_counter() - started, "scores": [each.sum.tolist() for each in scores]}

    def peer(
        self, kind: str, model: Path, names: Sequence[str], batch_size: int = 16, limit: int = 0
    ) -> dict[str, Any]:
        """What lm-eval finds in a process of its own."""
        out = self.work / "found.json"
        files = [str(self.work / "tasks" / f"{name}.jsonl") for name in names]
        flags = {"batch_size": batch_size, "limit": limit, "threads": self.threads, "out": out}
        command = [self.peers, "-m", "scripts.bench.evaluation_peer", kind, str(model.absolute()), *files]
        command += [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
        if done.returncode:
            raise JgptError(f"lm-eval in {self.peers} failed:\n{done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(out.read_text("utf-8"))
        return found


def _difference(own: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest between two scores of a choice."""
    pairs = zip(own["scores"], other["scores"], strict=True)
    return max((float(np.abs(np.subtract(first, second)).max()) for first, second in pairs), default=0.0)


def disagreements(record: dict[str, Any]) -> list[str]:
    """Names of the tasks where scores differ by more than rounding, or an accuracy at all."""
    return [
        name
        for name, task in record["tasks"].items()
        if max(task["differences"].values()) > TOLERANCE
        or any(max(values.values()) - min(values.values()) > 1e-9 for values in (task["acc"], task["acc_norm"]))
    ]


def table(record: dict[str, Any]) -> str:
    """Both tables in Markdown."""
    lines = [
        f"{record['parameters'] / 1e6:.1f}M parameters, float32, {record['threads']} threads, load {record['load']:.1f}",
        "",
        "| task | items | left out | largest difference, plain | hf | accuracy, jgpt | plain | hf | per character |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, task in record["tasks"].items():
        apart = " | ".join(f"{value:.1e}" for value in task["differences"].values())
        accuracies = " | ".join(f"{value:.4f}" for value in task["acc"].values())
        per_character = "the same" if len({round(value, 9) for value in task["acc_norm"].values()}) == 1 else "differs"
        lines.append(f"| {name} | {task['items']} | {task['left_out']} | {apart} | {accuracies} | {per_character} |")
    size = record["batch_size"]
    lines += [
        "",
        f"| {SHOTS} examples | jgpt, s | lm-eval hf, batches of {size}, s | times as fast |",
        "|---|---|---|---|",
    ]
    for name, pairs in record["seconds"].items():
        own, other = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(theirs / ours for ours, theirs in pairs)
        kind = "the same before all items" if name.endswith("fixed") else "another draw for each item"
        lines.append(f"| {kind} | {own:.2f} | {other:.1f} | {ratio:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
