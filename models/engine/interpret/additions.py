"""What each layer adds to the residual stream, found by watching the additions of a pass.

Nothing is known of where a family adds. Under each layer every tensor of the state's shape that
torch adds up is followed: a sum of which a summand holds the state that the layer took is the new
state, and its other summands are contributions. A sum of two blocks' outputs that the layer itself
makes (parallel blocks) is followed into both. Each layer's sum is held against what it gave.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tokexplore.models.engine.interpret.block_kinds import has_matrices
from tokexplore.models.engine.interpret.residual_stream import hidden_in, state_of
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
        self._sums: dict[int, _Heard] = {}

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear all passes."""
        watch = _Watch()

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


class _Term(NamedTuple):
    """A summand: its value at the last place, and the blocks that it went through."""

    factor: float
    value: torch.Tensor
    through: frozenset[str]


class _Form(NamedTuple):
    """A tensor as a sum: `kept` times the state that the layer took, and terms."""

    kept: float
    terms: tuple[_Term, ...]

    def times(self, factor: float) -> "_Form":
        terms = tuple(term._replace(factor=term.factor * factor) for term in self.terms)
        return _Form(self.kept * factor, terms)

    def plus(self, other: "_Form") -> "_Form":
        return _Form(self.kept + other.kept, (*self.terms, *other.terms))


class _Heard(NamedTuple):
    before: torch.Tensor
    after: torch.Tensor
    form: _Form | None
    blocks: tuple[str, ...]
    """In the order in which they ran."""


@dataclass
class _Tracked:
    """What is known of a tensor, which stays alive so that its id is no other's."""

    tensor: torch.Tensor
    form: _Form | None = None
    through: frozenset[str] = frozenset()


@dataclass
class _Running:
    """A layer that runs."""

    size: int
    """Elements of its state [1, n, H]."""
    width: int
    before: torch.Tensor
    known: dict[int, _Tracked] = field(default_factory=dict)
    blocks: dict[str, None] = field(default_factory=dict)
    """Those that ran, in that order."""
    inside: list[frozenset[str]] = field(default_factory=list)
    """Of the blocks that run: what each one's output went through."""

    def of(self, tensor: Any) -> _Tracked | None:
        return self.known.get(id(tensor))

    def is_state(self, value: Any) -> bool:
        return (
            isinstance(value, torch.Tensor)
            and value.ndim > 1  # a gain of one token's state has its size too
            and value.numel() == self.size
            and value.shape[-1:] == (self.width,)
        )

    def through(self, values: Any) -> frozenset[str]:
        """What the tensors among some arguments went through."""
        found = (self.of(value) for value in values)
        return frozenset().union(*(each.through for each in found if each))


class _Watch(TorchDispatchMode):
    """Follows the additions of the layer that runs."""

    def __init__(self) -> None:
        super().__init__()
        self._running: _Running | None = None

    def begin(self, hidden: torch.Tensor) -> None:
        """A layer takes a state [1, n, H]."""
        self._running = None
        running = _Running(hidden.numel(), hidden.shape[-1], _row(hidden).clone())
        running.known[id(hidden)] = _Tracked(hidden, _Form(1.0, ()))
        self._running = running

    def end(self, hidden: torch.Tensor) -> _Heard:
        """The layer gives a state [1, n, H]."""
        running, self._running = self._running, None
        assert running is not None
        tracked = running.of(hidden)
        form = tracked.form if tracked else None
        return _Heard(running.before, _row(hidden).clone(), form, tuple(running.blocks))

    def entering(self, name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: Any, kwargs: Any) -> None:
            if running := self._running:
                given = running.through((*args, *kwargs.values()))
                running.inside.append(given | {name})
                running.blocks[name] = None

        return hook

    def leaving(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if not (running := self._running):
            return
        through = running.inside.pop()
        for value in output if isinstance(output, tuple | list) else (output,):
            known = running.of(value)
            if isinstance(value, torch.Tensor) and not (known and known.form and known.form.kept):
                running.known[id(value)] = _Tracked(value, known.form if known else None, through)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not (running := self._running):
            return func(*args, **kwargs)
        form = _sum_of(running, func, args, kwargs)  # before it runs, which may be in place
        result = func(*args, **kwargs)
        unchanged = bool(args) and result is args[0] and not func._schema.is_mutable
        if isinstance(result, torch.Tensor) and not unchanged:
            _made(running, result, form, args)
        return result


def _sum_of(
    running: _Running, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _Form | None:
    """What an operation will give, where that is a sum which is to be followed."""
    name = func._schema.name.removeprefix("aten::").removesuffix("_")
    if len(args) != 2 or name not in ("add", "sub", "mul", "div"):
        return None
    if name in ("add", "sub"):
        if not all(running.is_state(value) for value in args):
            return None
        known = [running.of(value) for value in args]
        holds = any(each and each.form and each.form.kept for each in known)
        if running.inside and not holds:
            return None  # inside a block, which is one contribution
        factor = float(kwargs.get("alpha", 1)) * (-1.0 if name == "sub" else 1.0)
        one, other = (_form(running, value) for value in args)
        return one.plus(other.times(factor))
    values = args if running.is_state(args[0]) else args[::-1]
    tracked, number = running.of(values[0]), _number(values[1])
    if not (tracked and tracked.form) or number is None or (name == "div" and values is not args):
        return None
    return tracked.form.times(number if name == "mul" else 1 / number)


def _form(running: _Running, tensor: torch.Tensor) -> _Form:
    """What a summand is known to be; else one term, as it is now."""
    known = running.of(tensor)
    if known and known.form:
        return known.form
    through = known.through if known else frozenset[str]()
    if not known and running.inside:
        through = running.inside[-1]
    return _Form(0.0, (_Term(1.0, _row(tensor).clone(), through),))


def _made(
    running: _Running, result: torch.Tensor, form: _Form | None, args: tuple[Any, ...]
) -> None:
    """Remember what an operation gave."""
    if form is None and args and running.is_state(result):
        form = _same(running, result, args[0])
    if form is not None:
        through = frozenset[str]() if form.kept else running.through(args)
        running.known[id(result)] = _Tracked(result, form, through)
    elif not running.inside:
        running.known[id(result)] = _Tracked(result, None, running.through(args))
    else:
        running.known.pop(id(result), None)  # something else was written into it


def _same(running: _Running, result: torch.Tensor, source: Any) -> _Form | None:
    """The form of a tensor of which another is a copy, a view or a cast."""
    tracked = running.of(source)
    if result is source or not (tracked and tracked.form and running.is_state(source)):
        return None
    cast = _row(source).to(result.device, result.dtype)
    return tracked.form if torch.equal(cast, _row(result)) else None


def _number(value: Any) -> float | None:
    """A multiplier; what a norm divides one token's state by is none."""
    if isinstance(value, torch.Tensor):
        return value.item() if value.numel() == 1 and value.ndim < 2 else None
    return float(value)


def _children(layer: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The blocks of a layer by their paths; lists and dicts of modules are no blocks."""
    for name, child in layer.named_children():
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            for inner, module in _children(child):
                yield f"{name}.{inner}", module
        else:
            yield name, child


def _checked(number: int, layer: nn.Module, heard: _Heard) -> LayerSum:
    """A layer's sum, held against what it gave."""
    form = heard.form
    if form is None or not form.kept:
        raise UsageError(
            f"layer {number} ({type(layer).__name__}) does not add to the state that it takes: "
            "there is no residual stream to split."
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


def _row(state: torch.Tensor) -> torch.Tensor:
    """Its last place, shape [H]."""
    return state[(-1,) * (state.ndim - 1)]


def _exact(row: torch.Tensor) -> torch.Tensor:
    return row.to("cpu", torch.float64)
