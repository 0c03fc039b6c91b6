"""Log-probabilities of continuations under a model; ``eval.ngram`` scores the same requests as a baseline."""

from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stage.progress import progress

Ids = Sequence[int] | NDArray[np.int64]
Numbers = NDArray[np.int64]
Scores = NDArray[np.float64]
Request = tuple[Ids, Ids]
"""Ids of a context, which begins with ``<s>``, and of the continuation whose tokens are scored."""

_ROWS = 1024  # positions whose logits, in float32, are held at once


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
    """Scores with a model: windows sorted by length, in padded batches of at most ``batch_tokens``."""

    def __init__(self, model: Any, batch_tokens: int = 4096, quiet: bool = True) -> None:
        self.model = model
        self.batch_tokens = batch_tokens
        self.quiet = quiet
        self.context_length = int(model.config.context_length)

    def score(self, requests: Iterable[Request], description: str = "") -> list[Scores]:
        """Natural log-probabilities, float64 [len(continuation)], in the order of the requests.

        Contexts that are too long are cut as ``fit`` does.
        """
        pieces: list[Window] = []
        ends = [0]
        for request in requests:
            pieces += windows(*fit(request, self.context_length), self.context_length)
            ends.append(len(pieces))
        scores = [np.empty(0)] * len(pieces)
        total = sum(piece.scored for piece in pieces)
        with progress(total=total, description=description, unit="token", quiet=self.quiet, unit_scale=True) as bar:
            for batch in _batches(pieces, self.batch_tokens):
                for number, values in zip(batch, self._forward([pieces[number] for number in batch]), strict=True):
                    scores[number] = values
                bar.update(sum(pieces[number].scored for number in batch))
        return [np.concatenate(scores[begin:end]) for begin, end in pairwise(ends)]

    def _forward(self, batch: list[Window]) -> list[Scores]:
        import torch

        longest = max(len(window.ids) for window in batch) - 1
        inputs = np.zeros((len(batch), longest), np.int64)  # padding on the right: no earlier position sees it
        mask = np.zeros((len(batch), longest), np.bool_)
        targets = []
        for row, (ids, scored) in enumerate(batch):
            last = len(ids) - 1
            inputs[row, :last] = ids[:-1]
            mask[row, last - scored : last] = True
            targets.append(ids[len(ids) - scored :])
        with torch.inference_mode():
            device = self.model.device
            hidden = self.model.hidden(torch.from_numpy(inputs).to(device))  # [B, T, C]
            hidden = hidden[torch.from_numpy(mask).to(device)]  # [N, C], N scored positions
            wanted = torch.from_numpy(np.concatenate(targets)).to(device)  # [N]
            values = []
            for rows, ids_wanted in zip(hidden.split(_ROWS), wanted.split(_ROWS), strict=True):
                logits = self.model.head(rows).float()  # [rows, V]
                values.append(logits.log_softmax(-1).gather(1, ids_wanted[:, None])[:, 0].cpu().double().numpy())
        return np.split(np.concatenate(values), np.cumsum([window.scored for window in batch])[:-1])


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


def _batches(pieces: Sequence[Window], batch_tokens: int) -> Iterable[list[int]]:
    """Numbers of windows, longest first: as many as fit into ``batch_tokens`` with padding, at least one."""
    order = sorted(range(len(pieces)), key=lambda number: -len(pieces[number].ids))
    begin = 0
    while begin < len(order):
        rows = max(1, batch_tokens // max(1, len(pieces[order[begin]].ids) - 1))
        yield order[begin : begin + rows]
        begin += rows
