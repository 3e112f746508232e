"""Follows the additions of the layer that runs, tensor by tensor, as torch makes them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class Term(NamedTuple):
    """A summand: its value at the last place, and the blocks that it went through."""

    factor: float
    value: torch.Tensor
    through: frozenset[str]


class Form(NamedTuple):
    """A tensor as a sum: `kept` times the state that the layer took, and terms."""

    kept: float
    terms: tuple[Term, ...]

    def times(self, factor: float) -> "Form":
        terms = tuple(term._replace(factor=term.factor * factor) for term in self.terms)
        return Form(self.kept * factor, terms)

    def plus(self, other: "Form") -> "Form":
        return Form(self.kept + other.kept, (*self.terms, *other.terms))


class LayerHeard(NamedTuple):
    """What was heard of a layer at the last place."""

    before: torch.Tensor
    after: torch.Tensor
    form: Form | None
    blocks: tuple[str, ...]
    """In the order in which they ran."""


@dataclass
class _Tracked:
    """What is known of a tensor, which stays alive so that its id is no other's."""

    tensor: torch.Tensor
    form: Form | None = None
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


class SumWatch(TorchDispatchMode):
    """Follows the additions of the layer that runs."""

    def __init__(self) -> None:
        super().__init__()
        self._running: _Running | None = None

    def begin(self, hidden: torch.Tensor) -> None:
        """A layer takes a state [1, n, H]."""
        self._running = None
        running = _Running(hidden.numel(), hidden.shape[-1], last_row(hidden).clone())
        running.known[id(hidden)] = _Tracked(hidden, Form(1.0, ()))
        self._running = running

    def end(self, hidden: torch.Tensor) -> LayerHeard:
        """The layer gives a state [1, n, H]."""
        running, self._running = self._running, None
        assert running is not None
        tracked = running.of(hidden)
        form = tracked.form if tracked else None
        return LayerHeard(running.before, last_row(hidden).clone(), form, tuple(running.blocks))

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
) -> Form | None:
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


def _form(running: _Running, tensor: torch.Tensor) -> Form:
    """What a summand is known to be; else one term, as it is now."""
    known = running.of(tensor)
    if known and known.form:
        return known.form
    through = known.through if known else frozenset[str]()
    if not known and running.inside:
        through = running.inside[-1]
    return Form(0.0, (Term(1.0, last_row(tensor).clone(), through),))


def _made(
    running: _Running, result: torch.Tensor, form: Form | None, args: tuple[Any, ...]
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


def _same(running: _Running, result: torch.Tensor, source: Any) -> Form | None:
    """The form of a tensor of which another is a copy, a view or a cast."""
    tracked = running.of(source)
    if result is source or not (tracked and tracked.form and running.is_state(source)):
        return None
    cast = last_row(source).to(result.device, result.dtype)
    return tracked.form if torch.equal(cast, last_row(result)) else None


def _number(value: Any) -> float | None:
    """A multiplier; what a norm divides one token's state by is none."""
    if isinstance(value, torch.Tensor):
        return value.item() if value.numel() == 1 and value.ndim < 2 else None
    return float(value)


def last_row(state: torch.Tensor) -> torch.Tensor:
    """Its last place, shape [H]."""
    return state[(-1,) * (state.ndim - 1)]
