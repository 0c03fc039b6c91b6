"""An untrained model that begins as a bigram model."""

import numpy as np
import pytest
import torch

from jgpt import load_model
from jgpt.config import ModelConfig
from jgpt.data.shards import ShardSet
from jgpt.model.gpt import GPT
from jgpt.training.bigram import PRIOR, bigram_init
from jgpt.training.pretrain import pretrain
from stage.errors import UsageError

VOCAB = 40


class Windows:
    """Samples of a stream of random tokens in which some follow others far more often."""

    vocab_size, context_length, windows = VOCAB, 50, 3000

    def __init__(self):
        generator = np.random.default_rng(0)
        chances = generator.dirichlet(np.full(VOCAB, 0.1), size=VOCAB).cumsum(1)
        token, tokens = 0, []
        for draw in generator.random(self.windows * self.context_length + 1):
            tokens.append(token := min(int(np.searchsorted(chances[token], draw)), VOCAB - 1))
        self.tokens = torch.tensor(tokens)

    def batch(self, position, count):
        rows = torch.arange(position, position + count)[:, None] * self.context_length + torch.arange(51)
        return self.tokens[rows][:, :-1], self.tokens[rows][:, 1:]


@pytest.fixture(scope="module")
def samples():
    return Windows()


def smoothed(samples):
    """log p(y | x), as the module's formula has it, counted the plain way."""
    counts = torch.zeros(VOCAB, VOCAB, dtype=torch.float64)
    for before, after in zip(samples.tokens[:-1].tolist(), samples.tokens[1:].tolist(), strict=True):
        counts[before, after] += 1
    unigram = (counts.sum(0) + 0.5) / (counts.sum() + 0.5 * VOCAB)
    return ((counts + PRIOR * unigram) / (counts.sum(1, keepdim=True) + PRIOR)).log()


def begun(samples, architecture="default", **shape):
    model = GPT(ModelConfig(architecture=architecture, depth=1, vocab_size=VOCAB, context_length=50, **shape))
    bigram_init(model, samples, seed=0)
    return model


@pytest.mark.parametrize("architecture", ["default", "llama", "qwen3"])
def test_with_channels_enough_the_untrained_model_is_the_bigram_model(samples, architecture):
    model = begun(samples, architecture, width=64, heads=1)
    logits = model(torch.arange(VOCAB)[:, None])[:, 0].double()
    torch.testing.assert_close(logits.log_softmax(-1), smoothed(samples), atol=2e-3, rtol=0)


def test_with_fewer_channels_it_is_near_it_and_better_than_the_unigram(samples):
    expected = smoothed(samples)
    ids, targets = samples.batch(0, samples.windows)
    loss = begun(samples, width=32, heads=1).loss(ids, targets).item()
    exact = -expected[ids, targets].mean().item()
    unigram = torch.bincount(targets.flatten(), minlength=VOCAB).double() / targets.numel()
    assert exact < loss < exact + 0.1 * (-unigram.log()[targets].mean().item() - exact)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_random_state_alone(samples):
    model = begun(samples, width=32, heads=1)
    first = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = torch.get_rng_state()
    bigram_init(model, samples, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, first[name]), name


@pytest.mark.usefixtures("known_speed")
def test_a_run_begins_better_with_it(root, tmp_path, new_config):
    losses = []
    ids = torch.from_numpy(ShardSet(root / "shards").split("valid")[0:33].astype(np.int64))[None]
    for number, flag in enumerate((False, True)):
        config = new_config(steps=2, bigram_init=flag)
        pretrain(root / "shards", tmp_path / f"{number}", config, threads=1, quiet=True)
        losses.append(load_model(tmp_path / f"{number}").loss(ids[:, :-1], ids[:, 1:]).item())
    assert losses[1] < losses[0] - 0.5


def test_where_it_has_no_effect_it_is_refused(root, tmp_path, new_config):
    for shape in ({"architecture": "gpt2"}, {"tie_embeddings": True}):
        with pytest.raises(UsageError, match=r"--train\.bigram_init needs an untied head"):
            pretrain(root / "shards", tmp_path / "out", new_config(shape, steps=1, bigram_init=True), quiet=True)
    pretrain(root / "shards", tmp_path / "first", new_config(steps=1), threads=1, quiet=True)
    with pytest.raises(UsageError, match="no effect on a model that begins with --init_from"):
        more = {"init_from": tmp_path / "first", "quiet": True}
        pretrain(root / "shards", tmp_path / "out", new_config(steps=1, bigram_init=True), **more)
