"""Token shards: documents as ids in one-dimensional ``.npy`` files that are read without loading them.

Beside ``train-00000.npy`` (uint16, or uint32 for vocabularies over 65,536) lies ``train-00000.documents.npy`` with the
int64 start of each document, which points at its ``<s>``. Every document is ``<s>`` ids ``</s>``.
"""

import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import compress, groupby, pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from corpora.documents import document_files, read_row_group, row_groups
from jgpt.config import ShardConfig
from stage.errors import ArtifactError, InputError
from stage.files import sha256_file
from stage.folder import Made, write_folder
from stage.manifest import Manifest, artifact_input, check_outputs, read_manifest
from stage.parallel import Engine, run_over
from tokenizer.encoders import Encoder, check_encoder, open_encoder
from tokenizer.japanese import FILES, MODEL_NAME, JapaneseTokenizer

SPLITS = ("train", "valid")
_CHECKED = 4096  # tokens that are looked at when a file is opened

SourceRun = list[Any]
"""``[source, number]``: so many documents in a row come from that source of the corpus."""
TokenArray = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


def write_shards(
    corpus: Path | str,
    tokenizer: Path | str,
    out: Path | str,
    config: ShardConfig | None = None,
    *,
    workers: int = 0,
    engine: Engine = "local",
    encoder: str = "sentencepiece",
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Encode a documents folder into token shards: a train and a valid file for each documents file, in all cores or on Ray.

    The files do not depend on the number of workers nor on the encoder (see ``tokenizer.encoders``), memory not on the size of the
    corpus. Raises ArtifactError for folders that are not what they should be, InputError for a corpus without training documents.
    """
    config = config or ShardConfig()
    inputs = [artifact_input("corpus", corpus, "corpus"), artifact_input("tokenizer", tokenizer, "tokenizer")]
    source = read_manifest(corpus, "corpus")
    opened = JapaneseTokenizer(tokenizer)
    vocab_size = opened.vocab_size
    check_encoder(opened, tokenizer, encoder)

    def make(folder: Path) -> Made:
        settings = Path(tokenizer), inputs[1].sha256, encoder
        files = document_files(corpus)
        tasks = [task for file in files for task in _tasks(file, config.limit, *settings)]
        counts = {f"{split}_{name}": 0 for split in SPLITS for name in ("documents", "tokens", "characters")}
        sources: dict[str, list[SourceRun]] = {split: [] for split in SPLITS}
        how: dict[str, Any] = {"workers": workers, "engine": engine, "quiet": quiet}
        done = run_over(_encode_group, tasks, description="shard", unit="row group", **how)
        for number, file in enumerate(files):
            writers = {
                split: ShardWriter(folder / f"{split}-{number:05d}.npy", token_dtype(vocab_size)) for split in SPLITS
            }
            for _ in range(sum(task.documents == file for task in tasks)):
                for split, encoded in next(done).items():
                    writers[split].add(encoded.ids, encoded.lengths)
                    counts[f"{split}_documents"] += len(encoded.lengths)
                    counts[f"{split}_tokens"] += len(encoded.ids)
                    counts[f"{split}_characters"] += encoded.characters
                    _add_to_runs(sources[split], encoded.sources)
            for writer in writers.values():
                writer.close()
        if not counts["train_tokens"]:
            raise InputError(f"{corpus}: holds no training documents")
        for name in FILES:
            shutil.copyfile(Path(tokenizer) / name, folder / name)
        characters = counts["train_characters"] + counts["valid_characters"]
        tokens = counts["train_tokens"] + counts["valid_tokens"]
        return Made(
            counts
            | {
                "sources": sources,
                "vocab_size": vocab_size,
                "dtype": token_dtype(vocab_size).name,
                "encoder": encoder,
                "characters_per_token": round(characters / tokens, 4),
                "normalization": prompt_preset(source.parameters.get("normalization", {})),
                "tokenizer_sha256": sha256_file(str(folder / MODEL_NAME)),
            },
            source.licenses,
        )

    characters = source.counts.get("characters", 0)
    return write_folder(
        out,
        stage="shard",
        parameters=asdict(config),
        inputs=inputs,
        make=make,
        overwrite=overwrite,
        # at worst one token a character
        need_bytes=int(characters if isinstance(characters, int) else 0) * token_dtype(vocab_size).itemsize,
    )


def token_dtype(vocab_size: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """uint16 where it holds every id, else uint32."""
    return np.dtype(np.uint16) if vocab_size <= 1 << 16 else np.dtype(np.uint32)


def prompt_preset(presets: Iterable[str]) -> str:
    """The preset for prompts to a model of texts with these: that of the normalised ones; ``none`` where there are none."""
    return min((name for name in presets if name != "none"), default="none")


class TokenStream:
    """The tokens of a split, over all its files, as one sequence; slices read only what they cover."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.arrays = [_open(file) for file in files]
        self._ends = np.cumsum([len(array) for array in self.arrays], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.files else 0

    def __getitem__(self, span: slice) -> TokenArray:
        """Tokens [start, stop) as an array of the files' dtype."""
        start, stop, step = span.indices(len(self))
        assert step == 1, "a token stream is read in order"
        parts = []
        first = int(np.searchsorted(self._ends, start, side="right"))
        for index in range(first, len(self.arrays)):
            begin = int(self._ends[index - 1]) if index else 0
            if begin >= stop:
                break
            parts.append(self.arrays[index][max(start - begin, 0) : stop - begin])
        if not parts:
            return np.empty(0, dtype=self.arrays[0].dtype if self.arrays else np.uint16)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def document_starts(self) -> npt.NDArray[np.int64]:
        """Where each document begins in the stream; read from the files each time."""
        parts = []
        for index, file in enumerate(self.files):
            begin = int(self._ends[index - 1]) if index else 0
            parts.append(_document_starts(file, self.arrays[index]) + begin)
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


class ShardSet:
    """A shards folder, opened."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(folder, "shard")
        check_outputs(folder, self.manifest)
        self.tokenizer_sha256 = str(self.manifest.counts["tokenizer_sha256"])
        self.vocab_size = int(self.manifest.counts["vocab_size"])
        self.normalization = str(self.manifest.counts["normalization"])

    def split(self, name: str) -> TokenStream:
        """The tokens of ``train`` or ``valid``; empty when the split has none.

        Raises ArtifactError for a file that is whole but not of this set: the ends and the beginning of each are read.
        """
        stream = TokenStream(
            sorted(file for file in self.folder.glob(f"{name}-*.npy") if not file.name.endswith(".documents.npy"))
        )
        expected = (JapaneseTokenizer.bos_id, JapaneseTokenizer.eos_id)
        for file, array in zip(stream.files, stream.arrays, strict=True):
            fits = array.dtype == token_dtype(self.vocab_size) and len(array) > 1
            if not fits or (array[0], array[-1]) != expected or array[:_CHECKED].max() >= self.vocab_size:
                raise ArtifactError(
                    f"{file}: holds no documents of this folder's tokenizer; write the shards anew with --overwrite"
                )
        return stream

    def sources(self, split: str) -> list[str]:
        """The source of each document of a split; empty where the shards do not say."""
        return [name for name, count in self.manifest.counts.get("sources", {}).get(split, []) for _ in range(count)]

    def documents(self, split: str) -> Iterator[TokenArray]:
        """Each document's ids, with ``<s>`` and ``</s>``."""
        stream = self.split(split)
        ends = np.append(stream.document_starts, len(stream))
        for start, stop in pairwise(ends):
            yield stream[int(start) : int(stop)]


def pooled(streams: Iterable[TokenStream]) -> TokenStream:
    """Streams of one tokenizer, one after another, as one."""
    return TokenStream([file for stream in streams for file in stream.files])


@dataclass(frozen=True)
class _Task:
    """A row group of a documents file, and how many rows of it are wanted."""

    documents: Path
    group: int
    rows: int
    tokenizer: Path
    tokenizer_sha256: str
    encoder: str


@dataclass
class _Encoded:
    """What a row group holds of a split: its documents, one after another."""

    ids: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]
    characters: int
    sources: list[str]


@lru_cache(maxsize=1)
def _encoder(folder: Path, tokenizer_sha256: str, name: str) -> tuple[Encoder, int]:
    """The encoder, kept from row group to row group, and the size of the vocabulary."""
    tokenizer = JapaneseTokenizer(folder)
    return open_encoder(tokenizer, folder, name), tokenizer.vocab_size


def _tasks(file: Path, limit: int, *settings: Any) -> list[_Task]:
    """The row groups of a documents file, up to ``limit`` documents where that is not 0."""
    tasks, left = [], limit or sys.maxsize
    for group, rows in enumerate(row_groups(file)):
        if left > 0:
            tasks.append(_Task(file, group, min(rows, left), *settings))
        left -= rows
    return tasks


def _encode_group(task: _Task) -> dict[str, _Encoded]:
    encode, vocab_size = _encoder(task.tokenizer, task.tokenizer_sha256, task.encoder)
    columns = read_row_group(task.documents, task.group, ("text", "split", "source"))
    texts, splits, sources = (column[: task.rows] for column in columns)
    if unknown := set(splits) - set(SPLITS):
        row = next(number for number, split in enumerate(splits) if split in unknown)
        raise ArtifactError(
            f"{task.documents}: row {row} of row group {task.group} has split {splits[row]!r}; train and valid are known"
        )
    begin, end = np.array([[JapaneseTokenizer.bos_id], [JapaneseTokenizer.eos_id]], np.int32)
    encoded = {}
    for split in SPLITS:
        chosen = [of == split for of in splits]
        ids = encode(list(compress(texts, chosen)))
        parts = [part for document in ids for part in (begin, document, end)]
        joined = np.concatenate([begin[:0], *parts])
        encoded[split] = _Encoded(
            joined.astype(token_dtype(vocab_size)),
            np.array([len(document) + 2 for document in ids], np.int64),
            sum(map(len, compress(texts, chosen))),
            list(compress(sources, chosen)),
        )
    return encoded


def _add_to_runs(runs: list[SourceRun], sources: Iterable[str]) -> None:
    for source, documents in groupby(sources):
        if runs and runs[-1][0] == source:
            runs[-1][1] += sum(1 for _ in documents)
        else:
            runs.append([source, sum(1 for _ in documents)])


class ShardWriter:
    """Writes a ``.npy`` file of unknown length: NumPy's header leaves room for the final count, which is filled in last."""

    def __init__(self, file: Path, dtype: np.dtype[np.uint16] | np.dtype[np.uint32]) -> None:
        self.file = file
        self.dtype = dtype
        self.tokens = 0
        self._starts: list[npt.NDArray[np.int64]] = []
        self._stream: BinaryIO | None = None

    def add(self, ids: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> None:
        """Append documents of these lengths, each ``<s>`` ids ``</s>``."""
        if not len(lengths):
            return
        if self._stream is None:
            self._stream = self.file.open("wb")
            self._header()
        self._starts.append(self.tokens + np.cumsum(lengths) - lengths)
        self.tokens += len(ids)
        self._stream.write(ids.astype(self.dtype, copy=False).tobytes())

    def close(self) -> None:
        """Complete the file, and write the starts of the documents beside it; nothing where there are none."""
        if self._stream is None:
            return
        before = self._stream.tell()
        self._stream.seek(0)
        self._header()
        assert self._stream.tell() + self.tokens * self.dtype.itemsize == before, "the header must keep its length"
        self._stream.close()
        np.save(self.file.with_suffix(".documents.npy"), np.concatenate(self._starts))

    def _header(self) -> None:
        assert self._stream is not None
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.tokens,)}
        npy.write_array_header_1_0(self._stream, header)


def _open(file: Path, kinds: str = "uint16 uint32") -> npt.NDArray[Any]:
    """A one-dimensional array of one of these dtypes, mapped."""
    try:
        array: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        if array.ndim != 1 or array.dtype.name not in kinds.split():
            raise ValueError
    except (OSError, ValueError, EOFError):
        raise ArtifactError(f"{file}: is not a whole token file; write the shards anew with --overwrite") from None
    return array


def _document_starts(tokens: Path, array: TokenArray) -> npt.NDArray[np.int64]:
    """Starts of the documents of a token file, which must point at ``<s>`` (some of them are looked up)."""
    file = tokens.with_suffix(".documents.npy")
    starts: npt.NDArray[np.int64] = _open(file, "int64")
    inside = len(starts) > 0 and starts[0] == 0 and starts[-1] < len(array) and bool((np.diff(starts) > 0).all())
    if not inside or (array[starts[:: 1 + len(starts) // _CHECKED]] != JapaneseTokenizer.bos_id).any():
        raise ArtifactError(f"{file}: does not fit the tokens beside it; write the shards anew with --overwrite")
    return starts
