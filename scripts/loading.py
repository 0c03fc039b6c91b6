"""A model ready to be asked."""

from pathlib import Path

import torch

from corpora.normalization import normalize_prompt
from jgpt import GPT, load_model
from tokenizer import JapaneseTokenizer


def load(folder: Path | str, device: str, dtype: str = "auto", threads: int = 0) -> tuple[GPT, JapaneseTokenizer]:
    """The model of a folder and its tokenizer."""
    limit_threads(threads)
    return load_model(folder, device, dtype), JapaneseTokenizer(folder)


def normalized(model: GPT, text: str) -> str:
    """A prompt as the text that the model learned from was normalised."""
    return normalize_prompt(text, model.config.normalization or "none")


def limit_threads(threads: int) -> None:
    """Let the tensor library use that many threads; 0 leaves its own choice."""
    if threads:
        torch.set_num_threads(threads)
