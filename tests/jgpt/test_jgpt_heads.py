import pytest
import torch

from jgpt.config import ModelConfig
from jgpt.heads import HeadedGPT, choose, compared, weighted_means
from jgpt.model.gpt import GPT


def new_headed(kind, causal=False, **fields):
    gpt = GPT(ModelConfig(depth=2, width=32, heads=2, context_length=16, vocab_size=400))
    generator = torch.Generator().manual_seed(0)
    model = HeadedGPT(gpt, kind, causal=causal, **fields)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2, generator=generator)
    return model.eval()


def two_texts(first=(30, 31), second=(40, 41, 42), padding=0):
    ids = [1, *first, 20, *second, 2, *[3] * padding]
    parts = [0, *[1] * len(first), 0, *[2] * len(second), 0, *[-1] * padding]
    return torch.tensor([ids]), torch.tensor([parts])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["classification", "regression", "choice", "span"])
def test_padding_changes_no_output(kind, causal):
    model = new_headed(kind, causal, texts=2, classes=3)
    alone = model(*two_texts())
    padded = model(*two_texts(padding=6))
    assert torch.allclose(alone, padded[:, : alone.size(1)] if kind == "span" else padded, atol=1e-5)
    with torch.no_grad():  # the way without gradients has a kernel of its own
        again = model(*two_texts(padding=6))
    assert torch.allclose(padded, again, atol=1e-5)


def test_without_the_causal_mask_the_first_text_sees_the_second():
    one, parts = two_texts(second=(40, 41, 42))
    other, _ = two_texts(second=(40, 41, 43))
    for causal in (False, True):
        gpt = new_headed("regression", causal, texts=2)
        seen = []
        gpt.gpt.final_norm.register_forward_hook(lambda module, given, found, seen=seen: seen.append(found))
        gpt(one, parts), gpt(other, parts)
        first_text = (parts == 1)[0]
        assert torch.equal(seen[0][0, first_text], seen[1][0, first_text]) == causal


def test_means_are_those_of_each_text_alone():
    hidden = torch.arange(12.0).view(1, 6, 2)
    parts = torch.tensor([[0, 1, 1, 0, 2, -1]])
    found = weighted_means(hidden, torch.zeros(1, 6), parts, 3)
    assert found.tolist() == [[[3.0, 4.0], [8.0, 9.0], [0.0, 0.0]]]
    assert compared(found[:, :2]).tolist() == [[3, 4, 8, 9, 5, 5, 24, 36]]
    assert compared(found[:, :1]).tolist() == [[3, 4]]
    first = weighted_means(hidden, torch.tensor([[50.0, 50, 0, 0, 0, 90]]), parts, 1)
    assert torch.allclose(first, hidden[:, 1:2])


def test_questions_may_have_different_numbers_of_choices():
    scores = torch.tensor([1.0, 2.0, 3.0, 4.0, 0.0])
    logits = choose(scores, [2, 3])
    assert logits.tolist() == [[1, 2, -float("inf")], [3, 4, 0]]
    assert logits.softmax(-1)[0, 2] == 0


def test_spans_lie_in_the_last_text():
    ids, parts = two_texts(padding=2)
    found = new_headed("span", texts=2)(ids, parts)
    assert torch.equal(torch.isfinite(found[0, :, 0]), (parts == 2)[0])


def test_a_head_is_where_its_net_is_and_leaves_the_one_of_the_net_alone():
    model = new_headed("classification", classes=4)
    model(torch.tensor([[1, 30, 2]]), torch.tensor([[0, 1, 0]])).sum().backward()
    assert model.gpt.head.weight.grad is None
    assert model.head.weight.grad is not None


def test_what_all_tokens_have_in_common_is_taken_from_each_depth_and_padding_is_no_token():
    model = new_headed("regression", texts=2)
    ids, parts = two_texts()
    before = model(ids, parts)
    model.find_common([two_texts(padding=3), two_texts(first=(50,), second=(60, 61))])
    streams = []
    for texts in (two_texts(), two_texts(first=(50,), second=(60, 61))):
        depths = []
        model.gpt.hidden(
            texts[0], mask=texts[1].ge(0)[:, None, None].expand(1, 1, texts[0].size(1), -1), streams=depths
        )
        streams.append(torch.stack([torch.nn.functional.rms_norm(x, (32,))[texts[1] > 0] for x in depths]))
    assert torch.allclose(model.common, torch.cat(streams, 1).mean(1), atol=1e-5)
    assert not torch.allclose(model(ids, parts), before)
    model.find_common([])
    assert torch.equal(model(ids, parts), before)
