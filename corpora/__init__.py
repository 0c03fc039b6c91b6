"""Raw sources to clean documents: read, parse markup, normalise, judge, deduplicate, split."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpora.build import build_corpus as build_corpus

__all__ = ["build_corpus"]


def __getattr__(name: str) -> Any:
    if name == "build_corpus":
        from corpora.build import build_corpus

        return build_corpus
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
