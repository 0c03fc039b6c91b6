"""Text to ids and back: train, encode, decode, measure, interchange."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizer.japanese import JapaneseTokenizer as JapaneseTokenizer
    from tokenizer.opening import load as load
    from tokenizer.opening import losses as losses
    from tokenizer.training import train_tokenizer as train_tokenizer

_HOMES = {
    "JapaneseTokenizer": "tokenizer.japanese",
    "load": "tokenizer.opening",
    "losses": "tokenizer.opening",
    "train_tokenizer": "tokenizer.training",
}
__all__ = ["JapaneseTokenizer", "load", "losses", "train_tokenizer"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tokenizer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
