"""A trained tokenizer with more pieces, whose ids stay, or with fewer."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from stage.errors import UsageError
from stage.folder import Made, write_folder
from stage.manifest import Input, Manifest, artifact_input, read_manifest, write_json
from tokenizer.config import MOST_PIECES, TokenizerConfig
from tokenizer.interchange import write_hugging_face
from tokenizer.japanese import MODEL_NAME, JapaneseTokenizer
from tokenizer.model_file import Kind, append_pieces, keep_pieces
from tokenizer.pieces import FIXED
from tokenizer.sampling import LineSample
from tokenizer.text import Text
from tokenizer.training import train_at_most, training_sample

OLD_IDS = "old_ids.json"
"""In the folder of a pruned tokenizer: the id that each piece had before, to take over the rows of an embedding by."""


def extend_tokenizer(
    tokenizer: Path | str, out: Path | str, text: Text, vocab_size: int, *, overwrite: bool = False, quiet: bool = False
) -> Manifest:
    """Add pieces that a text asks for after those of a tokenizer, whose ids, and whose scores, stay as they are.

    A tokenizer of the new size is trained on the text as the old one was; those of its pieces that the old one lacks are added in
    its order, merges after all old ones. What the old pieces would never let come about is passed over.
    Raises UsageError for a size that is not above the old one, or that the text cannot fill.
    """
    old = JapaneseTokenizer(tokenizer)
    if vocab_size <= old.vocab_size:
        raise UsageError(f"--vocab_size {vocab_size}: the tokenizer has {old.vocab_size} pieces already; ask for more")
    before = read_manifest(tokenizer, "tokenizer")
    known = {entry.name for entry in fields(TokenizerConfig)}
    given = {name: value for name, value in before.parameters.items() if name in known}
    config = replace(TokenizerConfig(**given), vocab_size=vocab_size)

    def make(folder: Path) -> Made:
        sample = training_sample(text, config, quiet)
        model = (Path(tokenizer) / MODEL_NAME).read_bytes()
        most = room = vocab_size - old.vocab_size
        # of what works the largest is told, which may again not be reached
        while len(added := _learned(sample, config, model, old, most)) < most:
            most = len(added)
        if most < room:
            raise UsageError(
                f"--vocab_size {vocab_size} is more than this text can fill: the largest that works is {old.vocab_size + most}"
                if most
                else f"--vocab_size {vocab_size}: the text asks for no piece that the tokenizer lacks"
            )
        return _made(folder, append_pieces(model, added), [*before.licenses, *text.licenses])

    return _write(out, tokenizer, {"extended_to": vocab_size}, make, text.inputs, overwrite)


def prune_tokenizer(tokenizer: Path | str, out: Path | str, vocab_size: int, *, overwrite: bool = False) -> Manifest:
    """Leave out the longer pieces that were learned last (bpe), or are least likely (unigram), until so many pieces are left.

    Fixed pieces, user symbols and characters stay; the others move up, and ``old_ids.json`` says from where. Raises UsageError for
    a size that is not below the old one, or leaves no room for those.
    """
    old = JapaneseTokenizer(tokenizer)
    if vocab_size >= old.vocab_size:
        raise UsageError(f"--vocab_size {vocab_size}: the tokenizer has only {old.vocab_size} pieces; ask for fewer")
    longer = [index for index in range(FIXED, old.vocab_size) if len(old.piece(index)) > 1 and not old.is_symbol(index)]
    least = old.vocab_size - len(longer)
    if vocab_size < least:
        raise UsageError(
            f"--vocab_size {vocab_size}: fixed pieces, symbols and characters alone are {least}, the least that works"
        )
    dropped = set(sorted(longer, key=lambda index: (-old.score(index), index))[vocab_size - least :])

    def make(folder: Path) -> Made:
        model, old_ids = keep_pieces((Path(tokenizer) / MODEL_NAME).read_bytes(), lambda index: index not in dropped)
        write_json(folder / OLD_IDS, old_ids)
        return _made(folder, model, read_manifest(tokenizer, "tokenizer").licenses)

    return _write(out, tokenizer, {"pruned_to": vocab_size}, make, [], overwrite)


def _learned(
    sample: LineSample, config: TokenizerConfig, model: bytes, old: JapaneseTokenizer, room: int
) -> list[tuple[str, Kind, float]]:
    """Up to so many new pieces: of ever larger tokenizers, as the old one has some of each, until the text gives no more."""
    size = old.vocab_size + room
    while True:
        learned = JapaneseTokenizer.of(train_at_most(sample, replace(config, vocab_size=size)).model)
        found = new_pieces(model, old, learned, room)
        if len(found) == room or learned.vocab_size < size or size == MOST_PIECES:
            return found
        size = min(size + 2 * (room - len(found)), MOST_PIECES)


def new_pieces(
    model: bytes, old: JapaneseTokenizer, learned: JapaneseTokenizer, room: int
) -> list[tuple[str, Kind, float]]:
    """Up to so many of the learned pieces that the old tokenizer lacks, merges with scores below all of its own."""
    known = {old.piece(index) for index in range(old.vocab_size)}
    candidates = [learned.piece(index) for index in range(FIXED, learned.vocab_size)]
    # characters first: the longer pieces are made of them
    wanted = sorted((piece for piece in candidates if piece not in known), key=lambda piece: len(piece) > 1)
    lowest = min(old.score(index) for index in range(old.vocab_size))
    while True:
        # of a merge the score is its rank, of a piece of a unigram its likelihood
        scores = (
            learned.score(learned.piece_id(piece)) if old.model == "unigram" else lowest - 1 - rank
            for rank, piece in enumerate(wanted[:room])
        )
        chosen = [(piece, Kind.NORMAL, score) for piece, score in zip(wanted, scores, strict=False)]
        longer = JapaneseTokenizer.of(append_pieces(model, chosen))
        never = {
            piece
            for place, (piece, *_) in enumerate(chosen)
            if longer.encode(piece.replace("▁", " ")) != [old.vocab_size + place]
        }
        if not never:
            return chosen
        wanted = [piece for piece in wanted if piece not in never]


def _made(folder: Path, model: bytes, licenses: list[dict[str, str]]) -> Made:
    (folder / MODEL_NAME).write_bytes(model)
    write_hugging_face(folder)
    return Made({"vocab_size": JapaneseTokenizer(folder).vocab_size}, licenses)


def _write(
    out: Path | str,
    tokenizer: Path | str,
    parameters: dict[str, Any],
    make: Callable[[Path], Made],
    inputs: list[Input],
    overwrite: bool,
) -> Manifest:
    """``parameters`` go on top of those that the tokenizer was trained with."""
    before = read_manifest(tokenizer, "tokenizer").parameters
    inputs = [artifact_input("tokenizer", tokenizer, "tokenizer"), *inputs]
    return write_folder(
        out, stage="tokenizer", parameters=before | parameters, inputs=inputs, make=make, overwrite=overwrite
    )
