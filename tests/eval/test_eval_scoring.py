from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import scoring, trie
from eval.scoring import ModelScorer, encode_choices, fit, is_cut, windows
from stage.errors import InputError


@given(total=st.integers(2, 200), context=st.integers(1, 40), data=st.data())
def test_windows_score_every_target_once_with_half_a_context_before_it(total, context, data):
    scored = data.draw(st.integers(1, total - 1))
    ids = list(range(total))
    targets = []
    for number, (piece, count) in enumerate(windows(ids, scored, context)):
        assert 1 <= count < len(piece) <= context + 1
        assert list(piece) == list(range(piece[0], piece[-1] + 1))
        targets += piece[len(piece) - count :]
        before = len(piece) - count
        assert before >= min(piece[0] + before, context // 2) or number == 0
    assert targets == ids[total - scored :]


def random_requests(generator, count, vocab_size, longest):
    requests = []
    for _ in range(count):
        ids = [1, *generator.integers(0, vocab_size, int(generator.integers(1, longest))).tolist()]
        split = int(generator.integers(1, len(ids)))
        requests.append((ids[:split], ids[split:]))
    return requests


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("batch_tokens", [1, 64, 4096])
def test_scores_equal_the_plain_way_for_any_batch_size(new_model, batch_tokens, reference):
    model = new_model()
    requests = random_requests(np.random.default_rng(0), 30, 2000, 30)
    scores = ModelScorer(model, batch_tokens, reference=reference).score(requests)
    for (context, continuation), values in zip(requests, scores, strict=True):
        assert values.dtype == np.float64
        expected = model.log_probability([*context, *continuation], len(continuation))
        assert values.tolist() == pytest.approx(expected, abs=1e-5)


SHAPES = {
    "default": {},
    "gpt2": {"tie_embeddings": True},
    "llama": {"heads": 4, "kv_heads": 2},
    "qwen3": {"heads": 4, "kv_heads": 1},
}


@pytest.fixture(scope="module")
def models(new_model):
    return {name: new_model(5, 24, name, **fields) for name, fields in SHAPES.items()}


few = st.lists(st.integers(0, 3), max_size=8)
three = st.tuples(few, few, few).map(lambda parts: [1, *parts[0], *parts[1], *parts[2]])


@settings(deadline=None)
@given(
    shape=st.sampled_from(list(SHAPES)),
    batch_tokens=st.integers(1, 300),
    # small limits make prefixes of prefixes out of short sequences
    limits=st.tuples(st.integers(1, 40), st.sampled_from([1, 1.5, 3]), st.integers(1, 4)),
    contexts=st.lists(three, min_size=1, max_size=4),
    data=st.data(),
)
def test_sharing_changes_no_score(models, shape, batch_tokens, limits, contexts, data):
    """Continuations that begin others, equal requests, contexts of ``<s>`` alone, more than fits into the model's 24 tokens."""
    continuation = st.lists(st.integers(0, 3), min_size=1, max_size=6) | st.lists(st.just(2), min_size=1, max_size=40)
    requests = data.draw(st.lists(st.tuples(st.sampled_from([[1], *contexts]), continuation), max_size=12))
    with mock.patch.multiple(trie, **dict(zip(("ROW", "TREE", "WORTH"), limits, strict=True))):
        shared = ModelScorer(models[shape], batch_tokens).score(requests)
    plain = ModelScorer(models[shape], 64, reference=True).score(requests)
    for (_, ids), values, expected in zip(requests, shared, plain, strict=True):
        assert len(values) == len(ids)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("reference", [False, True])
def test_progress_counts_every_scored_token_once(new_model, monkeypatch, reference):
    bar = mock.MagicMock()
    monkeypatch.setattr(scoring, "progress", lambda **fields: bar(**fields))
    requests = random_requests(np.random.default_rng(1), 40, 3, 90)
    ModelScorer(new_model(5), 64, reference=reference).score(requests)
    wanted = sum(len(ids) for _, ids in requests)
    assert bar.call_args.kwargs["total"] == wanted
    updates = bar.return_value.__enter__.return_value.update.call_args_list
    assert sum(update.args[0] for update in updates) == wanted


def test_batches_stay_within_their_tokens(new_model):
    model = new_model()
    ModelScorer(model, 60).score([([1], list(range(20, 20 + length))) for length in range(1, 31)])
    assert model.largest <= 60


def test_a_context_that_is_too_long_is_cut_from_the_left_behind_its_beginning():
    request = ([1, *range(100, 150)], [7, 8])
    ids, scored = fit(request, context_length=10)
    assert (ids.tolist(), scored) == ([1, *range(142, 150), 7, 8], 2)
    assert is_cut(request, 10)
    assert not is_cut(([1, *range(100, 108)], [7, 8]), 10)
    assert fit(([1, *range(100, 108)], [7, 8]), 10)[0].tolist() == [1, *range(100, 108), 7, 8]


def test_a_continuation_longer_than_the_context_is_scored_whole(new_model):
    scores = ModelScorer(new_model(context_length=8)).score([([1, 50, 51], list(range(20, 50)))])
    assert len(scores[0]) == 30
    assert np.isfinite(scores[0]).all()


def test_choices_are_scored_from_the_token_that_all_share_the_context_up_to(new_tokenizer):
    tokenizer = new_tokenizer(merges=["は雪"])
    requests = encode_choices(tokenizer, "空は", ["雪", "山"])
    assert [tokenizer.decode(context[1:]) for context, _ in requests] == ["空", "空"]
    assert [tokenizer.decode(ids) for _, ids in requests] == ["は雪", "は山"]
    assert all(context[0] == tokenizer.bos_id for context, _ in requests)


def test_a_choice_that_begins_another_one_is_scored_whole(new_tokenizer):
    tokenizer = new_tokenizer(merges=["雪山"])
    requests = encode_choices(tokenizer, "白い「", ["雪", "雪山"])
    assert [tokenizer.decode(ids) for _, ids in requests] == ["雪", "雪山"]


def test_without_a_context_everything_after_the_beginning_is_scored(new_tokenizer):
    assert encode_choices(new_tokenizer(), "", ["𠮷野"]) == [([1], new_tokenizer().encode("𠮷野"))]


@given(
    st.text("神は雪山空", max_size=6), st.lists(st.text("神は雪山空", min_size=1, max_size=4), min_size=1, max_size=4)
)
def test_at_least_one_token_of_every_choice_is_scored_and_no_text_is_lost(new_tokenizer, context, choices):
    tokenizer = new_tokenizer(merges=["は雪", "雪山", "神は雪"])
    for choice, (before, after) in zip(choices, encode_choices(tokenizer, context, choices), strict=True):
        assert len(after) >= 1
        assert tokenizer.decode([*before[1:], *after]) == context + choice


@pytest.mark.parametrize("reference", [False, True])
def test_logits_that_are_not_finite_are_an_error(new_model, reference):
    model = new_model()
    with torch.no_grad():
        model.head.weight[7] = torch.nan
    with pytest.raises(InputError, match="logits are not finite"):
        ModelScorer(model, reference=reference).score([([1, 5], [6, 7])])
