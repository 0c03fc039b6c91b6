"""Time a training step with and without what jgpt does for the CPU: ``python -m scripts.bench.training_step``.

Each variant runs in a process of its own, since some settings act on a whole process; variants take turns, so that a machine
whose speed drifts treats them alike. Compiling is not in the times. ``--busy N`` lets N other processes compete for the cores.
One JSON line a run goes to ``--out``, the table to stdout.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

AS_JGPT = {"OMP_WAIT_POLICY": "PASSIVE", "KEEP": "1", "COMPILE": "1", "SHORT": "1", "OPTIMIZER": "muon"}
VARIANTS = {
    "as jgpt runs": AS_JGPT,
    "memory returned after each tensor": AS_JGPT | {"KEEP": "0"},
    "threads spin, as is the default": {name: value for name, value in AS_JGPT.items() if name != "OMP_WAIT_POLICY"},
    "not compiled": AS_JGPT | {"COMPILE": "0"},
    "PyTorch's kernel for attention": AS_JGPT | {"SHORT": "0"},
    "AdamW instead of Muon": AS_JGPT | {"OPTIMIZER": "adamw"},
}
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def main() -> None:
    """Parse flags; time every variant, or one step series in a child process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--vocab_size", type=int, default=8000)
    parser.add_argument("--sequences", type=int, default=16, help="of 256 tokens a step")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0, help="other processes that keep a core busy")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(time_steps(given.depth, given.vocab_size, given.sequences, given.steps)))
        return
    spin = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(given.busy)]
    medians: dict[str, list[float]] = {name: [] for name in VARIANTS}
    try:
        for round_number in range(given.rounds):
            for name, settings in VARIANTS.items():
                medians[name].append(run_child(settings))
                record = {"variant": name, "round": round_number, "busy": given.busy, "seconds": medians[name][-1]}
                record |= {"load": os.getloadavg()[0], "depth": given.depth, "vocab_size": given.vocab_size}
                if given.out:
                    with given.out.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(record) + "\n")
    finally:
        for process in spin:
            process.kill()
    base = statistics.median(medians["as jgpt runs"])
    print(
        f"median seconds of a step of {given.sequences * 256} tokens, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}"
    )
    for name, seconds in medians.items():
        print(f"{name:<36}{statistics.median(seconds):8.3f} s   {statistics.median(seconds) / base:5.2f} times as long")


def run_child(settings: dict[str, str]) -> float:
    """Median seconds of a step in a fresh process with these settings."""
    environment = {key: value for key, value in os.environ.items() if key not in SETTINGS} | settings
    command = [sys.executable, "-m", "scripts.bench.training_step", *sys.argv[1:], "--child"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def time_steps(depth: int, vocab_size: int, sequences: int, steps: int) -> float:
    """Median seconds of a training step; the first three do not count."""
    import torch

    from jgpt import GPT
    from jgpt.config import ModelConfig, TrainConfig
    from jgpt.device import autocast, choose_dtype, keep_freed_memory
    from jgpt.model import attention
    from jgpt.training.optimizer import make_optimizers
    from jgpt.training.plan import derive_training
    from jgpt.training.speed import keep_compiled_code

    if os.environ["KEEP"] == "1":
        keep_freed_memory()
    if os.environ["SHORT"] == "0":
        attention.SHORT = 0
    keep_compiled_code()
    device = torch.device("cpu")
    config = ModelConfig(depth=depth).derived(vocab_size)
    model = GPT(config)
    if os.environ["COMPILE"] == "1":
        for block in model.blocks:
            block.compile(dynamic=False)
    dtype = choose_dtype("auto", device)
    optimizers = make_optimizers(
        model,
        derive_training(TrainConfig(optimizer="muon" if os.environ["OPTIMIZER"] == "muon" else "adamw"), config),
        dtype,
    )
    ids = torch.randint(vocab_size, (sequences, config.context_length))
    seconds = []
    for _ in range(steps + 3):
        started = time.perf_counter()
        with autocast(device, dtype):
            loss = model.loss(ids, ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[3:])


if __name__ == "__main__":
    main()
