"""Changing the pieces of a trained SentencePiece model, a protocol buffer of which only the fields in question are declared here.

Those that are not declared (normalisation, how it was trained) are kept as they are.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum
from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from stage.errors import ArtifactError


class Kind(IntEnum):
    """Kinds of pieces, as SentencePiece numbers them."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


def append_pieces(model: bytes, pieces: Iterable[tuple[str, Kind, float]]) -> bytes:
    """The model with further pieces (text, kind, score) after all others, whose ids stay as they are."""
    proto = _parse(model)
    for text, kind, score in pieces:
        proto.pieces.add(piece=text, type=int(kind), score=score)
    return _serialised(proto)


def rounded_scores(model: bytes) -> bytes:
    """The model with scores that are multiples of 1/64.

    Sums of them are exact in float32 up to some 20,000 tokens, so that two ways to cut a text which are equally likely are so in
    every implementation, and all of them take the same.
    """
    proto = _parse(model)
    for piece in proto.pieces:
        piece.score = round(piece.score * 64) / 64
    return _serialised(proto)


def keep_pieces(model: bytes, kept: Callable[[int], bool]) -> tuple[bytes, list[int]]:
    """The model with the pieces whose ids are kept, and the id that each of them had before."""
    proto = _parse(model)
    old = [index for index in range(len(proto.pieces)) if kept(index)]
    pieces = [proto.pieces[index] for index in old]
    copies = [type(piece).FromString(piece.SerializeToString()) for piece in pieces]
    del proto.pieces[:]
    proto.pieces.extend(copies)
    return _serialised(proto), old


def type_and_kinds(model: bytes) -> tuple[str, list[Kind]]:
    """``bpe``, ``unigram``, ``char`` or ``word``; and the kind of each piece."""
    proto = _parse(model)
    names = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
    # what has its default is left out of the file
    return names[proto.trainer_spec.model_type or 1], [Kind(piece.type or Kind.NORMAL) for piece in proto.pieces]


@cache
def _message_class() -> Any:
    """Class of a model: pieces (1) of text (1), score (2) and kind (3); of the trainer (2) model type (3) and vocabulary size (4)."""
    file = FileDescriptorProto(name="jgpt_sentencepiece.proto", package="jgpt", syntax="proto2")
    kinds = {"string": 9, "float": 2, "int32": 5, "message": 11}
    fields = {
        "Piece": [("piece", 1, "string", ""), ("score", 2, "float", ""), ("type", 3, "int32", "")],
        "Trainer": [("model_type", 3, "int32", ""), ("vocab_size", 4, "int32", "")],
        "Model": [("pieces", 1, "message", ".jgpt.Piece"), ("trainer_spec", 2, "message", ".jgpt.Trainer")],
    }
    for message, entries in fields.items():
        declared = file.message_type.add(name=message)
        for name, number, kind, of in entries:
            label = 3 if name == "pieces" else 1  # repeated, optional
            declared.field.add(name=name, number=number, type=kinds[kind], label=label, type_name=of or None)
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("jgpt.Model"))


def _parse(model: bytes) -> Any:
    try:
        return _message_class().FromString(model)
    except DecodeError:
        raise ArtifactError("not a SentencePiece model") from None


def _serialised(proto: Any) -> bytes:
    proto.trainer_spec.vocab_size = len(proto.pieces)
    return bytes(proto.SerializeToString(deterministic=True))
