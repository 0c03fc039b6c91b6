"""The documents of a split of token shards, as ids and as text: decoding is lossless, so no corpus is needed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Documents(Sequence[str]):
    """The texts of a split, decoded when asked for; ``ids(number)`` gives the tokens with ``<s>`` and ``</s>``."""

    def __init__(self, stream: Any, tokenizer: Any, sources: Sequence[str] = ()) -> None:
        """``stream`` is a ``jgpt.data.shards.TokenStream``; ``sources`` names the source of each document, or none of them."""
        self._stream = stream
        self._tokenizer = tokenizer
        self._bounds = np.append(stream.document_starts, len(stream))
        self._sources = sources if len(sources) == len(self) else [""] * len(self)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, number: Any) -> Any:
        return self._tokenizer.decode(self.ids(number)[1:-1].tolist())

    def ids(self, number: int) -> NDArray[np.int64]:
        """Ids of a document, int64."""
        return np.asarray(self._stream[int(self._bounds[number]) : int(self._bounds[number + 1])], np.int64)

    def source(self, number: int) -> str:
        """Where a document comes from; empty where that is not known."""
        return self._sources[number]

    def sample(self, tokens: int, seed: int) -> Iterator[NDArray[np.int64]]:
        """Documents of at most so many tokens together: all in order, or where they do not fit drawn by seed."""
        if len(self._stream) <= tokens:
            yield from (self.ids(number) for number in range(len(self)))
            return
        for number in np.random.default_rng(seed).permutation(len(self)):
            ids = self.ids(int(number))[:tokens]
            yield ids
            tokens -= len(ids)
            if tokens <= 0:
                return
