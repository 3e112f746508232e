"""Random Llamas in memory: of 5.6 M parameters, the shape of the embedded model, and of 135 M."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tokexplore.models.engine.loading.opening import Loaded
from tokexplore.models.tokens import Vocabulary


def random_llama(vocabulary: int = 4096, context: int = 8192) -> Loaded:
    """A Llama of 6 layers of width 256."""
    return _loaded(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=256,
            intermediate_size=688,
            num_hidden_layers=6,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=context,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=None,
            pad_token_id=0,
        )
    )


def llama_135m(context: int = 8192) -> Loaded:
    """A Llama of the shape of SmolLM2-135M: 30 layers of width 576, 9 heads on 3 of keys."""
    return _loaded(
        LlamaConfig(
            vocab_size=49_152,
            hidden_size=576,
            intermediate_size=1536,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            max_position_embeddings=context,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=None,
            pad_token_id=0,
        )
    )


def _loaded(config: LlamaConfig) -> Loaded:
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    parameters, vocabulary = model.num_parameters(), config.vocab_size
    return Loaded(
        model=model,
        tokenizer=None,  # type: ignore[arg-type]  # token ids only
        vocabulary=Vocabulary.pack([f" {i}".encode() for i in range(vocabulary)], (), vocabulary),
        name="random",
        source="memory",
        revision="",
        family="LlamaForCausalLM",
        dtype="float32",
        device="cpu",
        context=config.max_position_embeddings,
        parameters=parameters,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        hidden=config.hidden_size,
        rows=vocabulary,
        bos_id=0,
        eos_ids=(),
        chat_template=False,
        suggested=None,
        weight_bytes=parameters * 4,
        seconds=0.0,
        notices=(),
        config_hash="",
    )
