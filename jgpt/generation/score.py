"""How surprising is each token of a text to a model?"""

import math
from dataclasses import dataclass

import torch

from jgpt.model.gpt import GPT
from tokenizer.japanese import JapaneseTokenizer


@dataclass(frozen=True)
class TokenScore:
    """A token of a text and its surprisal."""

    piece: str
    id: int
    surprisal: float
    """-log2 of its probability after what stands before it, in bits."""
    rank: int
    """How many tokens were likelier, plus one."""


@torch.inference_mode()
def score(model: GPT, tokenizer: JapaneseTokenizer, text: str, *, end: bool = True) -> list[TokenScore]:
    """Surprisal of each token of a text that begins with ``<s>``, and of ``</s>`` after it when ``end``.

    A text longer than the context is read in windows that move by half a context, so that each token has at least half a
    context before it.
    """
    ids = tokenizer.encode(text, begin=True, end=end)
    context = model.config.context_length
    scores: list[TokenScore] = []
    done = 1  # the first id, <s>, is given
    while done < len(ids):
        begin = 0 if done == 1 else max(0, done - (context // 2 or 1))
        window = ids[begin : begin + context + 1]
        logits = model(torch.tensor([window[:-1]], device=model.device))  # [1, T, V]
        log_probabilities = torch.log_softmax(logits[0].float(), dim=-1)  # [T, V]
        for place in range(done, begin + len(window)):
            row = log_probabilities[place - 1 - begin]
            value = row[ids[place]]
            rank = int((row > value).sum()) + 1
            scores.append(TokenScore(tokenizer.piece(ids[place]), ids[place], -float(value) / math.log(2), rank))
        done = begin + len(window)
    return scores
