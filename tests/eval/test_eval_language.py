import lzma
import math

import numpy as np
import pytest

from eval.config import EvalConfig
from eval.language import check_no_unknown, held_out, language_record
from eval.models import TextScore
from eval.ngram import KneserNey
from eval.scoring import ModelScorer
from jgpt.config import ModelConfig
from jgpt.model.gpt import GPT
from stage.errors import ArtifactError

TEXTS = ["元始に神天地を創造たまへり", "𠮷野家でｱｲｽを食べる👨‍👩‍👧。", "が" * 50]


class OfIds:
    """The scores of a model for documents whose ids are known."""

    scores_end = True

    def __init__(self, texts, model):
        self.texts, self.scorer = texts, ModelScorer(model)

    def score_texts(self, texts, description=""):
        assert texts == self.texts.texts
        scores = self.scorer.score([(ids[:1], ids[1:]) for ids in self.texts.ids])
        return [TextScore(float(values.sum()), len(values)) for values in scores]


def record(texts, model, **ngrams):
    return language_record(texts, OfIds(texts, model), ngrams, EvalConfig(bootstrap=100))


def test_documents_decode_to_their_texts(new_documents):
    assert list(new_documents(TEXTS)) == TEXTS


def test_a_uniform_model_pays_the_vocabulary_for_each_token_and_the_end(new_documents):
    model = GPT(ModelConfig(depth=1, width=8, heads=1, context_length=16, vocab_size=64))  # its head is zero
    found = record(held_out(new_documents(TEXTS)), model)
    characters = sum(map(len, TEXTS))
    bits = 6 * (characters + 3)
    assert found["characters"] == characters and found["documents"] == 3
    assert found["tokens"] == characters + 3
    assert found["bits_per_character"]["value"] == pytest.approx(bits / characters)
    assert found["bits_per_byte"]["value"] == pytest.approx(bits / len("".join(TEXTS).encode()))
    assert (
        found["bits_per_character"]["low"]
        <= found["bits_per_character"]["value"]
        <= found["bits_per_character"]["high"]
    )


def test_bits_equal_a_plain_computation_in_windows(new_tokenizer, new_model, new_documents):
    model, tokenizer = new_model(context_length=8), new_tokenizer()
    nats = 0.0
    for text in TEXTS:
        ids = [1, *tokenizer.encode(text), 2]
        nats -= sum(model.log_probability(ids[:9], min(8, len(ids) - 1)))
        for end in range(9, len(ids), 4):
            piece = ids[max(0, min(end + 4, len(ids)) - 9) : end + 4]
            nats -= sum(model.log_probability(piece, min(4, len(ids) - end)))
    found = record(held_out(new_documents(TEXTS, tokenizer)), model)
    expected = nats / math.log(2) / sum(map(len, TEXTS))
    assert found["bits_per_character"]["value"] == pytest.approx(expected, rel=1e-5)


def test_baselines_stand_beside_the_model(new_tokenizer, new_model, new_documents):
    tokenizer = new_tokenizer()
    texts = held_out(new_documents(TEXTS, tokenizer))
    ngram = KneserNey(texts.ids, 2000)
    found = record(texts, new_model(), **{"5-gram": ngram})["baselines"]
    nats = -sum(values.sum() for values in ngram.score([(ids[:1], ids[1:]) for ids in texts.ids]))
    assert found["5-gram"]["bits_per_character"]["value"] == pytest.approx(nats / math.log(2) / sum(map(len, TEXTS)))
    packed = lzma.compress("".join(text + "\n" for text in TEXTS).encode(), preset=9 | lzma.PRESET_EXTREME)
    assert found["xz"]["bits_per_character"]["value"] == pytest.approx(8 * len(packed) / sum(map(len, TEXTS)))


def test_each_source_of_several_has_its_own_figures(new_tokenizer, new_model, new_documents):
    tokenizer, model = new_tokenizer(), new_model()
    ngram = KneserNey(held_out(new_documents(TEXTS, tokenizer)).ids, 2000)
    sources = ["聖書", "牛丼", "聖書"]
    found = record(held_out(new_documents(TEXTS, tokenizer, sources)), model, **{"5-gram": ngram})
    assert list(found["sources"]) == ["聖書", "牛丼"]
    for name, part in found["sources"].items():
        alone = [text for text, source in zip(TEXTS, sources, strict=True) if source == name]
        expected = record(held_out(new_documents(alone, tokenizer)), model, **{"5-gram": ngram})
        del expected["split"], expected["definition"]
        for values in (
            part,
            expected,
            *(each["baselines"][which] for each in (part, expected) for which in ("5-gram", "xz")),
        ):
            for metric in ("bits_per_character", "bits_per_byte"):
                values[metric] = pytest.approx(values[metric]["value"])
        assert part == expected
    sums = {key: sum(part[key] for part in found["sources"].values()) for key in ("documents", "characters", "tokens")}
    assert sums == {key: found[key] for key in sums}


def test_one_source_is_not_told_twice(new_model, new_documents):
    assert "sources" not in record(held_out(new_documents(TEXTS, None, ["聖書"] * 3)), new_model())


def test_unknown_tokens_are_refused_because_their_bytes_are_lost():
    with pytest.raises(ArtifactError, match="byte fallback"):
        check_no_unknown(np.array([1, 0, 2]))


def test_most_characters_are_kept_to_in_whole_documents(new_documents):
    texts = held_out(new_documents(["あ" * 10] * 30), max_characters=45)
    assert texts.texts == ["あ" * 10] * 5


def test_a_split_without_text_is_refused(new_documents):
    with pytest.raises(ArtifactError, match="no validation text"):
        held_out(new_documents([""]))


def test_training_samples_are_whole_or_drawn_within_their_tokens(new_documents):
    found = new_documents(["あ" * 8] * 20)
    assert sum(map(len, found.sample(10_000, 0))) == 200
    drawn = [ids.tolist() for ids in found.sample(35, 0)]
    assert sum(map(len, drawn)) == 35
    assert all(ids[0] == 1 for ids in drawn)
