"""Raw sources to clean documents: read, parse markup, normalise, judge, deduplicate, split."""

from typing import TYPE_CHECKING

from stage.exports import exports

if TYPE_CHECKING:
    from corpora.build import build_corpus as build_corpus
    from corpora.decontamination import decontaminate as decontaminate
    from corpora.filtering import filter_corpus as filter_corpus
    from corpora.trust import train_trust as train_trust

__getattr__ = exports(
    __name__,
    {
        "build_corpus": "corpora.build",
        "decontaminate": "corpora.decontamination",
        "filter_corpus": "corpora.filtering",
        "train_trust": "corpora.trust",
    },
)

__all__ = ["build_corpus", "decontaminate", "filter_corpus", "train_trust"]
