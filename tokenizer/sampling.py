"""A bounded random sample of training lines from text of any size, in one pass."""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tokenizer.pieces import SPACE

MAX_LINE_BYTES = 4096

BOUNDARY = "\u2063"
"""Stands between words for the trainer; an invisible separator, which texts hardly hold."""

# Where a line is cut for the trainer: at line ends, at NUL and at the marks that have a meaning there, ▁ for a space, the one
# above, and ▅ (U+2585), with which SentencePiece drops the whole line.
_CUTS = re.compile(f"[\n\r\x00{SPACE}\u2585{BOUNDARY}]")
_SENTENCE = re.compile(r"[^。！？!?]*[。！？!?]+[」』）]*|[^。！？!?]+")


@dataclass
class LineSample:
    """Lines drawn from a text, each equally likely."""

    lines: list[str] = field(default_factory=list)
    bytes: int = 0
    seen_lines: int = 0
    seen_bytes: int = 0
    long_lines: int = 0
    """Lines over ``MAX_LINE_BYTES`` that were cut at sentence ends."""


def sample_lines(texts: Iterable[str], max_bytes: int, seed: int) -> LineSample:
    """Draw lines until ``max_bytes`` of UTF-8 are reached, then thin the sample and draw on more rarely.

    Every line gets a random number in order; lines below a threshold are kept, and the threshold is halved whenever the
    sample outgrows ``max_bytes``. So memory is bounded, one pass is enough, and the order of the text is kept. A text that
    fits is kept whole; of a larger one the sample ends up between a half and the whole of ``max_bytes``.
    """
    sample = LineSample()
    generator = random.Random(seed)
    threshold = 1.0
    kept: list[tuple[float, str, int]] = []
    for text in texts:
        for line in training_lines(text, sample):
            size = len(line.encode("utf-8", "replace"))
            sample.seen_lines += 1
            sample.seen_bytes += size
            draw = generator.random()
            if draw >= threshold:
                continue
            kept.append((draw, line, size))
            sample.bytes += size
            while sample.bytes > max_bytes and len(kept) > 1:
                threshold /= 2
                kept = [entry for entry in kept if entry[0] < threshold]
                sample.bytes = sum(entry[2] for entry in kept)
    sample.lines = [line for _, line, _ in kept]
    return sample


def training_lines(text: str, sample: LineSample) -> Iterator[str]:
    """The lines of a text as the trainer takes them: no empty ones, none over ``MAX_LINE_BYTES``, none that it would drop."""
    for line in _CUTS.split(text):
        if not line:
            continue
        # a code point has at most four bytes, so short lines need no encoding to be known as short
        if len(line) * 4 <= MAX_LINE_BYTES or len(line.encode("utf-8", "replace")) <= MAX_LINE_BYTES:
            yield line
            continue
        sample.long_lines += 1
        yield from _cut_long(line)


def _cut_long(line: str) -> Iterator[str]:
    """Cut a long line at sentence ends, and where a sentence is too long itself, anywhere."""
    most = MAX_LINE_BYTES // 4
    held = ""
    for match in _SENTENCE.finditer(line):
        sentence = match.group()
        if held and len(held) + len(sentence) > most:
            yield held
            held = ""
        held += sentence
        if len(held) > most:
            whole = (len(held) - 1) // most * most
            yield from (held[start : start + most] for start in range(0, whole, most))
            held = held[whole:]
    if held:
        yield held
