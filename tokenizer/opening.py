"""Opening tokenizers of other makers: any SentencePiece ``.model`` and any ``tokenizer.json`` of Hugging Face tokenizers."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import sentencepiece

from stage.errors import ArtifactError, JgptError
from tokenizer.japanese import MODEL_NAME, JapaneseTokenizer, Span, ids_and_spans

PROBES = {
    "line ends": "一行\n二行\r\n",
    "tabs": "表\t列",
    "runs of spaces": "二つ  三つ   ",
    "spaces at the beginning": " 字下げ",
    "ideographic spaces": "\u3000山路を\u3000登る",
    "half-width kana": "ｶﾞﾗｽ",
    "full-width letters and digits": "ＡＢＣ１２３",
    "circled and squared characters": "①㈱㌔",
    "combining voicing marks": "か\u3099、は\u309a",
    "characters outside the vocabulary": "𠮷𩸽鷗",
    "emoji sequences": "👨‍👩‍👧👍🏽",
    "wave dashes and tildes": "〜～~",
    "control characters": "\x1b\x7f\u200b\xad",
    "the sign ▁": "▁甲▁乙",
}
"""What tokenizers lose, each with a text that shows it."""


class AnyTokenizer(Protocol):
    """What can be asked of every tokenizer, ours or not."""

    vocab_size: int

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without special pieces."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of several texts."""

    def encode_with_spans(self, text: str) -> tuple[list[int], list[Span]]:
        """Ids, and for each the characters of the original text that it stands for; of a byte the whole character."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids."""

    def piece(self, index: int) -> str:
        """How its vocabulary writes an id."""

    def is_byte(self, index: int) -> bool:
        """Whether an id is a byte piece."""

    def is_unknown(self, index: int) -> bool:
        """Whether an id stands for whatever the vocabulary cannot write."""


def load(path: Path | str) -> AnyTokenizer:
    """Open a folder or a file: a tokenizer of jgpt, a SentencePiece model, or a ``tokenizer.json`` (needs ``tokenizers``).

    Raises ArtifactError for what is none of these.
    """
    place = Path(path)
    if place.is_dir():
        models = [
            place / name for name in (MODEL_NAME, "spiece.model", "sentencepiece.model") if (place / name).is_file()
        ]
        if models and models[0].name == MODEL_NAME and (ours := _ours(place)):
            return ours
        if models:
            return SentencePieceTokenizer(models[0])
        if (place / "tokenizer.json").is_file():
            return HuggingFaceTokenizer(place / "tokenizer.json")
        raise ArtifactError(f"{path}: holds neither {MODEL_NAME} nor tokenizer.json")
    if not place.is_file():
        raise ArtifactError(f"{path}: is not there")
    return HuggingFaceTokenizer(place) if place.suffix == ".json" else SentencePieceTokenizer(place)


def losses(tokenizer: AnyTokenizer) -> list[str]:
    """What does not survive encoding and decoding, of ``PROBES``; nothing for a lossless tokenizer."""
    return [name for name, text in PROBES.items() if tokenizer.decode(tokenizer.encode(text)) != text]


class SentencePieceTokenizer:
    """Any SentencePiece model, with whatever normalisation, prefix and unknown piece it has."""

    def __init__(self, file: Path) -> None:
        self._processor: Any = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.load_from_serialized_proto(file.read_bytes())
        except (RuntimeError, OSError):
            raise ArtifactError(f"{file}: is not a SentencePiece model") from None
        self.vocab_size = int(self._processor.vocab_size())

    def encode(self, text: str) -> list[int]:
        return list(self._processor.encode(text))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return list(self._processor.encode(list(texts), num_threads=1))

    def encode_with_spans(self, text: str) -> tuple[list[int], list[Span]]:
        return ids_and_spans(self._processor, text)

    def decode(self, ids: Iterable[int]) -> str:
        return str(self._processor.decode(list(ids)))

    def piece(self, index: int) -> str:
        return str(self._processor.id_to_piece(index))

    def is_byte(self, index: int) -> bool:
        return bool(self._processor.is_byte(index))

    def is_unknown(self, index: int) -> bool:
        return bool(self._processor.is_unknown(index))


class HuggingFaceTokenizer:
    """A ``tokenizer.json``, opened by the library ``tokenizers``."""

    def __init__(self, file: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise JgptError(f"{file}: is opened by the library tokenizers: pip install tokenizers") from None
        try:
            text = file.read_text("utf-8")
            self._tokenizer: Any = Tokenizer.from_str(text)
            model = json.loads(text)["model"]
            by_name = self._tokenizer.token_to_id(model.get("unk_token") or "")
            self._unknown = model.get("unk_id", by_name)
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise ArtifactError(f"{file}: is not a tokenizer.json ({str(error).splitlines()[0]})") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._file = file
        self._parts: dict[int, bool] = {}
        self.vocab_size = int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        return self.encode_with_spans(text)[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        with self._named():
            found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [list(each.ids) for each in found]

    def encode_with_spans(self, text: str) -> tuple[list[int], list[Span]]:
        with self._named():
            found = self._tokenizer.encode(text, add_special_tokens=False)
        return list(found.ids), list(found.offsets)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the library raises nothing more particular
            raise ArtifactError(f"{self._file}: cannot encode this text ({str(error).splitlines()[0]})") from None

    def decode(self, ids: Iterable[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def piece(self, index: int) -> str:
        return str(self._tokenizer.id_to_token(index))

    def is_byte(self, index: int) -> bool:
        """``<0xE3>``, or a piece of a byte-level vocabulary that is no whole character."""
        if index not in self._parts:
            piece = self.piece(index)
            fallback = len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
            self._parts[index] = fallback or "\ufffd" in self.decode([index])
        return self._parts[index]

    def is_unknown(self, index: int) -> bool:
        return index == self._unknown


def _ours(folder: Path) -> JapaneseTokenizer | None:
    try:
        return JapaneseTokenizer(folder)
    except ArtifactError:
        return None
