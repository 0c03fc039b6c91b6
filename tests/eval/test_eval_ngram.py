import math
from collections import Counter, defaultdict

import numpy as np
import pytest

import eval.ngram
from eval.ngram import KneserNey

VOCABULARY = 12
PAD = VOCABULARY


def toy_documents(count=40, seed=3):
    """Random walks with repetitions: every order sees counts of one, two and more."""
    generator = np.random.default_rng(seed)
    documents = []
    for _ in range(count):
        ids = [1]
        for _ in range(int(generator.integers(1, 25))):
            ids.append(int((ids[-1] * 2 + generator.integers(0, 3)) % 9) + 3)
        documents.append([*ids, 2])
    return documents


class BruteForce:
    """Interpolated Kneser-Ney with dictionaries, straight from the formula."""

    def __init__(self, documents, order):
        self.order = order
        self.counts = [Counter() for _ in range(order + 1)]
        grams = Counter()
        for document in documents:
            padded = [PAD] * (order - 1) + list(document)
            for place in range(order, len(padded)):
                grams[tuple(padded[place - order + 1 : place + 1])] += 1
        self.counts[order] = grams
        for length in range(order - 1, 0, -1):
            # continuation counts: different tokens to the left among the kinds of grams one longer
            left = defaultdict(set)
            for gram in self.kinds(documents, length + 1):
                left[gram[1:]].add(gram[0])
            self.counts[length] = Counter({gram: len(tokens) for gram, tokens in left.items()})

    def kinds(self, documents, length):
        found = set()
        for document in documents:
            padded = [PAD] * (self.order - 1) + list(document)
            for place in range(self.order, len(padded)):
                found.add(tuple(padded[place - length + 1 : place + 1]))
        return found

    def probability(self, token, context):
        context = ([PAD] * self.order + list(context))[len(context) + 1 :] if self.order > 1 else []
        return self._probability(token, tuple(context[-(self.order - 1) :]) if self.order > 1 else ())

    def _probability(self, token, context):
        length = len(context) + 1
        lower = self._probability(token, context[1:]) if context else 1 / VOCABULARY
        counts = self.counts[length]
        after = {gram: count for gram, count in counts.items() if gram[:-1] == context}
        if not after:
            return lower
        once = sum(count == 1 for count in counts.values())
        twice = sum(count == 2 for count in counts.values())
        discount = min(max(once / (once + 2 * twice) if once else 0.5, 0.05), 0.95)
        total = sum(after.values())
        share = max(counts[(*context, token)] - discount, 0) / total
        return share + discount * len(after) / total * lower


def log_probabilities(model, ids):
    """Of a document after its first token."""
    return model.score([(ids[:1], ids[1:])])[0]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_equal_a_brute_force_model(order):
    documents = toy_documents()
    model, reference = KneserNey(documents, VOCABULARY, order), BruteForce(documents, order)
    for ids in [documents[0], documents[7], [1, 3, 3, 4, 11, 0, 5, 2], [1, 2]]:
        expected = [math.log(reference.probability(ids[at], ids[:at])) for at in range(1, len(ids))]
        assert log_probabilities(model, ids) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("context", [[1], [1, 4], [1, 3, 3, 3, 3, 3], [1, 5, 7, 0, 0], [1, 4, 5, 2]])
def test_probabilities_sum_to_one_after_seen_and_unseen_contexts(order, context):
    model = KneserNey(toy_documents(), VOCABULARY, order)
    scores = model.score([(context, [token]) for token in range(VOCABULARY)])
    assert math.fsum(math.exp(score[0]) for score in scores) == pytest.approx(1, abs=1e-12)


def test_contexts_do_not_cross_documents():
    apart = KneserNey([[1, 5, 2], [1, 6, 2]] * 3, VOCABULARY)
    swapped = KneserNey([[1, 6, 2], [1, 5, 2]] * 3, VOCABULARY)
    assert log_probabilities(apart, [1, 6, 2]) == pytest.approx(log_probabilities(swapped, [1, 6, 2]))


def test_seen_text_is_more_probable_than_unseen_text():
    model = KneserNey(toy_documents(), VOCABULARY)
    document = max(toy_documents(), key=len)
    assert log_probabilities(model, document).sum() > log_probabilities(model, [1, *document[:0:-1]]).sum()


def test_many_requests_in_small_chunks_equal_single_ones(monkeypatch):
    documents = toy_documents()
    model = KneserNey(documents, VOCABULARY)
    requests = [(ids[: 1 + number % 7], ids[1 + number % 7 :]) for number, ids in enumerate(documents)]
    single = [model.score([request])[0] for request in requests]
    monkeypatch.setattr(eval.ngram, "_CHUNK", 7)
    for one, other in zip(single, model.score(requests), strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), abs=1e-15)


def test_a_model_of_nothing_is_uniform():
    model = KneserNey([], VOCABULARY)
    assert log_probabilities(model, [1, 5, 2]).tolist() == pytest.approx([-math.log(VOCABULARY)] * 2)
    assert model.score([]) == []
