"""What determines a tokenizer."""

from dataclasses import dataclass

from stage.errors import UsageError
from tokenizer.pieces import FIXED


@dataclass
class TokenizerConfig:
    """How a tokenizer is trained: SentencePiece BPE with the identity rule, byte fallback and no dummy prefix."""

    vocab_size: int = 8000
    """Number of pieces in all: 277 fixed ones (special, reserved, newline, bytes), characters, and merges of these."""

    max_character_share: float = 0.5
    """Share of the vocabulary that single characters may fill, the most frequent first; the others go to byte fallback."""

    max_piece_length: int = 16
    """Longest piece in characters."""

    sample_megabytes: float = 30.0
    """Most training text to learn from, in megabytes of UTF-8: a random sample of lines when the corpus has more."""

    seed: int = 0
    """Chooses the sample."""

    limit: int = 0
    """Read at most so many documents or files; 0 reads all."""

    def __post_init__(self) -> None:
        if self.vocab_size < FIXED + 2:
            raise UsageError(
                f"--vocab_size {self.vocab_size} cannot hold the {FIXED} fixed pieces (special, reserved, newline, bytes), "
                f"the space and a character: {FIXED + 2} is the least, some thousands are usual"
            )
        if self.vocab_size > 1_000_000:
            raise UsageError(f"--vocab_size {self.vocab_size} is more than 1000000, the most that is supported")
        if not 0 < self.max_character_share <= 1:
            raise UsageError(f"--max_character_share {self.max_character_share} lies outside 0 to 1")
        if not 1 <= self.max_piece_length <= 512:
            raise UsageError(f"--max_piece_length {self.max_piece_length} lies outside 1 to 512")
        if self.sample_megabytes <= 0:
            raise UsageError(f"--sample_megabytes {self.sample_megabytes} must be above 0")
        if self.limit < 0:
            raise UsageError(f"--limit {self.limit} must be 0 (all) or more")
