"""lm-evaluation-harness on the tasks that ``scripts.bench.evaluation`` wrote, in the Python that has it; it starts this by itself.

``plain`` is a model of ours behind lm-eval's interface, each request by itself; ``hf`` is lm-eval's own model on an exported folder.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {file}}}}}
validation_split: validation
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: choices
doc_to_target: gold
target_delimiter: ""
metric_list:
  - {{metric: acc}}
  - {{metric: acc_norm}}
"""


def run_lm_eval(kind: str, model: Path, tasks: list[Path], batch_size: int = 16, limit: int = 0) -> dict[str, Any]:
    """What lm-eval finds for files of items (JSON Lines with context, choices and gold), by name.

    For each: ``seconds`` of tokenising and scoring, ``scores`` of the choices of each item, ``acc`` and ``acc_norm``.
    """
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    lm = _plain(model) if kind == "plain" else _hf(model, batch_size)
    spent: list[float] = []
    loglikelihood = lm.loglikelihood

    def timed(requests: Any, **named: Any) -> Any:
        started = time.perf_counter()
        found = loglikelihood(requests, **named)
        spent.append(time.perf_counter() - started)
        return found

    lm.loglikelihood = timed
    found = {}
    for file in tasks:
        file.with_suffix(".yaml").write_text(TASK.format(name=file.stem, file=file.absolute()), "utf-8")
    manager = TaskManager(include_path=str(tasks[0].parent), include_defaults=False)
    for file in tasks:
        results = simple_evaluate(
            lm, tasks=[file.stem], task_manager=manager, limit=limit or None, bootstrap_iters=0, log_samples=True
        )
        assert results is not None
        values = results["results"][file.stem]
        samples = sorted(results["samples"][file.stem], key=lambda sample: sample["doc_id"])
        found[file.stem] = {
            "seconds": spent.pop(),
            "scores": [[float(each[0]) for each in sample["filtered_resps"]] for sample in samples],
            "acc": values["acc,none"],
            "acc_norm": values["acc_norm,none"],
        }
    return found


def _hf(folder: Path, batch_size: int) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(str(folder), device="cpu", dtype="float32", batch_size=batch_size, add_bos_token=True)


def _plain(folder: Path) -> Any:
    from lm_eval.api.model import TemplateLM

    from eval.scoring import ModelScorer
    from jgpt.model.folder import load_model
    from tokenizer import JapaneseTokenizer

    tokenizer, scorer = JapaneseTokenizer(folder), ModelScorer(load_model(folder, "cpu"), reference=True)

    class Plain(TemplateLM):
        backend = "causal"
        eot_token_id = prefix_token_id = tokenizer.bos_id

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
            ids = tokenizer.encode(string)
            return ids if add_special_tokens is False else [tokenizer.bos_id, *ids]

        def _loglikelihood_tokens(self, requests: Any, **_: Any) -> list[tuple[float, bool]]:
            scores = scorer.score([(context, continuation) for _, context, continuation in requests])
            return [(float(values.sum()), False) for values in scores]

        def loglikelihood_rolling(self, *_: Any, **__: Any) -> list[float]:
            raise NotImplementedError

        def generate_until(self, *_: Any, **__: Any) -> list[str]:
            raise NotImplementedError

    return Plain()


def main() -> None:
    """One run in this Python."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["plain", "hf"])
    parser.add_argument("model", type=Path)
    parser.add_argument("tasks", type=Path, nargs="+")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    found = run_lm_eval(given.kind, given.model, given.tasks, given.batch_size, given.limit)
    given.out.write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
