"""How each architecture is spelled in a family of ``transformers``: pure functions of configuration and weights.

| architecture | family                | what differs there                                                                |
|--------------|-----------------------|-----------------------------------------------------------------------------------|
| default      | `NanoChatForCausalLM` | turns queries and keys the other way round: their two halves are swapped          |
| gpt2         | `GPT2LMHeadModel`     | matrices are [in, out]; every layer has biases: zeros where the model has none    |
| llama        | `LlamaForCausalLM`    | queries, keys and values, and gate and up, are matrices of their own              |
| qwen3        | `Qwen3ForCausalLM`    | as llama                                                                          |
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from jgpt.config import ModelConfig
from stage.errors import UsageError
from tokenizer.pieces import BEGIN_ID, END_ID, PADDING_ID

Tensors = dict[str, Tensor]
Rule = str | Callable[[ModelConfig, Tensor], Tensors]
"""The name of a weight there, or a function that gives the weights that it becomes there."""


@dataclass(frozen=True)
class Family:
    """A family of ``transformers``."""

    model_type: str
    class_name: str
    block: str
    """What names of weights in block N begin with."""
    rules: dict[str, Rule]
    """By the name of a weight here, in a block without ``blocks.N.``."""
    settings: Callable[[ModelConfig], dict[str, Any]]
    """What its ``config.json`` says besides that which all families have."""


def find_family(config: ModelConfig) -> Family:
    """The family of a configuration; raises UsageError naming a setting that none has."""
    family = FAMILIES.get(config.architecture)
    if family is None:
        raise UsageError(
            f"--model.architecture {config.architecture}: transformers has no such family; it cannot be exported"
        )
    for name, value in asdict(config).items():
        if name not in _EXPRESSED and value != getattr(type(config), name, None):
            raise UsageError(f"--model.{name} {value}: no family of transformers has that; it cannot be exported")
    return family


def family_config(config: ModelConfig) -> dict[str, Any]:
    """The ``config.json`` of a model in its family."""
    family = find_family(config)
    return {
        "architectures": [family.class_name],
        "model_type": family.model_type,
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": BEGIN_ID,
        "eos_token_id": END_ID,
        "pad_token_id": PADDING_ID,
        # the second name is for readers older than transformers 5
        "dtype": "float32",
        "torch_dtype": "float32",
        **family.settings(config),
    }


def family_weights(config: ModelConfig, tensors: Tensors) -> Tensors:
    """The weights of a model by their names and in their layouts there, in memory of their own.

    Raises UsageError for a weight that the family has no place for.
    """
    family = find_family(config)
    converted: Tensors = {}
    for name, tensor in tensors.items():
        in_block = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
        rule = family.rules.get(in_block[2] if in_block else name)
        if rule is None:
            raise UsageError(f"weight {name}: {family.class_name} has no place for it; the model cannot be exported")
        prefix = family.block.format(in_block[1]) if in_block else ""
        found = {rule: tensor} if isinstance(rule, str) else rule(config, tensor)
        converted |= {
            prefix + there: value.clone(memory_format=torch.contiguous_format) for there, value in found.items()
        }
    if config.architecture == "gpt2":  # all its layers have biases: zeros where the model has none
        for name in [name for name in converted if name.startswith(("transformer.h.", "transformer.ln_f."))]:
            converted.setdefault(name.removesuffix("weight") + "bias", torch.zeros(converted[name].size(-1)))
    return converted


def _split(config: ModelConfig, tensor: Tensor) -> Tensors:
    """query_key_value [(H+2K)·D, C] -> [H·D, C], [K·D, C], [K·D, C]."""
    rows = [heads * config.head_size for heads in (config.heads, config.kv_heads, config.kv_heads)]
    return dict(
        zip(
            ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
            tensor.split(rows),
            strict=True,
        )
    )


def _split_and_swap(config: ModelConfig, tensor: Tensor) -> Tensors:
    """The same with the halves (d, d + D/2) of each query and key head swapped, which undoes NanoChat's sign of the angle."""
    size = config.head_size

    def swapped(matrix: Tensor) -> Tensor:
        return matrix.view(-1, 2, size // 2, config.width).flip(1).flatten(0, 2)  # [H, 2, D/2, C] -> [H·D, C]

    return {name: matrix if "v_proj" in name else swapped(matrix) for name, matrix in _split(config, tensor).items()}


def _gate_and_up(_: ModelConfig, tensor: Tensor) -> Tensors:
    """expand [2F, C] -> [F, C], [F, C]."""
    return dict(zip(("mlp.gate_proj.weight", "mlp.up_proj.weight"), tensor.chunk(2), strict=True))


def _decoder_settings(config: ModelConfig) -> dict[str, Any]:
    return {
        "hidden_size": config.width,
        "intermediate_size": config.mlp_width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        # transformers 5 reads the second, and most other programs the first
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }


def _nanochat_settings(config: ModelConfig) -> dict[str, Any]:
    return _decoder_settings(config) | {"hidden_act": "relu2", "final_logit_softcapping": None}


def _llama_settings(config: ModelConfig) -> dict[str, Any]:
    # Qwen3's heads are 128 channels wide unless its configuration says otherwise
    return _decoder_settings(config) | {
        "hidden_act": "silu",
        "mlp_bias": False,
        "head_dim": config.head_size,
    }


def _gpt2_settings(config: ModelConfig) -> dict[str, Any]:
    return {
        "n_embd": config.width,
        "n_inner": config.mlp_width,
        "n_layer": config.depth,
        "n_head": config.heads,
        "n_positions": config.context_length,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        **dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), config.dropout),
    }


def _layer(here: str, there: str, transposed: bool = False) -> dict[str, Rule]:
    """Weight and bias of a layer; ``transposed``: [out, in] -> [in, out], as GPT-2's Conv1D has it."""
    name = f"{there}.weight"
    return {
        f"{here}.weight": (lambda _, tensor: {name: tensor.T}) if transposed else name,
        f"{here}.bias": f"{there}.bias",
    }


_DECODER: dict[str, Rule] = {
    "embedding.weight": "model.embed_tokens.weight",
    "head.weight": "lm_head.weight",
    "attention.output.weight": "self_attn.o_proj.weight",
}
_NANOCHAT: dict[str, Rule] = _DECODER | {
    "attention.query_key_value.weight": _split_and_swap,
    "mlp.expand.weight": "mlp.fc1.weight",
    "mlp.output.weight": "mlp.fc2.weight",
}
_LLAMA: dict[str, Rule] = _DECODER | {
    "final_norm.weight": "model.norm.weight",
    "attention_norm.weight": "input_layernorm.weight",
    "mlp_norm.weight": "post_attention_layernorm.weight",
    "attention.query_key_value.weight": _split,
    "mlp.expand.weight": _gate_and_up,
    "mlp.output.weight": "mlp.down_proj.weight",
}
_QWEN3: dict[str, Rule] = _LLAMA | {
    "attention.query_norm.weight": "self_attn.q_norm.weight",
    "attention.key_norm.weight": "self_attn.k_norm.weight",
}
_GPT2: dict[str, Rule] = {
    "embedding.weight": "transformer.wte.weight",
    "positions.weight": "transformer.wpe.weight",
    "head.weight": "lm_head.weight",
    **_layer("final_norm", "transformer.ln_f"),
    **_layer("attention_norm", "ln_1"),
    **_layer("mlp_norm", "ln_2"),
    **_layer("attention.query_key_value", "attn.c_attn", transposed=True),
    **_layer("attention.output", "attn.c_proj", transposed=True),
    **_layer("mlp.expand", "mlp.c_fc", transposed=True),
    **_layer("mlp.output", "mlp.c_proj", transposed=True),
}

FAMILIES = {
    "default": Family("nanochat", "NanoChatForCausalLM", "model.layers.{}.", _NANOCHAT, _nanochat_settings),
    "gpt2": Family("gpt2", "GPT2LMHeadModel", "transformer.h.{}.", _GPT2, _gpt2_settings),
    "llama": Family("llama", "LlamaForCausalLM", "model.layers.{}.", _LLAMA, _llama_settings),
    "qwen3": Family("qwen3", "Qwen3ForCausalLM", "model.layers.{}.", _QWEN3, _llama_settings),
}

# the fields of a configuration that the families express; dropout is a matter of training
_EXPRESSED = {"architecture", "depth", "width", "heads", "kv_heads", "mlp_width", "context_length", "vocab_size"}
_EXPRESSED |= {"dropout", "tie_embeddings", "bias", "rope_theta", "normalization"}
