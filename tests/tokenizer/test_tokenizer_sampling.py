from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer.sampling import MAX_LINE_BYTES, LineSample, sample_lines, training_lines


def lines_of(text: str) -> list[str]:
    return list(training_lines(text, LineSample()))


def test_a_text_that_fits_is_kept_whole_and_in_order() -> None:
    lines = [f"第{number}行は𠮷野家。" for number in range(500)]
    sample = sample_lines(["\n".join(lines[:200]), "\n".join(lines[200:])], 10**6, seed=0)
    assert sample.lines == lines
    assert sample.seen_lines == 500 and sample.long_lines == 0
    assert sample.bytes == sample.seen_bytes == sum(len(line.encode()) for line in lines)


def test_a_larger_text_gives_a_sample_between_half_and_all_of_the_bound() -> None:
    lines = [f"第{number}行は𠮷野家で書いた。" for number in range(20_000)]
    size = len(lines[0].encode())
    sample = sample_lines(["\n".join(lines)], 100_000, seed=0)
    assert 45_000 <= sample.bytes <= 100_000
    assert sample.bytes == sum(len(line.encode()) for line in sample.lines) > size
    assert (sample.seen_lines, sample.seen_bytes) == (20_000, sum(len(line.encode()) for line in lines))
    numbers = [lines.index(line) for line in sample.lines]
    assert numbers == sorted(set(numbers))
    # the whole text is drawn from, not its beginning
    assert 0.3 < sum(number < 10_000 for number in numbers) / len(numbers) < 0.7


def test_memory_is_bounded_while_drawing() -> None:
    held: list[str] = []

    def texts() -> Iterator[str]:
        for number in range(3000):
            held.append(f"{number:06}" + "あ" * 100)
            yield held[-1]

    sample = sample_lines(texts(), 20_000, seed=3)
    assert sample.seen_lines == 3000 and 9_000 <= sample.bytes <= 20_000


def test_the_seed_alone_chooses_the_sample() -> None:
    lines = [f"第{number}行" for number in range(5000)]
    whole = sample_lines(["\n".join(lines)], 10_000, seed=0).lines
    assert sample_lines(lines, 10_000, seed=0).lines == whole
    assert sample_lines(lines, 10_000, seed=1).lines != whole


def test_one_line_larger_than_the_bound_is_still_something_to_learn_from() -> None:
    assert sample_lines(["あいうえお"], 3, seed=0).lines == ["あいうえお"]


def test_nothing_gives_an_empty_sample() -> None:
    assert sample_lines([], 100, seed=0) == sample_lines(["", "\n\r\n"], 100, seed=0) == LineSample()


@pytest.mark.parametrize("mark", ["▅", "\x00", "▁", "\n", "\r\n", "\r"])
def test_the_rest_of_a_line_with_a_mark_is_kept(mark: str) -> None:
    assert lines_of(f"国境の{mark}長い{mark}{mark}トンネル{mark}") == ["国境の", "長い", "トンネル"]


@pytest.mark.parametrize("character", ["\t", " ", "\u3000", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_other_separators_stay_in_their_line(character: str) -> None:
    assert lines_of(f"国境の{character}長い") == [f"国境の{character}長い"]


def test_a_megabyte_without_sentence_ends_is_cut_and_not_dropped() -> None:
    line = "".join(chr(0x4E00 + number % 5000) for number in range(350_000))
    sample = sample_lines([line], 10**9, seed=0)
    assert "".join(sample.lines) == line
    assert sample.long_lines == 1
    assert sample.seen_lines == len(sample.lines) == 342
    assert sample.bytes == sample.seen_bytes == len(line.encode())
    assert max(len(part.encode()) for part in sample.lines) <= MAX_LINE_BYTES


def test_a_long_line_is_cut_at_sentence_ends() -> None:
    sentence = "「国境の長いトンネルを抜けると、雪国であった！？」と彼は言った。"
    parts = lines_of(sentence * 200)
    assert len(parts) > 1 and "".join(parts) == sentence * 200
    assert all(part.endswith(("」", "。")) for part in parts)


def test_a_line_of_just_the_longest_length_is_not_cut() -> None:
    sample = LineSample()
    line = "あ" * (MAX_LINE_BYTES // 3)
    assert list(training_lines(line + "a", sample)) == [line + "a"] and sample.long_lines == 0
    assert len(list(training_lines(line + "aa", sample))) == 2 and sample.long_lines == 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("あ𠮷。！」a \u3000"), st.integers(1, 3000)), max_size=8).map(
        lambda runs: "".join(character * count for character, count in runs)
    )
)
def test_no_character_of_any_line_is_lost(line: str) -> None:
    parts = lines_of(line)
    assert "".join(parts) == line
    assert all(0 < len(part.encode()) <= MAX_LINE_BYTES for part in parts)
