from collections import Counter

import numpy as np
import pytest

from corpora.repeated import drop_lines, find_repeated, line_hashes

MENU = ["サイトの使い方と利用規約について", "お問い合わせはこちらのページから"]
MORE = ["■関連する記事はこちらからどうぞ", "・先週いちばん読まれた記事のまとめ", "https://example.com/news/ranking"]


def article(number: int, body: str = "") -> str:
    body = body or "\n".join(
        f"{number}番目の記事の{part}段落目で、ここには独自の文が書かれている。" for part in range(6)
    )
    return "\n".join([*MENU, "", f"記事{number}の題名です", "概要について", body, "", *MORE, ""])


def repeated_of(texts: list[str], **options: int) -> np.ndarray:
    return find_repeated(line_hashes(texts), len(texts), **options)


def test_blocks_that_documents_share_are_dropped_and_their_own_lines_stay() -> None:
    texts = [article(number) for number in range(20)]
    repeated = repeated_of(texts)
    assert len(repeated) == 6 and repeated.dtype == np.uint64
    text, count = drop_lines(texts[3], repeated)
    assert count == 5
    assert text.split("\n") == ["記事3の題名です", "概要について", *texts[3].split("\n")[5:11]]


def test_a_block_within_a_document_goes_and_a_heading_stays() -> None:
    body = "\n".join(["最初の段落はこの記事だけのものである。", "", *MENU, "", "次の段落もこの記事だけのものである。"])
    long = "\n".join([body, "概要について", "終わりの段落もこの記事だけのもので、かなり長い文が続いている。" * 3])
    text, count = drop_lines(long, repeated_of([article(number) for number in range(20)]))
    assert count == 2
    assert text == long.replace("\n".join(["", *MENU]), "", 1)


@pytest.mark.parametrize(
    "shared",
    [
        ["「…………」", "「そうですね」"],  # short answers
        ["export default {", "  data() {", "    return { message: null, count: 0 }"],  # code
        ["交通アクセスと駐車場のご案内"],  # a heading
    ],
)
def test_what_recurs_by_right_stays(shared: list[str]) -> None:
    texts = [
        "\n".join([f"{number}番目の文書の初めの段落である。", *shared, f"{number}番目の文書の終わりの段落である。"])
        for number in range(30)
    ]
    repeated = repeated_of(texts)
    assert [drop_lines(text, repeated) for text in texts] == [(text, 0) for text in texts]


def test_copies_of_a_document_are_left_to_deduplication() -> None:
    texts = [article(1)] * 12 + [article(number) for number in range(2, 8)]
    assert drop_lines(texts[0], repeated_of(texts)) == (texts[0], 0)


def test_a_line_counts_once_a_document_and_must_be_in_enough_of_them() -> None:
    twice = "\n".join([MENU[0]] * 5 + ["他の行がここにある。"])
    texts = [twice] * 3 + [f"{number}番だけの行である。" for number in range(97)]
    assert len(repeated_of(texts, min_documents=4)) == 0
    assert len(repeated_of(texts, min_documents=3)) == 2
    assert len(find_repeated(line_hashes(texts), 100, min_documents=1, share=0.02)) == 2
    assert len(find_repeated(line_hashes(texts), 100, min_documents=1, share=0.04)) == 0


def test_partitions_give_the_same_lines_and_arrays_may_be_of_several_documents() -> None:
    texts = [article(number % 40) for number in range(100)]
    hashes = line_hashes(texts)
    whole = find_repeated(hashes, 100, min_documents=3)
    assert np.array_equal(find_repeated(hashes, 100, min_documents=3, memory=1000), whole)
    assert np.array_equal(find_repeated([np.concatenate(hashes)], 100, min_documents=3), whole)
    counts = Counter(each for part in hashes for each in part.tolist())
    assert whole.tolist() == sorted(each for each, count in counts.items() if count >= 3)


def test_nothing_is_found_in_nothing() -> None:
    assert len(find_repeated([], 0)) == 0
    assert [len(each) for each in line_hashes(["", "短い\n"])] == [0, 0]
    assert drop_lines("", repeated_of([""])) == ("", 0)
