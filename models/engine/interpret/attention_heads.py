"""What each head of an attention block adds, through the block's own output projection.

Nothing is known of a family. The heads are seen where the tensor [..., heads, width] that holds
their outputs is made flat; the projection is the outermost module with matrices after it that
takes a tensor of that width and gives a state. What follows it (a multiplier, a norm) is held as it
was.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tokexplore.models.engine.interpret.block_kinds import has_matrices
from tokexplore.models.engine.interpret.frozen_norm import FrozenNorm, frozen
from tokexplore.models.errors import UsageError

_REST = 1e-5
"""Share of a block's largest output that its heads may leave out in float32."""


class Heads(NamedTuple):
    """An attention block's contribution [H] in its parts, f64 on the CPU."""

    each: torch.Tensor
    """Shape [heads, H]."""
    bias: torch.Tensor
    """What the projection and a norm after it add by themselves, shape [H]."""
    rest: torch.Tensor
    """What rounding left out, shape [H]; 0 in float32."""


class HeadsHeard:
    """Hears passes for the heads of some layers; only the last pass counts.

    Args:
        wanted: numbers of layers, from 1.
    """

    def __init__(self, layers: Sequence[nn.Module], wanted: Sequence[int]) -> None:
        self._layers = {number: layers[number - 1] for number in wanted}
        self._watch = _Watch()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear all passes."""
        with ExitStack() as stack:
            for number, layer in self._layers.items():
                for name, module in layer.named_modules():
                    for handle in self._watch.hooks(number, name, module):
                        stack.callback(handle.remove)
            if self._layers:
                stack.enter_context(self._watch)
            yield

    def heads(self, number: int, block: str, value: torch.Tensor) -> Heads:
        """The parts of what an attention block added.

        Args:
            number: of the layer.
            block: its path in the layer.
            value: the contribution, f64 on the CPU, shape [H].

        Raises:
            UsageError: its heads are not found, or do not add up to it.
        """
        heard = self._watch.layers[number]
        kind = type(self._layers[number].get_submodule(block)).__name__
        where = f"{block} of layer {number} ({kind})"
        projection = _projection(heard, block, len(value))
        if projection is None:
            raise UsageError(f"{where} has no heads that are put together by one projection.")
        call, count = projection
        width = call.inputs.numel()
        masks = torch.eye(count, device=call.inputs.device, dtype=call.inputs.dtype)
        masks = masks.repeat_interleave(width // count, 1)  # [heads, width]
        rows = torch.cat([masks * call.inputs, torch.zeros_like(masks[:1])])
        made = _exact(_on_rows(call.module)(rows))  # [heads + 1, H]
        each, bias = made[:-1] - made[-1], made[-1]  # [heads, H], [H]
        factor = _factor(call.output, value)
        if factor is None:
            norm, factor = _after_norm(heard, call, value, where)
            each, bias = norm(each), norm(bias) + norm.bias
        each, bias = each * factor, bias * factor
        rest = value - each.sum(0) - bias
        eps = torch.finfo(call.output.dtype).eps
        allowed = max(_REST, (count + 4) * eps) * max(
            part.abs().max().item() for part in (value, each, bias)
        )
        if not rest.abs().max().item() <= allowed:
            raise UsageError(
                f"the heads of {where} do not add up to what it adds: they are not told."
            )
        return Heads(each, bias, rest)


@dataclass
class _Call:
    """One call of a module: its input and output at the last place."""

    path: str
    module: nn.Module
    began: int
    inputs: torch.Tensor
    alone: bool
    """Whether it takes that one tensor and no more."""
    ended: int = 0
    output: torch.Tensor = field(default_factory=lambda: torch.empty(0))


class _Flattened(NamedTuple):
    """A tensor [..., heads, width] was made [..., heads * width]."""

    at: int
    heads: int
    size: int


@dataclass
class _Layer:
    """What was heard of a layer in the last pass, in order."""

    calls: list[_Call] = field(default_factory=list)
    flattened: list[_Flattened] = field(default_factory=list)
    open: list[_Call] = field(default_factory=list)
    clock: int = 0

    def tick(self) -> int:
        self.clock += 1
        return self.clock


class _Watch(TorchFunctionMode):
    """Sees heads put together in the layer that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: dict[int, _Layer] = {}
        self._running: _Layer | None = None

    def hooks(self, number: int, path: str, module: nn.Module) -> Iterator[Any]:
        """The hooks by which a module in a layer is heard; the layer itself has no path."""

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not path:
                self._running = self.layers[number] = _Layer()
            if layer := self._running:
                tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
                row = _row(tensors[0]).clone() if tensors else torch.empty(0)
                alone = len(args) + len(kwargs) == len(tensors) == 1
                layer.open.append(_Call(path, module, layer.tick(), row, alone))

        def after(_module: nn.Module, _args: Any, output: Any) -> None:
            if layer := self._running:
                call = layer.open.pop()
                first = output[0] if isinstance(output, tuple | list) else output
                call.output, call.ended = _row(first).clone(), layer.tick()
                layer.calls.append(call)
            if not path:
                self._running = None

        yield module.register_forward_pre_hook(before, with_kwargs=True)
        yield module.register_forward_hook(after)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        layer = self._running
        if layer and args and _puts_together(args[0], result):
            shape = args[0].shape
            layer.flattened.append(_Flattened(layer.tick(), shape[-2], result.shape[-1]))
        return result


def _puts_together(given: Any, made: Any) -> bool:
    return (
        isinstance(given, torch.Tensor)
        and isinstance(made, torch.Tensor)
        and 1 < made.ndim < given.ndim
        and made.numel() == given.numel()
        and given.shape[-2] > 1
        and given.shape[-2] * given.shape[-1] == made.shape[-1]
    )


def _projection(heard: _Layer, block: str, size: int) -> tuple[_Call, int] | None:
    """The call that put heads together to a state, and how many heads."""
    inside = [
        call
        for call in sorted(heard.calls, key=lambda call: call.began)
        if f"{call.path}.".startswith(f"{block}.") and call.alone and has_matrices(call.module)
    ]
    found = None
    for seen in heard.flattened:
        fitting = [
            call
            for call in inside
            if call.began > seen.at
            and (call.inputs.numel(), call.output.numel()) == (seen.size, size)
        ]
        outermost = [
            call for call in fitting if not any(o.began < call.began < o.ended for o in fitting)
        ]
        if outermost:
            found = outermost[-1], seen.heads
    return found


def _factor(output: torch.Tensor, value: torch.Tensor) -> float | None:
    """What an output was multiplied by to give a contribution [H]; None where that is not all."""
    if output.numel() != len(value):
        return None
    exact = _exact(output)
    factor = ((exact * value).sum() / exact.square().sum().clamp(min=1e-300)).item()
    apart = (factor * exact - value).abs().max().item()
    allowed = max(_REST, torch.finfo(output.dtype).eps) * value.abs().max().item()
    return factor if apart <= allowed else None


def _after_norm(
    heard: _Layer, projection: _Call, value: torch.Tensor, where: str
) -> tuple[FrozenNorm, float]:
    """The norm between a projection and the sum, and what its output was multiplied by."""
    for call in heard.calls:
        after = call.alone and call.began > projection.ended
        follows = after and torch.equal(call.inputs, projection.output)
        factor = _factor(call.output, value) if follows else None
        if factor is not None:
            what = f"what follows the projection of {where}"
            return frozen(_on_rows(call.module), call.inputs, call.output, what), factor
    raise UsageError(f"what {where} adds is more than its heads' projection: they are not told.")


def _on_rows(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """A module on states [k, H], each by itself."""
    return lambda rows: module(rows[:, None])[:, 0]


def _row(state: torch.Tensor) -> torch.Tensor:
    """Its last place, flat."""
    return state[(-1,) * (state.ndim - 1)] if state.ndim else state[None]


def _exact(state: torch.Tensor) -> torch.Tensor:
    return state.to("cpu", torch.float64)
