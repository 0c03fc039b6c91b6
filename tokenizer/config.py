"""What determines a tokenizer."""

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from stage.errors import UsageError
from tokenizer.pieces import FIXED, FIXED_PIECES, NEWLINE

MOST_PIECES = 1_000_000
_LONGEST_SYMBOL = 500


@dataclass
class TokenizerConfig:
    """How a tokenizer is trained: by SentencePiece, without normalisation, with byte fallback and without an added space."""

    vocab_size: int = 8000
    """Number of pieces in all: 277 fixed ones (special, reserved, newline, bytes), characters, and longer ones."""

    model: Literal["bpe", "unigram", "char"] = "bpe"
    """bpe: pieces by merging the most frequent pair (Sennrich et al. 2016). unigram: pieces by likelihood (Kudo 2018), ten times
    slower to train. char: a character a token, at most --vocab_size of them."""

    boundaries: Literal["auto", "none", "mecab"] = "auto"
    """mecab: no piece crosses a boundary between words of UniDic-lite in the training text; using it needs no dictionary. auto: mecab
    for bpe, with which a small GPT learns more (docs/experiments.md), none for the others."""

    max_character_share: float = 0.5
    """Share of the vocabulary that single characters may fill, the most frequent first; the others go to byte fallback."""

    min_character_count: int = 1
    """Characters that the training text holds less often go to byte fallback."""

    common_kanji: bool = False
    """Whether 常用漢字 and 人名用漢字 that the text lacks become pieces as well, as far as there is room for them."""

    user_symbols: list[str] = field(default_factory=list)
    """Strings that are one piece wherever they occur, and that no other piece touches."""

    max_piece_length: int = 16
    """Longest piece in characters."""

    sample_megabytes: float = 30.0
    """Most training text to learn from, in megabytes of UTF-8: a random sample of lines when the corpus has more."""

    seed: int = 0
    """Chooses the sample."""

    limit: int = 0
    """Read at most so many documents or files; 0 reads all."""

    @property
    def within_words(self) -> bool:
        """Whether pieces stay within words."""
        return self.boundaries == "mecab" or (self.boundaries == "auto" and self.model == "bpe")

    def __post_init__(self) -> None:
        for entry in fields(self):
            if entry.name in ("model", "boundaries") and getattr(self, entry.name) not in get_args(entry.type):
                known = ", ".join(get_args(entry.type))
                raise UsageError(f"--{entry.name} {getattr(self, entry.name)}: known are {known}")
        if self.boundaries == "mecab" and self.model == "char":
            raise UsageError(f"--boundaries {self.boundaries} has no effect with --model char: leave it out")
        for symbol in self.user_symbols:
            if not symbol or any(character.isspace() or character in "\u2581\0" for character in symbol):
                raise UsageError(
                    f"--user_symbols {symbol!r}: a symbol holds no spaces, no ▁ and at least one character"
                )
            if fixed := next((piece for piece in FIXED_PIECES if symbol in piece), None):
                raise UsageError(f"--user_symbols {symbol!r}: stands in the name of the fixed piece {fixed}")
            if len(symbol) > _LONGEST_SYMBOL:
                raise UsageError(f"--user_symbols {symbol[:20]!r}…: is longer than {_LONGEST_SYMBOL} characters")
        if len(set(self.user_symbols)) < len(self.user_symbols):
            raise UsageError("--user_symbols: one of them is named twice")
        if self.vocab_size < (least := smallest_size(self)):
            raise UsageError(
                f"--vocab_size {self.vocab_size} cannot hold the {FIXED} fixed pieces (special, reserved, newline, bytes), "
                f"the space, a character and the user symbols: {least} is the least, some thousands are usual"
            )
        if self.vocab_size > MOST_PIECES:
            raise UsageError(f"--vocab_size {self.vocab_size} is more than {MOST_PIECES}, the most that is supported")
        if not 0 < self.max_character_share <= 1:
            raise UsageError(f"--max_character_share {self.max_character_share} lies outside 0 to 1")
        if self.min_character_count < 1:
            raise UsageError(f"--min_character_count {self.min_character_count} must be at least 1")
        if not 1 <= self.max_piece_length <= 512:
            raise UsageError(f"--max_piece_length {self.max_piece_length} lies outside 1 to 512")
        if self.sample_megabytes <= 0:
            raise UsageError(f"--sample_megabytes {self.sample_megabytes} must be above 0")
        if self.limit < 0:
            raise UsageError(f"--limit {self.limit} must be 0 (all) or more")


def smallest_size(config: TokenizerConfig) -> int:
    """The smallest vocabulary of a kind: a unigram needs the characters of the fixed pieces' names as well (``tokenizer.characters``)."""
    names = len(set("".join(FIXED_PIECES)) - {NEWLINE}) if config.model == "unigram" else 0
    return FIXED + 2 + names + len(config.user_symbols)
