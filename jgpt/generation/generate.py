"""Continue a prompt, piece by piece, with cached keys and values."""

from collections.abc import Iterator

import torch

from jgpt.config import GenerateConfig
from jgpt.generation.characters import CharacterGuard
from jgpt.generation.sampling import sample
from jgpt.model.cache import Cache
from jgpt.model.gpt import GPT
from stage.errors import InputError
from tokenizer.japanese import JapaneseTokenizer, StreamDecoder


def generate(model: GPT, tokenizer: JapaneseTokenizer, prompt: str, config: GenerateConfig | None = None) -> str:
    """The continuation of a prompt, without the prompt."""
    return "".join(stream(model, tokenizer, prompt, config or GenerateConfig()))


def stream(model: GPT, tokenizer: JapaneseTokenizer, prompt: str, config: GenerateConfig) -> Iterator[str]:
    """Yield the continuation as it comes: never half a character, never the beginning of a stop string.

    Generation begins with ``<s>`` and ends at ``</s>``, at ``max_tokens``, or before a stop string.
    """
    ids = tokenizer.encode(prompt, begin=True)
    decoder = StreamDecoder(tokenizer)
    held = ""
    guard = CharacterGuard(tokenizer)
    for index in stream_ids(model, ids, config, tokenizer.eos_id, guard):
        held += decoder.feed(index)
        ready, held, stopped = before_stop(held, config.stop)
        if ready:
            yield ready
        if stopped:
            return
    # bytes of a character that the end has cut in the middle stay in the decoder
    if held:
        yield held


@torch.no_grad()
def stream_ids(
    model: GPT, ids: list[int], config: GenerateConfig, end_id: int, guard: CharacterGuard | None = None
) -> Iterator[int]:
    """Yield the ids that follow; ``end_id`` ends them and is not given out. A guard keeps them to whole characters.

    When the context is full, its later half is read again and generation goes on with that.
    Raises InputError when the logits are not finite.
    """
    context = model.config.context_length
    generator = torch.Generator().manual_seed(config.seed)
    ids = list(ids)
    cache: Cache | None = None
    dtype = model.embedding.weight.dtype
    model.eval()
    for _ in range(config.max_tokens):
        if cache is None or cache.length == context:
            window = ids[-context:] if cache is None else ids[-(context // 2 or 1) :]
            cache = Cache(model.config, 1, model.device, dtype)
        else:
            window = ids[-1:]
        logits = model(torch.tensor([window], device=model.device), cache=cache)
        last = logits[0, -1].float().cpu()  # [V]
        if not bool(torch.isfinite(last).all()):
            raise InputError("the model's logits are not finite: its training diverged, take an earlier checkpoint")
        if guard is not None:
            last = guard.restrict(last)
        index = sample(last, torch.tensor(ids), config, generator)
        if index == end_id:
            return
        if guard is not None:
            guard.feed(index)
        ids.append(index)
        yield index


def before_stop(text: str, stop: list[str]) -> tuple[str, str, bool]:
    """Part a text into what may be given out, what must wait because a stop string may have begun, and whether one is there."""
    places = [place for place in (text.find(word) for word in stop) if place >= 0]
    if places:
        return text[: min(places)], "", True
    waiting = 0
    for word in stop:
        for length in range(min(len(word) - 1, len(text)), waiting, -1):
            if text.endswith(word[:length]):
                waiting = length
                break
    return text[: len(text) - waiting], text[len(text) - waiting :], False
