#!/bin/sh
# Ropes whose frequencies depend on the length of a pass, in transformers.
#
# Versions: transformers 5.23.0, torch 2.13.0, Python 3.11, float32 on a CPU.
#
# 1. LongRoPE. Beyond original_max_position_embeddings a pass turns all of its positions by the long
#    factors. Keys that are in a KV cache by then were turned by the short ones and stay so. Phi3's
#    prepare_inputs_for_generation throws the cache away at that length; other classes with the same
#    rope, such as Llama's, do not, so that generate gives other tokens with a cache than without.
# 2. Dynamic NTK scaling. A rotary embedding keeps the frequencies of the longest pass that it saw
#    until a pass is shorter than max_position_embeddings: the logits of one and the same prompt
#    depend on what the model was run on before.
#
# Seen:
#    Phi3, longrope: generate with and without a cache: the same tokens
#    Phi3, longrope: forward on a cache across the border: a logit is off by 3.78
#    Llama, longrope: generate with and without a cache: part at token 41
#    Llama, dynamic: the same 60 tokens after a pass over 90: a logit is off by 1.19
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
"$dir/venv/bin/python" - <<'PY'
import torch
import transformers as hf

hf.logging.set_verbosity_error()
torch.set_num_threads(1)
BORDER = 40
SHAPE = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, pad_token_id=0,
)
LONG = dict(
    rope_type="longrope", rope_theta=10_000.0, original_max_position_embeddings=BORDER,
    short_factor=[1.0] * 4, long_factor=[1.0, 2.0, 4.0, 8.0], factor=4.0,
)
DYNAMIC = dict(rope_type="dynamic", rope_theta=10_000.0, factor=4.0)


def made(kind, **config):
    torch.manual_seed(0)
    model = kind(kind.config_class(**SHAPE, **config)).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    return model


def generated(model, ids, use_cache):
    return model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=60, do_sample=False,
        eos_token_id=None, use_cache=use_cache,
    )[0].tolist()


def after(model, ids):
    return model(input_ids=ids, use_cache=False).logits[0, -1]


ids = (torch.arange(90)[None] * 7 + 3) % 96
short = ids[:, :20]
phi = made(
    hf.Phi3ForCausalLM, max_position_embeddings=160, original_max_position_embeddings=BORDER,
    rope_parameters=LONG,
)
same = generated(phi, short, True) == generated(phi, short, False)
print("Phi3, longrope: generate with and without a cache:", "the same tokens" if same else "part")

cache = hf.DynamicCache(config=phi.config)
phi(input_ids=ids[:, :BORDER], past_key_values=cache)
on_cache = phi(
    input_ids=ids[:, BORDER : BORDER + 1], past_key_values=cache,
    position_ids=torch.tensor([[BORDER]]),
).logits[0, -1]
off = (on_cache - after(phi, ids[:, : BORDER + 1])).abs().max().item()
print(f"Phi3, longrope: forward on a cache across the border: a logit is off by {off:.2f}")

llama = made(hf.LlamaForCausalLM, max_position_embeddings=160, rope_parameters=LONG)
pairs = zip(generated(llama, short, True), generated(llama, short, False))
parts = next((at for at, (a, b) in enumerate(pairs) if a != b), None)
print("Llama, longrope: generate with and without a cache: part at token", parts)

llama = made(hf.LlamaForCausalLM, max_position_embeddings=BORDER, rope_parameters=DYNAMIC)
fresh = after(llama, ids[:, :60])
after(llama, ids)
moved = (after(llama, ids[:, :60]) - fresh).abs().max().item()
print(f"Llama, dynamic: the same 60 tokens after a pass over 90: a logit is off by {moved:.2f}")
assert same and off > 0.5 and parts is not None and parts > BORDER - 1 and moved > 0.1
PY
