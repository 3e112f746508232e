"""The sums behind logits: what they add up, and what becomes of a pass that adds otherwise."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from tokexplore.models.bench import LayerSpread, Split, Summands
from tokexplore.models.engine.decode import Forward
from tokexplore.models.engine.summary import candidates
from tokexplore.models.errors import UsageError


def summands(forward: Forward, ids: Sequence[int]) -> Summands:
    """What the first two logits after a path are the sums of; see `Bench.summands`."""
    head = forward.model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        raise UsageError("this model's output embedding is no plain matrix: its sums are not told.")
    held: dict[str, torch.Tensor] = {}

    def hold(_module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        held["hidden"], held["head"] = inputs[0][0, -1], output[0, -1]  # [H], [V]

    handle = head.register_forward_hook(hold)
    try:
        logits = forward(ids, 0, None)[0]  # [V]
    finally:
        handle.remove()
    first, second = (int(token) for token in candidates(logits.numpy(), 2)[0])
    rows = [first, second]
    bias = [0.0, 0.0] if head.bias is None else head.bias[rows].float().tolist()
    return Summands(
        tokens=(first, second),
        hidden=held["hidden"].to("cpu", torch.float32).numpy().tobytes(),
        weights=head.weight[rows].detach().to("cpu", torch.float32).numpy().tobytes(),
        bias=(bias[0], bias[1]),
        head=(held["head"][first].item(), held["head"][second].item()),
        logits=(logits[first].item(), logits[second].item()),
    )


def split(forward: Forward, ids: Sequence[int], blocks: Sequence[int]) -> Iterator[Split]:
    """Passes whose linear layers add up in blocks, against the plain one; see `Bench.split`."""
    plain = forward.hidden(ids)
    names = ["embedding", *(f"layer {n}" for n in range(1, len(plain) - 1)), "logits"]
    for count in blocks:
        with _split_sums(forward.model, count):
            other = forward.hidden(ids)
        spreads = map(_spread, names, plain, other)
        yield Split(count, tuple(spreads))


def _spread(name: str, plain: torch.Tensor, other: torch.Tensor) -> LayerSpread:
    """How far an output [n, width] is from the plain one."""
    finite = torch.isfinite(plain)
    difference, size = (other - plain)[finite].double(), plain[finite].double()
    relative = difference.square().mean().sqrt() / size.square().mean().sqrt().clamp(min=1e-30)
    return LayerSpread(name, difference.abs().max().item(), relative.item())


@contextmanager
def _split_sums(model: nn.Module, blocks: int) -> Iterator[None]:
    """Let every linear layer add up its inputs in blocks; one block leaves them as they are."""
    changed: list[Any] = []
    if blocks > 1:
        changed = [m for m in model.modules() if isinstance(m, nn.Linear | Conv1D)]
    for module in changed:
        module.forward = partial(_in_blocks, module, blocks)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _in_blocks(module: nn.Linear | Conv1D, blocks: int, inputs: torch.Tensor) -> torch.Tensor:
    """The layer's output for inputs of shape [..., in]: partial sums in f32, added in order."""
    weight = module.weight if isinstance(module, nn.Linear) else module.weight.T  # [out, in]
    total = torch.zeros((), device=inputs.device)
    for part, rows in zip(
        inputs.float().tensor_split(blocks, -1), weight.tensor_split(blocks, -1), strict=True
    ):
        total = total + part @ rows.float().T  # [..., out]
    if module.bias is not None:
        total = total + module.bias.float()
    return total.to(inputs.dtype)
