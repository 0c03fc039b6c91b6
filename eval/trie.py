"""Sequences that begin alike, laid out so that a model reads each shared beginning once.

The tokens that a model reads form a trie. Where many sequences go on from a long common prefix, its keys and values are
computed once (``Stem``). What goes on from it are ``Row``s: small tries as one row of tokens each, depth first. There a token
stands at the position that it has in its sequences, and sees the prefix and its ancestors in the row. Such packing is known
from tree attention for speculative decoding (Miao et al., SpecInfer, 2023) and from RadixAttention (Zheng et al., SGLang, 2023).
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

ROW = 128
"""Tokens up to which small tries share a row."""
TREE = 1.5
"""A larger trie is one row up to so many times its longest sequence: past that, its row would be mostly mask."""
WORTH = 16
"""Common tokens from which on a prefix is worth a step of the model by itself."""


class Row(NamedTuple):
    """Tokens of several sequences behind a prefix, depth first; T is their number."""

    ids: Numbers
    """[T]"""
    positions: Numbers
    """[T]"""
    ends: Numbers
    """[T]: token t is seen by tokens t to ends[t] - 1 of the row, its descendants."""
    members: list[int]
    """Numbers of the sequences."""
    places: list[Numbers]
    """For each member the tokens of the row that predict its scored ids, in order."""

    @property
    def is_chain(self) -> bool:
        """Whether it is nothing but one sequence from its beginning."""
        return len(self.members) == 1 and self.positions[0] == 0


class Stem(NamedTuple):
    """A prefix and what goes on from it; stems come in an order in which a stack of keys and values serves them."""

    start: int
    """Tokens of the prefix that were there before and are its parent's."""
    ids: Numbers
    """The tokens that it adds."""
    rows: list[Row]

    @property
    def length(self) -> int:
        """Tokens of the whole prefix."""
        return self.start + len(self.ids)


def plan(sequences: Sequence[tuple[Numbers, int]], batch_tokens: int) -> Iterator[Stem]:
    """What to compute for sequences of ids, of each of which the last so many are scored: each is a member of one row.

    A row is longer than ``batch_tokens`` only where one sequence alone is.
    """
    return _Plan(sequences, batch_tokens).stems()


class _Plan:
    """Sequences in order of their ids, so that those with a common beginning are neighbours: a range [begin, end)."""

    def __init__(self, sequences: Sequence[tuple[Numbers, int]], batch_tokens: int) -> None:
        inputs = [ids[:-1] for ids, _ in sequences]  # the last id is predicted, never read
        keys = [ids.astype(">u4").tobytes() for ids in inputs]  # bytes that compare as the ids do
        self.order = sorted(range(len(keys)), key=keys.__getitem__)
        self.inputs = [inputs[number] for number in self.order]
        self.scored = np.array([sequences[number][1] for number in self.order], np.int64)
        self.lengths = np.array([len(ids) for ids in self.inputs], np.int64)
        self.most, self.row = batch_tokens, min(ROW, batch_tokens)

    @cached_property
    def common(self) -> Numbers:
        """Tokens that each sequence has in common with the one before it."""
        return np.array([0, *map(_common, self.inputs, self.inputs[1:])], np.int64)

    def stems(self) -> Iterator[Stem]:
        stack = [(0, len(self.inputs), 0, 0)]
        while stack:
            begin, end, start, length = stack.pop()
            rows, stems = self._split(begin, end, length)
            yield Stem(start, self.inputs[begin][start:length] if end else np.empty(0, np.int64), rows)
            stack += reversed(stems)

    def _split(self, begin: int, end: int, depth: int) -> tuple[list[Row], list[tuple[int, int, int, int]]]:
        """The rows that go on from a prefix of ``depth`` tokens, and the longer prefixes: their range, parent's and own length."""
        ranges: list[tuple[int, int]] = []  # of the rows
        stems = []
        todo = [(begin, end)] if begin < end else []
        while todo:
            first, last = todo.pop()
            inner = self.common[first + 1 : last]
            shared = int(inner.min()) if len(inner) else int(self.lengths[first])
            longest, tokens = int(self.lengths[first:last].max()) - depth, self._tokens(first, last, depth)
            worth = shared - depth >= WORTH
            if tokens <= max(longest, self.row) or (worth and tokens <= min(self.most, TREE * longest)):
                joined = (ranges[-1][0], last) if ranges and ranges[-1][1] == first else (first, last)
                if joined[0] < first and self._tokens(*joined, depth) <= self.row:
                    ranges[-1] = joined
                else:
                    ranges.append((first, last))
                continue
            # hidden states of tokens that predict are wanted, so these lie in rows
            prefix = min(shared, int((self.lengths[first:last] - self.scored[first:last]).min()))
            if prefix - depth >= WORTH:
                stems.append((first, last, depth, prefix))
                continue
            cuts = [first, *(first + 1 + np.flatnonzero(inner == shared)).tolist(), last]
            todo += reversed([*pairwise(cuts)])
        return [self._row(first, last, depth) for first, last in ranges], stems

    def _tokens(self, begin: int, end: int, depth: int) -> int:
        """Tokens of the trie of a range, without the first ``depth`` levels."""
        known = np.maximum(self.common[begin:end], depth)
        known[0] = depth
        return int((self.lengths[begin:end] - known).sum())

    def _row(self, begin: int, end: int, depth: int) -> Row:
        size = self._tokens(begin, end, depth)
        ids, positions, ends = (np.empty(size, np.int64) for _ in range(3))
        path = np.empty(int(self.lengths[begin:end].max()) - depth, np.int64)  # tokens of the row, from the prefix on
        places = []
        count = open_ = 0
        for number in range(begin, end):
            length = int(self.lengths[number]) - depth
            known = max(0, int(self.common[number]) - depth) if number > begin else 0
            new = length - known
            ends[path[known:open_]] = count
            ids[count : count + new] = self.inputs[number][depth + known :]
            positions[count : count + new] = np.arange(depth + known, depth + length)
            path[known:length] = np.arange(count, count + new)
            places.append(path[length - self.scored[number] : length].copy())
            count, open_ = count + new, length
        ends[path[:open_]] = count
        return Row(ids, positions, ends, self.order[begin:end], places)


def _common(first: Numbers, second: Numbers) -> int:
    """Tokens that two sequences have in common at their beginning."""
    size = min(len(first), len(second))
    differ = first[:size] != second[:size]
    return int(differ.argmax()) if differ.any() else size
