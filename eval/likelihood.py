"""Measure by likelihood: which choice does the model find most probable after the question?"""

from collections.abc import Sequence
from typing import Any, Protocol

from eval.multiple_choice import ChoiceScore, Item, ItemScores, item_scores
from eval.scoring import Request, Scores, encode_choices, is_cut
from eval.store import Store
from stage.progress import progress

Asked = tuple[str, Sequence[str]]
"""A context, and the choices that may follow it."""

_ITEMS = 256  # scored and kept at once: what a kill costs at most


class Scorer(Protocol):
    """What scores the continuations of token ids: a model, or n-gram counts."""

    def score(self, requests: Sequence[Request]) -> list[Scores]:
        """Natural log-probabilities of the tokens of each continuation."""


class TokenModel:
    """A scorer of tokens with its tokenizer: what scores texts."""

    def __init__(self, scorer: Any, tokenizer: Any, context_length: int = 0, gpt: Any = None) -> None:
        """``context_length`` 0: contexts of any length; ``gpt`` generates."""
        self.scorer, self.tokenizer, self.context_length, self.gpt = scorer, tokenizer, context_length, gpt

    def score_choices(self, asked: Sequence[Asked]) -> list[list[ChoiceScore]]:
        """Each choice after its context, split at tokens as ``encode_choices`` does."""
        encoded = [encode_choices(self.tokenizer, context, choices) for context, choices in asked]
        scores = iter(self.scorer.score([request for requests in encoded for request in requests]))
        limit = self.context_length
        return [
            [
                ChoiceScore(float(next(scores).sum()), len(request[1]), bool(limit) and is_cut(request, limit))
                for request in requests
            ]
            for requests in encoded
        ]

    def generate(self, prompts: Sequence[str], *, max_tokens: int, stop: Sequence[str]) -> list[str]:
        """The likeliest continuation of each prompt, token by token, up to a stop string."""
        from jgpt.generation.batch import generate_batch

        return generate_batch(self.gpt, self.tokenizer, prompts, max_tokens=max_tokens, stop=stop)

    def tokens(self, text: str) -> int:
        """How many tokens a text has, with what begins it."""
        return 1 + len(self.tokenizer.encode(text))


def score_items(
    items: Sequence[Item], model: Any, *, name: str = "", store: Store | None = None, quiet: bool = True
) -> list[ItemScores]:
    """The scores of every item. With a store what it holds is not computed again, and what is found goes into it."""
    found: list[Any] = []
    with progress(total=len(items), description=name, unit="item", quiet=quiet) as bar:
        for begin in range(0, len(items), _ITEMS):
            part = items[begin : begin + _ITEMS]
            key = f"{name}/{begin}"
            if store is not None and key in store.found:
                scores = [[[ChoiceScore(*entry) for entry in each] for each in of_item] for of_item in store.found[key]]
            else:
                flat = iter(model.score_choices([asked for item in part for asked in item.asked]))
                scores = [[next(flat) for _ in item.asked] for item in part]
                if store is not None:
                    store.put({key: scores})
            found += map(item_scores, part, scores)
            bar.update(len(part))
    return found
