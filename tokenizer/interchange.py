"""``tokenizer.json`` and ``tokenizer_config.json``: the same ids in Hugging Face tokenizers.

A SentencePiece BPE model picks, among all neighbouring pieces, the pair whose union has the best score. Hugging Face's
BPE picks the pair with the best rank in a list of merges. Both agree when that list holds, for each piece, each way to
part it into two pieces of the vocabulary, in the order of the scores. Pieces spell a space as a space there, so that a literal
▁ is not taken for one. ``split_special_tokens`` keeps a text that spells out a special piece from becoming that piece; the
library tokenizers by itself needs ``encode_special_tokens = True`` for that.
"""

import json
from pathlib import Path
from typing import Any

from tokenizer.japanese import JapaneseTokenizer
from tokenizer.pieces import BEGIN, END, PADDING, SPACE, UNKNOWN, UNKNOWN_ID

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}<|system|>{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}<|user|>{{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ raise_exception('known roles are system, user and assistant') }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""How a conversation is written, in Jinja: each turn after the reserved piece of who speaks, ``</s>`` after an answer."""


_NEVER = -100_000.0
"""Score of a piece of a unigram that is never taken; a text is a few dozen per character at worst."""


def write_hugging_face(folder: Path) -> None:
    """Write both files beside the ``tokenizer.model`` of a folder."""
    tokenizer = JapaneseTokenizer(folder)
    _write(folder / "tokenizer.json", tokenizer_json(tokenizer))
    _write(folder / "tokenizer_config.json", tokenizer_config())


def tokenizer_json(tokenizer: JapaneseTokenizer) -> dict[str, Any]:
    """The content of ``tokenizer.json``."""
    pieces = [tokenizer.piece(index).replace(SPACE, " ") for index in range(tokenizer.vocab_size)]
    added = [
        {
            "id": index,
            "content": piece,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": tokenizer.is_control(index),
        }
        for index, piece in enumerate(pieces)
        if tokenizer.is_control(index) or tokenizer.is_symbol(index)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}],
        },
        "model": _model(tokenizer, pieces),
    }


def _model(tokenizer: JapaneseTokenizer, pieces: list[str]) -> dict[str, Any]:
    """The part that holds the pieces; a vocabulary of characters is a BPE without merges."""
    if tokenizer.model == "unigram":
        # special and byte pieces are no way to write a text, but there every piece is one: so they are the least likely of all
        scores = [
            _NEVER if tokenizer.is_control(index) or tokenizer.is_byte(index) else tokenizer.score(index)
            for index in range(tokenizer.vocab_size)
        ]
        vocab = [[piece, score] for piece, score in zip(pieces, scores, strict=True)]
        return {"type": "Unigram", "unk_id": UNKNOWN_ID, "vocab": vocab, "byte_fallback": True}
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": UNKNOWN,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": {piece: index for index, piece in enumerate(pieces)},
        "merges": _merges(tokenizer, pieces) if tokenizer.model == "bpe" else [],
    }


def _merges(tokenizer: JapaneseTokenizer, pieces: list[str]) -> list[list[str]]:
    """Every split of every piece into two pieces, best score first; ties: the longer left part, then the longer right."""
    mergeable = {
        piece: index
        for index, piece in enumerate(pieces)
        if not (tokenizer.is_control(index) or tokenizer.is_byte(index) or tokenizer.is_symbol(index))
    }
    splits = [
        (-tokenizer.score(index), -cut, cut - len(piece), [piece[:cut], piece[cut:]])
        for piece, index in mergeable.items()
        for cut in range(1, len(piece))
        if piece[:cut] in mergeable and piece[cut:] in mergeable
    ]
    splits.sort(key=lambda entry: entry[:3])
    return [merge for *_, merge in splits]


def tokenizer_config() -> dict[str, Any]:
    """The content of ``tokenizer_config.json``."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": UNKNOWN,
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PADDING,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        "add_bos_token": False,
        "add_eos_token": False,
        "chat_template": CHAT_TEMPLATE,
    }


def _write(file: Path, record: dict[str, Any]) -> None:
    file.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", "utf-8")
