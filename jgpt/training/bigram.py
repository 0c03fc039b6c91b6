"""Beginning as a bigram model: embedding and head in closed form from counts of pairs of tokens, no step needed.

The bigram model with a Dirichlet prior (MacKay and Peto 1995) has p(y | x) = (n(x, y) + a q(y)) / (n(x) + a), q the unigram and a
its weight, so but for a constant of each x

    log p(y | x) = log q(y) + log(1 + n(x, y) / (a q(y))).

An untrained model, whose blocks add nothing yet, has the logits <h(x), head(y)> with h(x) the normalised embedding. One channel
holds the first term, one fills each embedding up to the same length, and the others hold the second term, a sparse matrix, as the
best approximation of so low a rank, in which a token counts by the root of its frequency (randomised SVD, Halko et al. 2011).
"""

import math

import torch
from torch import Tensor

from jgpt.data.mixture import Samples
from jgpt.model.gpt import GPT

PRIOR = 500.0
"""The weight a, in tokens."""
_CHANNEL = 4.0
"""What every embedding has in the channel of the unigram."""
_MOST_TOKENS = 1 << 24
_WINDOWS = 1024


def bigram_init(model: GPT, samples: Samples, seed: int) -> None:
    """Set embedding and head, which must not be tied, of an untrained model from the first epoch of its samples."""
    config = model.config
    before, after, counts = _pairs(samples)
    frequency = torch.bincount(after, counts, minlength=config.vocab_size) + 0.5  # [V]
    unigram = frequency / frequency.sum()
    values = torch.log1p(counts / (PRIOR * unigram[after]))
    weight = frequency.sqrt()
    places = torch.stack((before, after))
    square = (config.vocab_size, config.vocab_size)
    matrix = torch.sparse_coo_tensor(
        places, (values * weight[before]).float(), square, check_invariants=True
    ).coalesce()
    left, right = _factors(matrix, config.width - 2, seed)
    left /= weight[:, None].float()
    room = config.width - _CHANNEL**2  # squares that are left to a normalised embedding
    length = left.norm(dim=1, keepdim=True)
    scale = math.sqrt(0.9 * room) / float(torch.quantile(length, 0.999))
    left *= scale * (math.sqrt(0.999 * room) / (scale * length)).clamp(max=1)
    rest = (room - left.square().sum(1, keepdim=True)).sqrt()
    constant = torch.full_like(rest, _CHANNEL)
    term = (unigram.log() / _CHANNEL)[:, None].float()
    with torch.no_grad():
        model.embedding.weight.copy_(torch.cat((constant, rest, left), dim=1))
        model.head.weight.copy_(torch.cat((term, torch.zeros_like(term), right / scale), dim=1))


def _pairs(samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """Each pair of neighbouring tokens: first and second, int64, and how often it occurs, float64."""
    windows = min(samples.windows, max(1, _MOST_TOKENS // samples.context_length))
    keys = []
    for begin in range(0, windows, _WINDOWS):
        ids, targets = samples.batch(begin, min(_WINDOWS, windows - begin))
        keys.append((ids * samples.vocab_size + targets).flatten())
    pairs, counts = torch.cat(keys).unique(return_counts=True)
    return pairs // samples.vocab_size, pairs % samples.vocab_size, counts.double()


def _factors(matrix: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two matrices [V, rank] whose product, the second transposed, is nearly the given one."""
    most = min(rank, matrix.size(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        left, sizes, right = torch.svd_lowrank(matrix, q=min(rank + 10, matrix.size(0)), niter=2)
    roots = sizes[:most].sqrt()
    halves = (left[:, :most] * roots, right[:, :most] * roots)
    return tuple(torch.nn.functional.pad(half, (0, rank - most)) for half in halves)  # type: ignore[return-value]
