"""What each layer adds to the residual stream, found by watching the additions of a pass.

Nothing is known of where a family adds. Under each layer every tensor of the state's shape that
torch adds up is followed: a sum of which a summand holds the state that the layer took is the new
state, and its other summands are contributions. A sum of two blocks' outputs that the layer itself
makes (parallel blocks) is followed into both. Each layer's sum is held against what it gave.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from tokexplore.models.engine.interpret.block_kinds import has_matrices
from tokexplore.models.engine.interpret.residual_stream import hidden_in, state_of
from tokexplore.models.engine.interpret.sum_watch import LayerHeard, SumWatch
from tokexplore.models.errors import UsageError

_REST = 1e-5
"""Share of the largest summand that additions in float32 may leave out."""


class Contribution(NamedTuple):
    """What one block of a layer added to the last place's state."""

    sources: tuple[str, ...]
    """Paths of the blocks that it went through in their layer, in the order in which they ran:
    those with matrices, so that norms and activations are none. Empty where there is none."""
    value: torch.Tensor
    """f64 on the CPU, shape [H]."""


class LayerSum(NamedTuple):
    """The last place's state after a layer: kept times the state before, contributions, rest."""

    kept: float
    contributions: tuple[Contribution, ...]
    """In the order in which their blocks ran."""
    rest: torch.Tensor
    """What rounding left out: f64 on the CPU, shape [H]."""


class Summed(NamedTuple):
    """All layers' sums in one pass."""

    embedding: torch.Tensor
    """The state before the first layer, f64 on the CPU, shape [H]."""
    layers: tuple[LayerSum, ...]
    last: torch.Tensor
    """The state after the last layer, as the model holds it, shape [H]."""


class Additions:
    """Hears passes; only the last one counts."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._layers = layers
        self._sums: dict[int, LayerHeard] = {}

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear all passes."""
        watch = SumWatch()

        def begin(_module: nn.Module, args: Any, kwargs: Any) -> None:
            watch.begin(hidden_in(args, kwargs))

        def end(place: int) -> Callable[..., None]:
            def hook(_module: nn.Module, _args: Any, output: Any) -> None:
                self._sums[place] = watch.end(state_of(output))

            return hook

        with ExitStack() as stack:
            for place, layer in enumerate(self._layers):
                # Entered first and left last: what children do between is seen.
                stack.callback(layer.register_forward_pre_hook(begin, with_kwargs=True).remove)
                for name, child in _children(layer):
                    stack.callback(
                        child.register_forward_pre_hook(
                            watch.entering(name), with_kwargs=True
                        ).remove
                    )
                    stack.callback(child.register_forward_hook(watch.leaving).remove)
                stack.callback(layer.register_forward_hook(end(place)).remove)
            stack.enter_context(watch)
            yield

    def summed(self) -> Summed:
        """What was heard last.

        Raises:
            UsageError: a layer did not only add to the state that it took.
        """
        heard = [self._sums[place] for place in range(len(self._layers))]
        sums = []
        for number, (layer, each) in enumerate(zip(self._layers, heard, strict=True), 1):
            if number < len(heard) and not torch.equal(each.after, heard[number].before):
                raise UsageError(f"layer {number + 1} does not take what the one before it gave.")
            sums.append(_checked(number, layer, each))
        return Summed(_exact(heard[0].before), tuple(sums), heard[-1].after)


def _children(layer: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The blocks of a layer by their paths; lists and dicts of modules are no blocks."""
    for name, child in layer.named_children():
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            for inner, module in _children(child):
                yield f"{name}.{inner}", module
        else:
            yield name, child


def _checked(number: int, layer: nn.Module, heard: LayerHeard) -> LayerSum:
    """A layer's sum, held against what it gave."""
    form = heard.form
    if form is None or not form.kept:
        raise UsageError(
            f"layer {number} ({type(layer).__name__}) does not only add to the state that it "
            "takes, it norms or changes it too: there is no residual stream to split."
        )
    before, after = _exact(heard.before), _exact(heard.after)
    matrices = [name for name in heard.blocks if has_matrices(layer.get_submodule(name))]
    found: dict[tuple[str, ...], torch.Tensor] = {}
    for term in form.terms:
        sources = tuple(name for name in matrices if name in term.through)
        value = term.factor * _exact(term.value)
        found[sources] = found.get(sources, torch.zeros_like(value)) + value
    rest = (
        after - form.kept * before - torch.stack([torch.zeros_like(before), *found.values()]).sum(0)
    )
    sizes = [before, after, *found.values()]
    allowed = max(value.abs().max().item() for value in sizes) * _share(heard.after.dtype)
    if not rest.abs().max().item() <= allowed:
        raise UsageError(
            f"what layer {number} ({type(layer).__name__}) adds to its state is not all found "
            f"({rest.abs().max().item():.2g} is missing): its parts would not add up."
        )
    first = {name: place for place, name in enumerate(matrices)}
    ordered = sorted(found, key=lambda sources: [first[name] for name in sources])
    contributions = tuple(Contribution(_own(sources, found), found[sources]) for sources in ordered)
    return LayerSum(form.kept, contributions, rest)


def _own(sources: tuple[str, ...], found: Collection[tuple[str, ...]]) -> tuple[str, ...]:
    """Without the blocks whose outputs were added before: it took what they gave."""
    return tuple(name for name in sources if sources == (name,) or (name,) not in found)


def _share(dtype: torch.dtype) -> float:
    return max(_REST, 2 * torch.finfo(dtype).eps)


def _exact(row: torch.Tensor) -> torch.Tensor:
    return row.to("cpu", torch.float64)
