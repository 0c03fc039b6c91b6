"""Text to ids and back: train, encode, decode, measure, interchange."""

from typing import TYPE_CHECKING

from stage.exports import exports

if TYPE_CHECKING:
    from tokenizer.japanese import JapaneseTokenizer as JapaneseTokenizer
    from tokenizer.opening import load as load
    from tokenizer.opening import losses as losses
    from tokenizer.training import train_tokenizer as train_tokenizer

__getattr__ = exports(
    __name__,
    {
        "JapaneseTokenizer": "tokenizer.japanese",
        "load": "tokenizer.opening",
        "losses": "tokenizer.opening",
        "train_tokenizer": "tokenizer.training",
    },
)
__all__ = ["JapaneseTokenizer", "load", "losses", "train_tokenizer"]
