"""A random Llama in memory: 5.6 M parameters, the shape of the embedded model."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tokexplore.models.engine.loading.opening import Loaded
from tokexplore.models.tokens import Vocabulary


def random_llama(vocabulary: int = 4096, context: int = 8192) -> Loaded:
    """A Llama of 6 layers of width 256 with matrices scaled so that its logits vary."""
    torch.manual_seed(0)
    config = LlamaConfig(
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
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    parameters = model.num_parameters()
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
        context=context,
        parameters=parameters,
        layers=6,
        heads=4,
        hidden=256,
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
