"""The sums behind logits: what they add up, and what becomes of a pass that adds otherwise."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from accelerate.utils import align_module_device
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from tokexplore.models.api.instruments import LayerSpread, Split, Summands
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.logits_row import candidates
from tokexplore.models.errors import UsageError


def summands(forward: Forward, ids: Sequence[int]) -> Summands:
    """What the first two logits after a path are the sums of; see `Bench.summands`."""
    head = forward.model.get_output_embeddings()
    if type(head) is not nn.Linear:
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
    with align_module_device(head):  # weights that are offloaded are here only inside
        weights = head.weight[rows].detach().to("cpu", torch.float32)  # [2, H]
        bias = [0.0, 0.0] if head.bias is None else head.bias[rows].float().tolist()
    return Summands(
        tokens=(first, second),
        hidden=held["hidden"].to("cpu", torch.float32).numpy().tobytes(),
        weights=weights.numpy().tobytes(),
        bias=(bias[0], bias[1]),
        head=(held["head"][first].item(), held["head"][second].item()),
        logits=(logits[first].item(), logits[second].item()),
    )


def split(forward: Forward, ids: Sequence[int], blocks: Iterable[int]) -> Iterator[Split]:
    """Passes whose linear layers add up in blocks, against one block; see `Bench.split`."""
    whole = _pass(forward, ids, 1).outputs
    for count in (None, *blocks):
        result = _pass(forward, ids, count)
        spreads = (_spread(name, whole[name], other) for name, other in result.outputs.items())
        yield Split(count, result.matrices, tuple(spreads))


class _Pass(NamedTuple):
    """What one forward pass gave."""

    outputs: dict[str, torch.Tensor]
    """Of every layer and the logits: f32 on the CPU, [n, width] each."""
    matrices: int
    """Multiplications by a weight matrix that added up in blocks."""


def _pass(forward: Forward, ids: Sequence[int], blocks: int | None) -> _Pass:
    """A pass over a path; None leaves the sums to the model's kernels."""
    outputs: dict[str, torch.Tensor] = {}

    def holding(name: str) -> Callable[..., None]:
        def hold(_module: nn.Module, _inputs: Any, output: Any) -> None:
            hidden = output if isinstance(output, torch.Tensor) else output[0]  # [1, n, H]
            outputs[name] = hidden[0].to("cpu", torch.float32, copy=True)

        return hold

    with ExitStack() as stack:
        for number, layer in enumerate(layers(forward.model), 1):
            handle = layer.register_forward_hook(holding(f"layer {number}"))
            stack.callback(handle.remove)
        mode = stack.enter_context(_InBlocks(blocks)) if blocks else None
        outputs["logits"] = forward(ids, 0, None, len(ids))  # [n, V]
    return _Pass(outputs, mode.matrices if mode else 0)


def layers(model: PreTrainedModel) -> Iterable[nn.Module]:
    """The decoder's layers in their order; none where the model keeps them in no list."""
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    lists = (m for m in model.get_decoder().modules() if isinstance(m, nn.ModuleList))
    return next((found for found in lists if len(found) == count), ())


def _spread(name: str, whole: torch.Tensor, other: torch.Tensor) -> LayerSpread:
    """How far an output [n, width] is from that of the unsplit pass."""
    finite = torch.isfinite(whole)
    difference, size = (other - whole)[finite].double(), whole[finite].double()
    relative = difference.square().mean().sqrt() / size.square().mean().sqrt().clamp(min=1e-30)
    return LayerSpread(name, difference.abs().max().item(), relative.item())


class _InBlocks(TorchFunctionMode):
    """Lets every multiplication by a weight matrix add up in blocks while it is entered.

    It stands between the modules and torch, so that modules which something else has wrapped
    (weights that are offloaded, routers, GPT-2's Conv1D) take part and none is changed.
    """

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self._blocks = blocks
        self.matrices = 0
        """How many there were."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is functional.linear and not kwargs:
            inputs, weight, bias = (*args, None)[:3]
        elif func is torch.addmm and not kwargs:
            bias, inputs, weight = args[0], args[1], args[2].T
        else:
            return func(*args, **(kwargs or {}))
        self.matrices += 1
        return _in_blocks(inputs, weight, bias, self._blocks)


def _in_blocks(
    inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, blocks: int
) -> torch.Tensor:
    """inputs [..., in] times weight [out, in]: f32 partial sums, added in order, rounded once."""
    parts = zip(
        inputs.float().tensor_split(blocks, -1), weight.tensor_split(blocks, -1), strict=True
    )
    total = torch.zeros((), device=inputs.device)
    for part, rows in parts:
        total = total + part @ rows.float().T  # [..., out]
    if bias is not None:
        total = total + bias.float()
    return total.to(inputs.dtype)
