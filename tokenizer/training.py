"""Train a SentencePiece BPE tokenizer on a documents folder or straight on text files."""

import io
import logging
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import sentencepiece

from corpora.documents import iterate_texts
from stage.errors import InputError, JgptError, UsageError
from stage.files import list_files, reading, sha256_file
from stage.folder import Made, write_folder
from stage.manifest import Input, Manifest, artifact_input, read_manifest
from stage.progress import progress
from tokenizer.config import TokenizerConfig
from tokenizer.interchange import write_hugging_face
from tokenizer.japanese import MODEL_NAME, JapaneseTokenizer
from tokenizer.pieces import BEGIN, END, FIXED, NEWLINE, PADDING, RESERVED, SPACE, UNKNOWN
from tokenizer.sampling import LineSample, sample_lines

log = logging.getLogger(__name__)
_BLOCK = 1 << 20


def train_tokenizer(
    out: Path | str,
    config: TokenizerConfig,
    *,
    corpus: Path | str | None = None,
    text: Sequence[str] = (),
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Train a tokenizer on the train split of a documents folder (``corpus``) or on text files (``text``, UTF-8).

    The folder gets ``tokenizer.model`` (SentencePiece), ``tokenizer.json`` with the same ids for Hugging Face
    tokenizers, and ``tokenizer_config.json``.

    Raises UsageError for a vocabulary that the text cannot fill, naming the largest that works; InputError for text that
    is empty, missing or not UTF-8; ArtifactError for a folder that is not a corpus.
    """
    if (corpus is None) == (not text):
        raise UsageError("give either a documents folder (--corpus DIR) or text files (--text FILES)")
    if corpus is not None:
        inputs = [artifact_input("corpus", corpus, "corpus")]
        licenses = read_manifest(corpus, "corpus").licenses
    else:
        files = [file for path in text for file in list_files(path, (".txt", ".text", ""))][: config.limit or None]
        inputs = [Input("text", file, sha256_file(file)) for file in files]
        licenses = [{"source": file, "license": "unknown"} for file in files]

    def texts() -> Iterator[str]:
        if corpus is not None:
            return islice(iterate_texts(corpus, "train"), config.limit or None)
        return (part for file in files for part in read_text(file))

    def make(folder: Path) -> Made:
        bar = progress(texts(), description="tokenizer: reading", unit="documents", quiet=quiet)
        sample = sample_lines(bar, int(config.sample_megabytes * 1e6), config.seed)
        if not any(map(str.strip, sample.lines)):
            raise InputError(f"{corpus or text[0]}: holds no text to train a tokenizer on")
        trained = train_pieces(sample, config)
        (folder / MODEL_NAME).write_bytes(trained.model)
        write_hugging_face(folder)
        counts = trained.counts | measure(JapaneseTokenizer(folder), sample.lines[:: max(1, len(sample.lines) // 2000)])
        return Made(counts, licenses)

    return write_folder(
        out,
        stage="tokenizer",
        parameters=asdict(config),
        inputs=inputs,
        make=make,
        overwrite=overwrite,
        need_bytes=200 * config.vocab_size + 1_000_000,
    )


@dataclass
class TrainedPieces:
    """A serialised SentencePiece model and what is worth knowing of its training."""

    model: bytes
    counts: dict[str, Any]


def train_pieces(sample: LineSample, config: TokenizerConfig) -> TrainedPieces:
    """Learn the pieces from sampled lines; every line is used, else JgptError. UsageError: see ``train_tokenizer``."""
    trained = _train(sample, config)
    reached = trained.counts["vocab_size"]
    if reached == config.vocab_size:
        return trained
    # a smaller vocabulary has room for fewer characters and may not be filled either: go down until it is
    largest = reached
    while (reached := _train(sample, replace(config, vocab_size=largest)).counts["vocab_size"]) < largest:
        largest = reached
    raise UsageError(
        f"--vocab_size {config.vocab_size} is more than this text can fill: the largest that works is {largest}"
    )


def _train(sample: LineSample, config: TokenizerConfig) -> TrainedPieces:
    """A model of at most the size asked for."""
    characters = Counter[str]()
    for start in range(0, len(sample.lines), 10_000):
        characters.update("".join(sample.lines[start : start + 10_000]))
    most = max(min(int(config.vocab_size * config.max_character_share), config.vocab_size - FIXED), 2)
    # the space first, which is a piece in any case, then by frequency, then by code point: same text, same pieces
    ranked = sorted(characters.items(), key=lambda entry: (entry[0] != " ", -entry[1], entry[0]))
    kept = ranked[: most if " " in characters else most - 1]
    dropped = [ord(character) for character, _ in ranked[len(kept) :]]
    lines = sample.lines
    if dropped:
        # the trainer must not merge across a character that is no piece: cut there
        cut = dict.fromkeys(dropped, "\n")
        lines = [part for line in lines for part in line.translate(cut).split("\n") if part]
    covered = sum(count for _, count in kept) / characters.total()
    log.info(
        "tokenizer: %d of %d distinct characters become pieces and cover %.3f %% of the text",
        len(kept),
        len(ranked),
        100 * covered,
    )
    written = io.BytesIO()
    with _captured_log() as captured:
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=written,
                model_type="bpe",
                vocab_size=config.vocab_size,
                hard_vocab_limit=False,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                allow_whitespace_only_pieces=True,
                split_digits=True,
                byte_fallback=True,
                character_coverage=1.0,
                required_chars=SPACE,
                max_sentencepiece_length=config.max_piece_length,
                max_sentence_length=1 << 20,
                unk_piece=UNKNOWN,
                bos_piece=BEGIN,
                eos_piece=END,
                pad_piece=PADDING,
                unk_id=0,
                bos_id=1,
                eos_id=2,
                pad_id=3,
                control_symbols=list(RESERVED),
                user_defined_symbols=[NEWLINE],
                minloglevel=0,
            )
        except (RuntimeError, OSError) as error:
            raise JgptError(f"SentencePiece could not train on this text: {str(error).splitlines()[0]}") from None
    _check_nothing_skipped(captured[0], len(lines))
    processor = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    single = sum(1 for index in range(FIXED, processor.vocab_size()) if len(processor.id_to_piece(index)) == 1)
    return TrainedPieces(
        written.getvalue(),
        {
            "vocab_size": processor.vocab_size(),
            "fixed_pieces": FIXED,
            "character_pieces": single,
            "merged_pieces": processor.vocab_size() - FIXED - single,
            "distinct_characters": len(ranked),
            "character_coverage": round(covered, 6),
            "training_lines": len(sample.lines),
            "training_bytes": sample.bytes,
            "seen_lines": sample.seen_lines,
            "seen_bytes": sample.seen_bytes,
            "long_lines_cut": sample.long_lines,
            "lines_skipped": 0,
        },
    )


def measure(tokenizer: JapaneseTokenizer, lines: Sequence[str]) -> dict[str, Any]:
    """Characters and bytes per token, the share of byte-fallback tokens, and whether every line round-trips exactly."""
    encoded = tokenizer.encode_batch(lines)
    tokens = sum(len(ids) for ids in encoded)
    byte_tokens = sum(1 for ids in encoded for index in ids if tokenizer.is_byte(index))
    exact = sum(tokenizer.decode(ids) == line for ids, line in zip(encoded, lines, strict=True))
    return {
        "measured_lines": len(lines),
        "characters_per_token": round(sum(map(len, lines)) / max(tokens, 1), 4),
        "bytes_per_token": round(sum(len(line.encode()) for line in lines) / max(tokens, 1), 4),
        "byte_fallback_share": round(byte_tokens / max(tokens, 1), 6),
        "round_trip_exact": round(exact / max(len(lines), 1), 6),
    }


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
            f"{path}: byte {offset + error.start} is not UTF-8; `jgpt corpus build` reads Shift_JIS too: train on its folder"
        ) from None


def _check_nothing_skipped(trainer_log: str, lines: int) -> None:
    done = re.search(r"Done! preprocessed (\d+) sentences", trainer_log)
    if not done or int(done.group(1)) != lines:
        taken = done.group(1) if done else "none"
        raise JgptError(f"SentencePiece took {taken} of {lines} lines and skipped the others: please report this text")


@contextmanager
def _captured_log() -> Iterator[list[str]]:
    """Catch what SentencePiece writes to the process's stderr: its log is the only place that tells of skipped lines."""
    captured = [""]
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield captured
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            captured[0] = file.read().decode("utf-8", "replace")
