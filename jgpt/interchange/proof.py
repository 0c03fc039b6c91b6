"""Proof that an exported folder is the same model: ``transformers`` itself loads it and must agree."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from jgpt.config import ModelConfig
from jgpt.model.gpt import GPT
from stage.errors import InputError, JgptError
from tokenizer.japanese import JapaneseTokenizer

log = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Largest difference of a logit, in float32."""

HARD_STRINGS = (
    "",
    "吾輩は猫である。名前はまだ無い。",
    "𠮷野家で𩸽を食べた",
    "ﾊﾝｶｸｶﾀｶﾅ、ｶﾞﾗｽ、ﾊﾟﾝ",
    "か゛くせいとか\u3099くせい、は\u309aん",
    "家族👨‍👩‍👧と👍🏽と🇯🇵と1️⃣",
    "\u3000山路を登りながら、\u3000\u3000こう考えた。",
    "空白 二つ  四つ    末尾 ",
    " ",
    "表\tと\t\t列",
    "一行\n二行\n\n四行\n",
    "復帰\r\n改行\r",
    "▁は空白ではない ▁▁",
    "<s>と</s>と<unk>と<pad>は文字である",
    "<s>",
    "</s>",
    "<|user|>こんにちは<|assistant|><|system|><|reserved_3|>",
    "<0xE3><0x81>",
    "\x00\x01\x1b\x7f\u0085",
    "壊れた\ufffd文字と\ufeff印と\u200b幅なし",
    "Transformerは2017年に“Attention Is All You Need”で発表された。naïve café ＡＢＣ１２３",
    "한국어, العربية, ελληνικά, ไทย",
    "ああああああああああああああああ",
)


def import_transformers() -> ModuleType:
    """``transformers``; raises JgptError with how to install it."""
    try:
        import transformers
    except ImportError as error:
        reason = "" if error.name == "transformers" else f" ({str(error).splitlines()[0]})"
        raise JgptError(
            f"transformers, which must load the folder before it counts, is not there{reason}: pip install 'transformers>=5'"
        ) from None
    return transformers


def proof_ids(config: ModelConfig, tokenizer: JapaneseTokenizer) -> list[Tensor]:
    """Sequences, each int64 [B, T]: random ids as long as the context, of half of it, and single ones; Japanese text."""
    context, vocabulary = config.context_length, config.vocab_size
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, context), (2, max(1, context // 2)), (4, 1))
    random = [torch.randint(vocabulary, shape, generator=generator) for shape in shapes]
    text = tokenizer.encode("\n".join(HARD_STRINGS), begin=True)[:context]
    return [*random, torch.tensor([text]), torch.tensor([[tokenizer.bos_id]])]


@torch.inference_mode()
def own_logits(model: GPT, sequences: list[Tensor]) -> list[Tensor]:
    """Logits [B, T, V] of each sequence; raises InputError when they are not finite."""
    logits = [model(ids) for ids in sequences]
    if not all(bool(torch.isfinite(each).all()) for each in logits):
        raise InputError("the model's logits are not finite: its training diverged, take an earlier checkpoint")
    return logits


@torch.inference_mode()
def prove_logits(folder: Path, sequences: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest difference between ``wanted`` and the logits of the model in a folder as ``transformers`` loads it.

    Raises JgptError naming the first place where it is above the tolerance.
    """
    model = _load("AutoModelForCausalLM", folder).eval()
    largest = 0.0
    for number, (ids, expected) in enumerate(zip(sequences, wanted, strict=True), 1):
        found = model(input_ids=ids, use_cache=False).logits
        difference = (found - expected).abs()  # [B, T, V]
        wrong = (~(difference <= TOLERANCE)).nonzero()  # not a number is wrong too
        if len(wrong):
            row, position, index = place = tuple(wrong[0].tolist())
            raise JgptError(
                f"the proof failed, nothing was written: in sequence {number}, row {row}, at position {position} the logit of id "
                f"{index} is {found[place]:.6g} there and {expected[place]:.6g} here ({TOLERANCE:g} may differ)"
            )
        largest = max(largest, float(difference.max()))
    log.info(
        "loaded as %s: the largest difference of a logit is %.1e (%.0e may be)",
        type(model).__name__,
        largest,
        TOLERANCE,
    )
    return largest


def prove_tokenizer(folder: Path, tokenizer: JapaneseTokenizer) -> int:
    """The number of hard strings, for each of which ``AutoTokenizer`` gives the same ids and from them the same text.

    Raises JgptError naming the first that differs.
    """
    other = _load("AutoTokenizer", folder)
    for text in HARD_STRINGS:
        ids = tokenizer.encode(text)
        with _quiet():
            compared = {
                "ids": ([tokenizer.bos_id, *ids], other(text).input_ids),
                "ids without <s>": (ids, other(text, add_special_tokens=False).input_ids),
                "text": (text, other.decode(ids)),
                "text after <s>": (text, other.decode([tokenizer.bos_id, *ids], skip_special_tokens=True)),
            }
        for what, (wanted, found) in compared.items():
            if wanted != found:
                pairs = enumerate(zip(wanted, found, strict=False))
                place = next((number for number, (here, there) in pairs if here != there), min(len(wanted), len(found)))
                raise JgptError(
                    f"the proof failed, nothing was written: the {what} of {text!r} differ from place {place} on: "
                    f"{found!r} there, {wanted!r} here"
                )
    log.info("the ids of %d hard strings and their decoding are the same", len(HARD_STRINGS))
    return len(HARD_STRINGS)


def _load(auto_class: str, folder: Path) -> Any:
    transformers = import_transformers()
    try:
        with _quiet():
            return getattr(transformers, auto_class).from_pretrained(folder, local_files_only=True)
    except (ValueError, KeyError, TypeError, OSError, RuntimeError) as error:
        raise JgptError(
            f"the proof failed, nothing was written: transformers {transformers.__version__} cannot load the folder "
            f"({str(error).strip().splitlines()[0]}); a newer one may: pip install -U transformers"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without its progress bars and notes: what is wrong is what the comparison finds."""
    notes = import_transformers().utils.logging
    verbosity, bars = notes.get_verbosity(), notes.is_progress_bar_enabled()
    notes.set_verbosity_error()
    notes.disable_progress_bar()
    try:
        yield
    finally:
        notes.set_verbosity(verbosity)
        if bars:
            notes.enable_progress_bar()
