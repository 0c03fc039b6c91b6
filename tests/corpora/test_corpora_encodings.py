import codecs
import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.config import CorpusConfig, SourceConfig
from corpora.encodings import evidence, find_encoding, read_text
from corpora.judging import mend
from corpora.mojibake import find_mojibake
from corpora.reading import RawDocument, read_file
from corpora.rows import judged_rows
from corpora.sources import find_sources
from stage.errors import InputError

SHARED = Path(__file__).parents[3] / "shared" / "data"
SENTENCES = [
    "吾輩は猫である。名前はまだ無い。",
    "どこで生れたか頓と見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。",
    "龜は蒼天のふかみにしづむ。",
    "髮は手に從つて拔けるらしい。",
    "覺えなかつた面白さだ。",
    "ベネチアングラスを買う。",
    "10〜20円、−3度です。",
    "雨が降っている。\n傘を持って行こう。\n",
    "ｶﾀｶﾅと全角カタカナを混ぜる。",
    "子曰學而時習之不亦説乎",
    "東京都千代田区永田町一丁目",
    "HTMLの<b>太字</b>は\\で始まらない~。",
]
ENCODINGS = [
    *("utf-8", "utf-8-sig", "utf-16", "cp932", "shift_jis", "euc_jp", "shift_jis_2004", "euc_jis_2004"),
    *("iso2022_jp", "iso2022_jp_1", "iso2022_jp_ext", "iso2022_jp_2004"),
]
WINDOWS = {"〜": "～", "−": "－", "‖": "∥"}


def encode(text: str, encoding: str) -> bytes:
    """As a program would write it: Windows has characters of its own for 〜 − ‖."""
    return (text.translate(str.maketrans(WINDOWS)) if encoding == "cp932" else text).encode(encoding)


def text_of(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return "".join(read_text(str(path)))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("times", [1, 300])
def test_every_sentence_is_found_in_every_encoding_that_holds_it(tmp_path: Path, encoding: str, times: int) -> None:
    held = 0
    for sentence in SENTENCES:
        try:
            content = encode(sentence * times, encoding)
        except UnicodeEncodeError:
            continue
        held += 1
        assert text_of(tmp_path / "a.txt", content) == sentence * times
    assert held >= len(SENTENCES) - 2


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        ("𠮷野家で𩸽を食べた👨‍👩‍👧。", "utf-8", "utf-8-sig"),
        ("𠮷野家で𩸽を食べた👨‍👩‍👧。", "utf-16-be", "utf-16"),
        ("\u3000吾輩は猫である。\n\u3000名前はまだ無い。\n", "utf-16-le", "utf-16-le"),
        ("吾輩は猫である。名前はまだ無い。", "utf-16-le", "utf-16-le"),
        ("A cat.\r\nネコ" * 300_000, "utf-16-le", "utf-16-le"),
        ("A cat, in ASCII alone.\n", "utf-16-le", "utf-16-le"),
        ("①②㈱髙島屋と﨑さん。Ⅲ番目", "cp932", "cp932"),
        ("ﾊﾝｶｸｶﾅﾉﾌﾞﾝｼｮｳﾃﾞｽ", "cp932", "cp932"),
        ("ﾊﾝｶｸｶﾅの文も混ぜる。", "euc_jp", "euc_jp"),
        ("丂や侄のような補助漢字を使う。", "euc_jp", "euc_jp"),
        ("𠮟る母、à la carteの店で食べる。", "shift_jis_2004", "shift_jis_2004"),
        ("𠮟る母、à la carteの店で食べる。", "euc_jis_2004", "euc_jis_2004"),
        ("𠮟る母、à la carteの店で食べる。", "iso2022_jp_2004", "iso2022_jp_2004"),
        ("丂や侄のような補助漢字を使う。", "iso2022_jp_1", "iso2022_jp_1"),
        ("ﾊﾝｶｸｶﾅの文も混ぜる。", "iso2022_jp_ext", "iso2022_jp_ext"),
    ],
)
def test_rare_characters_are_read_in_their_encodings(tmp_path: Path, text: str, encoding: str, found: str) -> None:
    mark = codecs.BOM_UTF16_BE if found == "utf-16" else b""
    assert text_of(tmp_path / "a.txt", mark + text.encode(encoding)) == text
    assert find_encoding(str(tmp_path / "a.txt")) == found


def test_characters_of_windows_are_read_in_euc_jp_and_iso_2022_jp(tmp_path: Path) -> None:
    # rows 13 and 92 of JIS as CP51932 and CP50220 have them: ① ㈱ 髙
    euc = b"\xad\xa1\xad\xea\xfc\xe2" + "島屋で買う。".encode("euc_jp")
    assert text_of(tmp_path / "a.txt", euc) == "①㈱髙島屋で買う。"
    # the same characters of three bytes, as eucJP-ms has them
    unix = (
        b"\x8f\xf4\xab\x8f\xf3\xfd"
        + b"\x8f\xf4\xfb"
        + "島屋で買いました。それから".encode("euc_jp")
        + b"\x8f\xf4\xfe\x8f\xf3\xf3"
    )
    assert text_of(tmp_path / "b.txt", unix) == "㈱Ⅰ髙島屋で買いました。それから黑ⅰ"
    assert find_encoding(str(tmp_path / "b.txt")) == "euc_jp"
    mail = "猫".encode("iso2022_jp").replace(b"\x1b(B", b"\x2d\x21\x2d\x6a\x1b(B") + b" mail"
    assert text_of(tmp_path / "a.txt", mail) == "猫①㈱ mail"


KANA = st.text(
    st.sampled_from("あいうえおかがきくけこさしすせそただちっつてとなにのはひふまみもやゆよらりるれろわをん"),
    min_size=1,
)
WORDS = st.one_of(KANA, KANA, st.text(st.sampled_from("アイカクコサシスセタテトナラリルン"), min_size=2, max_size=6))
MORE = st.sampled_from(
    ["日本", "東京", "薔薇", "龜", "鬱蒼", "、", "。", "「", "」", "〜", "ABC", "12", " ", "\n", "\r\n", "ー"]
)
JAPANESE = st.lists(st.one_of(WORDS, WORDS, MORE), min_size=8).map("".join).filter(lambda text: len(text) >= 20)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=JAPANESE)
def test_what_is_found_decodes_to_the_text(tmp_path: Path, encoding: str, text: str) -> None:
    assert text_of(tmp_path / "a.txt", encode(text, encoding)) == text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary())
def test_any_bytes_give_text_or_an_error_for_the_user(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    try:
        "".join(read_text(str(path)))
    except InputError as error:
        assert "a.txt: " in str(error)


@pytest.mark.parametrize(
    ("encoding", "offset", "name"),
    [
        ("utf-8", 3, "UTF-8"),
        ("cp932", 2, "Shift_JIS"),
        ("euc_jp", 2, "EUC-JP"),
        ("utf-16", 2, "UTF-16"),
    ],
)
@pytest.mark.parametrize("times", [1, 30_000])
def test_text_that_is_cut_short_is_named_with_the_offset(
    tmp_path: Path, encoding: str, offset: int, name: str, times: int
) -> None:
    path = tmp_path / "a.txt"
    content = (SENTENCES[1] * times + "雨").encode(encoding)
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match=rf"{name} text that ends within a character \(byte {len(content) - offset}\)"):
        "".join(read_text(str(path)))


@pytest.mark.parametrize(
    ("encoding", "name", "broken"),
    [("utf-8", "UTF-8", b"cat\xff\n"), ("iso2022_jp", "ISO-2022-JP", b"\x1b$B\x7f\x7f\x1b(B\n")],
)
def test_a_broken_character_is_named_wherever_it_stands(
    tmp_path: Path, encoding: str, name: str, broken: bytes
) -> None:
    path = tmp_path / "a.txt"
    head = (SENTENCES[1] * 20_000).encode(encoding)
    path.write_bytes(head + broken)
    at = len(head) + 3
    with pytest.raises(InputError, match=rf"{name} text with a broken character \(byte {at}\): mend it"):
        "".join(read_text(str(path)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SENTENCES[1].encode() * 20_000 + b"\0", r"is binary, not text \(a zero byte at byte 3120000\)"),
        (SENTENCES[0].encode("utf-16") + b"\0\0", r"is binary, not text \(a zero character at byte 34\)"),
        (SENTENCES[0].encode("utf-32"), "is UTF-32 text"),
        (
            "今天天气很好，我们一起去公园散步吧！".encode("gb2312"),
            r"neither UTF-8 \(byte 0\) nor Shift_JIS \(.*\) nor EUC-JP",
        ),
        ("오늘은 날씨가 아주 좋습니다. 함께 공원에 갑시다.".encode("euc_kr"), "neither UTF-8"),
        ("他昨天在臺灣大學圖書館看了一整天的書。".encode("big5"), "neither UTF-8"),
        ("Été à la plage, déjà reçu".encode("latin-1"), "neither UTF-8"),
        ("все счастливые семьи похожи друг на друга".encode("koi8_r"), "neither UTF-8"),
        ("ВСЕ СЧАСТЛИВЫЕ СЕМЬИ ПОХОЖИ ДРУГ НА ДРУГА".encode("iso8859_5"), "neither UTF-8"),
        ("Все счастливые семьи\n".encode("utf-16-le"), "is binary, not text"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        "".join(read_text(str(path)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp932", "euc_jp", "iso2022_jp"])
def test_documents_part_at_every_line_end(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("一行目の文。\r二行目の文。\n三行目の文。\r\n\r\n四行目の文。\r\r五行目の文。".encode(encoding))
    lines = [document.text for document in read_file(str(path), documents="line")]
    assert lines == [f"{number}行目の文。" for number in "一二三四五"]
    blocks = [document.text for document in read_file(str(path), documents="blank")]
    assert blocks == ["一行目の文。\n二行目の文。\n三行目の文。", "四行目の文。", "五行目の文。"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "euc_jp", "iso2022_jp", "utf-16"])
def test_a_single_line_of_megabytes_is_read(tmp_path: Path, encoding: str) -> None:
    text = SENTENCES[1] * 50_000
    content = text.encode(encoding)
    assert len(content) > 5_000_000 and text_of(tmp_path / "a.txt", content) == text


def test_evidence_tells_japanese_from_what_wrong_encodings_make_of_it() -> None:
    for sentence in SENTENCES[:9]:
        score, characters = evidence(sentence)
        assert score > 0.5 * characters
        assert evidence(sentence.encode().decode("cp932", "replace"))[0] < 0
    assert evidence("plain ASCII") == (0.0, 0)


def western(data: bytes) -> str:
    """As browsers read it: cp1252, and control characters where that has none."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in data)


ARTICLE = (
    "文字化けとは、書いた時とは別の符号で読まれた文字のことである。「縺薙ｓ縺ｫ縺｡縺ｯ」や「ã“ã‚“」のように見える。"
    + "".join(SENTENCES[:8]) * 5
)


@pytest.mark.parametrize(
    ("garbled", "text", "kind"),
    [
        ("縺薙ｓ縺ｫ縺｡縺ｯ", "こんにちは", "UTF-8 read as Shift_JIS"),
        (western("こんにちは、世界。".encode()), "こんにちは、世界。", "UTF-8 read as Latin-1"),
        ("こんにちは、世界。".encode().decode("latin-1"), "こんにちは、世界。", "UTF-8 read as Latin-1"),
        ("‚±‚ñ‚É‚¿‚Í", "こんにちは", "Shift_JIS read as Latin-1"),
        ("¤³¤ó¤Ë¤Á¤Ï", "こんにちは", "EUC-JP read as Latin-1"),
        ("､ｳ､ﾋ､ﾁ､ﾏ", "こにちは", "EUC-JP read as Shift_JIS"),
        ("国土安全".encode().decode("latin-1"), "国土安全", "UTF-8 read as Latin-1"),
        (
            western(("x = 1  # " + SENTENCES[1] * 40 + "🙂").encode()),
            "x = 1  # " + SENTENCES[1] * 40 + "🙂",
            "UTF-8 read as Latin-1",
        ),
        (
            western((SENTENCES[6] * 40).replace("〜", "～").replace("−", "－").encode("cp932")),
            SENTENCES[6] * 40,
            "Shift_JIS read as Latin-1",
        ),
    ],
)
def test_exact_mojibake_is_repaired(garbled: str, text: str, kind: str) -> None:
    found = find_mojibake(garbled)
    assert found and (found.text, found.kind) == (text, kind)
    assert find_mojibake(text) is None


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("古い記事：ã“ã‚“ã«ã¡ã¯", 5),  # U+0081 is lost
        ("見出し\n" + SENTENCES[1].encode().decode("cp932", "replace"), 4),
        ("題 " + SENTENCES[1].encode("euc_jp").decode("utf-8", "replace"), 2),
        ("題は鐃緒申鐃緒申鐃緒申です", 2),
        ("ここは�が多い。", 3),
    ],
)
def test_damage_that_cannot_be_undone_is_named_with_its_place(text: str, offset: int) -> None:
    found = find_mojibake(text)
    assert found and (found.text, found.offset) == (None, offset)


@pytest.mark.parametrize(
    "text",
    [
        *SENTENCES,
        ARTICLE,
        ARTICLE + "�",
        "ﾊﾝｶｸ､ｶﾅ､ﾉ､ﾌﾞﾝ､ ｼﾞｮﾝ･ｽﾐｽ",
        "糸が縺れる。縺れた糸。",
        "Été à la plage, São Paulo, ¥100, ƒ(x), ‚quoted‘",
        "今天天气很好，我们一起去公园散步吧！",
        "한국어 텍스트",
        "Привет, мир",
        "",
    ],
)
def test_clean_text_is_left_alone(text: str) -> None:
    assert find_mojibake(text) is None


@settings(max_examples=100, deadline=None)
@given(text=JAPANESE)
def test_no_repair_gives_other_text(text: str) -> None:
    assert find_mojibake(text) is None
    for right, wrong in (("utf-8", "latin-1"), ("euc_jp", "latin-1"), ("utf-8", "cp932"), ("euc_jp", "cp932")):
        try:
            garbled = text.encode(right).decode(wrong)
        except UnicodeDecodeError:
            continue
        found = find_mojibake(garbled)
        assert found is None or found.text in (None, text)
        if wrong == "latin-1" and evidence(text)[0] >= 2 * evidence(text)[1]:
            assert found and found.text == text


@pytest.mark.parametrize("folder", ["corpora", "eval"])
def test_clean_collections_have_no_mojibake(folder: str) -> None:
    files = sorted(file for file in (SHARED / folder).rglob("*") if file.is_file())
    if not files:
        pytest.skip("needs the shared data")
    texts: list[str] = []
    for file in files:
        if file.suffix == ".gz":
            with gzip.open(file) as lines:
                texts += (json.loads(line)["text"] for line in lines)
        elif file.parent.name == "raw-sjis":
            texts += read_text(str(file))
        else:
            texts += re.split(r'[\n\t"]', file.read_text(encoding="utf-8"))
    assert [text[:50] for text in texts if find_mojibake(text)] == []


def test_rows_are_repaired_or_rejected_with_the_offset(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(SENTENCES[0], encoding="utf-8")
    config = CorpusConfig([SourceConfig(str(path))])
    files = find_sources(config)[0]
    text = SENTENCES[1] + "\n" + SENTENCES[0]
    [row] = judged_rows([(RawDocument(0, western(text.encode()), {"n": 1}), "a")], files, config).to_pylist()
    assert (row["text"], row["reason"], row["raw_bytes"] > row["chars"]) == (text, "", True)
    assert json.loads(row["meta"]) == {"n": 1, "mojibake": "UTF-8 read as Latin-1"}
    damaged = "見出し\r\n" + text.encode().decode("cp932", "replace")
    [row] = judged_rows([(RawDocument(0, damaged), "a")], files, config).to_pylist()
    assert (row["text"], row["reason"], row["measure"]) == (damaged, "mojibake", 5.0)
    assert "--rules" not in mend(row["reason"])
