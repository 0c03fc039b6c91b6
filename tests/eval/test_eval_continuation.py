from collections import Counter

from eval.continuation import CHOICES, CONTEXT, build_continuation
from eval.sentences import sentence_spans


def test_the_true_sentence_follows_the_context_and_the_others_do_not(chapters):
    texts = chapters(12)
    items, _ = build_continuation(texts)
    assert len(items) > 30
    for item in items:
        number, start = map(int, item.id.split(":"))
        text, true = texts[number], item.choices[item.gold]
        assert text[:start].endswith(item.context)
        assert text[start:].startswith(true)
        assert len(item.context) <= CONTEXT
        sentences = [text[begin:end] for begin, end in sentence_spans(text)]
        following = sentences[sentences.index(true) + 1 :][:1] if sentences.count(true) == 1 else []
        for other in set(item.choices) - {true}:
            assert other in sentences
            assert other not in item.context
            assert other not in following
            assert abs(len(other) - len(true)) <= 0.1 * len(true)
        assert len(set(item.choices)) == CHOICES


def test_every_place_holds_the_true_sentence_equally_often(chapters):
    counts = Counter(item.gold for item in build_continuation(chapters(12))[0])
    assert max(counts.values()) - min(counts.values()) <= 1


def test_same_seed_same_items_and_a_limit_is_kept(chapters):
    texts = chapters(6)
    assert build_continuation(texts, seed=4) == build_continuation(texts, seed=4)
    assert len(build_continuation(texts, limit=5)[0]) == 5


def test_short_documents_are_counted_and_left_out():
    items, notes = build_continuation(["元始に神天地を創造たまへり。", "短い。"])
    assert items == []
    assert "2 documents had no sentence" in notes[1]
