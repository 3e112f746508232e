"""Tokens that later ones cannot see: a model's own attention masks, with columns taken out.

Each model asks transformers' mask functions for the masks of its kernels: causal ones, sliding
windows, chunks, padding. What they make while tokens are hidden is what they make else and less, so
that all of it stays as it was. A model that asks for no mask is not reached.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import torch
from transformers.masking_utils import (
    ALL_MASK_ATTENTION_FUNCTIONS,
    AttentionMaskInterface,
    and_masks,
)

KERNELS = ("sdpa", "eager")
"""Attention kernels whose masks tell each pair of tokens apart."""

_MaskMaker = Callable[..., torch.Tensor | None]
_VISIBLE: ContextVar[Callable[..., torch.Tensor] | None] = ContextVar("visible", default=None)
"""What narrows the masks of the pass that runs in this thread: a mask function of transformers,
which takes the indices of row, head, query and key."""


@contextmanager
def hiding(stretches: Sequence[range], length: int) -> Iterator[None]:
    """Let the tokens of a stretch, another one in each row of the passes in here, be seen by none
    but themselves, in every layer and head.

    Args:
        length: tokens of each row, those in its cache included.
    """
    hidden = torch.zeros(len(stretches), length, dtype=torch.bool)
    for row, stretch in zip(hidden, stretches, strict=True):
        row[stretch.start : stretch.stop] = True

    def visible(
        row: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor
    ) -> torch.Tensor:
        return ~hidden.to(key.device)[row, key] | (query == key)

    token = _VISIBLE.set(visible)
    try:
        yield
    finally:
        _VISIBLE.reset(token)


def _narrowed(make: _MaskMaker) -> _MaskMaker:
    """A mask function of transformers that leaves out what is hidden."""

    @wraps(make)
    def narrowed(*args: Any, **named: Any) -> torch.Tensor | None:
        visible = _VISIBLE.get()
        if visible is None:
            return make(*args, **named)
        named["mask_function"] = and_masks(named["mask_function"], visible)
        named["allow_is_causal_skip"] = False
        return make(*args, **named)

    return narrowed


for _kernel in KERNELS:
    AttentionMaskInterface.register(_kernel, _narrowed(ALL_MASK_ATTENTION_FUNCTIONS[_kernel]))
