"""What a run of ``scripts.bench.pretraining`` came to, and the tables made of such runs."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple


class Point(NamedTuple):
    """A measurement on the held-out tokens."""

    clock: float
    """Seconds since just before the process was started, without those that measuring took."""
    tokens: int
    """Tokens learned from until then."""
    loss: float
    """Nats a token."""


@dataclass
class Run:
    """One process, from its start to its end."""

    name: str
    """Says everything that was asked of it; no name is run twice."""
    row: str
    minutes: float
    seed: int
    learning_rate: float | None
    """That of the baselines; jgpt derives its own."""
    parameters: int
    points: list[Point]
    clock: float
    """Seconds of the whole process, saving the model included, without those that measuring took."""
    wall_seconds: float
    cpu_seconds: float
    load: tuple[float, float]
    """The machine's load average before and after."""
    shares: dict[str, float]
    """Medians of what the metrics tell of the machine: ``share_of_peak``, ``loader_share``."""
    decided: str
    """What the run chose by itself: precision, compilation, threads."""
    machine: str
    """Processors and version of torch."""

    @property
    def tokens_per_second(self) -> float:
        """Between the first measurement after a step and the last."""
        first, last = self._learning[0], self._learning[-1]
        return (last.tokens - first.tokens) / (last.clock - first.clock) if last.clock > first.clock else 0.0

    @property
    def start_up(self) -> float:
        """Seconds that the tokens until the first measurement, at the speed after it, do not explain."""
        first = self._learning[0]
        return first.clock - first.tokens / self.tokens_per_second if self.tokens_per_second else 0.0

    @property
    def _learning(self) -> list[Point]:
        return [point for point in self.points if point.tokens] or self.points

    def first_at(self, loss: float) -> Point | None:
        """The first measurement at or below a loss. The last one counts with the clock of the whole process."""
        points = [*self.points[:-1], self.points[-1]._replace(clock=self.clock)]
        return next((point for point in points if point.loss <= loss), None)


def read_metrics(file: Path, started_at: float) -> tuple[list[Point], float, dict[str, float]]:
    """From the ``metrics.jsonl`` of a process that was started at that Unix time: its measurements, the seconds that they
    took, and the medians of its shares."""
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    measured = [line for line in lines if "valid_loss" in line]
    points = [
        Point(round(line["time"] - started_at - line["valid_seconds"], 2), line["tokens"], line["valid_loss"])
        for line in measured
    ]
    shares = {}
    for name in ("share_of_peak", "loader_share"):
        if values := [line[name] for line in lines if line.get(name) is not None]:
            shares[name] = round(statistics.median(values), 4)
    return points, measured[-1]["valid_seconds"], shares


def read_runs(file: Path) -> dict[str, Run]:
    """Runs by their names, from a file of JSON lines; none when there is no file."""
    runs = {}
    for line in file.read_text("utf-8").splitlines() if file.exists() else []:
        record = json.loads(line)
        run = Run(**record | {"points": [Point(*point) for point in record["points"]], "load": tuple(record["load"])})
        runs[run.name] = run
    return runs


def append_run(file: Path, run: Run) -> None:
    """Add a run to such a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(run), ensure_ascii=False) + "\n")


def target(runs: Iterable[Run], row: str) -> Run | None:
    """The run of a baseline that others are measured against: of its seeds the one with the lowest last loss."""
    return min((run for run in runs if run.row == row), key=lambda run: run.points[-1].loss, default=None)


def table(runs: Iterable[Run], baselines: Iterable[str]) -> str:
    """Markdown: every run; then, for each baseline, how soon the others were where it ended."""
    runs = list(runs)
    parts = [_runs_table(runs)]
    for row in baselines:
        if (goal := target(runs, row)) is not None:
            parts.append(_target_table(runs, goal))
    return "\n\n".join(parts)


def _runs_table(runs: list[Run]) -> str:
    head = "row | decided | seed | minutes | rate | parameters | last loss | tokens | tokens/s | start-up, s | share of peak | loader | CPU s / wall s | load"
    rows = [
        [
            run.row,
            run.decided,
            str(run.seed),
            f"{run.minutes:g}",
            f"{run.learning_rate:g}" if run.learning_rate else "",
            f"{run.parameters / 1e6:.2f}M",
            f"{run.points[-1].loss:.3f}",
            f"{run.points[-1].tokens / 1e6:.2f}M",
            f"{run.tokens_per_second:.0f}",
            f"{run.start_up:.0f}",
            _percent(run.shares.get("share_of_peak")),
            _percent(run.shares.get("loader_share")),
            f"{run.cpu_seconds:.0f} / {run.wall_seconds:.0f}",
            " to ".join(f"{load:.1f}" for load in run.load),
        ]
        for run in runs
    ]
    return _markdown(head, rows)


def _target_table(runs: list[Run], goal: Run) -> str:
    end = goal.points[-1]
    title = (
        f"To {end.loss:.3f} nats a token, where {goal.row} (seed {goal.seed}) was after {end.clock:.0f} s and "
        f"{end.tokens / 1e6:.2f}M tokens:"
    )
    rows = []
    others = {(run.row, run.seed) for run in runs if run.row != goal.row and not run.row.endswith(" sweep")}
    for row, seed in sorted(others, key=lambda other: [(run.row, run.seed) for run in runs].index(other)):
        same = [run for run in runs if (run.row, run.seed) == (row, seed)]
        reached = [(point, run) for run in same if (point := run.first_at(end.loss)) is not None]
        if not reached:
            nearest = min(point.loss for run in same for point in run.points)
            rows.append([row, str(seed), "", f"not reached: {nearest:.3f}", "", "", ""])
            continue
        point, run = min(reached, key=lambda each: each[0].clock)
        figures = [f"{point.clock:.0f}", f"{end.clock / point.clock:.1f}"]
        figures += [f"{point.tokens / 1e6:.2f}M", f"{end.tokens / max(point.tokens, 1):.1f}"]
        rows.append([row, str(seed), f"{run.minutes:g}", *figures])
    head = "row | seed | run of minutes | seconds | times faster | tokens | times fewer tokens"
    return f"{title}\n\n{_markdown(head, rows)}"


def _markdown(head: str, rows: list[list[str]]) -> str:
    rule = "|".join("---" for _ in head.split("|"))
    return "\n".join([f"| {head} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2g} %"
