"""``JapaneseTokenizer``: encode any string to ids and decode them to exactly that string again."""

import codecs
import re
from collections.abc import Iterable, Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentencepiece

from stage.errors import ArtifactError, UsageError
from tokenizer.model_file import Kind, type_and_kinds
from tokenizer.pieces import BEGIN_ID, END_ID, FIXED, FIXED_PIECES, PADDING_ID, SPACE, UNKNOWN_ID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL_NAME = "tokenizer.model"
Span = tuple[int, int]
"""Characters ``begin`` to ``end`` of a text."""
FILES = (MODEL_NAME, "tokenizer.json", "tokenizer_config.json")


class JapaneseTokenizer:
    """A trained tokenizer, opened from any folder that holds ``tokenizer.model``: tokenizer, shards or model.

    ``decode(encode(text)) == text`` for every string without lone surrogates. Text never yields special or reserved
    pieces: ``<s>`` in a text is five characters; specials are asked for by ``begin`` and ``end`` or put in as ids.
    """

    unknown_id, bos_id, eos_id, padding_id = UNKNOWN_ID, BEGIN_ID, END_ID, PADDING_ID

    def __init__(self, folder: Path | str) -> None:
        file = Path(folder) / MODEL_NAME
        try:
            model = file.read_bytes()
        except OSError:
            raise ArtifactError(
                f"{folder}: holds no {MODEL_NAME}; a tokenizer, shards or model folder was expected"
            ) from None
        self._open(model, file)

    @classmethod
    def of(cls, model: bytes) -> "JapaneseTokenizer":
        """A tokenizer from the content of its ``tokenizer.model``."""
        tokenizer = cls.__new__(cls)
        tokenizer._open(model, Path(MODEL_NAME))
        return tokenizer

    def _open(self, model: bytes, file: Path) -> None:
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.load_from_serialized_proto(model)
        except (RuntimeError, OSError):
            raise ArtifactError(f"{file}: is not a SentencePiece model") from None
        processor = self._processor
        self.vocab_size: int = processor.vocab_size()
        if self.vocab_size < FIXED or tuple(map(processor.id_to_piece, range(FIXED))) != FIXED_PIECES:
            raise ArtifactError(f"{file}: was not trained by jgpt (it has other pieces at the ids 0 to {FIXED - 1})")
        self._bytes = [self._piece_bytes(index) for index in range(self.vocab_size)]
        self._byte_ids = frozenset(index for index in range(self.vocab_size) if processor.is_byte(index))
        self.model, kinds = type_and_kinds(model)
        """``bpe``, ``unigram`` or ``char``."""
        self._symbols = frozenset(index for index, kind in enumerate(kinds) if kind == Kind.USER_DEFINED)
        # where a text is cut before SentencePiece sees it: at a literal ▁; and, as its unigram has other ideas of runs that hold one
        # symbol or another, at those, the longest first
        symbols = sorted(map(self.piece, self._symbols), key=len, reverse=True) if self.model == "unigram" else []
        longer = [symbol for symbol in symbols if len(symbol) > 1]
        self._cuts = re.compile(f"({'|'.join(map(re.escape, [SPACE, *longer]))})")
        self._cut_ids = {symbol: [int(processor.piece_to_id(symbol))] for symbol in longer}
        # the three byte pieces of a literal ▁, which SentencePiece itself would take for a space
        self._cut_ids[SPACE] = [processor.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE.encode()]

    def encode(self, text: str, *, begin: bool = False, end: bool = False) -> list[int]:
        """Ids of a text; ``<s>`` before and ``</s>`` after it only when asked for.

        Raises UsageError for lone surrogates, which no UTF-8 text can hold.
        """
        self._check_encodable(text)
        ids: list[int] = []
        for number, part in enumerate(self._cuts.split(text)):
            ids += self._cut_ids[part] if number % 2 else self._processor.encode(part)
        return [BEGIN_ID] * begin + ids + [END_ID] * end

    def encode_with_spans(self, text: str) -> tuple[list[int], list[Span]]:
        """Ids of a text, and for each the characters of it that it stands for; of a byte the whole character.

        Raises UsageError for lone surrogates.
        """
        self._check_encodable(text)
        ids: list[int] = []
        spans: list[Span] = []
        at = 0
        for number, part in enumerate(self._cuts.split(text)):
            if number % 2:
                ids += self._cut_ids[part]
                spans += [(at, at + len(part))] * len(self._cut_ids[part])
            else:
                found, places = ids_and_spans(self._processor, part)
                ids += found
                spans += [(at + begin, at + end) for begin, end in places]
            at += len(part)
        return ids, spans

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of several texts, without special pieces; raises UsageError for lone surrogates."""
        return [ids.tolist() for ids in self.encode_arrays(texts)]

    def encode_arrays(self, texts: Sequence[str]) -> list["NDArray[np.int32]"]:
        """The same as arrays of int32, [N] each; the fastest way to encode much text on one core."""
        import numpy as np

        plain = [not any(cut in text for cut in self._cut_ids) for text in texts]
        try:
            found = iter(self._processor.encode_as_numpy(list(compress(texts, plain)), num_threads=1))
        except (RuntimeError, TypeError):
            for text in texts:
                self._check_encodable(text)
            raise
        return [
            next(found) if simple else np.array(self.encode(text), np.int32)
            for text, simple in zip(texts, plain, strict=True)
        ]

    def decode(self, ids: Iterable[int], *, special: bool = False) -> str:
        """The text of some ids; special and reserved pieces are left out unless ``special``.

        Bytes that form no character (a sequence cut in the middle) become U+FFFD. Raises UsageError for an id that the
        vocabulary does not have.
        """
        decoder = StreamDecoder(self, special=special)
        return decoder.feed(*ids) + decoder.flush()

    def pieces(self, text: str) -> list[str]:
        """The text of each token, for people to look at: spaces as ▁, bytes as ``<0xE3>``."""
        return [self.piece(index) for index in self.encode(text)]

    def piece(self, index: int) -> str:
        """The piece of an id as SentencePiece writes it; raises UsageError for an id out of range."""
        self._check(index)
        return str(self._processor.id_to_piece(int(index)))

    def piece_id(self, piece: str) -> int:
        """The id of a piece (a reserved one, say); raises UsageError when the vocabulary has no such piece."""
        index = int(self._processor.piece_to_id(piece))
        if index == UNKNOWN_ID and piece != self.piece(UNKNOWN_ID):
            raise UsageError(f"the vocabulary has no piece {piece!r}")
        return index

    def score(self, index: int) -> float:
        """SentencePiece's score of a piece: minus its merge rank."""
        return float(self._processor.get_score(index))

    def is_byte(self, index: int) -> bool:
        """Whether an id is one of the 256 byte pieces."""
        return index in self._byte_ids

    def is_unknown(self, index: int) -> bool:
        """Whether an id is that of ``<unk>``, which no text yields."""
        return index == UNKNOWN_ID

    def is_control(self, index: int) -> bool:
        """Whether an id is a special or reserved piece, which no text yields."""
        return bool(self._processor.is_control(int(index)) or self._processor.is_unknown(int(index)))

    def is_symbol(self, index: int) -> bool:
        """Whether an id is a string that is one piece wherever it occurs: the line end, and user symbols."""
        return index in self._symbols

    def bytes_of(self, index: int, *, special: bool = False) -> bytes:
        """UTF-8 bytes that an id stands for; of a special or reserved piece none, or its name when ``special``."""
        self._check(index)
        if special and self.is_control(index):
            return self.piece(index).encode()
        return self._bytes[index]

    @staticmethod
    def _check_encodable(text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"character {error.start} of the text is a lone surrogate, which no encoding can hold"
            ) from None

    def _check(self, index: int) -> None:
        if not 0 <= index < self.vocab_size:
            raise UsageError(f"id {index} lies outside the vocabulary of {self.vocab_size} pieces")

    def _piece_bytes(self, index: int) -> bytes:
        processor = self._processor
        if processor.is_control(index) or processor.is_unknown(index):
            return b""
        piece = str(processor.id_to_piece(index))
        if processor.is_byte(index):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(SPACE, " ").encode()


def ids_and_spans(processor: Any, text: str) -> tuple[list[int], list[Span]]:
    """What SentencePiece makes of a text, with the characters behind each id.

    It gives a character that became bytes to the last of them alone; here each has the whole of it.
    """
    found = processor.encode_as_offset_mapping(text)
    spans: list[Span] = []
    for index, (begin, end) in zip(reversed(found["ids"]), reversed(found["offsets"]), strict=True):
        spans.append((begin, spans[-1][1]) if begin == end and spans and processor.is_byte(index) else (begin, end))
    return list(found["ids"]), spans[::-1]


class StreamDecoder:
    """Decode ids as they come, giving out a character only when all its bytes are there."""

    def __init__(self, tokenizer: JapaneseTokenizer, *, special: bool = False) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, *ids: int) -> str:
        """The characters that these ids complete; raises UsageError for an id out of range."""
        return self._decoder.decode(b"".join(self._tokenizer.bytes_of(index, special=self._special) for index in ids))

    def flush(self) -> str:
        """What is left at the end: U+FFFD for an incomplete character, else nothing."""
        return self._decoder.decode(b"", final=True)
