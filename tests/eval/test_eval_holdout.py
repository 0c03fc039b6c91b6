"""What fine-tuning decides on, and whether there is anything to learn."""

import numpy as np
import pytest

from eval.examples import Example
from eval.holdout import split_dev, subset
from eval.learnable import check_learnable
from stage.errors import InputError


def test_examples_with_a_text_in_common_are_never_on_both_sides():
    draw = np.random.default_rng(0)
    train = [
        Example(str(number), {"a": f"文{draw.integers(300)}", "b": f"文{draw.integers(300)}"}, label=1.0)
        for number in range(100)
    ]
    taught, dev = split_dev(train, 0.2, 1000)
    assert 10 <= len(dev) <= 20
    assert len(taught) + len(dev) == 100
    assert not {text for each in taught for text in each.texts} & {text for each in dev for text in each.texts}
    mixed = [train[place] for place in draw.permutation(100)]
    assert {each.id for each in split_dev(mixed, 0.2, 1000)[1]} == {each.id for each in dev}
    assert set(subset(taught, 0.1)) < set(subset(taught, 0.3))


@pytest.mark.parametrize("number, told", [(0.1, "all equal"), (1e300, "too large")])
def test_numbers_that_teach_nothing_are_told_also_where_rounding_leaves_them_a_deviation(number, told):
    examples = [
        Example(str(place), {"a": f"第{place}文"}, label=number * (1, -1)[number > 1 and place % 2])
        for place in range(60)
    ]
    with pytest.raises(InputError, match=f"the numbers of the training examples are {told}"):
        check_learnable("regression", examples, examples)
