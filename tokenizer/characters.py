"""Which characters become pieces; all others are written in bytes."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tokenizer.config import TokenizerConfig
from tokenizer.pieces import FIXED


@dataclass(frozen=True)
class Characters:
    """The choice: those that become pieces, and those of the text that do not."""

    kept: list[str]
    dropped: list[str]
    absent: list[str]
    """Those that become pieces although the text lacks them."""

    distinct: int
    """Different characters of the text."""

    covered: float
    """Share of the text's characters that became pieces."""


def choose_characters(counts: Counter[str], config: TokenizerConfig) -> Characters:
    """Choose by frequency, then by code point, so that the same text gives the same pieces.

    The space is a piece in any case. With ``common_kanji`` those that the text lacks follow those that it has.
    """
    share = 1.0 if config.model == "char" else config.max_character_share
    most = max(min(int(config.vocab_size * share), config.vocab_size - FIXED - len(config.user_symbols)), 2)
    ranked = sorted(counts, key=lambda character: (character != " ", -counts[character], character))
    frequent = [
        character for character in ranked if counts[character] >= config.min_character_count or character == " "
    ]
    known = set(frequent)
    wanted = frequent + [character for character in common_kanji() * config.common_kanji if character not in known]
    kept = wanted[: most if " " in counts else most - 1]
    left = set(kept)
    covered = sum(counts[character] for character in kept) / max(counts.total(), 1)
    dropped = [character for character in ranked if character not in left]
    absent = [character for character in kept if character not in counts] + [" "] * (" " not in counts)
    return Characters(kept, dropped, absent, len(counts), covered)


@cache
def common_kanji() -> str:
    """常用漢字 and 人名用漢字: the kanji of everyday use and of names, by code point."""
    lines = (Path(__file__).parent / "kanji.txt").read_text("utf-8").splitlines()
    return "".join(line for line in lines if not line.startswith("#"))
