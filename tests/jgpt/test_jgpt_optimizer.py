"""Muon makes its updates orthogonal, part by part; AdamW is torch's; a step left out changes no weight."""

import pytest
import torch

from jgpt import GPT
from jgpt.config import ModelConfig, TrainConfig
from jgpt.training.optimizer import Muon, make_optimizers, orthogonal
from jgpt.training.plan import derive_training

SHAPES = [(48, 48), (16, 96), (96, 16)]


def with_spectrum(rows, columns, least, seed=0):
    """A matrix whose singular values lie evenly between ``least`` and 1, and its singular vectors."""
    generator = torch.Generator().manual_seed(seed)
    size = min(rows, columns)
    left, _ = torch.linalg.qr(torch.randn(rows, size, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(columns, size, generator=generator))
    return left @ torch.diag(torch.linspace(least, 1, size)) @ right.t(), left, right


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_update_keeps_the_directions_and_evens_their_lengths(shape, dtype):
    matrix, left, right = with_spectrum(*shape, least=0.1)
    made = orthogonal(torch.stack([matrix, -3 * matrix]), dtype)
    scale = max(1, shape[0] / shape[1]) ** 0.5
    for update in (made[0], -made[1]):
        inner = left.t() @ (update.float() / scale) @ right
        assert inner.diag().min() > 0.6 and inner.diag().max() < 1.3
        slack = 1e-4 if dtype == torch.float32 else 0.1
        assert (inner - inner.diag().diag()).abs().max() < slack


def muon(parameter, rows=None, momentum=0.95, weight_decay=0.0):
    groups = [{"params": [parameter], "name": "matrices", "peak": 0.1, "rows": rows}]
    return Muon(groups, 0.1, momentum, weight_decay, torch.float32)


def parameter(*shape, seed=0):
    return torch.nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("architecture", ["default", "qwen3"])
def test_queries_keys_values_and_gates_are_matrices_of_their_own(architecture):
    config = ModelConfig(architecture, depth=2, width=32, heads=4, kv_heads=2, context_length=8, vocab_size=50)
    model = GPT(config)
    train = TrainConfig(learning_rate=0.1, weight_decay=0.0)
    optimizer = make_optimizers(model, derive_training(train, model.config), torch.float32)[0]
    attention, mlp = model.blocks[1].attention, model.blocks[1].mlp
    width = model.config.mlp_width
    parts = {attention.query_key_value.weight: [32, 16, 16], attention.output.weight: [32], mlp.output.weight: [32]}
    parts[mlp.expand.weight] = [width, width] if architecture == "qwen3" else [width]
    before = {weight: weight.detach().clone() for weight in parts}
    for number, weight in enumerate(parts):
        weight.grad = parameter(*weight.shape, seed=number).detach()
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    optimizer.step()
    for weight, rows in parts.items():
        pieces = [orthogonal(part[None], torch.float32)[0] for part in weight.grad.split(rows)]
        torch.testing.assert_close(weight.detach(), before[weight] - 0.1 * torch.cat(pieces), atol=1e-5, rtol=1e-4)
        assert sum(rows) == len(weight)


def test_the_momentum_looks_ahead():
    weight, first, second = parameter(8, 8), parameter(8, 8, seed=1), parameter(8, 8, seed=2)
    optimizer, mean, wanted = muon(weight, momentum=0.9, weight_decay=0.5), torch.zeros(8, 8), weight.detach().clone()
    for gradient in (first.detach(), second.detach()):
        weight.grad = gradient.clone()
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient
        update = orthogonal((0.1 * gradient + 0.9 * mean)[None], torch.float32)[0]
        wanted = wanted * (1 - 0.1 * 0.5) - 0.1 * update
    torch.testing.assert_close(weight.detach(), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("spoilt", [1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_step_that_is_left_out_changes_no_weight(name, spoilt):
    model = GPT(ModelConfig(depth=1, width=32, heads=2, context_length=8, vocab_size=50))
    train = derive_training(TrainConfig(optimizer=name, weight_decay=0.5), model.config)
    optimizers = make_optimizers(model, train, torch.float32)
    before = {weight: tensor.clone() for weight, tensor in model.state_dict().items()}
    for left_out in (True, False):
        for weight in model.parameters():
            weight.grad = torch.full_like(weight, spoilt) if left_out else torch.randn_like(weight)
        for optimizer in optimizers:
            optimizer.grad_scale, optimizer.found_inf = torch.tensor(1.0), torch.tensor(float(left_out))
            optimizer.step()
        for weight, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[weight]) == left_out, weight
            assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_scale_divides_the_gradient(name):
    made = []
    for scale in (1.0, 4.0):
        model = GPT(ModelConfig(depth=1, width=32, heads=2, context_length=8, vocab_size=50))
        optimizers = make_optimizers(model, derive_training(TrainConfig(optimizer=name), model.config), torch.float32)
        generator = torch.Generator().manual_seed(0)
        for step in range(3):
            for weight in model.parameters():
                # the scale differs between the steps, which the means of several gradients show
                weight.grad = torch.randn(weight.shape, generator=generator) * (scale if step else 1)
            for optimizer in optimizers:
                optimizer.grad_scale = torch.tensor(scale if step else 1.0)
                optimizer.found_inf = torch.tensor(0.0)
                optimizer.step()
        made.append(model.state_dict())
    for name, tensor in made[0].items():
        torch.testing.assert_close(tensor, made[1][name], atol=1e-6, rtol=1e-6)


def test_adamw_is_that_of_torch_with_a_rate_for_each_kind_of_weight():
    models = [GPT(ModelConfig("llama", depth=1, width=32, heads=2, context_length=8, vocab_size=50)) for _ in range(2)]
    train = derive_training(TrainConfig(optimizer="adamw", weight_decay=0.3, beta1=0.8, beta2=0.9), models[0].config)
    (ours,) = make_optimizers(models[0], train, torch.float32)
    rates = {"embedding": train.embedding_rate, "head": train.head_rate}
    groups = []
    for name, weight in models[1].named_parameters():
        vector = weight.ndim == 1
        rate = train.vector_rate if vector else rates.get(name.split(".")[0], train.learning_rate)
        decay = 0.3 if "blocks" in name and not vector else 0.0
        groups.append({"params": [weight], "lr": rate, "weight_decay": decay})
    plain = torch.optim.AdamW(groups, betas=(0.8, 0.9), eps=1e-8, fused=False, foreach=False)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
            first.grad = torch.randn(first.shape, generator=generator)
            second.grad = first.grad.clone()
        for group in ours.param_groups:
            group["lr"] = group["peak"]
        ours.step()
        plain.step()
    for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)
