"""The GPT against independent computations."""

import math

import pytest
import torch

from jgpt.config import ModelConfig
from jgpt.model.cache import Cache
from jgpt.model.gpt import GPT, Rotary

ARCHITECTURES = ["default", "gpt2"]


def random_ids(*shape, vocab_size=400, seed=0):
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def rms(x):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def turned(x, theta):
    """Rotary positions of one head [T, D] as a product of complex numbers."""
    time, size = x.shape
    pairs = torch.complex(x[:, : size // 2], x[:, size // 2 :])
    angles = torch.arange(time)[:, None] * theta ** (-2 * torch.arange(size // 2) / size)
    pairs = pairs * torch.polar(torch.ones_like(angles, dtype=x.dtype), angles.to(x.dtype))
    return torch.cat([pairs.real, pairs.imag], -1)


def plain_default(model, ids):
    """The default architecture for one sequence, head by head and position by position, in float64."""
    weights = {name: tensor.double() for name, tensor in model.state_dict().items()}
    config, size = model.config, model.config.width // model.config.heads
    x = rms(weights["embedding.weight"][ids])
    for layer in range(config.depth):
        at = f"blocks.{layer}."
        mixed = rms(x) @ weights[at + "attention.query_key_value.weight"].T
        heads = []
        for head in range(config.heads):
            query, key, value = (
                mixed[:, part * config.width + head * size :][:, :size] for part in range(3)
            )  # each [T, D]
            query, key = (rms(turned(part, config.rope_theta)) for part in (query, key))
            rows = []
            for time in range(len(ids)):
                share = torch.softmax(key[: time + 1] @ query[time] / math.sqrt(size), 0)
                rows.append(share @ value[: time + 1])
            heads.append(torch.stack(rows))
        x = x + torch.cat(heads, -1) @ weights[at + "attention.output.weight"].T
        hidden = (rms(x) @ weights[at + "mlp.expand.weight"].T).clamp(min=0) ** 2
        x = x + hidden @ weights[at + "mlp.output.weight"].T
    return rms(x) @ weights["head.weight"].T


def test_default_logits_equal_a_plain_computation(new_model):
    model = new_model(rope_theta=500.0)
    ids = random_ids(1, 11)
    logits = model(ids)
    assert logits.shape == (1, 11, 400)
    torch.testing.assert_close(logits[0].double(), plain_default(model, ids[0]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_gpt2_logits_equal_those_of_transformers(new_model, tied, bias):
    transformers = pytest.importorskip("transformers", reason="the extra `peers` is not installed")
    model = new_model("gpt2", tie_embeddings=tied, bias=bias)
    config = model.config
    peer = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context_length,
            n_embd=config.width,
            n_layer=config.depth,
            n_head=config.heads,
            activation_function="gelu_new",
            tie_word_embeddings=tied,
        )
    ).eval()
    names = {
        "attention_norm": "ln_1",
        "attention.query_key_value": "attn.c_attn",
        "attention.output": "attn.c_proj",
        "mlp_norm": "ln_2",
        "mlp.expand": "mlp.c_fc",
        "mlp.output": "mlp.c_proj",
    }
    ours, theirs = dict(model.named_parameters()), peer.state_dict()
    with torch.no_grad():
        for name, tensor in theirs.items():
            if name.endswith(".bias"):
                tensor.zero_()
        theirs["transformer.wte.weight"].copy_(ours["embedding.weight"])
        theirs["transformer.wpe.weight"].copy_(ours["positions.weight"])
        theirs["lm_head.weight"].copy_(ours["embedding.weight" if tied else "head.weight"])
        for kind in ("weight", "bias")[: 1 + bias]:
            theirs[f"transformer.ln_f.{kind}"].copy_(ours[f"final_norm.{kind}"])
            for layer in range(config.depth):
                for mine, other in names.items():
                    value = ours[f"blocks.{layer}.{mine}.{kind}"]
                    theirs[f"transformer.h.{layer}.{other}.{kind}"].copy_(value.T if value.ndim == 2 else value)
    ids = random_ids(2, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(ids), peer(ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_is_the_mean_surprisal_of_the_targets_that_count(new_model, architecture):
    model = new_model(architecture)
    ids, targets = random_ids(3, 9), random_ids(3, 9, seed=1)
    targets[0, :4] = -100
    logits, loss = model(ids), model.loss(ids, targets)
    exact = logits.detach().double()
    surprisals = [
        float(torch.logsumexp(exact[row, time], 0) - exact[row, time, targets[row, time]])
        for row in range(3)
        for time in range(9)
        if targets[row, time] >= 0
    ]
    assert loss.item() == pytest.approx(sum(surprisals) / len(surprisals), rel=1e-5)
    assert torch.equal(logits, model(ids))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_token_changes_nothing_before_it(new_model, architecture):
    model = new_model(architecture)
    ids = random_ids(1, 16)
    before = model(ids)
    for place in range(16):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % 400
        after = model(changed)
        assert torch.equal(after[0, :place], before[0, :place])
        assert not torch.allclose(after[0, place], before[0, place])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("cuts", [[1] * 16, [5, 1, 1, 4, 5], [16], [15, 1], [2, 14]])
def test_logits_are_the_same_with_a_cache(new_model, architecture, cuts):
    model = new_model(architecture)
    ids = random_ids(2, 16)
    cache = Cache(model.config, 2, model.device)
    parts, start = [], 0
    for length in cuts:
        parts.append(model(ids[:, start : start + length], cache=cache))
        start += length
        assert cache.length == start
    torch.testing.assert_close(torch.cat(parts, 1), model(ids), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("fields", [{}, {"heads": 4, "kv_heads": 2}])
def test_branches_beside_each_other_in_a_row_see_what_each_would_alone(new_model, architecture, fields):
    if architecture == "gpt2" and fields:
        pytest.skip("gpt2 shares no keys between heads")
    model = new_model(architecture, **fields)
    ids = random_ids(1, 12)
    cache = Cache(model.config, 1, model.device)
    model(ids[:, :5], cache=cache)
    # tokens 5 and 6 go on as 7, 8 or as 9, 10, 11
    parents = [-1, 0, 1, 2, 1, 4, 5]
    mask = torch.eye(7, dtype=torch.bool)
    for token, parent in enumerate(parents[1:], 1):
        mask[token] |= mask[parent]
    positions = torch.tensor([[5, 6, 7, 8, 7, 8, 9]]).expand(2, -1)
    rows = torch.cat((ids[:, 5:], ids[:, 5:].flip(1)))
    hidden = model.hidden(rows, cache, mask.expand(2, 1, -1, -1), positions)
    assert cache.length == 5
    for row in range(2):
        for branch in ([0, 1, 2, 3], [0, 1, 4, 5, 6]):
            alone = model.hidden(torch.cat((ids[:, :5], rows[row : row + 1, branch]), 1))
            torch.testing.assert_close(hidden[row, branch], alone[0, 5:], rtol=1e-4, atol=1e-4)


def test_a_cache_of_bfloat16_stays_near(new_model):
    model = new_model(deviation=0.05).to(torch.bfloat16)
    ids = random_ids(1, 8)
    cache = Cache(model.config, 1, model.device, torch.bfloat16)
    logits = torch.cat([model(ids[:, place : place + 1], cache=cache) for place in range(8)], 1)
    torch.testing.assert_close(logits, model(ids), rtol=0.1, atol=0.1)


def test_rotary_scores_depend_on_the_distance_alone():
    rotary = Rotary(8, 64, 10000.0)
    query, key = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0))

    def score(first, second):
        return float((rotary(query, first) * rotary(key, second)).sum())

    assert score(7, 3) == pytest.approx(score(47, 43), abs=1e-5)
    assert score(0, 0) == pytest.approx(float((query * key).sum()), abs=1e-5)
    assert score(7, 3) != pytest.approx(score(8, 3), abs=1e-3)


def test_an_untrained_model_finds_every_token_equally_likely():
    model = GPT(ModelConfig(depth=2, width=32, heads=2, context_length=16, vocab_size=400))
    loss = model.loss(random_ids(2, 16), random_ids(2, 16, seed=1))
    assert loss.item() == pytest.approx(math.log(400), rel=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_an_untrained_gpt2_is_near_that(tied):
    config = ModelConfig("gpt2", 2, 32, 2, context_length=16, vocab_size=400, tie_embeddings=tied)
    loss = GPT(config).loss(random_ids(2, 16), random_ids(2, 16, seed=1))
    assert loss.item() == pytest.approx(math.log(400), rel=0.02)


def test_weights_follow_from_the_seed():
    config = ModelConfig("gpt2", 1, 32, 2, context_length=16, vocab_size=400)
    first = GPT(config, seed=3).state_dict()
    torch.manual_seed(99)
    second, other = GPT(config, seed=3).state_dict(), GPT(config, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_more_tokens_than_the_context_are_refused(new_model, architecture):
    model = new_model(architecture)
    with pytest.raises(ValueError, match="17 tokens do not fit into a context of 16"):
        model(random_ids(1, 17))
    cache = Cache(model.config, 1, model.device)
    model(random_ids(1, 16), cache=cache)
    with pytest.raises(ValueError, match="17 tokens"):
        model(random_ids(1, 1), cache=cache)


def test_dropout_works_in_training_only(new_model):
    for architecture in ARCHITECTURES:
        model = new_model(architecture, dropout=0.5)
        ids = random_ids(1, 8)
        assert torch.equal(model(ids), model(ids))
        model.train()
        assert not torch.equal(model(ids), model(ids))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_learns_a_short_text_by_heart(architecture):
    model = GPT(ModelConfig(architecture, 1, 32, 2, context_length=16, vocab_size=50))
    ids = random_ids(1, 17, vocab_size=50)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = model.loss(ids[:, :-1], ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3
