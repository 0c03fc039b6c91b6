"""Text to ids and back: train, encode, decode, measure, interchange."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizer.japanese import JapaneseTokenizer as JapaneseTokenizer
    from tokenizer.training import train_tokenizer as train_tokenizer

__all__ = ["JapaneseTokenizer", "train_tokenizer"]


def __getattr__(name: str) -> Any:
    if name == "JapaneseTokenizer":
        from tokenizer.japanese import JapaneseTokenizer

        return JapaneseTokenizer
    if name == "train_tokenizer":
        from tokenizer.training import train_tokenizer

        return train_tokenizer
    raise AttributeError(f"module 'tokenizer' has no attribute {name!r}")
