"""Greedy text of a Hugging Face model, several prompts at a time."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from jgpt.config import GenerateConfig
from jgpt.generation.generate import before_stop
from stage.progress import progress

if TYPE_CHECKING:
    from eval.huggingface import HuggingFaceModel


def generate_greedily(
    model: "HuggingFaceModel",
    prompts: Sequence[str],
    max_tokens: int,
    stop: Sequence[str],
    batch_tokens: int,
    description: str,
    quiet: bool,
) -> list[str]:
    """The likeliest continuation of each prompt. Prompts of equal length go together, so that none needs padding.

    A prompt for which the context has no room loses its beginning. Settings of sampling in the folder have no effect.
    """
    GenerateConfig(max_tokens=max_tokens, stop=list(stop))  # checks them
    room = max(1, model.context_length - max_tokens - len(model.tokenizer.start))
    ids = [each[-room:] for each in model.tokenizer.encode_batch(prompts)]
    found = [""] * len(ids)
    if not max_tokens:
        return found
    order = sorted(range(len(ids)), key=lambda number: -len(ids[number]))
    with progress(total=len(ids), description=description, unit="prompt", quiet=quiet) as bar:
        for length, numbers in groupby(order, key=lambda number: len(ids[number])):
            same = list(numbers)
            rows = max(1, batch_tokens // (length + max_tokens))
            for batch in (same[begin : begin + rows] for begin in range(0, len(same), rows)):
                texts = _continue(model, [ids[number] for number in batch], max_tokens, list(stop))
                for number, text in zip(batch, texts, strict=True):
                    found[number] = text
                bar.update(len(batch))
    return found


def _continue(model: "HuggingFaceModel", prompts: list[list[int]], max_tokens: int, stop: list[str]) -> list[str]:
    import torch
    import transformers

    network, tokenizer = model.model, model.tokenizer
    inputs = torch.tensor([[*tokenizer.start, *ids] for ids in prompts], device=network.device)  # [B, T]
    before = inputs.size(1)
    ends = network.generation_config.eos_token_id if network.generation_config else None
    ends = {*(ends if isinstance(ends, list) else [ends]), tokenizer.end_id} - {None}
    settings = transformers.GenerationConfig(
        do_sample=False,
        max_new_tokens=max_tokens,
        eos_token_id=sorted(ends) or None,
        pad_token_id=min(ends, default=0),
    )

    def text_of(row: Any) -> str:
        """What follows the prompt; decoded with it, because decoders treat the beginning of a text in ways of their own."""
        prompt, everything = (
            tokenizer.tokenizer.decode(each, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            for each in (row[len(tokenizer.start) : before], row[len(tokenizer.start) :])
        )
        return everything[len(prompt) :] if everything.startswith(prompt) else everything

    def stopped(rows: Any, _scores: Any, **_: Any) -> Any:
        done = [any(word in text_of(row) for word in stop) for row in rows.tolist()]
        return torch.tensor(done, device=rows.device)

    given = network.generation_config
    network.generation_config = transformers.GenerationConfig(eos_token_id=sorted(ends) or None)
    try:
        with torch.inference_mode():
            rows = network.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=settings,
                stopping_criteria=[stopped] if stop else None,
            )
    finally:
        network.generation_config = given
    # the end may have cut a character in the middle
    return ["".join(before_stop(text_of(row), stop)[:2]).rstrip("\ufffd") for row in rows.tolist()]
