"""Train a SentencePiece tokenizer on a documents folder, on text files, or on strings from Python."""

import io
import logging
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import sentencepiece

from stage.errors import InputError, JgptError, UsageError
from stage.folder import Made, write_folder
from stage.manifest import Input, Manifest
from stage.progress import progress
from tokenizer.characters import Characters, choose_characters
from tokenizer.config import TokenizerConfig, smallest_size
from tokenizer.interchange import write_hugging_face
from tokenizer.japanese import MODEL_NAME, JapaneseTokenizer
from tokenizer.model_file import Kind, append_pieces, rounded_scores
from tokenizer.pieces import BEGIN, END, FIXED, FIXED_PIECES, NEWLINE, PADDING, RESERVED, SPACE, UNKNOWN
from tokenizer.sampling import BOUNDARY, LineSample, sample_lines
from tokenizer.text import Text, find_text
from tokenizer.words import Words

log = logging.getLogger(__name__)
_NAME = re.compile("|".join(re.escape(name) for name in FIXED_PIECES if name != NEWLINE))


def train_tokenizer(
    out: Path | str,
    config: TokenizerConfig,
    *,
    corpus: Path | str | None = None,
    text: Sequence[str] = (),
    texts: Iterable[str] | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Train a tokenizer on the train split of a documents folder (``corpus``), on text files (``text``, UTF-8), or on ``texts``.

    The folder gets ``tokenizer.model`` (SentencePiece), ``tokenizer.json`` with the same ids for Hugging Face
    tokenizers, and ``tokenizer_config.json``. ``texts``, which may be of any number, are read once and sampled.

    Raises UsageError for a vocabulary that the text cannot fill, naming the largest that works; InputError for text that
    is empty, missing or not UTF-8; ArtifactError for a folder that is not a corpus.
    """
    ready = None
    if texts is None:
        found = find_text(corpus, text, "train", config.limit)
    else:
        # an iterable may be read once, and what it held is known only then
        found = Text("texts", lambda: iter(texts), [], [{"source": "texts", "license": "unknown"}])
        ready = training_sample(found, config, quiet)
        digest = sha256("\n".join(ready.lines).encode("utf-8", "replace")).hexdigest()
        found.inputs.append(Input("texts", "", digest))

    def make(folder: Path) -> Made:
        sample = ready or training_sample(found, config, quiet)
        trained = train_pieces(sample, config)
        (folder / MODEL_NAME).write_bytes(trained.model)
        write_hugging_face(folder)
        counts = trained.counts | summary(JapaneseTokenizer(folder), sample.lines[:: max(1, len(sample.lines) // 2000)])
        return Made(counts, found.licenses)

    return write_folder(
        out,
        stage="tokenizer",
        parameters=asdict(config),
        inputs=found.inputs,
        make=make,
        overwrite=overwrite,
        need_bytes=200 * config.vocab_size + 1_000_000,
    )


def training_sample(text: Text, config: TokenizerConfig, quiet: bool) -> LineSample:
    """The lines of a text that a tokenizer learns from; raises InputError where there are none."""
    bar = progress(text.read(), description="tokenizer: reading", unit="documents", quiet=quiet)
    sample = sample_lines(bar, int(config.sample_megabytes * 1e6), config.seed)
    if not any(map(str.strip, sample.lines)):
        if sample.seen_bytes and not sample.lines:
            raise UsageError(f"--sample_megabytes {config.sample_megabytes}: has no room for a line of {text.name}")
        raise InputError(f"{text.name}: holds no text to train a tokenizer on")
    for line in sample.lines:
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{text.name}: a line holds a lone surrogate (character {error.start} of {line[:20]!r}…), which no encoding can hold"
            ) from None
    return sample


@dataclass
class TrainedPieces:
    """A serialised SentencePiece model and what is worth knowing of its training."""

    model: bytes
    counts: dict[str, Any]


def train_pieces(sample: LineSample, config: TokenizerConfig) -> TrainedPieces:
    """Learn the pieces from sampled lines; every line is used, else JgptError. UsageError: see ``train_tokenizer``."""
    trained = train_at_most(sample, config)
    reached = trained.counts["vocab_size"]
    if reached == config.vocab_size or config.model == "char":
        return trained
    # a smaller vocabulary has room for fewer characters and may not be filled either: go down until it is
    largest = 0
    while reached != largest:
        largest = reached
        if largest < smallest_size(config):
            raise UsageError(f"--vocab_size {config.vocab_size}: the text is too short for a tokenizer of this kind")
        reached = train_at_most(sample, replace(config, vocab_size=largest)).counts["vocab_size"]
    raise UsageError(
        f"--vocab_size {config.vocab_size} is more than this text can fill: the largest that works is {largest}"
    )


def train_at_most(sample: LineSample, config: TokenizerConfig) -> TrainedPieces:
    """A model of at most the size asked for."""
    lines = _without_names(_without_symbols(sample.lines, config.user_symbols))
    counts = Counter[str]()
    for start in range(0, len(lines), 10_000):
        counts.update("".join(lines[start : start + 10_000]))
    chosen = choose_characters(counts, config)
    log.info(
        "tokenizer: %d of %d distinct characters become pieces and cover %.3f %% of the text",
        len(chosen.kept) - len(chosen.absent),
        chosen.distinct,
        100 * chosen.covered,
    )
    if chosen.dropped:
        # the trainer must not merge across a character that is no piece: cut there
        cut = dict.fromkeys(map(ord, chosen.dropped), "\n")
        lines = [part for line in lines for part in line.translate(cut).split("\n") if part]
    if not lines:
        raise InputError(
            "no text to learn from is left without user symbols and characters that --min_character_count leaves out"
        )
    if config.within_words:
        words = Words()
        lines = [words.parted(line, BOUNDARY) for line in lines]
    model = _sentencepiece(lines, config, chosen)
    if config.model == "unigram":
        model = rounded_scores(model)
    model = append_pieces(model, [(symbol, Kind.USER_DEFINED, 0.0) for symbol in config.user_symbols])
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    size = processor.vocab_size()
    learned = size - FIXED - len(config.user_symbols)
    single = sum(1 for index in range(FIXED, FIXED + learned) if len(processor.id_to_piece(index)) == 1)
    return TrainedPieces(
        model,
        {
            "vocab_size": size,
            "fixed_pieces": FIXED,
            "character_pieces": single,
            "merged_pieces": learned - single,
            "distinct_characters": chosen.distinct,
            "character_coverage": round(chosen.covered, 6),
            "training_lines": len(sample.lines),
            "training_bytes": sample.bytes,
            "seen_lines": sample.seen_lines,
            "seen_bytes": sample.seen_bytes,
            "long_lines_cut": sample.long_lines,
            "lines_skipped": 0,
        },
    )


def _without_symbols(lines: list[str], symbols: Sequence[str]) -> list[str]:
    """The lines cut at user symbols, which no other piece touches."""
    if not symbols:
        return lines
    pattern = re.compile("|".join(map(re.escape, sorted(symbols, key=len, reverse=True))))
    return [part for line in lines for part in pattern.split(line) if part]


def _without_names(lines: list[str]) -> list[str]:
    """The lines cut inside whatever spells a special or byte piece, which the trainer would take for that piece."""
    return [
        part
        for line in lines
        for part in (_NAME.sub(lambda match: f"<\n{match[0][1:]}", line).split("\n") if "<" in line else [line])
    ]


def _sentencepiece(lines: list[str], config: TokenizerConfig, chosen: Characters) -> bytes:
    """A serialised model of SentencePiece's trainer; raises JgptError where it fails or skips a line."""
    written = io.BytesIO()
    size = config.vocab_size - len(config.user_symbols)
    if config.model == "char":
        size = min(size, FIXED + len(chosen.kept))
    with _captured_log() as captured:
        try:
            _interruptibly(
                sentencepiece.SentencePieceTrainer.train,
                sentence_iterator=iter(lines),
                model_writer=written,
                model_type=config.model,
                vocab_size=size,
                hard_vocab_limit=False,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                allow_whitespace_only_pieces=True,
                split_digits=True,
                byte_fallback=True,
                character_coverage=1.0,
                # none that the text holds: the trainer would then forget the others
                required_chars="".join(chosen.absent).replace(" ", SPACE),
                max_sentencepiece_length=config.max_piece_length,
                max_sentence_length=1 << 20,
                pretokenization_delimiter=BOUNDARY if config.within_words else "",
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
    return written.getvalue()


def summary(tokenizer: JapaneseTokenizer, lines: Sequence[str]) -> dict[str, Any]:
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


def _interruptibly(function: Callable[..., object], **arguments: object) -> None:
    """Call a function that runs for minutes without Python in a thread, so that Ctrl-C is heard meanwhile."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function(**arguments)
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if raised:
        raise raised[0]


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
