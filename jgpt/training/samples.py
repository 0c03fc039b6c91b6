"""Texts that a model writes while it is trained: ``samples.jsonl``."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from corpora.normalization import normalize_prompt
from jgpt.config import GenerateConfig
from jgpt.generation.generate import generate
from jgpt.model.gpt import GPT
from jgpt.training.metrics import append, read_lines
from tokenizer.japanese import JapaneseTokenizer

log = logging.getLogger(__name__)
NAME = "samples.jsonl"
_SETTINGS = GenerateConfig(max_tokens=64, temperature=0.8)


class SampleTexts:
    """A short text after each prompt, of the same seed each time, so that only the model is another."""

    def __init__(self, prompts: Sequence[str], tokenizer: Path, normalization: str) -> None:
        """``tokenizer``: a folder that holds one. Raises UsageError for a prompt that no text can begin with."""
        self.prompts = [normalize_prompt(prompt, normalization or "none") for prompt in prompts]
        self._tokenizer = JapaneseTokenizer(tokenizer)
        self._tokenizer.encode_batch(self.prompts)

    def write(self, file: Path | None, model: GPT, step: int, tokens: int) -> None:
        """Write the texts after a step. Training is not disturbed: they have a random generator of their own.

        Without a file they are but made, in which all processes that share a model must take part.
        """
        with torch.compiler.set_stance("force_eager"):  # shapes change from piece to piece
            for prompt in self.prompts:
                text = generate(model, self._tokenizer, prompt, _SETTINGS)
                if file:
                    append(file, {"step": step, "tokens": tokens, "prompt": prompt, "text": text})
                log.info("step %d: %s▸%s", step, prompt, "⏎".join(text.splitlines()))


def recorded_prompts(out: Path) -> list[str]:
    """The prompts that the run in a folder had."""
    return list(dict.fromkeys(record["prompt"] for record in read_lines(out / NAME)))
