"""A model behind an OpenAI-compatible endpoint whose completions echo the prompt with its log-probabilities."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from eval.completions import Completions, NotThere, TooLong
from eval.echo import Token, shared, split
from eval.models import Question, TextScore
from jgpt.config import GenerateConfig
from jgpt.generation.generate import before_stop
from stage.errors import JgptError, UsageError
from stage.progress import progress

PIECE = 1000
"""Characters of a whole text that are scored at once."""

_ECHO = "serve the model with a server that echoes prompts with log-probabilities, as vLLM does"

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Endpoint:
    """Scores and greedy text over the network, a few requests at a time. Only prompts are sent.

    The server's tokenizer decides where tokens are; a token that spans the join of context and choice is scored with the
    choice. A context that the server finds too long loses its beginning, a quarter at a time. Whole texts are scored without an
    end piece, of which an endpoint does not tell, in pieces of ``PIECE`` characters that see half as much before them.
    """

    normalization = "none"
    at_once = 16
    scores_end = False

    def __init__(self, url: str, model: str = "", *, parallel: int = 4, quiet: bool = False) -> None:
        if parallel < 1:
            raise UsageError(f"--endpoint_parallel {parallel} must be 1 or more")
        self._completions = Completions(url)
        self.url = self._completions.url
        record = self._choose(model)
        self.name = str(record["id"])
        length = record.get("max_model_len")
        self.context_length = length if isinstance(length, int) and length > 0 else 0
        self._parallel, self._quiet = parallel, quiet

    def identity(self) -> str:
        return f"{self.url} {self.name}"

    def score_choices(self, questions: Sequence[Question], description: str = "") -> list[list[TextScore]]:
        return self._all(self._score_question, questions, description, "question")

    def score_texts(self, texts: Sequence[str], description: str = "") -> list[TextScore]:
        return self._all(self._score_text, texts, description, "text")

    def generate(
        self, prompts: Sequence[str], *, max_tokens: int, stop: Sequence[str] = (), description: str = ""
    ) -> list[str]:
        GenerateConfig(max_tokens=max_tokens, stop=list(stop))  # checks them
        # servers take four stop strings at most
        named = {"max_tokens": max_tokens, "temperature": 0} | ({"stop": list(stop)[:4]} if stop else {})

        def one(prompt: str) -> str:
            text = self._completions.complete(model=self.name, prompt=prompt, **named)["text"]
            text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair could not be kept
            return "".join(before_stop(text, list(stop))[:2])

        return self._all(one, prompts, description, "prompt") if max_tokens else [""] * len(prompts)

    def _choose(self, name: str) -> dict[str, Any]:
        """The record of the model asked for, or of the only one there."""
        try:
            records = {str(record["id"]): record for record in self._completions.models() if record.get("id")}
        except NotThere:
            if not name:
                raise
            records = {}  # not every server lists its models
        if not name and len(records) == 1:
            return next(iter(records.values()))
        known = f"it has {', '.join(sorted(records)[:8])}" if records else "it lists none"
        if not name:
            raise UsageError(f"{self.url}: name the model with --endpoint_model NAME; {known}")
        if records and name not in records:
            raise UsageError(f"--endpoint_model {name}: {self.url} has no such model; {known}")
        return records.get(name, {"id": name})

    def _score_question(self, question: Question) -> list[TextScore]:
        context, choices = question
        kept = context
        while True:
            try:
                answers = [self._echo(kept, choice) for choice in choices]
                break
            except TooLong:
                if not kept:
                    raise
                kept = kept[-(-len(kept) // 4) :] if len(kept) > 8 else ""
        common = shared([tokens for tokens, _ in answers], answers[0][1])
        return [self._sum(tokens[common:], cut=len(kept) < len(context)) for tokens, _ in answers]

    def _score_text(self, text: str) -> TextScore:
        scores = []
        for context, piece in _pieces(text):
            tokens, join = self._echo(context, piece)
            scores.append(self._sum([token for token in tokens if token.end > join or token.begin >= join]))
        return TextScore(
            math.fsum(score.log_probability for score in scores),
            sum(score.tokens for score in scores),
            unscored=sum(score.unscored for score in scores),
        )

    def _echo(self, context: str, text: str) -> tuple[list[Token], int]:
        """The tokens of context + text, and the byte where the text begins."""
        prompt = context + text
        # most servers make one token at least; what comes after the prompt is left away
        choice = self._completions.complete(
            model=self.name, prompt=prompt, max_tokens=1, temperature=0, echo=True, logprobs=1
        )
        record = choice.get("logprobs")
        if not isinstance(record, dict):
            raise JgptError(f"{self.url}: gives no log-probabilities; {_ECHO}")
        tokens, values = record.get("tokens"), record.get("token_logprobs")
        if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
            raise JgptError(f"{self.url}: its logprobs have no tokens and token_logprobs of one length; {_ECHO}")
        if not choice["text"].startswith(prompt):
            raise JgptError(f"{self.url}: does not echo the prompt (echo=true); {_ECHO}")
        if not all(value is None or (isinstance(value, int | float) and value < 1e-3) for value in values):
            raise JgptError(
                f"{self.url}: gives log-probabilities that are no numbers up to 0; its model or server is broken"
            )
        found = split([str(token) for token in tokens], values, choice["text"], context, prompt)
        if found is None:
            raise JgptError(
                f"{self.url}: its tokens do not join to the prompt that it was sent, so none can be told apart; {_ECHO}"
            )
        return found

    def _sum(self, tokens: Sequence[Token], cut: bool = False) -> TextScore:
        values = [token.log_probability for token in tokens]
        missing = values.count(None)
        if missing and (missing > 1 or tokens[0].begin):
            raise JgptError(
                f"{self.url}: gives no log-probabilities of the prompt, but of what it writes itself; {_ECHO}"
            )
        known = [value for value in values if value is not None]
        return TextScore(math.fsum(known), len(known), cut, missing)

    def _all(self, one: Callable[[Asked], Answer], asked: Sequence[Asked], description: str, unit: str) -> list[Answer]:
        """The answers in order; after an error nothing more is sent."""
        pool = ThreadPoolExecutor(self._parallel)
        try:
            with progress(total=len(asked), description=description, unit=unit, quiet=self._quiet) as bar:
                found = []
                for answer in pool.map(one, asked):
                    found.append(answer)
                    bar.update()
                return found
        finally:
            pool.shutdown(cancel_futures=True)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Pieces of a text, each with what stands before it: half a piece, and before the first nothing."""
    for begin in range(0, len(text), PIECE):
        yield text[max(0, begin - PIECE // 2) : begin], text[begin : begin + PIECE]
