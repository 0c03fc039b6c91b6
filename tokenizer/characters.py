"""Which characters become pieces; all others are written in bytes."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tokenizer.config import TokenizerConfig
from tokenizer.pieces import FIXED, FIXED_PIECES, NEWLINE


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

    Those of ``required_characters`` are pieces in any case. With ``common_kanji`` those that the text lacks follow those that it has.
    """
    required = required_characters(config.model)
    share = 1.0 if config.model == "char" else config.max_character_share
    room = config.vocab_size - FIXED - len(config.user_symbols)
    most = max(min(int(config.vocab_size * share), room), len(required) + 1)
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    frequent = [character for character in ranked if counts[character] >= config.min_character_count]
    wanted = dict.fromkeys([*required, *frequent, *common_kanji() * config.common_kanji])
    kept = [character for character in wanted if character not in config.user_symbols][:most]
    left = set(kept)
    covered = sum(counts[character] for character in kept) / max(counts.total(), 1)
    dropped = [character for character in ranked if character not in left]
    absent = [character for character in kept if character not in counts]
    return Characters(kept, dropped, absent, len(counts), covered)


def required_characters(model: str) -> str:
    """The space; and for a unigram what the names of special and byte pieces are spelled with.

    Hugging Face's unigram takes such a name in a text for the piece wherever one of its characters is no piece itself.
    """
    return " " + ("".join(sorted(set("".join(FIXED_PIECES)) - {NEWLINE})) if model == "unigram" else "")


@cache
def common_kanji() -> str:
    """常用漢字 and 人名用漢字: the kanji of everyday use and of names, by code point."""
    lines = (Path(__file__).parent / "kanji.txt").read_text("utf-8").splitlines()
    return "".join(line for line in lines if not line.startswith("#"))
