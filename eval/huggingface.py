"""A local folder of Hugging Face's form, as ``AutoModelForCausalLM`` and ``AutoTokenizer`` load it: no network, no foreign code."""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from eval.models import Question, TextScore, precision_of, score_of
from eval.scoring import Request, Scores, Window, encode_choices, fit, windows
from stage.errors import ArtifactError, InputError, JgptError, UsageError
from stage.files import sha256_file
from stage.progress import progress

MOST_CONTEXT = 4096
"""Tokens of context that are used at most, of models that have more: bounds the memory."""

_LOGITS = 1 << 28  # numbers in float32, which are a gigabyte


class HuggingFaceModel:
    """Scores and greedy text of a causal language model; logits are made only where a token is scored.

    Texts go through its own tokenizer. What that puts before a text (``<s>``, say) goes before every context; where it puts
    nothing, as GPT-2's does, its begin piece or else its end piece does. What it puts after a text is left away. A whole text
    is scored with the tokenizer's end piece after it, where there is one.
    """

    normalization = "none"
    at_once = 256

    def __init__(self, folder: Path, device: str, dtype: str, batch_tokens: int, quiet: bool) -> None:
        check_folder(folder)
        self.name = folder.name
        self.model = _load(folder, dtype, device)
        self.tokenizer = _Tokenizer(folder)
        self.context_length = _context_length(self.model.config, self.tokenizer.tokenizer)
        self.scores_end = self.tokenizer.end_id is not None
        self._batch_tokens, self._quiet = batch_tokens, quiet
        self._identity = f"{hash_folder(folder)} {precision_of(self.model)}"
        self._check_causal()

    def identity(self) -> str:
        return self._identity

    def score_choices(self, questions: Sequence[Question], description: str = "") -> list[list[TextScore]]:
        start = self.tokenizer.start
        requests = [
            [([*start, *context[1:]], ids) for context, ids in encode_choices(self.tokenizer, *question)]
            for question in questions
        ]
        scores = iter(self.score([each for some in requests for each in some], description))
        return [[score_of(each, next(scores), self.context_length) for each in some] for some in requests]

    def score_texts(self, texts: Sequence[str], description: str = "") -> list[TextScore]:
        end = [] if self.tokenizer.end_id is None else [self.tokenizer.end_id]
        ids = self.tokenizer.encode_batch(texts)
        scores = self.score([(self.tokenizer.start, [*each, *end]) for each in ids], description)
        return [TextScore(float(values.sum()), len(values)) for values in scores]

    def score(self, requests: Sequence[Request], description: str = "") -> list[Scores]:
        """Natural log-probabilities of the tokens of each continuation, float64, as ``ModelScorer`` gives them."""
        pieces: list[Window] = []
        ends = [0]
        for request in requests:
            ids, scored = fit(request, self.context_length)
            pieces += windows(ids, scored, self.context_length) if scored else []
            ends.append(len(pieces))
        scores = [np.empty(0)] * len(pieces)
        with progress(total=len(pieces), description=description, unit="text", quiet=self._quiet) as bar:
            for batch in self._batches(pieces):
                for number, values in zip(batch, self._forward([pieces[number] for number in batch]), strict=True):
                    scores[number] = values
                bar.update(len(batch))
        return [np.concatenate([np.empty(0), *scores[begin:end]]) for begin, end in pairwise(ends)]

    def _batches(self, pieces: Sequence[Window]) -> Iterator[list[int]]:
        """Numbers of windows, longest first, within the tokens of a batch and the memory for logits."""
        order = sorted(range(len(pieces)), key=lambda number: -len(pieces[number].ids))
        vocabulary = int(self.model.get_output_embeddings().weight.size(0))
        begin = 0
        while begin < len(order):
            length = len(pieces[order[begin]].ids)
            rows = max(1, min(self._batch_tokens, _LOGITS // vocabulary) // length)
            yield order[begin : begin + rows]
            begin += rows

    def _forward(self, batch: list[Window]) -> list[Scores]:
        import torch

        width = max(len(window.ids) for window in batch) - 1
        inputs = torch.zeros(len(batch), width, dtype=torch.int64)  # [B, T], padded on the right
        mask = torch.zeros_like(inputs)
        for row, (ids, _) in enumerate(batch):
            inputs[row, : len(ids) - 1] = torch.from_numpy(ids[:-1])
            mask[row, : len(ids) - 1] = 1
        first = min(len(ids) - 1 - scored for ids, scored in batch)
        logits = self._logits(inputs, mask, width - first)  # [B, T - first, V]
        found = []
        for row, (ids, scored) in enumerate(batch):
            last = len(ids) - 1 - first
            rows = logits[row, last - scored : last].float().log_softmax(-1)  # [scored, V]
            wanted = torch.from_numpy(ids[len(ids) - scored :]).to(rows.device)
            found.append(rows.gather(1, wanted[:, None])[:, 0].cpu().double().numpy())
        if not all(np.isfinite(values).all() for values in found):
            raise InputError(
                f"{self.name}: its log-probabilities are not finite; try --dtype float32, or other weights"
            )
        return found

    def _logits(self, inputs: Any, mask: Any, keep: int) -> Any:
        """Those of the last ``keep`` positions, [B, keep, V]."""
        import torch

        named = {"logits_to_keep": keep} if self._keeps_logits else {}
        with torch.inference_mode():
            device = self.model.device
            found = self.model(
                input_ids=inputs.to(device), attention_mask=mask.to(device), use_cache=False, **named
            ).logits
        return found[:, -keep:]

    @property
    def _keeps_logits(self) -> bool:
        import inspect

        return "logits_to_keep" in inspect.signature(self.model.forward).parameters

    def _check_causal(self) -> None:
        """Raise ArtifactError where a token sees those after it, as in BERT."""
        import torch

        pair = torch.tensor([[self.tokenizer.start[0], 5, 6, 7], [self.tokenizer.start[0], 5, 7, 6]])
        logits = self._logits(pair, torch.ones_like(pair), 4).float()
        if not torch.allclose(logits[0, :2], logits[1, :2], atol=1e-2, rtol=1e-2, equal_nan=True):
            raise ArtifactError(f"{self.name}: is no causal language model, its tokens see those after them")

    def generate(
        self, prompts: Sequence[str], *, max_tokens: int, stop: Sequence[str] = (), description: str = ""
    ) -> list[str]:
        """Prompts of equal length go together; one without room in the context loses its beginning."""
        from eval.greedy import generate_greedily

        return generate_greedily(self, prompts, max_tokens, stop, self._batch_tokens, description, self._quiet)


class _Tokenizer:
    """What ``encode_choices`` asks of a tokenizer, from one of Hugging Face's."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = _from_pretrained("AutoTokenizer", folder)
        ids, plain = self.tokenizer("日").input_ids, self.encode("日")
        places = [place for place in range(len(ids)) if ids[place : place + len(plain)] == plain]
        start = list(ids[: places[0]]) if places else []
        pieces = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        self.start = start or [piece for piece in pieces if piece is not None][:1]
        if not self.start:
            raise ArtifactError(f"{folder}: its tokenizer has neither a begin nor an end piece to put before a text")
        self.bos_id = self.start[0]
        self.end_id: int | None = self.tokenizer.eos_token_id

    def encode(self, text: str) -> list[int]:
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        return [list(ids) for ids in self.tokenizer(list(texts), add_special_tokens=False, verbose=False).input_ids]


def check_folder(folder: Path) -> None:
    """Raise ArtifactError for a folder that cannot be loaded without running what it brings, or not at all."""
    names = {entry.name for entry in folder.iterdir()}
    for name in ("config.json", "tokenizer_config.json"):
        if name in names and '"auto_map"' in (folder / name).read_text("utf-8", "replace"):
            raise ArtifactError(
                f"{folder}: brings Python code ({name} has auto_map), which is not run; where transformers itself has this "
                'model, take "auto_map" out of the file'
            )
    if "adapter_config.json" in names:
        raise ArtifactError(f"{folder}: is an adapter; merge it into its model with peft and save that")
    if not any(name.endswith(".safetensors") for name in names):
        pickles = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
        if pickles:
            raise ArtifactError(
                f"{folder}: {pickles[0]} is a pickle, which can run code when it is read; convert it to safetensors "
                "(save_pretrained of transformers 5 writes that) where you trust it"
            )
        raise ArtifactError(f"{folder}: holds no weights (model.safetensors)")
    if not any(name.startswith(("tokenizer.", "vocab.", "spiece.", "sentencepiece.")) for name in names):
        raise ArtifactError(f"{folder}: holds no tokenizer (tokenizer.json); copy the files of its tokenizer beside it")


def _load(folder: Path, dtype: str, device: str) -> Any:
    import torch

    from jgpt.device import choose_device, memory_errors

    if dtype not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"--dtype {dtype}: known are auto, float32 and bfloat16")
    precision = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    with memory_errors("try --dtype bfloat16, or a smaller model"):
        model = _from_pretrained("AutoModelForCausalLM", folder, dtype=precision, use_safetensors=True)
        return model.to(choose_device(device)).eval()


def _from_pretrained(auto_class: str, folder: Path, **named: Any) -> Any:
    try:
        import transformers
    except ImportError:
        raise JgptError(f"{folder}: is loaded by the library transformers: pip install 'transformers>=5'") from None
    notes = transformers.utils.logging
    verbosity, bars = notes.get_verbosity(), notes.is_progress_bar_enabled()
    notes.set_verbosity_error()
    notes.disable_progress_bar()
    try:
        return getattr(transformers, auto_class).from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **named
        )
    except Exception as error:  # it raises whatever its many parts raise
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{folder}: transformers {transformers.__version__} cannot load it ({reason})") from None
    finally:
        notes.set_verbosity(verbosity)
        if bars:
            notes.enable_progress_bar()


def _context_length(config: Any, tokenizer: Any) -> int:
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "max_seq_len", None)
    return min(int(found or tokenizer.model_max_length), MOST_CONTEXT)


def hash_folder(folder: Path) -> str:
    """Of every file that can change a score."""
    import hashlib

    endings = (".safetensors", ".json", ".model", ".txt")
    files = sorted(file for file in folder.iterdir() if file.name.endswith(endings) and file.is_file())
    record = {file.name: sha256_file(str(file)) for file in files}
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()
