"""Continue many prompts at once, always with the likeliest token."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

import torch
from torch import Tensor

from jgpt.config import GenerateConfig
from jgpt.generation.characters import CharacterGuard
from jgpt.generation.generate import before_stop, generate
from jgpt.model.cache import Cache
from jgpt.model.gpt import GPT
from stage.errors import InputError
from stage.progress import progress
from tokenizer.japanese import JapaneseTokenizer, StreamDecoder

Ids = list[int]


def generate_batch(
    model: GPT,
    tokenizer: JapaneseTokenizer,
    prompts: Sequence[str],
    *,
    max_tokens: int = 128,
    stop: Sequence[str] = (),
    batch_tokens: int = 16384,
    description: str = "",
    quiet: bool = True,
) -> list[str]:
    """The continuation of each prompt, as ``generate`` gives it at temperature 0, but for ties that rounding decides.

    What prompts begin with in common goes through the model once, and then a token of each at a time. ``batch_tokens``
    bounds the memory: it is the number of tokens whose keys and values are held. A prompt for which the context has no
    room is continued by itself. With learned positions (gpt2) only prompts of equal length go together.
    """
    config = GenerateConfig(max_tokens=max_tokens, temperature=0, stop=list(stop))
    ids = [tokenizer.encode(prompt, begin=True) for prompt in prompts]
    alone = {number for number, each in enumerate(ids) if len(each) + max_tokens > model.config.context_length}
    found: dict[int, str] = {}
    model.eval()
    with torch.inference_mode(), progress(total=len(ids), description=description, unit="prompt", quiet=quiet) as bar:
        for number in alone:
            found[number] = generate(model, tokenizer, prompts[number], config)
            bar.update()
        stem = _Stem(model)
        together = [number for number in range(len(ids)) if number not in alone]
        for batch in _batches(together, ids, max_tokens, batch_tokens, model.positions is not None):
            rows = [_Row(tokenizer, config.stop) for _ in batch]
            _continue(model, stem, [ids[number] for number in batch], rows, max_tokens)
            found |= {number: row.text for number, row in zip(batch, rows, strict=True)}
            bar.update(len(batch))
    return [found[number] for number in range(len(ids))]


class _Row:
    """One continuation, as its ids come."""

    def __init__(self, tokenizer: JapaneseTokenizer, stop: list[str]) -> None:
        self.done = False
        self._guard, self._decoder = CharacterGuard(tokenizer), StreamDecoder(tokenizer)
        self._end_id, self._stop = tokenizer.eos_id, stop
        self._ready = self._held = ""

    @property
    def text(self) -> str:
        return self._ready + self._held

    def choose(self, logits: Tensor) -> int:
        """Take the likeliest id of logits [V] that keeps to whole characters; the end or a stop string finishes the row."""
        index = int(self._guard.restrict(logits).argmax())
        if index == self._end_id:
            self.done = True
            return index
        self._guard.feed(index)
        ready, self._held, self.done = before_stop(self._held + self._decoder.feed(index), self._stop)
        self._ready += ready
        return index


class _Stem:
    """Keys and values of what prompts begin with in common; from one group of prompts to the next only the end changes."""

    def __init__(self, model: GPT) -> None:
        self._model = model
        self._cache = Cache(model.config, 1, model.device, model.embedding.weight.dtype)
        self._ids: Ids = []

    def rows(self, ids: Ids, count: int, room: int) -> Cache:
        """A cache of ``count`` rows, with room for ``room`` tokens, each of which begins with these ids."""
        kept = _common(self._ids, ids)
        for layer in self._cache.layers:
            layer.length = kept
        if ids[kept:]:
            self._model.hidden(torch.tensor([ids[kept:]], device=self._model.device), self._cache)
        self._ids = ids
        rows = _new_cache(self._model, count, room)
        for row_layer, layer in zip(rows.layers, self._cache.layers, strict=True):
            keys, values = layer.keys[:, :, : len(ids)], layer.values[:, :, : len(ids)]  # [1, K, S, D]
            row_layer.append(keys.expand(count, -1, -1, -1), values.expand(count, -1, -1, -1))
        return rows


def _continue(model: GPT, stem: _Stem, prompts: list[Ids], rows: list[_Row], max_tokens: int) -> None:
    """Read the prompts, group by group, and fill in the rows, a token of each unfinished one at a time."""
    longest = max(map(len, prompts))
    begins = torch.tensor([longest - len(ids) for ids in prompts], device=model.device)  # [B]
    cache = _new_cache(model, len(rows), longest + max_tokens)
    for layer in cache.layers:
        layer.length = longest
    hidden = torch.cat([_read(model, stem, prompts, group, cache) for group in _groups(prompts)])  # [B, C]
    for step in range(max_tokens):
        logits = model.head(hidden).float().cpu()  # [B, V]
        if not bool(torch.isfinite(logits).all()):
            raise InputError("the model's logits are not finite: its training diverged, take an earlier checkpoint")
        chosen = [0 if row.done else row.choose(values) for row, values in zip(rows, logits, strict=True)]
        going = [number for number, row in enumerate(rows) if not row.done]
        if not going or step == max_tokens - 1:
            return
        if 2 * len(going) <= len(rows):
            rows, chosen, begins = (
                [rows[number] for number in going],
                [chosen[number] for number in going],
                begins[going],
            )
            for layer in cache.layers:
                layer.keys, layer.values = layer.keys[going], layer.values[going]
        seen = torch.arange(cache.length + 1, device=model.device) >= begins[:, None]  # [B, S]
        ids = torch.tensor(chosen, device=model.device)[:, None]  # [B, 1]
        hidden = model.hidden(ids, cache, mask=seen[:, None, None])[:, 0]  # [B, C]


def _read(model: GPT, stem: _Stem, prompts: list[Ids], group: range, cache: Cache) -> Tensor:
    """Put keys and values of a group of prompts into its rows of the cache, ending where it ends; hidden [B, C] of the last."""
    shared = min(_common(prompts[group[0]][:-1], prompts[number][:-1]) for number in group)
    if len(group) == 1:  # shares with those before it
        shared = _common(prompts[group[0]][:-1], prompts[group[0] - 1]) if group[0] else 0
    rests = [prompts[number][shared:] for number in group]
    width = max(map(len, rests))
    ids = torch.tensor([rest + [0] * (width - len(rest)) for rest in rests], device=model.device)  # padded on the right
    rows = stem.rows(prompts[group[0]][:shared], len(group), shared + width)
    hidden = model.hidden(ids, rows)  # [B, T, C]
    for row, number in enumerate(group):
        length = len(prompts[number])
        begin = cache.length - length
        for layer, read in zip(cache.layers, rows.layers, strict=True):
            for held in (layer.keys, layer.values):
                held[number, :, :begin] = 0  # what no token sees must be a number nevertheless
            layer.keys[number, :, begin : cache.length] = _turned(model, read.keys[row, :, :length], begin)
            layer.values[number, :, begin : cache.length] = read.values[row, :, :length]
    return hidden[torch.arange(len(group)), torch.tensor([len(rest) - 1 for rest in rests])]


def _turned(model: GPT, keys: Tensor, by: int) -> Tensor:
    """Keys [K, T, D] moved to positions that are ``by`` later; attention knows positions by their distances alone."""
    if not by:
        return keys
    assert model.rotary is not None
    cosine, sine = model.rotary.cosine[by], model.rotary.sine[by]  # [D/2]
    first, second = keys.float().chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1).to(keys.dtype)


def _new_cache(model: GPT, rows: int, room: int) -> Cache:
    return Cache(replace(model.config, context_length=room), rows, model.device, model.embedding.weight.dtype)


def _batches(
    numbers: list[int], ids: list[Ids], max_tokens: int, batch_tokens: int, equal: bool
) -> Iterator[list[int]]:
    """Prompts that are continued together, ordered so that neighbours begin alike; ``equal``: all of one length."""
    batch: list[int] = []
    longest = 0
    for number in sorted(numbers, key=lambda number: (len(ids[number]) if equal else 0, ids[number])):
        length = len(ids[number])
        full = (len(batch) + 1) * (max(longest, length) + max_tokens) > batch_tokens
        if batch and (full or (equal and length != longest)):
            yield batch
            batch, longest = [], 0
        batch.append(number)
        longest = max(longest, length)
    if batch:
        yield batch


def _groups(prompts: list[Ids]) -> Iterator[range]:
    """Neighbours that are read in one pass: where that takes at most a tenth more tokens than reading the next one apart."""
    begin, shared, longest = 0, len(prompts[0]), len(prompts[0])
    for number in range(1, len(prompts)):
        length = len(prompts[number])
        common = _common(prompts[number - 1], prompts[number])
        apart = shared + (number - begin) * (longest - shared) + length - common
        both, most = min(shared, common), max(longest, length)
        if both + (number + 1 - begin) * (most - both) <= 1.1 * apart:
            shared, longest = both, most
        else:
            yield range(begin, number)
            begin, shared, longest = number, length, length
    yield range(begin, len(prompts))


def _common(left: Ids, right: Ids) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
