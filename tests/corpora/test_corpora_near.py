import random
import string
import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import near
from corpora.minhash import BANDS, MIN_GRAMS, NO_SKETCH, PARAMETERS, ROWS, chance_of_meeting, gram_sets, sketches
from corpora.near import Near, find_near

STEMS = """
吾輩 猫 名前 書生 人間 主人 教師 書斎 台所 座敷 縁側 垣根 往来 学校 先生 友人 細君 子供 下女 車屋 黒 三毛 鼠 鰹節 雑煮 正月 手紙 葉書
新聞 小説 俳句 絵画 写生 天気 太陽 月夜 夕暮れ 秋風 桜 竹藪 茶畑 井戸 障子 火鉢 煙草 だんご たんご ビスケット ハンケチ
"""
ENDINGS = """
は が を に で と も の へ や から まで より だけ である だった と思う について そうだ、 らしい。 なのだ。 ました。 という
"""
WORDS = [stem + ending for stem in STEMS.split() for ending in ENDINGS.split()]
EVERY_BAND = np.uint64(7)


def make_text(rng: random.Random, words: int) -> str:
    return "".join(rng.choices(WORDS, k=words))


def substitute(rng: random.Random, text: str, count: int) -> str:
    """The text with so many characters replaced by kanji that it does not have, far from one another."""
    characters = list(text)
    step = len(text) // count
    for part in range(count):
        characters[part * step + rng.randrange(5, step - 5)] = rng.choice("薔薇檸檬蜃気楼羅針盤")
    return "".join(characters)


def similarity(first: str, second: str) -> float:
    """By strings alone: an independent reckoning of the Jaccard similarity."""
    sets = []
    for text in (first, second):
        letters = "".join(each for each in text if unicodedata.category(each)[0] not in "ZP" and each not in "\n\t")
        sets.append({letters[place : place + 5] for place in range(len(letters) - 4)})
    return len(sets[0] & sets[1]) / max(len(sets[0] | sets[1]), 1)


def find(texts: Sequence[str], threshold: float = 0.8) -> Near:
    sizes = np.array([len(text) for text in texts], np.int64)
    return find_near(sketches(texts), sizes, lambda places: [texts[place] for place in places], threshold)


def find_in_one_bucket(texts: Sequence[str], threshold: float = 0.8) -> Near:
    """Every document shares one band with every other, and no other band."""
    bands = np.arange(len(texts) * BANDS, dtype=np.uint64).reshape(-1, BANDS) + np.uint64(100)
    bands[:, 3] = EVERY_BAND
    sizes = np.array([len(text) for text in texts], np.int64)
    return find_near(bands, sizes, lambda places: [texts[place] for place in places], threshold)


def test_planted_near_duplicates_are_found_and_nothing_else_is_dropped() -> None:
    rng = random.Random(0)
    texts = [make_text(rng, rng.randrange(60, 120)) for _ in range(20_000)]
    planted = {}
    for original in rng.sample(range(10_000), 800):
        copy = 10_000 + original
        grams = len(gram_sets([texts[original]])[0])
        texts[copy] = substitute(rng, texts[original], round(grams * 0.1 / 1.9 / 5)) + rng.choice(["", "薔薇"])
        planted[copy] = original
    assert np.mean([similarity(texts[copy], texts[original]) for copy, original in planted.items()]) == pytest.approx(
        0.9, abs=0.01
    )
    found = find(texts)
    pairs = {tuple(sorted(pair)) for pair in zip(found.dropped.tolist(), found.kept.tolist(), strict=True)}
    assert pairs <= {(original, copy) for copy, original in planted.items()}
    assert len(pairs) >= 0.97 * len(planted)
    assert not set(found.dropped.tolist()) & set(found.kept.tolist())
    for dropped, kept, jaccard in zip(found.dropped, found.kept, found.jaccard, strict=True):
        assert jaccard == pytest.approx(similarity(texts[dropped], texts[kept])) and jaccard >= 0.8
        assert (-len(texts[kept]), kept) < (-len(texts[dropped]), dropped)
    assert found.crowded == 0


@pytest.mark.parametrize("characters", [40, 120, 600, 3_000])
def test_bands_are_shared_as_often_as_the_similarity_says(characters: int) -> None:
    rng = random.Random(characters)
    firsts = [make_text(rng, characters)[:characters] for _ in range(60_000 // characters + 200)]
    seconds = [text[: -max(characters // 20, 1)] for text in firsts]
    same = (sketches(firsts) == sketches(seconds)).mean()
    expected = np.mean([similarity(*pair) ** ROWS for pair in zip(firsts, seconds, strict=True)])
    assert same == pytest.approx(expected, rel=0.15)


def test_the_longer_is_kept_and_of_equals_the_earlier() -> None:
    text = make_text(random.Random(1), 100)
    longer = text + "以上。"
    found = find([text, longer, longer.replace("以上", "完了"), "別の" + make_text(random.Random(2), 100)])
    assert found.dropped.tolist() == [0, 2]
    assert found.kept.tolist() == [1, 1]
    assert found.jaccard[0] == pytest.approx(similarity(text, longer))


def test_what_is_near_only_to_a_dropped_document_is_kept() -> None:
    base = make_text(random.Random(3), 300)
    a, b, c = base[:800] + "あい", base[100:900] + "う", base[200:1_000]
    assert similarity(a, b) > 0.75 and similarity(b, c) > 0.75 and similarity(a, c) < 0.7
    found = find_in_one_bucket([c, a, b], threshold=0.75)
    assert found.dropped.tolist() == [2] and found.kept.tolist() == [1]
    assert find_in_one_bucket([c, b], threshold=0.75).dropped.tolist() == [0]


def test_the_order_of_documents_does_not_matter() -> None:
    rng = random.Random(4)
    texts = [make_text(rng, 40 + place) for place in range(300)]
    texts += [substitute(rng, text, 2) + "。" * place for place, text in enumerate(texts)]
    texts = list({len(text): text for text in texts}.values())  # no two of the same length

    def pairs(texts: list[str]) -> set[tuple[str, str, float]]:
        found = find(texts)
        rows = zip(found.dropped, found.kept, found.jaccard, strict=True)
        return {(texts[dropped], texts[kept], jaccard) for dropped, kept, jaccard in rows}

    first = pairs(texts)
    assert len(first) > 20
    for _ in range(3):
        rng.shuffle(texts)
        assert pairs(texts) == first


def test_many_unlike_documents_in_one_bucket_cost_a_bounded_number_of_comparisons() -> None:
    rng = random.Random(5)
    texts = [make_text(rng, 30)[:100] for _ in range(2_000)]
    found = find_in_one_bucket(texts)
    assert len(found.dropped) == 0
    assert found.compared <= 32 * len(texts)
    assert found.crowded == len(texts) - 32


def test_a_full_bucket_remembers_the_documents_nearest_in_length() -> None:
    rng = random.Random(11)
    texts = [make_text(rng, 200)[: 500 - place] for place in range(100)]
    first_again, last_again = texts[0][:400], texts[-1][:-2]
    found = find_in_one_bucket([*texts, first_again, last_again], threshold=0.7)
    assert similarity(texts[0], first_again) > 0.75
    assert found.dropped.tolist() == [101] and found.kept.tolist() == [99]
    assert found.crowded == 100 - 32 + 1


def test_many_copies_are_each_fetched_and_compared_once() -> None:
    text = make_text(random.Random(6), 200)
    texts = [text + str(place % 7) for place in range(3_000)]
    fetched: list[list[int]] = []

    def fetch(places: list[int]) -> list[str]:
        fetched.append(places)
        return [texts[place] for place in places]

    found = find_near(sketches(texts), np.array([len(text) for text in texts]), fetch)
    assert found.kept.tolist() == [0] * 2_999
    assert found.compared == 2_999 and found.crowded == 0
    assert sorted(place for places in fetched for place in places) == list(range(3_000))
    assert all(places == sorted(places) for places in fetched)
    assert 1 < len(fetched) < 10 and max(map(len, fetched)) * len(text) < 1_200_000


def test_sets_that_are_no_longer_held_are_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(7)
    texts = [make_text(rng, 50) for _ in range(60)]
    texts += [substitute(rng, text, 2) for text in texts]
    found = find_in_one_bucket(texts, threshold=0.5)
    assert len(found.dropped) > 20
    for held, piece in ((1, 1 << 20), (1 << 22, 1), (500, 1_000)):
        monkeypatch.setattr(near, "_HELD", held)
        monkeypatch.setattr(near, "_PIECE", piece)
        for mine, other in zip(find_in_one_bucket(texts, threshold=0.5), found, strict=True):
            np.testing.assert_array_equal(mine, other)


@given(st.lists(st.text("あいう", max_size=20), max_size=12), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_whatever_is_dropped_is_near_to_what_is_kept(texts: list[str], threshold: float) -> None:
    found = find_in_one_bucket(texts, threshold)
    dropped = set(found.dropped.tolist())
    for place, kept, jaccard in zip(found.dropped.tolist(), found.kept.tolist(), found.jaccard.tolist(), strict=True):
        assert similarity(texts[place], texts[kept]) == jaccard >= threshold
        assert kept not in dropped and len(texts[kept]) >= len(texts[place])
    kept_texts = [text for place, text in enumerate(texts) if place not in dropped]
    assert all(similarity(a, b) < threshold for at, a in enumerate(kept_texts) for b in kept_texts[:at])


def test_components_join_however_the_documents_are_chained() -> None:
    order = list(range(1_000))
    random.Random(8).shuffle(order)
    members = np.repeat(order, 2)[1:-1]
    buckets = np.repeat(np.arange(len(order) - 1), 2)
    assert near._components(members, buckets, 1_002).tolist() == [0] * 1_000 + [1_000, 1_001]


def test_a_sketch_depends_on_its_document_alone() -> None:
    rng = random.Random(9)
    texts = [make_text(rng, rng.randrange(1, 60)) for _ in range(400)] + [
        "",
        "あ",
        "𠮷野家" * 10,
        "👩‍👩‍👧" * 9,
        "\ud83d",
    ]
    rng.shuffle(texts)
    together = sketches(texts)
    assert together.shape == (405, BANDS) and together.dtype == np.uint64
    np.testing.assert_array_equal(together, np.concatenate([sketches([text]) for text in texts]))
    np.testing.assert_array_equal(together[::-1], sketches(texts[::-1]))


def test_white_space_and_punctuation_do_not_count_but_voicing_marks_do() -> None:
    text = make_text(random.Random(10), 50)
    spaced = "　" + "、\n".join(text).replace("は", "は「」…" + string.whitespace + "(.,!?-)")
    np.testing.assert_array_equal(sketches([text]), sketches([spaced]))
    voiced = ["たんごはかきくけこからさしすせそまで" * 3, "だんごはがきくげこがらざしずせぞまで" * 3]
    assert not (sketches(voiced[:1]) == sketches(voiced[1:])).any()
    assert similarity(*voiced) == 0


def test_short_documents_have_no_sketch_and_are_never_dropped() -> None:
    text = "いろはにほへとちりぬるをわかよたれそつねならむうゐのおくやま"
    least = MIN_GRAMS + 4
    found = sketches([text[: least - 1], text[: least - 1] + "。　。", "", text[:least]])
    assert (found[:3] == NO_SKETCH).all() and (found[3] != NO_SKETCH).all()
    assert find([text[: least - 1]] * 3).dropped.tolist() == []
    assert find([text[:least]] * 3).dropped.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("texts", "dropped"),
    [
        ([], []),
        (["一つだけの文書。" * 10], []),
        (["", "", " \n"], []),
        (["あ" * 100, "あ" * 1_000, "い" * 100], [0]),
        (["𠮷𡈽𩸽" * 20, "𠮷𡈽𩸽" * 21, "👩‍👩‍👧🎉" * 20, "👩‍👩‍👧🎉" * 20], [0, 3]),
        (["\ud83d" * 40, "\ude00" * 40, "\ud83d" * 40], [2]),
        (["。" * 500, "。" * 500], []),
    ],
)
def test_unusual_documents(texts: list[str], dropped: list[int]) -> None:
    assert find(texts).dropped.tolist() == dropped


def test_the_bands_suit_the_threshold() -> None:
    assert PARAMETERS == {"gram": 5, "bands": 32, "rows": 16, "min_grams": 20, "lsh_threshold": 0.8052}
    assert chance_of_meeting(0.9) > 0.985
    assert chance_of_meeting(0.8) > 0.55
    assert chance_of_meeting(0.7) < 0.11
    assert chance_of_meeting(0.5) < 0.001
