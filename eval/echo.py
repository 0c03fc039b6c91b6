"""Which tokens of an endpoint's answer stand for which part of a text that it echoes."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class Token(NamedTuple):
    """A token of an echoed text, from byte ``begin`` to ``end`` of its UTF-8."""

    text: str
    begin: int
    end: int
    log_probability: float | None


def align(tokens: Sequence[str], values: Sequence[float | None], text: str) -> list[Token] | None:
    """The tokens at their places; None where they do not join to the text.

    ``text_offset`` is not asked: servers count it in characters, in bytes, from different places or not at all. What the
    tokens say is compared with the text instead. A begin piece before the text and an end piece behind it may be there; a
    token that is a part of a character may be written as ``bytes:\\xe3\\x81``, as ``<0xE3>`` or with U+FFFD.
    """
    encoded = text.encode()
    reached: list[dict[int, int]] = [{0: 0}]  # for each token the places where it may end, and where it began
    for number, token in enumerate(tokens):
        ends: dict[int, int] = {}
        for at in sorted(reached[-1]):
            for end in _ends(token, encoded, at, first=number == 0):
                ends.setdefault(end, at)
        if not ends:
            return None
        reached.append(ends)
    at = len(encoded)
    found = []
    for number in range(len(tokens) - 1, -1, -1):
        if at not in reached[number + 1]:
            return None
        begin = reached[number + 1][at]
        found.append(Token(tokens[number], begin, at, values[number]))
        at = begin
    return found[::-1]


def split(
    tokens: Sequence[str], values: Sequence[float | None], text: str, context: str, prompt: str
) -> tuple[list[Token], int] | None:
    """The tokens of the prompt, which begins with the context and with which the text begins, and the byte where the
    context ends; None where the tokens do not join to the text, also not to what a tokenizer that normalises makes of it.
    """
    for form in (str, _nfkc):
        found = align(tokens, values, form(text))
        if found is not None:
            size = len(form(prompt).encode())
            return [token for token in found if token.begin < size and _is_text(token)], len(form(context).encode())
    return None


def shared(answers: Sequence[Sequence[Token]], join: int) -> int:
    """How many tokens all answers to a question have in common before the byte where the choices begin."""
    count = 0
    for each in zip(*answers, strict=False):
        if len({token.text for token in each}) > 1 or max(token.end for token in each) > join:
            break
        if each[0].begin == each[0].end == join:  # the first part of a character that the choices begin with
            break
        count += 1
    return count


def _ends(token: str, text: bytes, at: int, *, first: bool) -> Iterator[int]:
    """Where a token that begins at a byte may end."""
    plain = token.encode()
    if text.startswith(plain, at):
        yield at + len(plain)
        return
    if byte := _BYTE.fullmatch(token):
        if text[at : at + 1] == bytes.fromhex(byte[1]):
            yield at + 1
            return
    elif token.startswith("bytes:"):
        yield min(at + token.count("\\x"), len(text))
        return
    elif partial := token.count("\ufffd"):
        rest = len(plain) - 3 * partial
        yield from range(at + rest + partial, min(at + rest + 3 * partial, len(text)) + 1)
        return
    # decoding a token by itself may lose or add the space before it
    if text[at : at + 1].isspace() and text.startswith(plain, at + 1):
        yield at + 1 + len(plain)
    elif first and text.startswith(plain.lstrip(), at) and plain.lstrip():
        yield at + len(plain.lstrip())
    elif first or at == len(text):  # a begin or an end piece, of which the text says nothing
        yield at


def _is_text(token: Token) -> bool:
    """Not a begin piece: it covers nothing, and nothing comes before that it could be likely after."""
    return token.end > token.begin or token.log_probability is not None


def _nfkc(text: str) -> str:
    return unicodedata.normalize("NFKC", text)
