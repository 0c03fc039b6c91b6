"""Raw sources to clean documents: read, parse markup, normalise, judge, deduplicate, split."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpora.build import build_corpus as build_corpus
    from corpora.decontamination import decontaminate as decontaminate
    from corpora.filtering import filter_corpus as filter_corpus
    from corpora.trust import train_trust as train_trust

_HOMES = {
    "build_corpus": "corpora.build",
    "decontaminate": "corpora.decontamination",
    "filter_corpus": "corpora.filtering",
    "train_trust": "corpora.trust",
}

__all__ = ["build_corpus", "decontaminate", "filter_corpus", "train_trust"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
