"""Lists of the user's own: words that tell of unwanted documents, and domains whose pages are not wanted."""

from collections.abc import Collection, Sequence
from functools import cache
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from corpora.encodings import read_text
from corpora.normalization import normalize_prompt
from stage.errors import InputError, JgptError

_MOST = 1_000_000
_TABLE_BYTES = 300_000


def read_list(path: str) -> list[str]:
    """The entries of a list, one a line, normalised by ja-v1, each once; lines that begin with # are comments.

    Raises InputError for a file that cannot be read or holds none.
    """
    lines = (normalize_prompt(line).strip() for line in read_text(path, lines=True))
    entries = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not 0 < len(entries) <= _MOST:
        raise InputError(f"{path}: holds {len(entries):,} entries; one a line is expected, at most {_MOST:,}")
    return entries


class WordFinder:
    """Finds words in texts by an Aho–Corasick automaton (Aho and Corasick 1975) over their UTF-8; the longest at a place counts.

    A word of ASCII letters is found only where no letter or digit stands beside it.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Raises JgptError where the library is missing."""
        try:
            from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind
        except ImportError:
            raise JgptError("finding words needs ahocorasick-rs: pip install 'jgpt[corpus]'") from None
        encoded = [word.encode() for word in words]
        # a whole table takes half the time, and 400 bytes for each byte of the words instead of 30
        table = sum(map(len, encoded)) <= _TABLE_BYTES
        self._find = BytesAhoCorasick(
            encoded,
            matchkind=MatchKind.LeftmostLongest,
            implementation=Implementation.DFA if table else Implementation.ContiguousNFA,
        ).find_matches_as_indexes
        self._lengths = np.array([len(word) for word in words])
        self._latin = np.array([word.isascii() for word in encoded])

    def measure(
        self, texts: Sequence[bytes], chars: Sequence[float] | NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each text of UTF-8, which has so many characters: hits, and the share of its characters that they are, both [N]."""
        hits, shares = np.zeros(len(texts)), np.zeros(len(texts))
        for at, text in enumerate(texts):
            found = [
                word
                for word, start, end in self._find(text)
                if not self._latin[word] or not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())
            ]
            if found:
                hits[at] = len(found)
                shares[at] = self._lengths[found].sum() / chars[at]
        return hits, shares


@cache
def word_finder(path: str) -> WordFinder:
    """The finder of a list, made once a process."""
    return WordFinder(read_list(path))


@cache
def domain_list(path: str) -> frozenset[str]:
    """A list of domains, made once a process; entries may be written as addresses, or as ``*.example.com``."""
    return frozenset(_host(entry.removeprefix("*.")) for entry in read_list(path)) - {""}


def is_blocked(url: str, domains: Collection[str]) -> bool:
    """Whether the host of an address is one of the domains or lies below one."""
    labels = _host(url).split(".")
    return any(".".join(labels[at:]) in domains for at in range(len(labels)))


def _host(url: str) -> str:
    """The host of an address, which may lack its https://, in ASCII (IDNA); empty where there is none."""
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").strip(".")
        return host if host.isascii() else host.encode("idna").decode()
    except ValueError:
        return ""
