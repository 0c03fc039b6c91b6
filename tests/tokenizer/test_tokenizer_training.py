import bz2
import gzip
import json
import lzma
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from corpora.build import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.documents import iterate_texts
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import Manifest, read_manifest
from tokenizer import JapaneseTokenizer, train_tokenizer
from tokenizer.config import TokenizerConfig
from tokenizer.pieces import FIXED
from tokenizer.text import read_text

STORY = "国境の長いトンネルを抜けると雪国であった。夜の底が白くなった。信号所に汽車が止まった。"


def train(tmp_path: Path, text: str | bytes, vocab_size: int = 350, name: str = "out", **given: Any) -> Manifest:
    file = tmp_path / "本文.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return train_tokenizer(
        tmp_path / name,
        TokenizerConfig(boundaries="none", vocab_size=vocab_size, **given),
        text=[str(file)],
        quiet=True,
    )


def largest_named(error: UsageError) -> int:
    match = re.search(r"the largest that works is (\d+)$", str(error))
    assert match, error
    return int(match[1])


def test_the_folder_holds_the_three_files_and_the_counts(tokenizer_folder: Path, text_file: Path) -> None:
    manifest = read_manifest(tokenizer_folder, "tokenizer")
    assert [output.path for output in manifest.outputs] == [
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
    ]
    assert manifest.parameters["vocab_size"] == manifest.counts["vocab_size"] == 3000
    assert [(entry.role, entry.path) for entry in manifest.inputs] == [("text", str(text_file))]
    assert manifest.licenses == [{"source": str(text_file), "license": "unknown"}]
    assert manifest.counts["lines_skipped"] == 0 and manifest.counts["round_trip_exact"] == 1.0


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_characters_fill_at_most_their_share_and_the_coverage_is_right(
    share: float, training_text: str, text_file: Path, tmp_path: Path
) -> None:
    config = TokenizerConfig(boundaries="none", vocab_size=1000, max_character_share=share)
    counts = train_tokenizer(tmp_path / "out", config, text=[str(text_file)], quiet=True).counts
    tokenizer = JapaneseTokenizer(tmp_path / "out")
    single = {piece for index in range(FIXED, 1000) if len(piece := tokenizer.piece(index)) == 1}
    assert len(single) == counts["character_pieces"] == int(1000 * share)
    seen = Counter(re.sub("[\n\r\x00▁▅]", "", training_text))
    assert counts["distinct_characters"] == len(seen) > 1000
    covered = sum(count for character, count in seen.items() if character.replace(" ", "▁") in single)
    assert counts["character_coverage"] == round(covered / seen.total(), 6)
    # the most frequent ones were chosen
    least = min(seen[piece] for piece in single - {"▁"})
    assert all(count <= least for character, count in seen.items() if character.replace(" ", "▁") not in single)


def test_rare_characters_fall_back_to_bytes_and_come_back(training_text: str, tokenizer: JapaneseTokenizer) -> None:
    seen = Counter(training_text)
    rare = [character for character, count in seen.items() if count == 1][:50]
    assert rare
    for character in rare:
        ids = tokenizer.encode(f"{character}は")
        assert tokenizer.is_byte(ids[0]) and tokenizer.decode(ids) == f"{character}は"
    line = "".join(rare)
    assert tokenizer.decode(tokenizer.encode(line)) == line


def test_no_piece_spans_a_character_that_is_no_piece(tmp_path: Path) -> None:
    # the second character of each line is another one and dropped: 甲 and 丙 never stand side by side
    text = "".join(f"甲{chr(0x5000 + number)}丙丁\n" for number in range(300))
    train(tmp_path, text, vocab_size=283, max_character_share=0.02)
    tokenizer = JapaneseTokenizer(tmp_path / "out")
    pieces = {tokenizer.piece(index) for index in range(FIXED, 283)}
    assert "丙丁" in pieces and not any("甲丙" in piece for piece in pieces)


def test_spaces_count_among_the_characters_whether_the_text_has_some_or_not(tmp_path: Path) -> None:
    letters = "".join(chr(0x3041 + number) * 3 for number in range(80))
    for name, text in (("none", letters), ("one", letters + " あ")):
        counts = train(tmp_path, text, vocab_size=300, name=name, max_character_share=0.05).counts
        assert counts["character_pieces"] == 15
        assert JapaneseTokenizer(tmp_path / name).pieces("  ")[0].startswith("▁")


def test_two_trainings_give_the_same_bytes(tokenizer_folder: Path, text_file: Path, tmp_path: Path) -> None:
    again = train_tokenizer(
        tmp_path / "out", TokenizerConfig(boundaries="none", vocab_size=3000), text=[str(text_file)], quiet=True
    )
    assert again.data_sha256 == read_manifest(tokenizer_folder).data_sha256
    for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tokenizer_folder / name).read_bytes()


def test_a_second_training_finds_the_first_up_to_date(tmp_path: Path) -> None:
    first = train(tmp_path, STORY * 20)
    before = (tmp_path / "out" / "tokenizer.model").stat().st_mtime_ns
    assert train(tmp_path, STORY * 20) == first
    assert (tmp_path / "out" / "tokenizer.model").stat().st_mtime_ns == before
    with pytest.raises(ArtifactError, match="vocab_size: 350, now 340"):
        train(tmp_path, STORY * 20, vocab_size=340)
    with pytest.raises(ArtifactError, match=r"another input \(text .*本文.txt\)"):
        train(tmp_path, STORY * 21)


def test_a_corpus_folder_and_its_texts_give_the_same_pieces(tmp_path: Path) -> None:
    stories = [f"第{number}話。{STORY}猫は{number}回眠った。" for number in range(80)]
    source = tmp_path / "話.jsonl"
    source.write_text("".join(json.dumps({"text": story}, ensure_ascii=False) + "\n" for story in stories))
    build_corpus(
        CorpusConfig([SourceConfig(str(source), license="CC0-1.0")]), tmp_path / "corpus", workers=1, quiet=True
    )
    config = TokenizerConfig(boundaries="none", vocab_size=400)
    manifest = train_tokenizer(tmp_path / "a", config, corpus=tmp_path / "corpus", quiet=True)
    assert manifest.inputs[0].role == "corpus"
    assert manifest.inputs[0].sha256 == read_manifest(tmp_path / "corpus").data_sha256
    assert manifest.licenses[0]["license"] == "CC0-1.0"
    held_out = list(iterate_texts(tmp_path / "corpus", "valid"))
    texts = list(iterate_texts(tmp_path / "corpus", "train"))
    assert held_out and manifest.counts["seen_lines"] == sum(text.count("\n") + 1 for text in texts)
    (tmp_path / "本文.txt").write_text("\n".join(texts), "utf-8")
    train_tokenizer(tmp_path / "b", config, text=[str(tmp_path / "本文.txt")], quiet=True)
    for name in ("tokenizer.model", "tokenizer.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    limited = train_tokenizer(
        tmp_path / "c",
        TokenizerConfig(boundaries="none", vocab_size=300, limit=3),
        corpus=tmp_path / "corpus",
        quiet=True,
    )
    assert limited.counts["seen_lines"] == sum(text.count("\n") + 1 for text in texts[:3])


def test_compressed_files_and_folders_of_them_train_alike(tmp_path: Path) -> None:
    plain = train(tmp_path, STORY * 20)
    folder = tmp_path / "本棚"
    folder.mkdir()
    packed = STORY * 20
    (folder / "a.txt.gz").write_bytes(gzip.compress(packed[: len(STORY) * 10].encode() + b"\n"))
    (folder / "b.xz").write_bytes(lzma.compress(packed[len(STORY) * 10 :].encode()))
    (folder / "読まない.md.bz2").write_bytes(bz2.compress(b"# x"))
    made = train_tokenizer(
        tmp_path / "b", TokenizerConfig(boundaries="none", vocab_size=350), text=[str(folder)], quiet=True
    )
    assert made.counts["seen_bytes"] == plain.counts["seen_bytes"] and len(made.inputs) == 2


def test_a_limit_counts_files_however_large(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text((STORY + "\n") * 9000, "utf-8")  # more than a megabyte
    made = train_tokenizer(
        tmp_path / "out",
        TokenizerConfig(boundaries="none", vocab_size=350, limit=2, sample_megabytes=0.01),
        text=[str(tmp_path)],
        quiet=True,
    )
    assert made.counts["seen_lines"] == 18_000
    assert [Path(entry.path).name for entry in made.inputs] == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    "text",
    [
        STORY * 4,
        "ああああ" * 10,
        "あ",
        "\n".join(chr(0x4E00 + number) for number in range(600)),
        "".join(chr(0x4E00 + number) for number in range(600)),
        "".join(chr(0x4E00 + number) for number in range(600)) * 3,
        "猫 は 眠 っ た",
    ],
    ids=["story", "one character", "a single one", "columns", "once", "thrice", "spaces"],
)
def test_a_vocabulary_too_large_is_refused_with_the_largest_that_works(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--vocab_size 5000 is more than this text can fill") as caught:
        train(tmp_path, text, vocab_size=5000)
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()
    largest = largest_named(caught.value)
    assert train(tmp_path, text, vocab_size=largest).counts["vocab_size"] == largest
    assert JapaneseTokenizer(tmp_path / "out").vocab_size == largest
    with pytest.raises(UsageError, match="the largest that works is"):
        train(tmp_path, text, vocab_size=largest + 1, name="more")


def test_the_smallest_vocabulary_works_and_one_less_is_refused(tmp_path: Path) -> None:
    assert train(tmp_path, STORY, vocab_size=279).counts["character_pieces"] == 2
    tokenizer = JapaneseTokenizer(tmp_path / "out")
    assert tokenizer.decode(tokenizer.encode(STORY)) == STORY
    with pytest.raises(UsageError, match=r"--vocab_size 278 cannot hold the 277 fixed pieces.*279 is the least"):
        TokenizerConfig(boundaries="none", vocab_size=278)


@pytest.mark.parametrize(
    "given",
    [
        {"vocab_size": 0},
        {"vocab_size": -5},
        {"vocab_size": 10**7},
        {"max_character_share": 0},
        {"max_character_share": 1.5},
        {"max_character_share": float("nan")},
        {"max_piece_length": 0},
        {"sample_megabytes": 0},
        {"limit": -1},
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(given))} "):
        TokenizerConfig(**given)


@pytest.mark.parametrize("text", [b"", b"\n\r\n\n", b" \t \n", "\u3000\n".encode(), b"\x00" * 5000, "\ufeff".encode()])
def test_a_file_without_text_is_refused(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"本文\.txt: holds no text to train a tokenizer on"):
        train(tmp_path, text)
    assert not (tmp_path / "out").exists()


def test_no_source_or_two_are_refused(tmp_path: Path) -> None:
    for given in ({}, {"corpus": tmp_path, "text": [str(tmp_path)]}):
        with pytest.raises(UsageError, match="either a documents folder"):
            train_tokenizer(tmp_path / "out", TokenizerConfig(boundaries="none"), **given)  # type: ignore[arg-type]


def test_missing_and_wrong_sources_are_refused(tmp_path: Path, tokenizer_folder: Path) -> None:
    config = TokenizerConfig(boundaries="none", vocab_size=350)
    with pytest.raises(InputError, match=r"無い\.txt: no such file"):
        train_tokenizer(tmp_path / "out", config, text=[str(tmp_path / "無い.txt")])
    with pytest.raises(ArtifactError, match="no such folder"):
        train_tokenizer(tmp_path / "out", config, corpus=tmp_path / "無い")
    with pytest.raises(ArtifactError, match="is a tokenizer folder, a corpus folder was expected"):
        train_tokenizer(tmp_path / "out", config, corpus=tokenizer_folder)


def test_odd_characters_train_without_losing_a_line(tmp_path: Path) -> None:
    odd = [
        "▅の前と▅の後",
        "\x00の前と\x00の後",
        "▁の前と▁の後",
        "\t表\t計算",
        "    ",
        "  x  ",
        "\ufeff\u200b\u2028\u2029\x85\ufffd",
        "\ufffe\uffff\ufdd0\U0010ffff\ue000\u202e",
        "\x01\x02\x7f\x1b[31m",
        "<s><unk><|user|><0x41>",
        "👨‍👩‍👧か゛ｶﾞ",
        "あ" * 50_000,
    ]
    counts = train(tmp_path, "\n".join(odd * 3), vocab_size=330).counts
    assert counts["lines_skipped"] == 0 and counts["round_trip_exact"] == 1.0
    assert counts["long_lines_cut"] == 3
    assert counts["seen_lines"] == counts["training_lines"] == 3 * (2 + 2 + 2 + 8 + 49)
    assert counts["seen_bytes"] == 3 * sum(len(re.sub("[▅\x00▁]", "", line).encode()) for line in odd)
    assert {"▅", "\x00"}.isdisjoint(JapaneseTokenizer(tmp_path / "out").piece(i) for i in range(FIXED, 330))


def test_the_sample_is_bounded_and_said(tmp_path: Path) -> None:
    text = "".join(f"{number}番目。{STORY}\n" for number in range(3000))
    counts = train(tmp_path, text, sample_megabytes=0.1).counts
    assert 45_000 <= counts["training_bytes"] <= 100_000 < counts["seen_bytes"]
    assert counts["seen_lines"] == 3000 > counts["training_lines"] > 100


def test_training_writes_nothing_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, STORY * 20)
    assert capfd.readouterr() == ("", "")


# Reading text


@pytest.mark.parametrize("place", [0, 1, 5, (1 << 20) - 3, 1 << 20, (1 << 20) + 1, 2_500_003])
@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_wrong_byte_is_named_by_its_offset_in_the_file(mark: bytes, lines: bool, place: int, tmp_path: Path) -> None:
    unit = "雪国の𠮷野家。" + ("\n" if lines else "")
    before = mark + (unit * (place // len(unit.encode()) + 1)).encode()
    before = before[: max(place, len(mark))]
    while before and before[len(mark) :].decode("utf-8", "ignore").encode() != before[len(mark) :]:
        before = before[:-1]  # to the end of a character
    file = tmp_path / "本文.txt"
    file.write_bytes(before + b"\x82\xb1" + "の後。\n".encode() * 10)
    with pytest.raises(InputError, match=rf"本文\.txt: byte {len(before)} is not UTF-8; .*Shift_JIS"):
        list(read_text(str(file)))


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 2, 3_300_000])
def test_characters_across_block_borders_stay_whole(size: int, tmp_path: Path) -> None:
    for shift in range(4):
        text = "a" * shift + "𠮷" * (size // 4)
        (tmp_path / "a.gz").write_bytes(gzip.compress(text.encode(), 1))
        assert "".join(read_text(str(tmp_path / "a.gz"))) == text


def test_parts_end_at_line_ends(tmp_path: Path) -> None:
    text = (STORY + "\r\n") * 12_000 + "最後"
    (tmp_path / "a").write_bytes(text.encode())
    parts = list(read_text(str(tmp_path / "a")))
    assert "".join(parts) == text and len(parts) > 2
    assert all(part.endswith("\r\n") for part in parts[:-1]) and parts[-1].endswith("最後")


@pytest.mark.parametrize("text", ["あ", "あい", "一行だけ", "\n", ""])
def test_short_files_are_read_whole(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(text.encode())
    assert list(read_text(str(tmp_path / "a"))) == ([text] if text else [])


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("\ufeff一行\n二\ufeff行".encode())
    assert "".join(read_text(str(tmp_path / "a"))) == "一行\n二\ufeff行"


def test_a_file_cut_within_a_character_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("雪国".encode()[:-1])
    with pytest.raises(InputError, match="byte 3 is not UTF-8"):
        list(read_text(str(tmp_path / "a")))


def test_a_large_binary_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x80" * 3_000_000)
    parts = read_text(str(tmp_path / "a"))
    with pytest.raises(InputError, match="byte 0 is not UTF-8"):
        next(parts)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(STORY.encode() * 100)[:-20])
    with pytest.raises(InputError, match=r"a\.gz: the compressed data is broken or cut short"):
        list(read_text(str(tmp_path / "a.gz")))
