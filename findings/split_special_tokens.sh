#!/bin/sh
# split_special_tokens=True in transformers does not spell every control token out.
#
# Versions: transformers 5.23.0, tokenizers 0.23.3, Python 3.11.
#
# It is the documented way to read the name of a control token in a user's text as characters. It
# holds for added tokens whose `special` flag is set. Tokens such as <think> and <tool_call> are
# added with special=False in published reasoning models, and stay one token each.
#
# Seen:
#    <|im_end|> (special=True):  [256] -> 10 tokens
#    <think>    (special=False): [257] -> [257]
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3
"$dir/venv/bin/python" - <<'PY'
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
backend = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
backend.add_special_tokens(["<|im_end|>"])
backend.add_tokens([AddedToken("<think>", special=False, normalized=False)])
tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)


def ids(text, **how):
    return tokenizer(text, add_special_tokens=False, **how)["input_ids"]


special = ids("<|im_end|>"), ids("<|im_end|>", split_special_tokens=True)
ordinary = ids("<think>"), ids("<think>", split_special_tokens=True)
print(f"<|im_end|> (special=True):  {special[0]} -> {len(special[1])} tokens")
print(f"<think>    (special=False): {ordinary[0]} -> {ordinary[1]}")
assert special[0] == [256] and len(special[1]) == len("<|im_end|>")
assert ordinary == ([257], [257])
PY
