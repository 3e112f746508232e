"""A tiny random model of every causal architecture that transformers knows.

Each config is its class's own with the sizes cut down: whatever attribute is there by one of the
names below. A few classes want more than that.
"""

from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from support import families

CONTEXT = 2048
BORDER = 60
"""Length after which the scaled ropes turn positions by other frequencies."""
LARGEST = 4_000_000
"""Parameters; what cannot be made smaller is left out."""

NAMES = tuple(name for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if name in CONFIG_MAPPING)

FAILS_TO_BUILD = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""What classes raise whose config alone makes no small model."""

_ALIKE = {
    families.ROWS: "vocab_size",
    32: "hidden_size n_embd d_model dim embedding_size lru_width",
    3: "num_hidden_layers n_layer n_layers num_layers decoder_layers num_decoder_layers",
    1: "encoder_layers num_encoder_layers n_shared_experts num_shared_experts n_group topk_group "
    "first_k_dense_replace mamba_n_groups",
    4: "num_attention_heads n_head n_heads num_heads decoder_attention_heads "
    "encoder_attention_heads num_decoder_attention_heads num_encoder_attention_heads num_experts "
    "num_local_experts n_routed_experts linear_num_value_heads rotary_dim",
    2: "num_key_value_heads num_experts_per_tok linear_num_key_heads",
    8: "head_dim dim_head sliding_window attention_window_size window_size local_window_size "
    "state_size ssm_state_size mamba_d_state mamba_n_heads mamba_d_head mamba_head_dim "
    "mamba_num_heads qk_rope_head_dim qk_nope_head_dim v_head_dim linear_key_head_dim "
    "linear_value_head_dim",
    48: "intermediate_size ffn_dim dim_ff n_inner decoder_ffn_dim encoder_ffn_dim d_ff "
    "ffn_hidden_size dff",
    24: "moe_intermediate_size shared_expert_intermediate_size",
    16: "q_lora_rank kv_lora_rank mamba_chunk_size chunk_size index_topk index_head_dim",
    64: "mamba_d_ssm index_n_heads",
    CONTEXT: "max_position_embeddings max_target_positions n_positions n_ctx max_seq_len",
    0: "bos_token_id pad_token_id",
    families.EOS: "eos_token_id",
}
_SIZES: dict[str, Any] = {name: size for size, names in _ALIKE.items() for name in names.split()}
_SIZES["is_decoder"] = True
_LATENT = {"num_key_value_heads": 4}
"""Latent attention has one key-value head for each head."""
_MORE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            "axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite",
            "glm_moe_dsa", "longcat_flash", "minicpm3", "youtu",
        ),
        _LATENT,
    ),
    "bailing_hybrid": _LATENT,
    "bamba": {"attn_layer_indices": [1]},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 10_000.0},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "falcon": {"head_dim": None},
    "cohere_compass_text": {
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": 10_000.0}
            for kind in ("full_attention", "sliding_attention")
        },
    },
    "gemma3n_text": {
        "num_hidden_layers": 4, "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": families.ROWS, "laurel_rank": 4,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "activation_sparsity_pattern": [0.0] * 4,
    },
    "gemma4_text": {
        "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": families.ROWS,
        "global_head_dim": 8, "per_layer_config": None,
    },
    "granitemoehybrid": {
        "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    },
    "kimi_linear": _LATENT,
    "qwen4_exp_text": {
        "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 16,
        "indexer_compress_ratio": 4,
    },
    "recurrent_gemma": {"layer_types": None},
    "zamba2": {
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention"],
        "layer_types": None, "hybrid_layer_ids": [1],
    },
    "zaya": {"num_experts_per_tok": 1},
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]]},
    "jamba": {
        "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
        "mamba_dt_rank": 4,
    },
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"], "num_dense_layers": 1},
    "lfm2": {
        "layer_types": ["conv", "full_attention", "conv"], "block_auto_adjust_ff_dim": False,
    },
    "mamba2": {"num_heads": 8, "n_groups": 1},
    "nemotron_h": {"layers_block_type": ["mamba", "attention", "moe"]},
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [32, 64]},
    "xlstm": {"head_dim": None, "v_head_dim": None, "chunk_size": 16},
    "zamba": {
        "attn_layer_period": 2, "attn_layer_offset": 1, "num_hidden_layers": 4,
        "layer_types": None,
    },
    "xlnet": {"max_position_embeddings": None},
    "xmod": {"default_language": "en_XX", "languages": ["en_XX"]},
    "prophetnet": {"num_hidden_layers": None},
    "dots3_note_text": _LATENT,
}  # fmt: skip


_ROPED = {
    "linear dynamic yarn llama3 longrope": "llama phi3 gemma3_text",
    "dynamic longrope": "qwen2 mistral mixtral qwen3_moe phimoe falcon_h1 gpt_oss gpt_neox falcon "
    "deepseek_v3 cohere2",
}
CASES = (
    *NAMES,
    *(
        f"{name}+{kind}"
        for kinds, names in _ROPED.items()
        for name in names.split()
        for kind in kinds.split()
    ),
)
"""All that is judged: see `build`."""


def config(name: str, **more: Any) -> PreTrainedConfig:
    """The config of a tiny model; `more` overrules everything."""
    made = CONFIG_MAPPING[name]
    own = made()
    sizes = _sizes_of(own)
    if (text := getattr(own, "text_config", None)) is not None and hasattr(text, "model_type"):
        sizes["text_config"] = {**_sizes_of(text), "model_type": text.model_type}
    chosen = {**sizes, **_MORE.get(name, {}), **more}
    return made(**{key: value for key, value in chosen.items() if value is not None})


def _sizes_of(own: PreTrainedConfig) -> dict[str, Any]:
    sizes = {name: size for name, size in _SIZES.items() if _has(own, name)}
    kinds = list(dict.fromkeys(getattr(own, "layer_types", None) or ()))
    settable = getattr(getattr(type(own), "layer_types", None), "fset", ...)
    if len(kinds) > 1 and settable is not None:
        sizes["layer_types"] = (kinds * 3)[: max(3, len(kinds))]
        sizes["num_hidden_layers"] = len(sizes["layer_types"])
    return sizes


def _has(own: PreTrainedConfig, name: str) -> bool:
    try:
        return hasattr(own, name)
    except RuntimeError:  # layers that differ have no value in common
        return True


def ropes() -> dict[str, dict[str, Any]]:
    """Rope parameters of each type, for heads of 8: made for `BORDER` positions, used beyond."""
    base = {"rope_theta": 10_000.0}
    grown = {**base, "factor": CONTEXT / BORDER, "original_max_position_embeddings": BORDER}
    return {
        "linear": {**base, "rope_type": "linear", "factor": 4.0},
        "dynamic": {**base, "rope_type": "dynamic", "factor": 4.0},
        "yarn": {**grown, "rope_type": "yarn"},
        "llama3": {
            **grown, "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        },
        "longrope": {
            **grown, "rope_type": "longrope", "short_factor": [1.0] * 4,
            "long_factor": [1.0, 2.0, 4.0, 8.0], "short_mscale": 1.1, "long_mscale": 1.4,
        },
    }  # fmt: skip


def with_rope(name: str, kind: str) -> PreTrainedConfig:
    """The config of a tiny model with another type of rope.

    Raises:
        ValueError: it has no rope, or one that cannot be of this type.
    """
    plain = config(name)
    own = getattr(plain, "rope_parameters", None)
    if not isinstance(own, dict) or not own:
        raise ValueError(f"{name} has no rope")
    chosen = ropes()[kind]
    if any(isinstance(value, dict) for value in own.values()):
        chosen = {layer: {**value, **chosen} for layer, value in own.items()}
    more: dict[str, Any] = {"rope_parameters": {**own, **chosen}}
    if kind == "dynamic":
        more["max_position_embeddings"] = BORDER
    if hasattr(plain, "original_max_position_embeddings"):
        more["original_max_position_embeddings"] = BORDER
    return config(name, **more)


def build(case: str) -> PreTrainedModel:
    """The model of a case, which is a name of `NAMES`, with `+` and a type of rope or without."""
    name, _, kind = case.partition("+")
    return model(with_rope(name, kind) if kind else config(name))


def model(made: PreTrainedConfig) -> PreTrainedModel:
    """A random model in f32 on the CPU, with logits of standard deviation near 2.

    Raises:
        ValueError: it cannot be made small.
    """
    with torch.device("meta"):
        size = AutoModelForCausalLM.from_config(made).num_parameters()
    if size > LARGEST:
        raise ValueError(f"{size:,} parameters are too many")
    return families.spread(lambda: AutoModelForCausalLM.from_config(made, dtype=torch.float32))
