"""What the blocks of a layer are."""

import inspect
from collections.abc import Sequence

from torch import nn

from tokexplore.models.api.interpreter import PartKind

_CARRIES = ("cache", "past", "state")
"""What is in the names of the arguments by which a block is given what came before."""


def kind_of(blocks: Sequence[nn.Module]) -> PartKind:
    """The kind of what blocks of one layer made together.

    Attention is what is called so in its class. An MLP sees one place at a time: nothing in it
    takes a cache.
    """
    kinds = {_kind(block) for block in blocks}
    alone = len(blocks) == 1 or kinds == {"mlp"}
    return kinds.pop() if alone and len(kinds) == 1 else "other"


def has_matrices(block: nn.Module) -> bool:
    """Whether a block is more than a norm or an activation."""
    return any(parameter.ndim > 1 for parameter in block.parameters())


def _kind(block: nn.Module) -> PartKind:
    if any(_is_attention(module) for module in block.modules()):
        return "attention"
    return "other" if any(_carries(module) for module in block.modules()) else "mlp"


def _is_attention(module: nn.Module) -> bool:
    name = type(module).__name__.lower()
    return "attention" in name or name.endswith("attn")


def _carries(module: nn.Module) -> bool:
    names = inspect.signature(type(module).forward).parameters
    return any(word in name.replace("hidden_states", "") for name in names for word in _CARRIES)
