"""A build at size: ``python -m scripts.bench.corpus_scale --data DIR --megabytes 260``.

Makes one JSON Lines file of documents whose sentences are drawn from Kyoto Wikipedia, every fiftieth of them the one before with some sentences
changed (a near-duplicate, of known Jaccard similarity), and builds it with one and with two workers by turns. Prints wall time, the memory
of the largest process, how many of the near-duplicates from 0.85 to 0.95 were dropped, and the least similarity of any that was.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.dataset

from corpora.minhash import gram_sets
from scripts.bench.corpus import CORPORA

_EVERY = 50


def main() -> None:
    """Parse flags; make the file; build it by turns; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, default=260)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "made.jsonl", Path(folder) / "out"
        similar = make(given.data / CORPORA["kyoto"], source, given.megabytes * 1_000_000)
        print(
            f"load {os.getloadavg()[0]:.1f}; {given.megabytes} MB\n\n| workers | seconds | largest process, MB |\n|---|---|---|"
        )
        seconds: dict[int, list[float]] = {workers: [] for workers in given.workers}
        for _ in range(given.rounds):
            for workers in given.workers:
                command = [sys.executable, "-m", "scripts", "corpus", "build", str(source), "--out", str(out)]
                started = time.perf_counter()
                child = subprocess.Popen([*command, "--workers", str(workers), "--overwrite", "--quiet"])
                _, status, usage = os.wait4(child.pid, 0)
                seconds[workers].append(time.perf_counter() - started)
                if status:
                    sys.exit(f"the build ended with {os.waitstatus_to_exitcode(status)}")
                print(f"| {workers} | {seconds[workers][-1]:.1f} | {usage.ru_maxrss / 1000:.0f} |", flush=True)
                told = found(out, similar)
                for file in sorted(out.rglob("*"), reverse=True):
                    file.rmdir() if file.is_dir() else file.unlink()
        medians = {workers: statistics.median(times) for workers, times in seconds.items()}
        print(
            "".join(
                f"\n{workers} workers: {medians[given.workers[0]] / median:.2f} times {given.workers[0]}"
                for workers, median in medians.items()
            )
        )
        print(told)


def make(corpus: Path, place: Path, size: int) -> dict[int, float]:
    """Write a file of so many bytes; the numbers of its near-duplicates with their similarity to the document before."""
    with gzip.open(corpus, "rt", encoding="utf-8") as lines:
        whole = "".join(json.loads(line)["text"].replace("\n", "") for line in lines)
    sentences = [f"{sentence}。" for sentence in whole.split("。") if 10 < len(sentence) < 200]
    chance, similar, written, number = random.Random(0), dict[int, float](), 0, 0
    last: list[str] = []
    with place.open("w", encoding="utf-8") as out:
        while written < size:
            own = chance.choices(sentences, k=8 * chance.choice([1, 2, 4, 8]))
            if number % _EVERY == _EVERY - 1:
                own = [chance.choice(sentences) if chance.random() < 0.05 else each for each in last]
                one, other = map(set, (each.tolist() for each in gram_sets(["".join(last), "".join(own)])))
                similar[number] = len(one & other) / len(one | other)
            line = json.dumps({"text": "".join(own)}, ensure_ascii=False) + "\n"
            out.write(line)
            last, written, number = own, written + len(line.encode()), number + 1
    return similar


def found(out: Path, similar: dict[int, float]) -> str:
    """How many of the near-duplicates were dropped, or the documents that they are near to."""
    table = pyarrow.dataset.dataset(out / "rejected").to_table(["id", "reason", "measure"]).to_pylist()
    dropped = {int(row["id"].rsplit("/", 1)[1]) for row in table}
    near = [number for number, jaccard in similar.items() if 0.85 <= jaccard <= 0.95]
    hit = sum(number in dropped or number - 1 in dropped for number in near)
    least = min(row["measure"] for row in table if row["reason"] == "near_duplicate")
    mean = statistics.mean(similar[number] for number in near)
    return f"{hit} of {len(near)} near-duplicates of 0.85 to 0.95 (mean {mean:.3f}) dropped, {hit / len(near):.2%}; least similarity of a dropped one {least:.3f}"


if __name__ == "__main__":
    main()
