"""A norm with what it divided by held as it was, so that it is linear in the summands of a state.

A norm is a function from states to states and no more: whether it takes off the mean (LayerNorm)
or not (RMSNorm, or no norm at all), its gain and its bias are read off what it makes of a few
states, and held against what it made of the real one.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from tokexplore.models.errors import UsageError

_REST = 1e-5
"""Share of its largest output that a norm in float32 may be apart from its frozen form."""
_GRID_STEPS = 2

Norm = Callable[[torch.Tensor], torch.Tensor]
"""From states [k, H] to states [k, H]."""


class FrozenNorm(NamedTuple):
    """gain * (x - mean, where it is centred) + bias."""

    gain: torch.Tensor
    """f64 on the CPU, shape [H]: the norm's own over what it divided by."""
    centred: bool
    bias: torch.Tensor
    """f64 on the CPU, shape [H]."""

    def __call__(self, summand: torch.Tensor) -> torch.Tensor:
        """What it makes of a summand of the state, without the bias: f64, shape [..., H]."""
        return self.gain * _centred(summand, self.centred)


def frozen(norm: Norm, state: torch.Tensor, output: torch.Tensor, what: str) -> FrozenNorm:
    """The norm as it was at a state.

    Args:
        state: shape [H].
        output: what the norm gave, shape [H].
        what: its name in the sentence of an error.

    Raises:
        UsageError: it is no norm with a gain and a bias.
    """
    signs = torch.ones_like(state)
    signs[1::2] = -1  # exact in any dtype, and of mean 0 where H is even
    probes = torch.stack([torch.zeros_like(signs), signs, signs + 1])
    made = _exact(norm(probes))  # [3, H]
    if made.shape[1] != len(state):
        raise UsageError(f"{what} changes the width of the state: its parts are not told.")
    seen = torch.stack([made[2], _exact(output)])
    states = torch.stack([_exact(signs) + 1, _exact(state)])
    fits = [_fitted(centred, _exact(signs), made, states, seen) for centred in (False, True)]
    best = min(fits, key=lambda fit: fit.error)
    allowed = max(_REST, _GRID_STEPS * torch.finfo(output.dtype).eps)
    if not best.error <= allowed:
        raise UsageError(
            f"{what} is no norm with a gain and a bias ({best.error:.2g} of its output is left "
            "unexplained): what parts of the state do behind it cannot be told."
        )
    return best.norm


class _Fit(NamedTuple):
    norm: FrozenNorm
    error: float
    """Largest share of an output's size that the norm, so frozen, is apart from it."""


def _fitted(
    centred: bool, signs: torch.Tensor, made: torch.Tensor, states: torch.Tensor, seen: torch.Tensor
) -> _Fit:
    """A norm of one kind: its gain by the probe of signs, what it divides by at each other state by
    least squares.

    Args:
        made: of zeros and of the signs, [2 or more, H].
        states: [k, H]; the last one is the real one.
        seen: what was made of them, [k, H].
    """
    bias = made[0]
    gain = (made[1] - bias) / _centred(signs, centred)
    basis, wanted = gain * _centred(states, centred), seen - bias  # [k, H]
    scales = (basis * wanted).sum(-1) / basis.square().sum(-1).clamp(min=1e-300)  # [k]
    apart = (scales[:, None] * basis - wanted).abs().amax(-1) / seen.abs().amax(-1).clamp(min=1e-30)
    error = apart.max().item()
    return _Fit(FrozenNorm(gain * scales[-1], centred, bias), error)


def _centred(states: torch.Tensor, centred: bool) -> torch.Tensor:
    return states - states.mean(-1, keepdim=True) if centred else states


def _exact(states: torch.Tensor) -> torch.Tensor:
    return states.to("cpu", torch.float64)
