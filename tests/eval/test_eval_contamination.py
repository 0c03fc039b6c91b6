import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eval.contamination
from eval.contamination import clean_record, contaminated, seen
from eval.examples import Example

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "corpora").is_dir(), reason="../shared/data/corpora is not here")

LONG = "江戸時代の終わりに京都の町で最も大きな火事が起きたのは何年のことでしたか。"
WIDE = "ＡＰＩのｶﾞｲﾄﾞ：𠮷野サーバーは、１２時間ごとに＜設定＞を読み直して👨‍👩‍👧、ログに書き出す！"
PLAIN = "前の文。apiのガイド 𠮷野サーバーは12時間ごとに\n設定を読み直してログに書き出す"


def asks(text, *choices, label=0):
    return Example("0", {"question": text}, choices, label)


def test_a_run_of_a_text_is_found_whatever_its_width_and_line_ends():
    examples = [asks(WIDE, "雪"), asks(LONG, "雪"), asks("山の向かうの村で猫と犬と鳥とが暮らす話が続く", "雪")]
    texts = [PLAIN, "前置き。" + LONG[2:30].replace("京", "京\n") + "続き"]
    assert contaminated(examples, texts).tolist() == [True, True, False]
    assert contaminated(examples, iter(texts[:1])).tolist() == [True, False, False]
    assert contaminated(examples, []).tolist() == [False, False, False]
    assert contaminated([], texts).tolist() == []


def test_short_texts_count_as_a_whole_and_names_of_answers_never():
    sentence, name = "財布を拾って届けなかった", "連合国軍最高司令官総司令部"
    examples = [asks(sentence, name), asks("誰の話か", name), Example("0", {"q": "誰の話か"}, answers=(name,))]
    assert contaminated(examples, [f"{name}の話である。"]).tolist() == [False, False, False]
    assert contaminated(examples, [f"昨日、{sentence}のだ"]).tolist() == [True, False, False]
    assert contaminated(examples, [sentence[:-2]]).tolist() == [False, False, False]


def test_a_long_right_answer_counts_and_a_wrong_one_does_not():
    examples = [asks("どれか", LONG, "猫", label=place) for place in (0, 1)]
    assert contaminated(examples, [LONG]).tolist() == [True, False]
    pair = Example("0", {}, ("彼は走った道が長い", "彼の走った道が長かったのだ"), 1)
    assert contaminated([pair], ["彼の走った道が長かったのだ"]).tolist() == [True]
    number = Example("0", {"a": "甲", "b": "乙"}, ("0", "5"), 2.5)
    assert contaminated([number], ["甲乙0 5"]).tolist() == [False]


def test_every_item_that_holds_a_shared_run_is_found():
    run = LONG[:26]
    examples = [asks(f"{start}{run}{end}") for start, end in (("一つ目に", ""), ("", "二つ目"), ("𠮷", "三つ目"))]
    examples += [examples[0], asks(run[:20] + "とは別の話を述べるだけである")]
    assert contaminated(examples, [run]).tolist() == [True, True, True, True, False]


def test_texts_are_read_in_batches_and_once(monkeypatch):
    monkeypatch.setattr(eval.contamination, "_BATCH", 5)
    texts = (text for text in ["猫が鳴く", PLAIN, "犬"])
    assert contaminated([asks(LONG), asks(WIDE)], texts).tolist() == [False, True]
    assert list(texts) == []


@given(
    st.lists(st.text(st.sampled_from("猫犬山川空雲雨雪𠮷ｶﾞがー、。 "), max_size=40), min_size=1, max_size=4), st.data()
)
def test_what_is_cut_out_of_a_text_is_found_if_it_is_long_and_varied_enough(texts, data):
    held = data.draw(st.sampled_from(texts))
    begin = data.draw(st.integers(0, len(held)))
    example = asks(held[begin : begin + 24])
    letters = [character for character in held[begin : begin + 24] if character not in "、。 "]
    units = len("".join(letters).encode("utf-16-le")) // 2
    if contaminated([example], texts, ngram=12)[0]:
        assert units >= 10
    if len(set(letters)) >= 10 and "ﾞ" not in held:
        assert contaminated([example], texts, ngram=12)[0]


def test_what_was_tuned_on_counts_though_it_is_short():
    train = [asks("動物は？", "犬", "机"), asks(LONG, "雪", "雨")]
    test = [asks("動物は?", "猫", "石"), asks("植物は？", "犬", "机"), asks(LONG[:30], "水"), asks("")]
    assert seen(test, train).tolist() == [True, False, True, False]
    assert seen(test, []).tolist() == [False] * 4
    pairs = [Example("0", {"a": "雨だ", "b": "晴だ"}, label=1.0), Example("1", {"a": "雨だ", "b": "雪だ"}, label=1.0)]
    assert seen(pairs, pairs[:1]).tolist() == [True, False]


def test_figures_of_the_clean_part_stand_beside_the_whole():
    examples = [asks("問", "甲", "乙", label=number % 2) for number in range(10)]
    answers = [0] * 10
    flags = {"training text": np.arange(10) % 2 == 0, "tuning": np.arange(10) == 0, "few-shot": np.zeros(10, np.bool_)}
    record = clean_record("accuracy", examples, [answers], flags, bootstrap=50, seed=0)
    assert record["found"]["training text"] == {"items": 5, "share": 0.5}
    assert record["found"]["tuning"]["items"] == 1 and record["contaminated"] == {"items": 5, "share": 0.5}
    assert record["whole"]["value"] == 0.5 and record["whole"]["low"] < 0.5 < record["whole"]["high"]
    assert record["clean"] == {"value": 0.0, "low": 0.0, "high": 0.0, "items": 5}
    assert json.loads(json.dumps(record)) == record


def test_where_nothing_is_left_or_there_the_figure_is_undefined():
    examples = [Example("0", {"q": "問"}, answers=("甲",))]
    record = clean_record("f1", examples, [["甲"]], {"tuning": np.ones(1, np.bool_)}, bootstrap=50, seed=0)
    assert record["clean"] == {"value": None, "items": 0} and record["whole"] == {"value": 1.0}
    assert clean_record("f1", [], [[]], {}, bootstrap=50, seed=0)["whole"] == {"value": None}
    numbers = [Example("0", {"q": "問"}, label=float(number)) for number in range(4)]
    flags = {"tuning": np.array([False, False, False, True])}
    record = clean_record("pearson", numbers, [[1.0, 1.0, 1.0, 2.0]], flags, bootstrap=50, seed=0)
    assert record["clean"] == {"value": None, "items": 3} and record["whole"]["value"] > 0


@needs_data
def test_jsquad_overlaps_with_articles_on_countries_and_jcommonsenseqa_with_none():
    with gzip.open(DATA / "corpora/jawiki-country/jawiki-country.json.gz", "rt", encoding="utf-8") as stream:
        articles = [json.loads(line)["text"] for line in stream]
    whole = json.loads((DATA / "eval/jglue/jsquad-v1.3/valid-v1.3.json").read_text("utf-8"))
    parts = [part for page in whole["data"] for part in page["paragraphs"]]
    contexts = [Example("0", {"context": part["context"].partition("[SEP] ")[2]}) for part in parts]
    # 149 where white space alone is left out: markup hides the others
    assert contaminated(contexts, articles).sum() == 174
    lines = (DATA / "eval/jglue/jcommonsenseqa-v1.3/valid-v1.3.json").read_text("utf-8").splitlines()
    assert not contaminated([asks(json.loads(line)["question"]) for line in lines], articles).any()
