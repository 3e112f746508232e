"""Where in a pass numbers end: the first module that gives NaN or infinity."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.errors import ModelError


def check_logits(forward: Forward, ids: Sequence[int], logits: torch.Tensor) -> None:
    """Refuse a model whose pass gives no numbers though all of its weights are.

    Args:
        ids: what the pass was over.
        logits: its logits, [n, V]. Some may be -inf: of tokens that are never to be said.

    Raises:
        ModelError: naming the module where it begins.
    """
    if not bool((logits.isnan() | (logits == torch.inf)).any()):
        return
    dtype = str(forward.model.dtype).removeprefix("torch.")
    advice = (
        "its weights are broken"
        if forward.model.dtype == torch.float32
        else f"{dtype} is too coarse for it (--dtype float32 is not)"
    )
    raise ModelError(
        f"{type(forward.model).__name__} computes no numbers: {_first(forward, ids)} is the first "
        f"of its modules that gives NaN or infinity, so {advice}."
    )


def _first(forward: Forward, ids: Sequence[int]) -> str:
    """The first module of a pass whose output is not finite; parts come before the whole."""
    found: list[str] = []
    with ExitStack() as stack:
        for name, module in forward.model.named_modules():

            def look(_module: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                outputs = output if isinstance(output, tuple | list) else [output]
                tensors = [t for t in outputs if isinstance(t, torch.Tensor)]
                floating = [t for t in tensors if t.is_floating_point()]
                if not found and not all(bool(t.isfinite().all()) for t in floating):
                    found.append(name)

            stack.callback(module.register_forward_hook(look).remove)
        forward.plain(ids)
    return found[0] if found and found[0] else "the model"
