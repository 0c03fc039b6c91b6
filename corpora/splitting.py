"""Which documents are held out as the split "valid"."""

import unicodedata

import numpy as np

from corpora.config import CorpusConfig

TAIL_BELOW = 50
"""With fewer documents than this the tail of each is held out, not whole documents."""
TAIL_SHARE = 0.05
_CUT_FROM = 0.9
_JOINERS = "\u200d\ufe0e\ufe0f"


def splits_tails(documents: int, config: CorpusConfig) -> bool:
    """Whether a corpus of so many documents is split inside its documents."""
    return documents < TAIL_BELOW and (config.valid_share > 0 or config.valid_min_documents > 0)


def choose_valid(digests: np.ndarray, config: CorpusConfig) -> np.ndarray:
    """Which documents are held out, bool [N], from their digests, uint64 [N]: those with the smallest seeded hashes.

    Equal texts fall on the same side; as long as the share and not the smallest number decides, a document stays on
    its side whatever other documents come or go. The smallest number is never more than half of the documents.
    """
    keys = _mix(digests ^ _mix(np.array([config.seed + 1], dtype=np.uint64)))
    valid = keys < np.uint64(int(config.valid_share * 2**64))
    least = min(config.valid_min_documents, len(keys) // 2)
    if least and int(valid.sum()) < least:
        valid = keys <= np.partition(keys, least - 1)[least - 1]
    return valid


def choose_share(digests: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """For each document whether it belongs to its share, bool [N], from digests, uint64 [N], and shares from 0 to below 1, [N]."""
    return _mix(digests ^ np.uint64(0x9E3779B97F4A7C15)) / 2.0**64 < shares


def cut_tail(text: str) -> tuple[str, str] | None:
    """A document without its tail, and the tail (about a twentieth): cut at a line end, else after 。, else anywhere.

    None where the text is too short to be cut.
    """
    if len(text) < 2:
        return None
    target = min(len(text) - 1, max(1, round(len(text) * (1 - TAIL_SHARE))))
    first = int(len(text) * _CUT_FROM)
    at = text.rfind("\n", first, target + 1)
    if at <= 0:
        at = text.rfind("。", first, target)
    if at > 0:
        cut = at + 1
    else:
        cut = target
        # never inside a character as a reader sees it: か゛, 👩‍👧, 葛󠄀
        while cut > 1 and _continues(text[cut - 1], text[cut]):
            cut -= 1
    head, tail = text[:cut].rstrip("\n"), text[cut:].strip("\n")
    return (head, tail) if head.strip() and tail.strip() else None


def _continues(before: str, after: str) -> bool:
    if before == "\u200d" or after in _JOINERS or unicodedata.combining(after):
        return True
    return 0xE0100 <= ord(after) <= 0xE01EF or 0x1F3FB <= ord(after) <= 0x1F3FF


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of the result depends on every bit given."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))
