#!/bin/sh
# Mamba-2 layers with a time step limit, in transformers: one pass and single steps differ.
#
# Versions: transformers 5.23.0, torch 2.13.0, Python 3.11, float32 on a CPU, no kernels.
#
# Where a layer scans (more than one token, or no cache), time steps are clamped to the model's
# time_step_limit; where it takes a single token on top of a cache, they are not. Nemotron-H and
# Zamba2 always have a limit (time_step_min); others have what their config says. Two tokens at a
# time on top of the same cache agree with one pass, single tokens drift away from it.
#
# Seen:
#    Nemotron-H, two tokens at a time: a logit is off by 3.8e-06 at most
#    Nemotron-H, single tokens:        a logit is off by 1.4e-02 at most
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
torch.manual_seed(0)
config = hf.NemotronHConfig(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
    layers_block_type=["mamba", "attention", "mamba"], num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, ssm_state_size=8, mamba_num_heads=8, mamba_head_dim=8,
    n_groups=1, chunk_size=16,
)
model = hf.NemotronHForCausalLM(config).eval().requires_grad_(False)
for name, parameter in model.named_parameters():
    if parameter.ndim > 1:
        torch.nn.init.normal_(parameter, std=0.25)
ids = torch.randint(1, 96, (1, 120))
whole = model(input_ids=ids, use_cache=False).logits[0]


def worst(count):
    """The largest difference of a logit when `count` tokens at a time follow a prompt of 20."""
    cache = hf.DynamicCache(config=config)
    model(input_ids=ids[:, :20], past_key_values=cache)
    found = 0.0
    for start in range(20, 120, count):
        positions = torch.arange(start, start + count)[None]
        logits = model(
            input_ids=ids[:, start : start + count], past_key_values=cache,
            position_ids=positions, attention_mask=torch.ones(1, start + count),
        ).logits[0]
        found = max(found, (logits - whole[start : start + count]).abs().max().item())
    return found


two, one = worst(2), worst(1)
print(f"Nemotron-H, two tokens at a time: a logit is off by {two:.1e} at most")
print(f"Nemotron-H, single tokens:        a logit is off by {one:.1e} at most")
assert two < 1e-4 and one > 1e-3
PY
