"""``tokenizer.json`` and ``tokenizer_config.json``: the same ids in Hugging Face tokenizers.

A SentencePiece BPE model picks, among all neighbouring pieces, the pair whose union has the best score. Hugging Face's
BPE picks the pair with the best rank in a list of merges. Both agree when that list holds, for each piece, each way to
part it into two pieces of the vocabulary, in the order of the scores. Two texts are encoded otherwise there: the literal
▁ (a space to them) and a text that spells out a special piece.
"""

import json
from pathlib import Path
from typing import Any

from tokenizer.japanese import JapaneseTokenizer
from tokenizer.pieces import BEGIN, END, NEWLINE, PADDING, SPACE, UNKNOWN


def write_hugging_face(folder: Path) -> None:
    """Write both files beside the ``tokenizer.model`` of a folder."""
    tokenizer = JapaneseTokenizer(folder)
    _write(folder / "tokenizer.json", _tokenizer_json(tokenizer))
    _write(folder / "tokenizer_config.json", _tokenizer_config())


def _tokenizer_json(tokenizer: JapaneseTokenizer) -> dict[str, Any]:
    pieces = [tokenizer.piece(index) for index in range(tokenizer.vocab_size)]
    added = [
        {
            "id": index,
            "content": piece,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": piece != NEWLINE,
        }
        for index, piece in enumerate(pieces)
        if tokenizer.is_control(index) or piece == NEWLINE
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: index for index, piece in enumerate(pieces)},
            "merges": _merges(tokenizer, pieces),
        },
    }


def _merges(tokenizer: JapaneseTokenizer, pieces: list[str]) -> list[list[str]]:
    """Every split of every piece into two pieces, best score first; ties: the longer left part, then the longer right."""
    mergeable = {
        piece: index
        for index, piece in enumerate(pieces)
        if not (tokenizer.is_control(index) or tokenizer.is_byte(index) or piece == NEWLINE)
    }
    splits = [
        (-tokenizer.score(index), -cut, cut - len(piece), [piece[:cut], piece[cut:]])
        for piece, index in mergeable.items()
        for cut in range(1, len(piece))
        if piece[:cut] in mergeable and piece[cut:] in mergeable
    ]
    splits.sort(key=lambda entry: entry[:3])
    return [merge for *_, merge in splits]


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": UNKNOWN,
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PADDING,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "add_eos_token": False,
    }


def _write(file: Path, record: dict[str, Any]) -> None:
    file.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", "utf-8")
