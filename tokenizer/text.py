"""The text that a tokenizer learns from or is measured on: a documents folder, text files, or strings that Python hands over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from corpora.documents import iterate_texts
from stage.errors import InputError, UsageError
from stage.files import bare_suffix, list_files, reading, sha256_file
from stage.manifest import Input, artifact_input, read_manifest

_BLOCK = 1 << 20
_NO_TEXT = (".jsonl", ".json", ".parquet", ".html", ".htm", ".xml", ".zip")


@dataclass(frozen=True)
class Text:
    """Where text comes from; ``read`` gives it in parts, each time from the beginning."""

    name: str
    read: Callable[[], Iterator[str]]
    inputs: list[Input]
    licenses: list[dict[str, str]]


def find_text(
    corpus: Path | str | None, files: Sequence[str], split: str, limit: int = 0, source: str | None = None
) -> Text:
    """The split of a documents folder (or of one of its sources), or text files (UTF-8, compressed or not).

    At most ``limit`` documents or files.

    Raises UsageError for both or neither; InputError for files that are missing; ArtifactError for a folder that is no corpus.
    """
    if (corpus is None) == (not files):
        raise UsageError("give either a documents folder (--corpus DIR) or text files (--text FILES)")
    if corpus is not None:
        folder = corpus
        inputs = [artifact_input("corpus", folder, "corpus")]
        licenses = read_manifest(folder, "corpus").licenses
        return Text(str(folder), lambda: islice(iterate_texts(folder, split, source), limit or None), inputs, licenses)
    found = [file for path in files for file in list_files(path, (".txt", ".text", ""))][: limit or None]
    for file in found:
        if bare_suffix(file) in _NO_TEXT:
            raise InputError(f"{file}: is no plain text: `jgpt corpus build` reads it; use its folder with --corpus")
    inputs = [Input("text", file, sha256_file(file)) for file in found]
    licenses = [{"source": file, "license": "unknown"} for file in found]
    return Text(files[0], lambda: (part for file in found for part in read_text(file)), inputs, licenses)


def read_text(path: str) -> Iterator[str]:
    """The text of a UTF-8 file (compressed or not) in parts that end at line ends; raises InputError at a wrong byte."""
    offset = 0
    rest = b""
    with reading(path) as stream:
        while block := stream.read(_BLOCK):
            block = rest + block
            cut = block.rfind(b"\n") + 1
            if not cut and len(block) < _BLOCK:
                rest = block
                continue
            if not cut:
                # no line end yet: cut where one of the last characters begins, as the very last may be incomplete
                last = range(max(len(block) - 4, 0), max(len(block) - 8, 0), -1)
                cut = next((place for place in last if block[place] & 0xC0 != 0x80), len(block))
            yield _decoded(block[:cut], path, offset)
            offset += cut
            rest = block[cut:]
    if rest:
        yield _decoded(rest, path, offset)


def _decoded(block: bytes, path: str, offset: int) -> str:
    try:
        text = block.decode("utf-8")
        return text.removeprefix("\ufeff") if offset == 0 else text
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {offset + error.start} is not UTF-8; `jgpt corpus build` reads Shift_JIS and others: use its folder with --corpus"
        ) from None
