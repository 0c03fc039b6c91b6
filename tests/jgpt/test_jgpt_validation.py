"""The loss on held-out text is the mean over its tokens, whatever the batches, and each source has its own."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from jgpt.data.documents import document_mask
from jgpt.data.shards import ShardSet
from jgpt.training.validation import ValidationLoss
from stage.errors import ArtifactError

T = 8


class Model:
    """The loss of a token is its id over 100."""

    device = torch.device("cpu")

    def __init__(self):
        self.shapes, self.masks = set(), []

    def eval(self):
        pass

    def loss(self, ids, targets, mask):
        self.shapes.add(tuple(ids.shape))
        self.masks.append(None if mask is None else torch.equal(mask, document_mask(ids, 1)))
        counted = targets[targets != -100]
        return counted.double().mean() / 100


@pytest.fixture
def sets(tmp_path, new_shards):
    """Valid splits of 80 and 240 tokens, with 2 and 1 characters a token; and one of 4 tokens."""
    made = []
    for name, token, length, characters in (("甲", 100, 80, 160), ("乙", 500, 240, 240), ("丙", 900, 4, 4)):
        made.append(
            ShardSet(new_shards(tmp_path / name, [[20] * 50], valid=[[token] * (length - 2)], characters=characters))
        )
    return made


def mean(shards, windows):
    return float(np.mean(shards.split("valid")[1 : windows * T + 1])) / 100


@pytest.mark.parametrize(("across", "mask"), [(True, None), (False, True)])
def test_attention_reaches_as_far_as_in_training(sets, across, mask):
    model = Model()
    ValidationLoss([(sets[1], None)], T, 10_000, across).measure(model, torch.float32, 4)
    assert set(model.masks) == {mask}


@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_batches_do_not_change_the_loss_and_have_one_shape(sets, batch):
    valid, model = ValidationLoss([(sets[1], None)], T, 10_000), Model()
    assert valid.measure(model, torch.float32, batch) == pytest.approx(mean(sets[1], 29), rel=1e-12)
    assert model.shapes == {(batch, T)}
    assert valid.by_source == {}
    assert valid.shown == f"valid {mean(sets[1], 29) / math.log(2):.2f}"


def test_no_more_tokens_are_read_than_asked_for(sets):
    valid = ValidationLoss([(sets[1], None)], T, 3 * T + 5)
    assert valid.measure(Model(), torch.float32, 2) == pytest.approx(mean(sets[1], 3))
    pair = ValidationLoss([(sets[0], None), (sets[1], None)], T, 16 * T)
    assert [len(part.ids) for part in pair._parts] == [4, 12]
    weighted = ValidationLoss([(sets[0], 3.0), (sets[1], 1.0)], T, 8 * T)
    assert [len(part.ids) for part in weighted._parts] == [6, 2]


def test_sources_count_by_size_or_by_weight_and_are_told_apart(sets):
    first, second = mean(sets[0], 9), mean(sets[1], 29)
    for weights, share in (((None, None), 0.25), ((3.0, 1.0), 0.75)):
        valid = ValidationLoss(list(zip(sets[:2], weights, strict=True)), T, 1 << 20)
        loss = valid.measure(Model(), torch.float32, 4)
        assert loss == pytest.approx(share * first + (1 - share) * second)
        assert valid.bits_per_character(loss) == pytest.approx(loss / (2 * share + (1 - share)) / math.log(2))
        assert list(valid.by_source) == [str(shards.folder) for shards in sets[:2]]
        assert [entry["valid_loss"] for entry in valid.by_source.values()] == pytest.approx([first, second])
        bits = [entry["valid_bits_per_character"] for entry in valid.by_source.values()]
        assert bits == pytest.approx([first / 2 / math.log(2), second / math.log(2)])


def test_a_split_shorter_than_a_context_is_left_out_with_a_warning(sets, caplog):
    valid = ValidationLoss([(sets[2], None), (sets[1], None)], T, 1 << 20)
    assert "丙: the valid split is shorter than a context and is not measured" in caplog.text
    assert valid.measure(Model(), torch.float32, 4) == pytest.approx(mean(sets[1], 29))
    nothing = ValidationLoss([(sets[2], None)], T, 1 << 20)
    assert "丙: the valid split is shorter than a context: training goes unwatched" in caplog.text
    assert nothing.measure(Model(), torch.float32, 4) is None
    assert nothing.shown == "no valid split"


def test_ids_beyond_the_vocabulary_are_refused(sets):
    fewer = SimpleNamespace(
        folder=sets[0].folder, split=sets[0].split, manifest=sets[0].manifest, vocab_size=100, tokenizer_sha256=""
    )
    with pytest.raises(ArtifactError, match="甲: its valid split holds ids beyond the vocabulary of 100"):
        ValidationLoss([(fewer, None)], T, 1 << 20)
