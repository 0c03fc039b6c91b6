"""Heads on the GPT that answer instead of continuing: a class, a number, a choice, a piece of the text.

Shapes: B rows of a batch, T tokens, C channels, S texts of a row, O outputs. A row is ``<s> text line-end text </s>``;
``parts`` int64 [B, T] says to which text a token belongs: 1, 2, … S, 0 for the pieces between them, -1 for padding.
A pretrained GPT with one linear layer on top is Radford et al. 2018; weighted means of tokens are Lin et al. 2017, and the
features |u - v| and u v of two texts Conneau et al. 2017, here of texts that see one another. What all tokens have in
common is taken from them (Mu and Viswanath 2018): in a pretrained net it is most of each, and hides how two texts differ.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jgpt.model.gpt import GPT

HeadKind = Literal["classification", "regression", "choice", "span"]
"""``classification``: logits of classes. ``regression``: a number. ``choice``: a number for each (question, choice), of
which ``choose`` makes logits. ``span``: for each token of the last text how well a span would start and end there."""
PADDING_PART, BETWEEN_PART = -1, 0


class HeadedGPT(nn.Module):
    """A GPT with a head, fine-tuned together, after ``find_common``.

    By default each token sees its whole row, also what follows (``causal=False``): else no token of the first text has
    seen the second. Padding is seen by none.
    """

    def __init__(
        self, gpt: GPT, kind: HeadKind, *, texts: int = 1, classes: int = 1, causal: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        assert kind in get_args(HeadKind) and texts >= 1 and classes >= 1
        self.gpt, self.kind, self.texts, self.causal = gpt, kind, texts, causal
        width = gpt.config.width
        features = width if kind == "span" or texts == 1 else (texts + 2) * width
        outputs = {"classification": classes, "span": 2}.get(kind, 1)
        self.head = nn.Linear(features, outputs)
        self.mixing = nn.Parameter(torch.zeros(gpt.config.depth + 1))  # every depth counts alike
        self.common: Tensor
        self.register_buffer("common", torch.zeros(gpt.config.depth + 1, width))  # see find_common
        self.weighing = None if kind == "span" else nn.Linear(width, 1, bias=False)
        weight = torch.randn(self.head.weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.02
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.zero_()
            if self.weighing is not None:
                self.weighing.weight.zero_()  # every token counts alike
        self.to(gpt.device)

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Those that are not the GPT's."""
        yield self.mixing
        yield from self.head.parameters()
        if self.weighing is not None:
            yield from self.weighing.parameters()

    def forward(self, ids: Tensor, parts: Tensor) -> Tensor:
        """ids and parts int64 [B, T] -> float32: classification [B, O], regression and choice [B], span [B, T, 2].

        Of a span, tokens outside the last text get -inf.
        """
        depths = self._depths(ids, parts)
        with torch.autocast(ids.device.type, enabled=False):  # small differences between texts count here
            shares = self.mixing.softmax(0)
            hidden = sum(share * (x - common) for share, x, common in zip(shares, depths, self.common, strict=True))
            return self._answer(hidden, parts)

    @torch.no_grad()
    def find_common(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take the means of the tokens of some texts, given as ids and parts, for what all tokens have in common."""
        total, count = torch.zeros_like(self.common), 0
        for ids, parts in batches:
            of_texts = parts > BETWEEN_PART  # [B, T]
            total += torch.stack([x[of_texts].sum(0) for x in self._depths(ids, parts)])
            count += int(of_texts.sum())
        self.common.copy_(total / max(1, count))

    def _depths(self, ids: Tensor, parts: Tensor) -> list[Tensor]:
        """The stream before the first block and after each, normed, float32 [B, T, C]; blocks in an enclosing autocast."""
        streams: list[Tensor] = []
        self.gpt.hidden(ids, mask=None if self.causal else seen(parts), streams=streams)
        with torch.autocast(ids.device.type, enabled=False):
            return [F.rms_norm(x.float(), (self.gpt.config.width,)) for x in streams]

    def _answer(self, hidden: Tensor, parts: Tensor) -> Tensor:
        dropout = self.gpt.config.dropout
        if self.weighing is None:
            logits = self.head(F.dropout(hidden, dropout, self.training))  # [B, T, 2]
            return logits.masked_fill((parts != self.texts)[..., None], -torch.inf)
        weights = self.weighing(hidden).squeeze(-1)  # [B, T]
        features = compared(weighted_means(hidden, weights, parts, self.texts))  # [B, C] or [B, (S + 2) C]
        found = self.head(F.dropout(features, dropout, self.training))  # [B, O]
        return found if self.kind == "classification" else found.squeeze(-1)


def seen(parts: Tensor) -> Tensor:
    """The mask of full attention, bool [B, 1, T, T]: every token of a row but padding is seen by all."""
    batch, time = parts.shape
    return (parts != PADDING_PART)[:, None, None, :].expand(batch, 1, time, time)


def weighted_means(hidden: Tensor, weights: Tensor, parts: Tensor, texts: int) -> Tensor:
    """The mean of each text's tokens, weighted by a softmax: hidden [B, T, C], weights and parts [B, T] -> [B, S, C].

    Zeros for a text without tokens.
    """
    belongs = parts[:, None] == torch.arange(1, texts + 1, device=parts.device)[:, None]  # [B, S, T]
    lowest = torch.finfo(weights.dtype).min  # unlike -inf it leaves a text without tokens a softmax
    shares = weights[:, None].masked_fill(~belongs, lowest).softmax(-1) * belongs  # [B, S, T]
    return shares @ hidden


def compared(vectors: Tensor) -> Tensor:
    """The texts' vectors one after another, and how the first and the last differ: [B, S, C] -> [B, (S + 2) C], S > 1."""
    if vectors.size(1) == 1:
        return vectors[:, 0]
    first, last = vectors[:, 0], vectors[:, -1]
    return torch.cat((vectors.flatten(1), (first - last).abs(), first * last), dim=-1)


def choose(scores: Tensor, counts: list[int]) -> Tensor:
    """Logits over the choices of each question, [N, most choices], from those of all in a row [sum of counts].

    Questions may have different numbers of choices: -inf where one has no such choice.
    """
    return nn.utils.rnn.pad_sequence(list(scores.split(counts)), batch_first=True, padding_value=-torch.inf)
