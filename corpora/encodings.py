"""Finding the encoding of a text file, and reading it as text.

What is tried, in this order; the first that fits is taken:

1. UTF-16, by its byte order mark; without one where the first block is Japanese or ASCII as UTF-16.
2. UTF-8: what decodes is UTF-8. After ``_CERTAIN`` bytes of characters beyond ASCII the rest is not looked at beforehand.
3. ISO-2022-JP and its kin, for 7-bit text with an escape to a Japanese character set.
4. Shift_JIS as Windows writes it (cp932), or EUC-JP: the one whose characters look more like Japanese (``evidence``).
5. Shift_JIS-2004 or EUC-JIS-2004 (JIS X 0213), where neither of the former fits.

EUC-JP and ISO-2022-JP also get the characters that only Windows has there, such as ① ㈱ 髙. The differences of cp932 from
JIS are undone (～ － ∥ become 〜 − ‖), and so is the yen sign of Shift_JIS-2004 in the place of the backslash.
"""

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import BinaryIO

import numpy as np

from stage.errors import InputError
from stage.files import reading

NAMES = {"utf-8": "UTF-8", "utf-16": "UTF-16", "cp932": "Shift_JIS", "euc_jp": "EUC-JP"}
NAMES |= dict.fromkeys(("utf-16-le", "utf-16-be"), "UTF-16")
NAMES |= {"shift_jis_2004": "Shift_JIS-2004", "euc_jis_2004": "EUC-JIS-2004"}
"""How messages name Python's codecs; one that is not here is of the family of ISO-2022-JP."""
REPLACED = {
    "cp932": (("\uff5e", "\u301c"), ("\uff0d", "\u2212"), ("\u2225", "\u2016")),
    "shift_jis_2004": (("\u00a5", "\\"), ("\u203e", "~")),
}
"""Characters that a codec gives, and those that are meant."""
LONGEST = 1 << 25
"""Characters of one document or line that are held at most; building takes some 40 bytes for each."""
NO_SJIS = re.compile("[\x80\uf8f0-\uf8f3]")
"""What cp932 gives for single bytes without meaning in Shift_JIS: 80 A0 FD FE FF."""

_BLOCK = 1 << 20
_CERTAIN = 1000
_SIGNATURES = {b"%PDF": "a PDF", b"PK\x03\x04": "a ZIP archive", b"PAR1": "Parquet"}
_SIGNATURES |= dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "UTF-32 text")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What text in UTF-16 has and no other text: half of a line end or letter, or the ideographic full stop
_UTF16_SIGNS = (b"\0", b"\x02\x30", b"\x30\x02")
_CONTROLS = re.compile("[\0-\x08\x0e-\x1f\x7f]")
_ESCAPE = re.compile(rb"\x1b(\$[@ABC(]|\(I)")
_ESCAPED = ("iso2022_jp", "iso2022_jp_1", "iso2022_jp_ext", "iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_2004")
# A byte of the characters of UTF-8 that are three bytes or longer, which valid beginnings of other encodings seldom have
_LONG = re.compile(rb"[\xe0-\xff]")
# The least mean evidence: Chinese and Korean read as EUC-JP stay below; Shift_JIS has bytes that these have not
_LEAST = -0.5
_EIGHT_BIT = ({"cp932": -2.0, "euc_jp": _LEAST}, {"shift_jis_2004": -2.0, "euc_jis_2004": _LEAST})
# Evidence of each character: about log(its share in Japanese text / its share in random double bytes)
_HIRAGANA, _STOP, _KATAKANA, _COMMON, _SYMBOL, _LEVEL_1, _OTHER, _PRIVATE = 4, 3, 2, 2, 0, -1, -4, -20
_HALF_KANA_ALONE = -0.35
# Half-width letters that every text has, and other alphabets, whose bytes the kana share, have seldom
_TYPICAL = re.compile("[｡､･ｦ-ｯﾙﾚﾝﾞ]")
# Half-width voicing marks, small kana and ｰ where no text has them
_MISPLACED = re.compile("(?<![ｳｶ-ﾄﾊ-ﾎ])ﾞ|(?<![ﾊ-ﾎ])ﾟ|(?<![ｧ-ﾟ])[ｧ-ｰ]")
_EUCJP_MS = (  # the characters of IBM from 8F F3 F3 on, one after the other
    "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤\ufa0e咊坙\ufa0f\ufa10增寬峵嵓\ufa11德悅愠敎昻晥\ufa12\uf929栁\ufa13\ufa14橫"
    "櫢淸淲瀨\ufa15\ufa16甁皂皞\ufa17礰\ufa18\ufa19\ufa1a\ufa1b竧\ufa1c\ufa1d綠緖\ufa1e荢\ufa1f薰\ufa20\ufa21蠇\ufa22譿賴赶\ufa23\ufa24\ufa25郞\ufa26鄕\ufa27\ufa28閒\uf9dc\ufa29霻靍靑\ufa2a\ufa2b\ufa2c馞髙魲\ufa2d黑"
)
_COMMON_KANJI = (  # the 240 most frequent ones, 56 % of the kanji of running text
    "一万三上下不世中主事二云京人今他付代以会位体何作使保信元先入全公共内出分切初別利制前力加動化北十南原取受口合同名向味呼和品問"
    "回国土在地報場売変外多大天女始子字存学安定実家寺対小少屋山島川州市平年府度式強当彼後得御心応思性情意感成戦所手持政教数文新方族"
    "日明映時書最月有朝期木本来東業楽様権機次正氏民気水治法活流海点無物特独王現理生産用田男画界発白的皇目相真知石社神私空立第等約"
    "経結統続線置美義考者聞能自行表西要見親解言記設話語説議身軍近通連道選部都重野金長開間関際集電面音領題食首高"
)


@dataclass(frozen=True)
class Member:
    """A file inside another, in memory; in messages it goes by its name."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


def find_encoding(path: str | Member) -> str:
    """Python's name of the codec for a text file; "utf-8-sig" is UTF-8 with and without a mark.

    Memory: some blocks of a megabyte. Raises InputError, with the offset of the byte, for what is binary, cut short or in
    another encoding.
    """
    utf8 = _Trial("utf-8")
    beyond_ascii, like_utf8, escaped, last = 0, False, False, b""
    for block in _blocks(path):
        start = utf8.offset
        if start == 0 and (wide := _utf16(block)):
            return wide
        beyond_ascii += len(block) - len(utf8.feed(block))
        valid = len(block) if utf8.fault is None else max(0, utf8.fault - start)
        like_utf8 = like_utf8 or (beyond_ascii > 0 and _LONG.search(block, 0, valid) is not None)
        if utf8.fault is not None:
            break
        if beyond_ascii >= _CERTAIN:
            return "utf-8-sig"
        escaped = escaped or _ESCAPE.search(last + block) is not None
        last = block[-2:]
    utf8.feed(b"", final=True)
    if utf8.fault is not None:
        return _eight_bit_encoding(path, utf8, like_utf8)
    return _escaped_encoding(path) if escaped and not beyond_ascii else "utf-8-sig"


def read_text(path: str | Member, *, lines: bool = False) -> Iterator[str]:
    r"""The text of a file in blocks, or in lines without their ends (\n, \r\n or \r).

    Raises as ``find_encoding`` does, and InputError for a line of more than ``LONGEST`` characters.
    """
    return _lines(path) if lines else _text(path, translate=False)


def is_utf8(path: str) -> bool:
    """Whether the first megabyte of a file is UTF-8; what it is instead, ``find_encoding`` tells."""
    utf8 = _Trial("utf-8")
    with reading(path) as stream:
        head = stream.read(_BLOCK)
    utf8.feed(head)
    return utf8.fault is None and b"\0" not in head and not _ESCAPE.search(head)


def evidence(text: str) -> tuple[float, int]:
    """How much the characters beyond ASCII look like Japanese (above 0) rather than like random bytes, and their number.

    Kana count most, frequent kanji less; rare kanji, half-width kana and all that JIS X 0208 does not hold count against it.
    Well-formed text in half-width kana alone is just below 0: bytes that also decode to something better are that.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes = codes[codes >= 0x80]
    score = float(_weights()[np.minimum(codes, 0xFFFF)].sum(dtype=np.int64))
    half = int(((codes >= 0xFF61) & (codes <= 0xFF9F)).sum())
    if (
        half
        and half >= 0.9 * len(codes)
        and len(_MISPLACED.findall(text)) < 0.02 * half
        and (half < 12 or len(_TYPICAL.findall(text)) >= 0.1 * half)
    ):
        score += half * (_HALF_KANA_ALONE - _OTHER)
    return score, len(codes)


class _Trial:
    """Decoding blocks by one codec, to see how far that goes and what comes of it."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.offset = 0
        """Bytes fed so far."""
        self.fault: int | None = None
        """Offset of the first byte that does not decode."""
        self.cut_short = False
        """Whether the fault is a character of which only the beginning is there, at the end."""
        self.score, self.characters = 0.0, 0
        self._decoder = codecs.getincrementaldecoder(encoding)(_ERRORS.get(encoding, "strict"))

    def feed(self, block: bytes, final: bool = False) -> str:
        """The text of one more block, empty from the first fault on; ``final``: no block follows."""
        if self.fault is not None:
            return ""
        start = self.offset - len(self._decoder.getstate()[0])
        self.offset += len(block)
        try:
            text = self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            self.fault, self.cut_short = start + error.start, final
            return ""
        if self.encoding == "cp932" and (strange := NO_SJIS.search(text)):
            self.fault = start + len(text[: strange.start()].encode("cp932"))
            return ""
        return text

    def is_japanese(self, least: float) -> bool:
        """Whether the mean evidence is above ``least``."""
        return self.score > least * self.characters

    def complaint(self) -> str:
        """What is wrong with a file that is in this encoding but for its fault."""
        name = NAMES.get(self.encoding, "ISO-2022-JP")
        if self.cut_short:
            return f"{name} text that ends within a character (byte {self.fault}): get the whole file, or cut that byte off"
        return f"{name} text with a broken character (byte {self.fault}): mend it, or get the file anew"


def _text(path: str | Member, translate: bool) -> Iterator[str]:
    encoding = find_encoding(path)
    decoder = codecs.getincrementaldecoder(encoding)(_ERRORS.get(encoding, "strict"))
    decode = io.IncrementalNewlineDecoder(decoder, True).decode if translate else decoder.decode
    with _opened(path) as stream:
        for block in chain(iter(partial(stream.read, _BLOCK), b""), [b""]):
            try:
                piece = decode(block, not block)
            except UnicodeDecodeError:
                raise _fault(path, encoding) from None
            if "\0" in piece:
                raise _fault(path, encoding)
            for given, meant in REPLACED.get(encoding, ()):
                piece = piece.replace(given, meant)
            yield piece


def _lines(path: str | Member) -> Iterator[str]:
    number, rest = 1, ""
    for block in _text(path, translate=True):
        *whole, rest = (rest + block).split("\n")
        number += len(whole)
        yield from whole
        if len(rest) > LONGEST:
            raise InputError(f"{path}: line {number}: is longer than {LONGEST} characters: break it into lines")
    if rest:
        yield rest


def _eight_bit_encoding(path: str | Member, utf8: _Trial, like_utf8: bool) -> str:
    tried: list[_Trial] = []
    for group in _EIGHT_BIT:
        trials = _scan(path, group)
        fitting = [trial for trial in trials if trial.fault is None]
        fitting = [each for each in fitting if each.is_japanese(_LEAST if like_utf8 else group[each.encoding])]
        if fitting:
            return max(fitting, key=lambda trial: trial.score).encoding
        tried += trials
    for trial in [utf8] * like_utf8 + [trial for trial in tried if trial.cut_short and trial.is_japanese(0)]:
        raise InputError(f"{path}: {trial.complaint()}")
    reasons = [
        f"{NAMES[trial.encoding]} ({'no Japanese comes of it' if trial.fault is None else f'byte {trial.fault}'})"
        for trial in (utf8, *tried[:2])
    ]
    raise InputError(f"{path}: neither {' nor '.join(reasons)}: save it as UTF-8")


def _escaped_encoding(path: str | Member) -> str:
    trials = _scan(path, _ESCAPED)
    for trial in trials:
        if trial.fault is None:
            return trial.encoding
    raise InputError(f"{path}: {max(trials, key=lambda trial: trial.fault or 0).complaint()}")


def _scan(path: str | Member, encodings: Iterable[str]) -> list[_Trial]:
    """What comes of decoding a file by each of some codecs, with the evidence."""
    trials = [_Trial(encoding) for encoding in encodings]
    for block in _blocks(path):
        for trial in trials:
            score, characters = evidence(trial.feed(block))
            trial.score += score
            trial.characters += characters
    for trial in trials:
        trial.feed(b"", final=True)
    return trials


def _fault(path: str | Member, encoding: str) -> InputError:
    """What is wrong with a file that was taken for text, found by decoding it once more."""
    trial = _Trial("utf-8" if encoding == "utf-8-sig" else encoding)
    at = 2 if encoding == "utf-16" else 0  # bytes of UTF-16, the mark among them
    for block in _blocks(path):
        before, zero, _ = trial.feed(block).partition("\0")
        at += len(before.encode("utf-16-le"))
        if zero:
            return InputError(f"{path}: is binary, not text (a zero character at byte {at})")
    trial.feed(b"", final=True)
    return InputError(f"{path}: {trial.complaint()}")


def _opened(path: str | Member) -> AbstractContextManager[BinaryIO]:
    return nullcontext(io.BytesIO(path.data)) if isinstance(path, Member) else reading(path)


def _blocks(path: str | Member) -> Iterator[bytes]:
    """The bytes of a file. Raises InputError for what begins as another kind of file, and for a zero byte outside UTF-16."""
    offset = 0
    with _opened(path) as stream:
        while block := stream.read(_BLOCK):
            if offset == 0:
                for signature, name in _SIGNATURES.items():
                    if block.startswith(signature):
                        raise InputError(f"{path}: is {name}, not text that is read here: convert it first")
                wide = _utf16(block)
            if not wide and (at := block.find(b"\0")) >= 0:
                raise InputError(f"{path}: is binary, not text (a zero byte at byte {offset + at})")
            offset += len(block)
            yield block


def _utf16(block: bytes) -> str:
    """The codec of a file that begins with this block, empty where that is not UTF-16."""
    if block.startswith(_UTF16_MARKS):
        return "utf-16"
    if any(sign in block for sign in _UTF16_SIGNS):
        for encoding in ("utf-16-le", "utf-16-be"):
            text = _Trial(encoding).feed(block)
            score, characters = evidence(text)
            if text and score >= characters and not _CONTROLS.search(text):
                return encoding
    return ""


@cache
def _weights() -> np.ndarray:
    """The evidence of each character of the Basic Multilingual Plane, int8 [0x10000]."""
    weights = np.full(0x10000, _OTHER, dtype=np.int8)
    weights[0xE000:0xF900] = _PRIVATE
    for first, last, weight in ((1, 8, _SYMBOL), (4, 4, _HIRAGANA), (5, 5, _KATAKANA), (16, 47, _LEVEL_1)):
        # rows of JIS X 0208
        cells = bytes(
            byte for row in range(first, last + 1) for cell in range(94) for byte in (row + 0xA0, cell + 0xA1)
        )
        weights[[ord(character) for character in cells.decode("euc_jp", "ignore")]] = weight
    for characters, weight in (("～－∥", _SYMBOL), (_COMMON_KANJI, _COMMON), ("、。「」ー", _STOP)):
        weights[[ord(character) for character in characters]] = weight
    return weights


def _windows_character(error: UnicodeError) -> tuple[str, int]:
    """Handler of decoding errors: a character that only Windows has in JIS.

    That is in rows 13 and 89 to 92, by way of cp932, and in rows 83 and 84 of three bytes, as eucJP-ms has them.
    """
    if isinstance(error, UnicodeDecodeError) and error.object[error.start : error.start + 1] == b"\x8f":
        row, cell = (byte - 0xA1 for byte in error.object[error.start + 1 : error.start + 3].ljust(2, b"\0"))
        if row in (82, 83) and 0 <= (place := (row - 82) * 94 + cell - 82) < len(_EUCJP_MS):
            return _EUCJP_MS[place], error.start + 3
    if isinstance(error, UnicodeDecodeError) and len(pair := error.object[error.start : error.start + 2]) == 2:
        row, cell = (byte % 0x80 - 0x20 for byte in pair)
        if row in (13, 89, 90, 91, 92) and 1 <= cell <= 94:
            lead = (row - 1) // 2 + (0x81 if row <= 62 else 0xC1)
            trail = cell + 0x9E if row % 2 == 0 else cell + 0x3F + (cell >= 64)
            if text := bytes((lead, trail)).decode("cp932", "ignore"):
                return text, error.start + 2
    raise error


codecs.register_error("jgpt_windows_character", _windows_character)
_ERRORS = dict.fromkeys(("euc_jp", *_ESCAPED), "jgpt_windows_character")
