from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eval import trie
from eval.trie import plan

sequences = st.lists(
    st.lists(st.integers(0, 2), min_size=2, max_size=14).flatmap(
        lambda ids: st.tuples(st.just(np.array(ids, np.int64)), st.integers(1, len(ids) - 1))
    ),
    max_size=20,
)


def tokens(stems):
    return sum(len(stem.ids) + sum(len(row.ids) for row in stem.rows) for stem in stems)


@given(sequences, st.integers(1, 40), st.integers(1, 3))
def test_each_scored_id_is_predicted_by_the_token_before_it_which_sees_its_sequence_alone(found, batch_tokens, worth):
    prefix: list[int] = []
    seen = []
    with mock.patch.object(trie, "WORTH", worth):
        for stem in plan(found, batch_tokens):
            prefix = [*prefix[: stem.start], *stem.ids.tolist()]
            assert len(prefix) == stem.length
            for row in stem.rows:
                for member, places in zip(row.members, row.places, strict=True):
                    ids, scored = found[member]
                    seen.append(member)
                    assert len(places) == scored
                    for place, target in zip(places, range(len(ids) - scored, len(ids)), strict=True):
                        sees = [at for at in range(place + 1) if place < row.ends[at]]
                        assert [*prefix, *row.ids[sees].tolist()] == ids[:target].tolist()
                        assert row.positions[sees].tolist() == list(range(len(prefix), target))
                longest = max(len(found[member][0]) - 1 for member in row.members) - len(prefix)
                assert len(row.ids) <= max(longest, batch_tokens)
    assert sorted(seen) == list(range(len(found)))


def test_examples_before_all_questions_and_a_question_before_its_choices_are_read_once():
    generator = np.random.default_rng(0)
    shots = [1, *generator.integers(5, 5000, 150)]
    found = []
    for _ in range(100):
        question = generator.integers(5, 5000, 20)
        found += [(np.array([*shots, *question, *generator.integers(5, 5000, 3)]), 3) for _ in range(5)]
    stems = list(plan(found, 4096))
    # of three tokens of a choice two are read; questions that begin with the same token may share it
    assert tokens(stems) <= len(shots) + 100 * (20 + 5 * 2)
    assert tokens(stems) >= len(shots) + 100 * (20 + 5 * 2) - 20
    assert len(stems) == 2 and max(len(row.ids) for row in stems[1].rows) <= 128


def test_examples_of_each_question_s_own_make_one_row_a_question():
    generator = np.random.default_rng(0)
    found = []
    for _ in range(10):
        context = [1, *generator.integers(5, 5000, 180)]
        found += [(np.array([*context, *generator.integers(5, 5000, 3)]), 3) for _ in range(5)]
    (stem,) = plan(found, 4096)
    assert stem.length == 0
    assert sorted(len(row.ids) for row in stem.rows) == [191] * 10


def test_long_texts_that_share_nothing_stay_rows_of_their_own():
    found = [(np.array([1, *range(10 * number, 10 * number + 300)]), 300) for number in range(1, 30)]
    (stem,) = plan(found, 4096)
    assert len(stem.rows) == 29 and all(row.is_chain for row in stem.rows)
