"""The residual stream of a model: its layers, and what the model makes of a layer's state.

Nothing is known of a family. The layers are the list of modules of which each takes what the one
before it gave; a state is read by the model's own forward pass, in which the layers are stepped
over. So its final norm, its scales and its soft cap are those of the model, whatever they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import nn

from tokexplore.models.engine.core import Core
from tokexplore.models.errors import UsageError

_TOKENS = 3
_PRECISE, _PRECISE_UP_TO = 1e-4, 64.0
_GRID_STEPS = 2


class ResidualStream:
    """Of one loaded model, found by one pass over a few tokens.

    Raises:
        UsageError: no list of layers hands one state on.
    """

    def __init__(self, core: Core) -> None:
        self._forward = core.forward
        self._name = core.loaded.name
        found = _longest_chain(core)
        if not found:
            raise UsageError(
                f"{core.loaded.name} ({core.loaded.family}) has no layers that hand one hidden "
                "state on from each to the next: what they thought cannot be told."
            )
        self.layers = tuple(call.layer for call in found)
        """In their order."""
        last = found[-1].after
        self.dtype, self.size = last.dtype, last.shape[-1]
        """Of a state; H."""
        self._device = last.device
        self._packings = [call.packing for call in found]

    @contextmanager
    def heard(self) -> Iterator[list[torch.Tensor]]:
        """Hear all passes: the states after the last one's rows of logits, from layer 0 to the
        last, shape [rows, H] each."""
        states = [torch.empty(0)] * (len(self.layers) + 1)

        def take(place: int, hidden: torch.Tensor) -> None:
            states[place] = hidden[0, -self._forward.keep :].clone()

        with ExitStack() as stack:
            before = _before(lambda hidden: take(0, hidden))
            first = self.layers[0]
            stack.callback(first.register_forward_pre_hook(before, with_kwargs=True).remove)
            for place, layer in enumerate(self.layers, 1):
                hook = _after(partial(take, place))
                stack.callback(layer.register_forward_hook(hook).remove)
            yield states

    def stacked(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """What was heard as one tensor, shape [layers + 1, rows, H]."""
        return torch.stack([state.to(self._device, self.dtype) for state in states])

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """What the model makes of states [k, H] after its last layer: f32 on the CPU, [k, V]."""
        with self._stepped_over(states):
            return self._forward.batch([[0]] * len(states), 0, None)

    def head_inputs(self, states: torch.Tensor) -> torch.Tensor:
        """What the output embedding takes of states [k, H]: shape [k, width]."""
        with head_heard(self._forward.model) as heard, self._stepped_over(states):
            self._forward.batch([[0]] * len(states), 0, None)
        return heard.inputs

    def check(self, read: torch.Tensor, own: torch.Tensor) -> float:
        """Largest |Δlogit| of the last state's reading [V] from the model's own logits [V].

        Raises:
            UsageError: it is more than rounding.
        """
        finite = own.isfinite()
        if not finite.any():
            raise UsageError(
                f"the logits of {self._name} are no numbers (NaN or infinite): its layers tell "
                "nothing of them."
            )
        error = (read - own)[finite].abs().max().item()
        largest = own[finite].abs().max().item()
        same_infinite = torch.equal(read[~finite], own[~finite])
        if not (same_infinite and error <= tolerance(self._forward.model.dtype, largest)):
            raise UsageError(
                f"the last layer of {self._name}, read through the model's own final norm and "
                f"output embedding, is {error:.2g} from the model's logits: this model does more "
                "after its layers than can be read, so its lens would not be true."
            )
        return error

    @contextmanager
    def _stepped_over(self, states: torch.Tensor) -> Iterator[None]:
        """Passes over k rows in which the last layer gives `states` [k, H] at all places."""

        def passing(packing: "_Packing", *, last: bool) -> Callable[..., Any]:
            def forward(*args: Any, **kwargs: Any) -> Any:
                hidden = hidden_in(args, kwargs)  # [k, n, H]
                return packing(states[:, None].expand_as(hidden) if last else hidden)

            return forward

        states = states.to(self._device, self.dtype)
        with ExitStack() as stack:
            for layer, packing in zip(self.layers, self._packings, strict=True):
                own = vars(layer).get("forward")  # what accelerate puts around a layer
                stack.callback(_restore, layer, own)
                layer.forward = passing(packing, last=layer is self.layers[-1])
            yield


def tolerance(dtype: torch.dtype, largest: float) -> float:
    """How far two ways to the same logits may be apart: 1e-4 in float32, of logits above 64 as
    much of them; in low precision two steps of its grid at the largest logit."""
    if dtype in (torch.float32, torch.float64):
        return _PRECISE * max(1.0, largest / _PRECISE_UP_TO)
    return _GRID_STEPS * torch.finfo(dtype).eps * largest


class HeadHeard:
    """What the output embedding took and gave in the last pass."""

    inputs: torch.Tensor
    """Of the last place of each row, [B, width]."""
    outputs: torch.Tensor
    """[B, V]."""


@contextmanager
def head_heard(model: Any) -> Iterator[HeadHeard]:
    """Hear the output embedding.

    Raises:
        UsageError: the model has none.
    """
    heard = HeadHeard()

    def hook(_module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        heard.inputs, heard.outputs = inputs[0][:, -1].clone(), output[:, -1].clone()

    head = model.get_output_embeddings()
    if head is None:
        raise UsageError(f"{type(model).__name__} has no output embedding that can be heard.")
    handle = head.register_forward_hook(hook)
    try:
        yield heard
    finally:
        handle.remove()


_Packing = Callable[[torch.Tensor], Any]


class _Call(NamedTuple):
    """One call of a module, with the state [1, n, H] before and after it."""

    layer: nn.Module
    before: torch.Tensor
    after: torch.Tensor
    packing: _Packing
    """Makes what the module returns of a state."""


def _longest_chain(core: Core) -> list[_Call]:
    """The calls of the longest list of modules that hand one state on."""
    model, loaded = core.forward.model, core.loaded
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m)]
    count = min(_TOKENS, loaded.context or _TOKENS)
    calls: list[_Call] = []
    with ExitStack() as stack:
        for member in {id(m): m for found in lists for m in found}.values():
            for remove in _noting(member, calls):
                stack.callback(remove)
        core.forward([(1 + place) % loaded.rows for place in range(count)], 0, None)
    chains = [[call for call in calls if call.layer in set(found)] for found in lists]
    whole = [
        chain
        for found, chain in zip(lists, chains, strict=True)
        if [call.layer for call in chain] == list(found) and _handed_on(chain)
    ]
    return max(whole, key=len, default=[])


def _noting(module: nn.Module, calls: list[_Call]) -> Iterator[Callable[[], None]]:
    """Note the calls of a module that take and give a state of one shape."""
    taken: list[torch.Tensor] = []

    def pre(_module: nn.Module, args: Any, kwargs: Any) -> None:
        hidden = hidden_in(args, kwargs)
        taken[:] = [] if hidden is None else [hidden.clone()]

    def post(module: nn.Module, _args: Any, output: Any) -> None:
        after = state_of(output)
        if taken and after is not None and after.shape == taken[0].shape:
            calls.append(_Call(module, taken[0], after.clone(), _packing(output)))

    yield module.register_forward_pre_hook(pre, with_kwargs=True).remove
    yield module.register_forward_hook(post).remove


def _handed_on(chain: Sequence[_Call]) -> bool:
    return all(torch.equal(one.after, other.before) for one, other in pairwise(chain))


def _before(take: Callable[[torch.Tensor], None]) -> Callable[..., None]:
    def hook(_module: nn.Module, args: Any, kwargs: Any) -> None:
        take(hidden_in(args, kwargs))

    return hook


def _after(take: Callable[[torch.Tensor], None]) -> Callable[..., None]:
    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        take(state_of(output))

    return hook


def hidden_in(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The state [B, n, H] among the arguments of a layer: its first tensor of that kind."""
    return next((a for a in (*args, *kwargs.values()) if _is_state(a)), None)


def state_of(output: Any) -> Any:
    """The state [B, n, H] that a layer returns, alone or before other things."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    return first if _is_state(first) else None


def _is_state(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 3 and value.is_floating_point()


def _packing(output: Any) -> _Packing:
    if not isinstance(output, tuple | list):
        return lambda state: state
    return lambda state: type(output)((state, *output[1:]))


def _restore(layer: nn.Module, own: Any) -> None:
    if own is None:
        del layer.forward
    else:
        layer.forward = own
