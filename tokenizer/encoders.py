"""Encoding much text: SentencePiece, or a faster encoder that has to prove first that it gives the same ids.

gigatoken (https://github.com/marcelroed/gigatoken) keeps what it has encoded before and is the faster the more a text repeats itself;
it takes BPE only.
"""

import json
import random
from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stage.errors import JgptError, UsageError
from tokenizer.japanese import JapaneseTokenizer
from tokenizer.opening import PROBES
from tokenizer.pieces import FIXED, FIXED_PIECES, SPACE

Encoder = Callable[[Sequence[str]], list[NDArray[Any]]]
"""Texts to the ids of each, without special pieces."""
ENCODERS = ("sentencepiece", "gigatoken")
_STRINGS = 5000
_JOINED = 12


def open_encoder(tokenizer: JapaneseTokenizer, folder: Path | str, name: str) -> Encoder:
    """An encoder by its name; ``folder`` is that of the tokenizer.

    Raises UsageError for a name that is unknown and for a tokenizer that the encoder cannot do, JgptError where it is not installed.
    """
    if name not in ENCODERS:
        raise UsageError(f"--encoder {name}: known are {', '.join(ENCODERS)}")
    if name == "sentencepiece":
        return tokenizer.encode_arrays
    if tokenizer.model == "unigram":
        raise UsageError("--encoder gigatoken: does BPE only, and this is a unigram; use --encoder sentencepiece")
    return _gigatoken(tokenizer, Path(folder))


def check_encoder(tokenizer: JapaneseTokenizer, folder: Path | str, name: str) -> None:
    """Compare an encoder with SentencePiece on every piece and on thousands of strings made of them; UsageError at a difference."""
    encode = open_encoder(tokenizer, folder, name)
    if name == "sentencepiece":
        return
    texts = probing_texts(tokenizer)
    for text, ours, other in zip(texts, tokenizer.encode_arrays(texts), encode(texts), strict=True):
        if not np.array_equal(ours, other):
            raise UsageError(
                f"--encoder {name}: gives other ids than SentencePiece for {text!r}; use --encoder sentencepiece"
            )


def probing_texts(tokenizer: JapaneseTokenizer, count: int = _STRINGS, seed: int = 0) -> list[str]:
    """Texts that show where two encoders differ: each piece, the names of the special ones, what tokenizers lose, and random strings.

    The random ones join pieces, names of special pieces, and characters of all of Unicode and of Japanese, some of them repeated.
    """
    generator = random.Random(seed)
    pieces = [tokenizer.bytes_of(index) for index in range(FIXED, tokenizer.vocab_size)]
    parts = [*(piece.decode() for piece in pieces), *FIXED_PIECES, *PROBES.values()]

    def part() -> str:
        drawn = generator.random()
        if drawn < 0.7:
            return generator.choice(parts)
        if drawn < 0.8:
            return chr(generator.choice((0x3040, 0x4E00, 0xFF00, 0x20000, 0x1F300)) + generator.randrange(256))
        if drawn < 0.9:
            return chr(generator.choice([generator.randrange(0xD800), generator.randrange(0xE000, 0x110000)]))
        return generator.choice(parts) * generator.randrange(2, 6)

    return [*parts, *("".join(part() for _ in range(generator.randrange(1, _JOINED))) for _ in range(count))]


def _gigatoken(tokenizer: JapaneseTokenizer, folder: Path) -> Encoder:
    try:
        import awkward
        import gigatoken
    except ImportError:
        raise JgptError("--encoder gigatoken: is not installed: pip install 'jgpt[fast]'") from None
    file = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    # the names of special pieces are text like any other
    file["added_tokens"] = [token for token in file["added_tokens"] if not token["special"]]
    encoder = gigatoken.Tokenizer.from_json(json.dumps(file))

    def encode(texts: Sequence[str]) -> list[NDArray[Any]]:
        plain = [SPACE not in text for text in texts]
        if not any(plain):
            return tokenizer.encode_arrays(texts)
        found = encoder.encode_batch(list(compress(texts, plain)), parallel=False)
        ids, lengths = awkward.to_numpy(awkward.flatten(found)), awkward.to_numpy(awkward.num(found))
        parts = iter(np.split(ids, np.cumsum(lengths)[:-1]))
        return [
            next(parts) if simple else np.array(tokenizer.encode(text), np.int32)
            for text, simple in zip(texts, plain, strict=True)
        ]

    return encode
