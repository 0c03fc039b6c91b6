"""Log-probabilities of continuations under a model; ``eval.ngram`` scores the same requests as a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.trie import Numbers, Row, plan
from stage.errors import InputError
from stage.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

    from jgpt.model.cache import Cache
    from jgpt.model.gpt import GPT

Ids = Sequence[int] | NDArray[np.int64]
Scores = NDArray[np.float64]
Request = tuple[Ids, Ids]
"""Ids of a context, which begins with ``<s>``, and of the continuation whose tokens are scored."""

_ROWS = 1024  # positions whose logits, in float32, are held at once
_ATTENTION = 1 << 22  # pairs of a token and one that it sees, in a batch


class Window(NamedTuple):
    """A piece of a sequence that fits the model: up to context length + 1 ids, the last ``scored`` are targets."""

    ids: Numbers
    scored: int


def windows(ids: Numbers, scored: int, context_length: int) -> list[Window]:
    """Windows that together score the last ``scored`` ids once each, in order; ``scored`` < len(ids).

    A sequence of up to ``context_length`` + 1 ids is one window. In a longer one each window moves on by half the
    context length, so every later target has at least half a context before it. Later windows begin in the middle of
    the text, as training samples do.
    """
    total, start = len(ids), len(ids) - scored
    stride = max(1, context_length // 2)
    ends = [*range(max(start + stride, context_length + 1), total, stride), total]
    return [Window(ids[max(0, end - context_length - 1) : end], end - begin) for begin, end in pairwise([start, *ends])]


def fit(request: Request, context_length: int) -> tuple[Numbers, int]:
    """The ids of a request and how many of them are scored, with the context cut from the left where it is too long.

    ``<s>`` stays in front. A continuation that is longer than the model's context keeps ``<s>`` alone before it and is
    scored in windows.
    """
    context, continuation = (np.asarray(ids, np.int64) for ids in request)
    room = max(0, context_length - len(continuation))  # after <s>; the last token of the continuation is no input
    if len(context) - 1 > room:
        context = np.concatenate([context[:1], context[len(context) - room :]])
    return np.concatenate([context, continuation]), len(continuation)


def is_cut(request: Request, context_length: int) -> bool:
    """Whether ``fit`` has to cut the context of a request."""
    return len(request[0]) + len(request[1]) > context_length + 1


class ModelScorer:
    """Scores with a model: what requests share is computed once (``eval.trie``), in batches of at most ``batch_tokens``.

    ``reference`` computes each request by itself instead, as padded rows sorted by length: slower, and plain to see.
    """

    def __init__(self, model: GPT, batch_tokens: int = 2048, quiet: bool = True, *, reference: bool = False) -> None:
        self.model = model
        self.batch_tokens = batch_tokens
        self.quiet = quiet
        self.reference = reference
        self.context_length = model.config.context_length

    def score(self, requests: Iterable[Request], description: str = "") -> list[Scores]:
        """Natural log-probabilities, float64 [len(continuation)], in the order of the requests.

        Contexts that are too long are cut as ``fit`` does. Raises InputError when they are not finite.
        """
        import torch

        pieces: list[Window] = []
        ends = [0]
        for request in requests:
            pieces += windows(*fit(request, self.context_length), self.context_length)
            ends.append(len(pieces))
        scores = [np.empty(0)] * len(pieces)
        total = sum(piece.scored for piece in pieces)
        with (
            progress(total=total, description=description, unit="token", quiet=self.quiet, unit_scale=True) as bar,
            torch.inference_mode(),
        ):
            for numbers, values in self._plainly(pieces) if self.reference else self._sharing(pieces):
                for number, part in zip(numbers, values, strict=True):
                    scores[number] = part
                bar.update(sum(map(len, values)))
        return [np.concatenate(scores[begin:end]) for begin, end in pairwise(ends)]

    def _plainly(self, pieces: list[Window]) -> Iterator[tuple[list[int], list[Scores]]]:
        """Numbers of windows and their scores, batch by batch."""
        import torch

        lengths = [len(piece.ids) - 1 for piece in pieces]
        for batch in _batches(lengths, self.batch_tokens):
            inputs = torch.zeros(len(batch), lengths[batch[0]], dtype=torch.int64)  # [B, T], padded on the right
            places = []
            for row, number in enumerate(batch):
                ids, scored = pieces[number]
                inputs[row, : len(ids) - 1] = torch.from_numpy(ids[:-1])
                places.append(row * inputs.size(1) + np.arange(len(ids) - 1 - scored, len(ids) - 1))
            hidden = self.model.hidden(inputs.to(self.model.device))  # [B, T, C]
            yield batch, self._log_probabilities(hidden, places, [_targets(pieces[number]) for number in batch])

    def _sharing(self, pieces: list[Window]) -> Iterator[tuple[list[int], list[Scores]]]:
        """The same from rows of tries behind shared prefixes, whose keys and values a cache holds like a stack."""
        import torch

        from jgpt.model.cache import Cache

        model, device = self.model, self.model.device
        cache = Cache(model.config, 1, device, model.embedding.weight.dtype)
        for stem in plan(pieces, self.batch_tokens):
            cache.cut(stem.start)
            if len(stem.ids):
                model.hidden(torch.from_numpy(stem.ids)[None].to(device), cache)
            for batch in _batches([len(row.ids) for row in stem.rows], self.batch_tokens, stem.length):
                rows = [stem.rows[number] for number in batch]
                numbers = [number for row in rows for number in row.members]
                size = len(rows[0].ids)
                places = [row * size + each for row, found in enumerate(rows) for each in found.places]
                hidden = self._hidden(rows, cache)  # [B, T, C]
                yield numbers, self._log_probabilities(hidden, places, [_targets(pieces[each]) for each in numbers])

    def _hidden(self, rows: list[Row], cache: Cache) -> Tensor:
        """The stream [B, T, C] of rows behind the tokens of the cache, the longest row first."""
        import torch

        shape = len(rows), len(rows[0].ids)
        ids, positions = torch.zeros(2, *shape, dtype=torch.int64)  # [B, T] each
        ends = torch.arange(1, shape[1] + 1).repeat(shape[0], 1)  # padding sees itself
        for number, row in enumerate(rows):
            for there, values in ((ids, row.ids), (positions, row.positions), (ends, row.ends)):
                there[number, : len(values)] = torch.from_numpy(values)
        device = self.model.device
        if all(row.is_chain for row in rows):
            return self.model.hidden(ids.to(device))
        places = torch.arange(shape[1], device=device)
        mask = (places <= places[:, None]) & (places[:, None] < ends.to(device)[:, None])  # [B, T, T]
        return self.model.hidden(ids.to(device), cache if cache.length else None, mask[:, None], positions.to(device))

    def _log_probabilities(self, hidden: Tensor, places: list[Numbers], targets: list[Numbers]) -> list[Scores]:
        """Of each target after the token at its place, of which several may share one: hidden [B, T, C] counts B·T places."""
        import torch

        unique, index = np.unique(np.concatenate(places), return_inverse=True)
        wanted, order = np.concatenate(targets), np.argsort(index, kind="stable")
        values = np.empty(len(wanted))
        hidden = hidden.flatten(0, 1)[torch.from_numpy(unique).to(hidden.device)]  # [N, C]
        ends = np.searchsorted(index[order], np.arange(_ROWS, len(unique) + _ROWS, _ROWS))
        for rows, begin, end in zip(hidden.split(_ROWS), [0, *ends], ends, strict=False):
            chosen = order[begin:end]
            logits = self.model.head(rows).float().log_softmax(-1)  # [rows, V]
            at = torch.from_numpy(np.stack((index[chosen] % _ROWS, wanted[chosen]))).to(hidden.device)
            values[chosen] = logits[at[0], at[1]].cpu().double().numpy()
        if not np.isfinite(values).all():
            raise InputError("the model's logits are not finite: its training diverged, take an earlier checkpoint")
        return np.split(values, np.cumsum([len(each) for each in targets])[:-1])


def _targets(piece: Window) -> Numbers:
    return piece.ids[len(piece.ids) - piece.scored :]


def encode_choices(tokenizer: Any, context: str, choices: Sequence[str]) -> list[Request]:
    """Tokenise each context + choice as one text, as in training, and split all of them at the same token.

    A token may span the join. The split is therefore the longest run of tokens that the context alone and all joint
    encodings share: what is scored is the choice with the same last characters of the context before each, so sums
    compare, and at least one token is scored. Choices must not be empty.
    """
    alone = tokenizer.encode(context)
    joint = tokenizer.encode_batch([context + choice for choice in choices])
    # a choice always adds text, so its encoding is longer than what it shares with the context's
    shared = sum(1 for _ in takewhile(lambda ids: len(set(ids)) == 1, zip(alone, *joint, strict=False)))
    return [([tokenizer.bos_id, *ids[:shared]], ids[shared:]) for ids in joint]


def _batches(lengths: Sequence[int], batch_tokens: int, before: int = 0) -> Iterator[list[int]]:
    """Numbers of rows, longest first: as many as fit into ``batch_tokens`` with padding, at least one.

    ``before`` is the number of tokens in front of each, which bounds the rows further, by the size of the attention.
    """
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    begin = 0
    while begin < len(order):
        longest = max(1, lengths[order[begin]])
        rows = min(batch_tokens // longest, _ATTENTION // (longest * (longest + before)))
        yield order[begin : begin + max(1, rows)]
        begin += max(1, rows)
