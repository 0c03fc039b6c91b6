"""Personal data of a fixed form: mail addresses, telephone, postal, card and individual numbers (マイナンバー), IP addresses.

Raw text is read like normalised text. Masking twice changes nothing more. What is masked, how precisely: ``docs/masking.md``.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import numpy as np

PLACEHOLDERS = ("<|mail|>", "<|phone|>", "<|postal_code|>", "<|card|>", "<|my_number|>", "<|ip_address|>")
"""What stands for personal data: ASCII, fit to be symbols of a tokenizer (``--user_symbols``)."""
_FOLD = str.maketrans("‐‑‒–—―−ーｰ﹣\u3000", "-" * 10 + " ") | {0xFEE0 + code: code for code in range(0x21, 0x7F)}
_GAP = "[-. ()]{1,3}"
# Area code and exchange, together six digits, of 総務省 (電気通信番号計画): area codes of two, three and five digits are those
# in use; of four digits all that may be, as text outlives its numbers
_FIXED = rf"""(?:0[346]{_GAP}[1-9]\d{{3}}|0[1-9][2-9]\d{_GAP}[1-9]\d
    |(?:01[15789]|0[24][2-9]|05[234589]|07[235-9]|08[2-46-9]|09[235-9]){_GAP}[1-9]\d\d
    |(?:01267|0137[247]|0139[278]|0145[67]|01466|01547|01558|01564|0158[67]|0163[245]|01648|0165[4568]|0499[2468]|05769|05979
    |07468|0838[78]|08396|08477|0851[24]|09802|0991[23]|09969){_GAP}[1-9]){_GAP}\d{{4}}"""
# Tried at the beginning of every chunk of digits; the last alternative passes over a chunk that is nothing
_NUMBER = re.compile(rf"""(?ax)
    (?P<phone>
        (?:\((?=\+81\)))?\+81\)?[-. ]?(?:\(0\))?[-. ]?\(?(?:[5-9]0(?:[-. ()]{{0,2}}\d){{8}}|[1-9](?:[-. ()]{{0,2}}\d){{8}})
        | \+[1-9]\d{{0,2}}(?:{_GAP}\d{{1,4}}){{2,5}}
        | 0(?:[5-9]0(?:{_GAP})?[1-9]\d{{3}}|800(?:{_GAP})?\d{{3}})(?:{_GAP})?\d{{4}}
        | 0(?:120|180|570|990)(?:{_GAP})?\d(?:[-. ]?\d){{5}} | 0[1-9]\d{{8}}
        | (?:\((?=\d+\)))?{_FIXED})(?![-.]?\d)
    | (?P<postal_code>\d{{3}}(?:[ ]?-[ ]?)?\d{{4}})(?![-.]?\d)
    | (?P<card>\d{{4}}(?P<of_4>[- ]?)\d{{4}}(?P=of_4)\d{{4}}(?P=of_4)\d{{4}}(?:(?P=of_4)\d{{3}})?(?![-.]?\d)
        | \d{{4}}(?P<of_6>[- ]?)\d{{6}}(?P=of_6)\d{{4,5}})(?![-.]?\d)
    | (?P<my_number>\d{{4}}(?P<of_12>[- ]?)\d{{4}}(?P=of_12)\d{{4}})(?![-. ]?[\d<])
    | (?P<ip_address>\d{{1,3}}(?:\.\d{{1,3}}){{3}})(?![-.]?\d)
    | \d[\d.:-]*""")
_CARD = re.compile(r"(?:4\d|5[1-5]|2[2-7]|35|6[0245])\d{14}|62\d{17}|3[47]\d{13}|3[0689]\d{12}")
_IPV6 = re.compile("(?<![0-9A-Za-z_:.])[23][0-9a-fA-F]{3}:[0-9a-fA-F:.]{2,41}(?![0-9A-Za-z_])")
_LETTER, _LOCAL = "[0-9A-Za-z０-９Ａ-Ｚａ-ｚ]", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._%+-"
_DOMAIN = re.compile(
    rf"[@＠](?!v?\d+\.\d)(?:{_LETTER}(?:{_LETTER}|-){{0,62}}[.．]){{1,8}}"
    rf"(?!(?:png|jpe?g|gif|svg|webp|css|m?js|json|html?|php|txt|pdf|mp[34])(?!{_LETTER}))[A-Za-zＡ-Ｚａ-ｚ]{{2,18}}(?!{_LETTER}|\()"
)
# What may stand before a number: no other number and nothing masked between, so that masking twice sees the same
_NEAR = r"[^\d<>]{0,12}\Z"
_TELEPHONE = re.compile(r"(?i)(?:(?<![a-z])(?:tel|fax)|電話|携帯|ファクス|ダイヤル|連絡先|合わ?せ|<\|phone\|>)" + _NEAR)
_POST = re.compile(r"(?:〒|郵便番号|<\|postal_code\|>)[^\d<>]{0,4}\Z")
_INDIVIDUAL = re.compile("(?i)(?:マイナンバー|個人番号|my ?number)" + _NEAR)
_ANOTHER = re.compile("(?:伝票|追跡|合わ?せ|注文|受付|会員|口座|予約|商品)" + _NEAR)
_HOST = re.compile(r"(?i)(?:(?<![a-z])(?:ip(?:v4)?|dns)(?![a-z])|アドレス|サーバ|ホスト|<\|ip_address\|>)" + _NEAR)
_VERSION = re.compile(r"(?:[Vv](?:er\.?|ersion)?|バージョン|版|[A-Z][A-Za-z]+\)?)[^\w<>]{0,3}\Z")
_PREFECTURE = re.compile(r"\s{0,4}(?:北海道|東京都|京都府|大阪府|[一-龠]{2,3}県)")
_WORD_BEFORE = re.compile(r"[A-Za-z_=#%&$@\\.+‐−-]\Z")
_WORD_AFTER = re.compile(r"(?i)(?!\W?(?:tel|fax))-?[a-z_@]")


def mask(text: str) -> tuple[str, dict[str, int]]:
    """A text with personal data replaced by ``PLACEHOLDERS``, and how many of each kind there were."""
    return mask_all([text])[0]


def mask_all(texts: Sequence[str]) -> list[tuple[str, dict[str, int]]]:
    """``mask`` for each of several texts, which is faster: a hundred at once is best. Takes linear time."""
    return [_masked(text, signs) if signs else (text, {}) for text, signs in zip(texts, _signs(texts), strict=True)]


_APART = "\n" * 6
_LOOKS = 20  # two are enough for text that nobody made to need more
_WITHIN, _BETWEEN, _DIGIT, _AT, _COLON = _BITS = tuple(1 << bit for bit in range(5))


@cache
def _table() -> np.ndarray:
    folded = "".join(map(chr, range(0x10000))).translate(_FOLD)
    codes = np.frombuffer(folded.encode("utf-16-le", "surrogatepass"), np.uint16)
    table = np.zeros(len(codes), np.uint8)
    for bit, group in zip(_BITS, (_LOCAL[:62], "-. ()", _LOCAL[:10], "@", ":"), strict=True):
        table |= np.where(np.isin(codes, list(map(ord, group))), bit, 0).astype(np.uint8)
    return table


def _signs(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Where personal data may be in each text: first and last place of the signs of it."""
    # so far apart that no run of digits reaches from one into another
    block = _APART.join(["", *texts, "0\n"])
    codes = np.minimum(np.frombuffer(block.encode("utf-32-le", "surrogatepass"), np.uint32), 0xFFFF)
    kinds = _table().take(codes)
    places = np.flatnonzero(kinds >= _DIGIT)
    digits, ats, colons = (places[kinds[places] & bit > 0] for bit in (_DIGIT, _AT, _COLON))
    ats = ats[kinds[ats + 1] & _WITHIN > 0]
    # behind a group that begins with 2 or 3, as the IPv6 addresses of the Internet do
    colons = colons[(codes[colons - 4] // 2 == ord("2") // 2) & (kinds[colons - 5] & _WITHIN == 0)]
    # runs of digits with at most three characters between two: of seven digits, or of four in four groups
    gaps = np.diff(digits)
    apart = (gaps > 4) | (kinds[digits[:-1] + 1] & kinds[digits[1:] - 1] & _BETWEEN == 0)
    ends = np.append(np.flatnonzero((gaps > 1) & apart), len(digits) - 1)
    counts = np.diff(ends, prepend=-1)
    firsts, lasts = digits[ends - counts + 1], digits[ends]
    others = lasts - firsts + 1 - counts
    runs = (counts > 7) | (counts == 7) & ((others > 0) | (codes[firsts - 1] != ord("/"))) | (counts > 3) & (others > 2)
    firsts, lasts = (np.concatenate([ats, colons, some[runs]]) for some in (firsts, lasts))
    begins = np.cumsum([len(_APART), *(len(text) + len(_APART) for text in texts)])
    indices = np.searchsorted(begins, firsts, side="right") - 1
    signs: list[list[tuple[int, int]]] = [[] for _ in texts]
    for index, first, last in np.stack([indices, firsts - begins[indices], lasts - begins[indices]], axis=1).tolist():
        signs[index].append((first, last))
    return signs


def _masked(text: str, signs: Sequence[tuple[int, int]]) -> tuple[str, dict[str, int]]:
    """The text after as many looks as find something: what was masked may show what stands beside it in another light."""
    counts: dict[str, int] = {}
    for _ in range(_LOOKS):
        known = sum(counts.values())
        if found := list(_addresses(text, sorted(signs))):
            text = _replaced(text, found, counts)
            (signs,) = _signs([text])
        text = _replaced(text, _numbers(text, signs), counts)
        if sum(counts.values()) == known:
            break
        (signs,) = _signs([text])
    return text, counts


def _addresses(text: str, signs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, str, str]]:
    done = 0
    for first, _ in signs:
        if text[first] == ":" and first > 3 and (match := _IPV6.match(text, first - 4)):
            yield first - 4, match.end(), "ip_address", match[0]
        elif text[first] in "@＠" and (match := _DOMAIN.match(text, first)):
            window = text[max(done, first - 65) : first].translate(_FOLD)
            name = window[len(window.rstrip(_LOCAL)) :].lstrip("._%+-")
            start, done = first - len(name), match.end()
            # behind @ or / it is a handle or part of a locator
            if 0 < len(name) < 65 and name != "git" and text[start - 1 : start] not in ("@", "＠", "/"):
                yield start, done, "mail", ""


def _numbers(text: str, signs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, str, str]]:
    for first, last in signs:
        before = text[max(0, first - 2) : first].translate(_FOLD)
        begin = first - len(before) + len(before.rstrip("(+"))
        for match in _NUMBER.finditer(text[begin : last + 5].translate(_FOLD) if text[first].isdecimal() else ""):
            if match.lastgroup:
                yield begin + match.start(), begin + match.end(), match.lastgroup, match[0]


def _replaced(text: str, found: Iterable[tuple[int, int, str, str]], counts: dict[str, int]) -> str:
    pieces, done = [""], 0
    for start, end, kind, number in found:
        before = unicodedata.normalize("NFKC", pieces[-1] + text[max(done, start - 24) : start])
        after = unicodedata.normalize("NFKC", text[end : end + 12])
        if start >= done and (kind == "mail" or _is_personal(kind, number, before, after)):
            pieces += text[done:start], f"<|{kind}|>"
            done = end
            counts[kind] = counts.get(kind, 0) + 1
    return "".join([*pieces, text[done:]])


def _is_personal(kind: str, found: str, before: str, after: str) -> bool:
    digits = "".join(filter(str.isdecimal, found))
    telephone = kind == "phone" and bool(_TELEPHONE.search(before))
    if telephone or _WORD_AFTER.match(after) or _WORD_BEFORE.search(before):
        return telephone and not _WORD_AFTER.match(after)
    if kind == "phone":
        return "+81" in found or (found[0] != "+" and ("-" in found or ")" in found or len(digits) == 11))
    if kind == "postal_code":
        return bool(_POST.search(before) or ("-" in found and _PREFECTURE.match(after)))
    if kind == "card":  # check digit of ISO/IEC 7812-1: every second digit counts twice
        total = sum(map(int, digits[::-2])) + sum(map("0516273849".index, digits[-2::-2]))
        return bool(_CARD.fullmatch(digits)) and total % 10 == 0 and before[-1:] != "/"
    if kind == "my_number":  # check digit of 平成26年総務省令第85号, 第5条
        rest = sum(int(digit) * int(weight) for digit, weight in zip(digits, "654327654320", strict=True)) % 11
        likely = _INDIVIDUAL.search(before) or (len(found) > 12 and not _ANOTHER.search(before))
        return bool(likely) and int(digits[11]) == (11 - rest) % 11 % 10
    likely = ":" in found or _HOST.search(before) or (len(digits) > 7 and not _VERSION.search(before))
    try:
        return bool(likely) and ipaddress.ip_address(found).is_global
    except ValueError:
        return False
