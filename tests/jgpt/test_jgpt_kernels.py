"""The head's loss in pieces and the attention for short contexts: values and gradients are those of plain autograd."""

import pytest
import torch
import torch.nn.functional as F

from jgpt.data.documents import document_mask
from jgpt.model import attention, loss
from jgpt.model.attention import attend
from jgpt.model.loss import head_loss


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def gradients(value, *leaves):
    return torch.autograd.grad(value, leaves, retain_graph=True)


@pytest.mark.parametrize("pieces", [1, 5, 7, 20, 1024])
@pytest.mark.parametrize("ignored", [(), (0, 6, 7), range(5, 15), range(19)])
def test_the_loss_in_pieces_is_the_mean_over_the_targets_that_count(monkeypatch, pieces, ignored):
    monkeypatch.setattr(loss, "ROWS", pieces)
    hidden, weight = randn(20, 16), randn(50, 16, seed=1)
    targets = torch.randint(50, (20,), generator=torch.Generator().manual_seed(2))
    targets[list(ignored)] = -100
    ours, plain = head_loss(hidden, weight, targets), F.cross_entropy(hidden @ weight.t(), targets)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
    # of a multiple, as gradient accumulation takes it
    for made, wanted in zip(gradients(ours / 3, hidden, weight), gradients(plain / 3, hidden, weight), strict=True):
        torch.testing.assert_close(made, wanted, atol=1e-6, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(head_loss(hidden, weight, targets), plain, atol=1e-5, rtol=1e-5)


def test_the_loss_bears_logits_that_are_far_apart():
    hidden, weight = torch.full((4, 8), 30.0, requires_grad=True), torch.eye(8).mul(30).requires_grad_()
    targets = torch.tensor([0, 1, 2, 3])
    made = head_loss(hidden, weight, targets)
    torch.testing.assert_close(made, F.cross_entropy(hidden @ weight.t(), targets))
    far = head_loss(torch.eye(8)[:4].mul(300).requires_grad_(), weight, torch.tensor([7, 7, 7, 7]))
    assert torch.isfinite(far) and far > 50
    assert all(torch.isfinite(entry).all() for entry in gradients(made, hidden, weight))


def test_tied_weights_get_both_gradients(new_model):
    """The embedding's gradient is that of reading and that of the head."""
    model = new_model("gpt2", tie_embeddings=True).train()
    ids = torch.tensor([[4, 5, 6, 4], [7, 8, 9, 10]])
    targets = torch.tensor([[5, 6, 4, -100], [8, 9, 10, 11]])
    (made,) = gradients(model.loss(ids, targets), model.embedding.weight)
    plain = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
    (wanted,) = gradients(plain, model.embedding.weight)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)


def masks(times):
    ids = torch.full((3, times), 9)
    ids[0, 0] = ids[1, times // 2] = ids[2, 1] = ids[2, times - 1] = 1
    return [None, document_mask(ids, 1), torch.ones(1, 1, times, times, dtype=torch.bool).tril()]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("times", [2, 7, 33])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_short_attention_is_attention(monkeypatch, which, times, groups):
    mask = masks(times)[which]
    query, key, value = (randn(3, heads, times, 8, seed=heads) for heads in (4, 4 // groups, 4 // groups))
    monkeypatch.setattr(
        attention.F, "scaled_dot_product_attention", lambda *_, **__: pytest.fail("not the explicit products")
    )
    ours = attend(query, key, value, mask)
    scores = query @ key.repeat_interleave(groups, dim=1).transpose(2, 3) * 8**-0.5
    seen = torch.ones(times, times, dtype=torch.bool).tril() if mask is None else mask
    plain = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value.repeat_interleave(groups, dim=1)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
    direction = torch.randn(ours.shape, generator=torch.Generator().manual_seed(9))
    for made, wanted in zip(
        gradients((ours * direction).sum(), query, key, value),
        gradients((plain * direction).sum(), query, key, value),
        strict=True,
    ):
        torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)


def test_long_contexts_take_the_fused_kernel(monkeypatch):
    query, key, value = (randn(1, 2, 9, 4, seed=seed) for seed in range(3))
    short = attend(query, key, value, None)
    monkeypatch.setattr(attention, "_ShortAttention", None)
    monkeypatch.setattr(attention, "SHORT", 8)
    torch.testing.assert_close(attend(query, key, value, None), short, atol=1e-5, rtol=1e-5)
