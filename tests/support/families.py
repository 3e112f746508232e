"""Randomly initialised tiny models of many families, with logits of standard deviation near 2.

Matrices at their default initialisation give logits near 0.16, on which a wrong cache hardly shows.
"""

from collections.abc import Callable

import torch
import transformers as hf
from transformers import PreTrainedConfig, PreTrainedModel

from tokexplore.models.engine.loading.opening import Loaded
from tokexplore.models.tokens import Vocabulary

ROWS = 96
CONTEXT = 160
WINDOW = 8
"""Sliding window, far shorter than the paths of the tests."""
EOS = 95

_SHAPE = {
    "vocab_size": ROWS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "bos_token_id": 0,
    "eos_token_id": EOS,
    "pad_token_id": 0,
}
_ATTENTION = {
    **_SHAPE,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": CONTEXT,
}
_MOE = {**_ATTENTION, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}

_CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: hf.LlamaConfig(**_ATTENTION),
    "gpt2": lambda: hf.GPT2Config(
        vocab_size=ROWS, n_embd=32, n_layer=2, n_head=4, n_positions=CONTEXT, eos_token_id=EOS
    ),
    "qwen2": lambda: hf.Qwen2Config(**_ATTENTION),
    "qwen3_moe": lambda: hf.Qwen3MoeConfig(**_MOE),
    "mixtral": lambda: hf.MixtralConfig(**_ATTENTION, num_local_experts=4, num_experts_per_tok=2),
    "gemma3": lambda: hf.Gemma3TextConfig(
        **{**_ATTENTION, "num_hidden_layers": 3},
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
    ),
    "mistral": lambda: hf.MistralConfig(**_ATTENTION, sliding_window=WINDOW),
    "qwen3_next": lambda: hf.Qwen3NextConfig(
        **_MOE,
        shared_expert_intermediate_size=24,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        layer_types=["linear_attention", "full_attention"],
    ),
    "lfm2": lambda: hf.Lfm2Config(
        **{**_ATTENTION, "num_hidden_layers": 3},
        layer_types=["conv", "full_attention", "conv"],
        block_auto_adjust_ff_dim=False,
    ),
    "mamba": lambda: hf.MambaConfig(**_SHAPE, state_size=8),
    "mamba2": lambda: hf.Mamba2Config(
        **_SHAPE, state_size=8, head_dim=8, num_heads=8, n_groups=1, chunk_size=16
    ),
}

FAMILIES = tuple(_CONFIGS)

_CONFIGS |= {
    "rwkv": lambda: hf.RwkvConfig(
        vocab_size=ROWS,
        hidden_size=32,
        num_hidden_layers=2,
        attention_hidden_size=32,
        context_length=CONTEXT,
    ),
    "recurrent_gemma": lambda: hf.RecurrentGemmaConfig(
        **{**_ATTENTION, "num_hidden_layers": 3}, attention_window_size=WINDOW, lru_width=32
    ),
}
_CONFIGS |= {
    "qwen3": lambda: hf.Qwen3Config(**_ATTENTION),
    "falcon_h1": lambda: hf.FalconH1Config(
        **_ATTENTION,
        mamba_d_ssm=64,
        mamba_n_heads=8,
        mamba_d_head=8,
        mamba_d_state=8,
        mamba_chunk_size=16,
    ),
    "nemotron_h": lambda: hf.NemotronHConfig(
        **{**_ATTENTION, "num_hidden_layers": 3},
        layers_block_type=["mamba", "attention", "mamba"],
        ssm_state_size=8,
        mamba_num_heads=8,
        mamba_head_dim=8,
        n_groups=1,
        chunk_size=16,
    ),
    "roberta": lambda: hf.RobertaConfig(
        **{**_ATTENTION, "max_position_embeddings": CONTEXT + 1}, is_decoder=True
    ),
    "cpmant": lambda: hf.CpmAntConfig(
        vocab_size=ROWS,
        hidden_size=32,
        num_attention_heads=4,
        dim_head=8,
        dim_ff=48,
        num_hidden_layers=2,
        prompt_length=4,
    ),
    "reformer": lambda: hf.ReformerConfig(
        vocab_size=ROWS,
        hidden_size=32,
        num_attention_heads=4,
        attention_head_size=8,
        feed_forward_size=48,
        attn_layers=["local", "lsh"],
        axial_pos_embds_dim=[16, 16],
        axial_pos_shape=[16, 32],
        max_position_embeddings=CONTEXT,
        is_decoder=True,
    ),
    "olmoe": lambda: hf.OlmoeConfig(**_MOE),
    "gpt_oss": lambda: hf.GptOssConfig(
        **_ATTENTION,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=WINDOW,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    ),
    "dbrx": lambda: hf.DbrxConfig(
        vocab_size=ROWS,
        d_model=32,
        n_heads=4,
        n_layers=2,
        max_seq_len=CONTEXT,
        attn_config={"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 10_000.0},
        ffn_config={"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    ),
    "deepseek_v3": lambda: _deepseek(groups=1),
    "deepseek_v3_groups": lambda: _deepseek(groups=4),
}
_CONFIGS |= {
    "gemma2": lambda: hf.Gemma2Config(
        **_ATTENTION,
        sliding_window=WINDOW,
        final_logit_softcapping=3.0,
        attn_logit_softcapping=5.0,
        query_pre_attn_scalar=8,
    ),
    "granite": lambda: hf.GraniteConfig(
        **_ATTENTION,
        embedding_multiplier=6.0,
        residual_multiplier=0.22,
        attention_multiplier=0.2,
        logits_scaling=8.0,
    ),
    "cohere": lambda: hf.CohereConfig(**_ATTENTION, logit_scale=0.25),
    "olmo2": lambda: hf.Olmo2Config(**_ATTENTION),
    "phi": lambda: hf.PhiConfig(**{**_ATTENTION, "num_key_value_heads": 4}),
    "gpt_neox": lambda: hf.GPTNeoXConfig(**_ATTENTION),
    "gptj": lambda: hf.GPTJConfig(
        vocab_size=ROWS,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=CONTEXT,
        rotary_dim=4,
        bos_token_id=0,
        eos_token_id=EOS,
    ),
    "falcon": lambda: hf.FalconConfig(**_SHAPE, num_attention_heads=4, ffn_hidden_size=48),
    "bloom": lambda: hf.BloomConfig(
        vocab_size=ROWS, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=EOS
    ),
    "opt": lambda: hf.OPTConfig(**_ATTENTION, ffn_dim=48, word_embed_proj_dim=32),
}
STREAMS = (
    *("llama", "gpt2", "qwen2", "qwen3_moe", "mixtral", "gemma3", "mistral", "deepseek_v3"),
    *("gpt_oss", "gemma2", "granite", "cohere", "olmo2", "phi", "gpt_neox", "gptj", "falcon"),
    *("bloom", "opt", "qwen3_next", "lfm2", "mamba", "mamba2", "falcon_h1", "nemotron_h", "dbrx"),
)
"""Families whose layers only add to a residual stream."""


def _deepseek(groups: int) -> PreTrainedConfig:
    return hf.DeepseekV3Config(
        **{**_ATTENTION, "num_key_value_heads": 4},
        moe_intermediate_size=24,
        n_routed_experts=8,
        num_experts_per_tok=2,
        n_group=groups,
        topk_group=max(1, groups // 2),
        q_lora_rank=16,
        kv_lora_rank=16,
        qk_rope_head_dim=8,
        qk_nope_head_dim=8,
        v_head_dim=8,
        first_k_dense_replace=1,
    )


BORDER = 40
"""Length after which the families below turn their positions by other frequencies."""
_LONG = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [1.0, 2.0, 4.0, 8.0],
    "original_max_position_embeddings": BORDER,
}
_CONFIGS |= {
    "phi3_longrope": lambda: hf.Phi3Config(
        **_ATTENTION, original_max_position_embeddings=BORDER, rope_parameters=_LONG
    ),
    "llama_longrope": lambda: hf.LlamaConfig(**_ATTENTION, rope_parameters=_LONG),
    "gemma3_longrope": lambda: hf.Gemma3TextConfig(
        **{**_ATTENTION, "num_hidden_layers": 3},
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            "full_attention": _LONG,
        },
    ),
    "phimoe_longrope": lambda: hf.PhimoeConfig(
        **_ATTENTION,
        num_local_experts=4,
        rope_parameters={**_LONG, "short_mscale": 1.1, "long_mscale": 1.4},
    ),
    "llama_dynamic": lambda: hf.LlamaConfig(
        **{**_ATTENTION, "max_position_embeddings": BORDER},
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0},
    ),
    "gemma3_dynamic": lambda: hf.Gemma3TextConfig(
        **{**_ATTENTION, "num_hidden_layers": 3, "max_position_embeddings": BORDER},
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            "full_attention": {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0},
        },
    ),
}
LONGROPE = ("phi3_longrope", "llama_longrope", "gemma3_longrope", "phimoe_longrope")
DYNAMIC = ("llama_dynamic", "gemma3_dynamic")

SPARSE = ("mixtral", "qwen3_moe", "olmoe", "gpt_oss", "deepseek_v3")
"""Mixtures of experts whose routers go by their logits alone."""

FURTHER = ("qwen3", "deepseek_v3", "gpt_oss", "falcon_h1", "nemotron_h", "roberta")
"""Families that are held against the truth and have no tests of their own beside."""
UNFORKABLE = ("rwkv", "recurrent_gemma")
"""Families whose state cannot be forked from outside."""
CROPPABLE = ("llama", "gpt2", "qwen2", "qwen3_moe", "mixtral", "gemma3", "mistral")
RECURRENT = ("qwen3_next", "lfm2", "mamba", "mamba2")


def tolerance(family: str) -> float:
    """Largest difference of a logprob from a plain full pass; gated-delta has its own noise."""
    return 5e-3 if family == "qwen3_next" else 1e-4


def model(family: str, seed: int = 0) -> PreTrainedModel:
    """A random model in f32 on the CPU."""
    config = _CONFIGS[family]()
    return spread(lambda: hf.AutoModelForCausalLM.from_config(config, dtype=torch.float32), seed)


def uneven(family: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A random model whose norms' gains and whose biases are random too."""
    made = model(family, seed)
    for name, parameter in made.named_parameters():
        if parameter.ndim == 1 and "A_log" not in name:
            parameter += 0.2 * torch.randn_like(parameter)
    return made.to(dtype)


def spread(make: Callable[[], PreTrainedModel], seed: int = 0) -> PreTrainedModel:
    """A new model with matrices wide enough for logits of standard deviation near 2."""
    torch.manual_seed(seed)
    made = make()
    made.eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if parameter.ndim > 1 and "A_log" not in name:
            torch.nn.init.normal_(parameter, std=0.25)
    head = made.get_output_embeddings().weight
    ids = torch.randint(0, ROWS, (1, 32))
    head *= 2.0 / made(input_ids=ids).logits.std()
    spread = made(input_ids=ids).logits.std().item()
    if getattr(made.config, "tie_word_embeddings", False) and not 1.5 < spread < 3:
        made.lm_head.weight = torch.nn.Parameter(head.clone(), requires_grad=False)
    return made


def loaded(made: PreTrainedModel, **changes: object) -> Loaded:
    """What `loading.load` would say of a model; token ids stand for one printable byte each."""
    facts: dict[str, object] = {
        "model": made,
        "tokenizer": None,
        "vocabulary": Vocabulary.pack([bytes([32 + i]) for i in range(ROWS - 1)], (), ROWS),
        "name": "tiny",
        "source": "memory",
        "revision": "",
        "family": type(made).__name__,
        "dtype": "float32",
        "device": "cpu",
        "context": CONTEXT,
        "parameters": made.num_parameters(),
        "layers": 2,
        "heads": 4,
        "hidden": 32,
        "rows": ROWS,
        "bos_id": 0,
        "eos_ids": (EOS,),
        "chat_template": False,
        "suggested": None,
        "weight_bytes": made.num_parameters() * 4,
        "seconds": 0.0,
        "notices": (),
        "config_hash": "",
    }
    return Loaded(**{**facts, **changes})  # type: ignore[arg-type]
