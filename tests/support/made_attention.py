"""Models whose weights are set by hand, so that it is known which earlier tokens decide."""

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from support.families import EOS, ROWS

PLACES = 64
"""Positions that they have."""
_STRENGTH = 12.0


@torch.no_grad()
def marker_model(says: Mapping[int, int]) -> GPT2LMHeadModel:
    """One layer that looks at a marker where there is one before, else at all tokens alike.

    Args:
        says: the token that is predicted where a marker is seen, by marker.
    """
    made = _empty(layers=1, width=ROWS)
    _, key, value = _projections(made, 0)
    made.transformer.h[0].attn.c_attn.bias[0] = _STRENGTH  # every query asks for a marker
    value += torch.randn(ROWS, ROWS) * 0.02  # what all other tokens say
    for marker, said in says.items():
        key[marker, 0] = _STRENGTH
        value[marker, said] = 3.0
    return made


@torch.no_grad()
def induction_model() -> GPT2LMHeadModel:
    """Says again what came after the last token when it was there before (an induction head: Elhage
    et al., "A Mathematical Framework for Transformer Circuits", 2021): the first layer brings to
    each token the one before it, the second looks for one that has had the last token before it."""
    made = _empty(layers=2, width=2 * ROWS + PLACES)
    token, before, place = slice(0, ROWS), slice(ROWS, 2 * ROWS), slice(2 * ROWS, None)
    made.transformer.wpe.weight[:, place] = torch.eye(PLACES)
    query, key, value = _projections(made, 0)
    query[place, place] = torch.eye(PLACES).roll(-1, 1) * _STRENGTH  # of the place before
    key[place, place] = torch.eye(PLACES)
    value[token, before] = torch.eye(ROWS) * 0.1
    query, key, value = _projections(made, 1)
    query[token, token] = torch.eye(ROWS) * _STRENGTH
    key[before, token] = torch.eye(ROWS)
    value[token, token] = torch.eye(ROWS)
    return made


def _empty(layers: int, width: int) -> GPT2LMHeadModel:
    """A model with one head a layer that does nothing but say each token again."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=ROWS, n_embd=width, n_layer=layers, n_head=1, n_positions=PLACES,
        bos_token_id=0, eos_token_id=EOS, tie_word_embeddings=False,
    )  # fmt: skip
    made = GPT2LMHeadModel(config).eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if "ln_" not in name:
            parameter.zero_()
    made.transformer.wte.weight[:, :ROWS] = torch.eye(ROWS)
    made.lm_head.weight[:, :ROWS] = torch.eye(ROWS)
    for block in made.transformer.h:
        block.attn.c_proj.weight.copy_(torch.eye(width))
    return made


def _projections(made: GPT2LMHeadModel, layer: int) -> tuple[Tensor, Tensor, Tensor]:
    """Views of a layer's query, key and value matrices, [width, width] each."""
    query, key, value = made.transformer.h[layer].attn.c_attn.weight.split(made.config.n_embd, 1)
    return query, key, value
