"""Where two models that share a shape part, layer by layer, at the same step."""

from typing import TYPE_CHECKING

import msgspec

from tokexplore.models.api.interpreter import LayerStates
from tokexplore.models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


class LayerGap(msgspec.Struct, frozen=True):
    """How far two models are apart after a layer."""

    cosine: float
    """Of their states."""
    distance: float
    """|difference of the states| over |the first one's|."""
    divergence: float
    """KL(first || second) of what the logit lens makes of them, nats."""
    tokens: tuple[int, int]
    """The most probable one of each."""


def layer_gaps(first: LayerStates, second: LayerStates) -> list[LayerGap]:
    """How far two models with the same tokens are apart, from layer 0 to the last.

    Raises:
        UsageError: they have other numbers of layers, or other sizes of state.
    """
    if first.shape != second.shape:
        shapes = "; ".join(
            f"{layers - 1} layers of {size:,} and {rows:,} tokens"
            for layers, size, rows in (first.shape, second.shape)
        )
        raise UsageError(f"the two models do not share a shape ({shapes}): no layer has its like.")
    one, other = _rows(first), _rows(second)
    return [_gap(h, g, p, q) for h, p, g, q in zip(*one, *other, strict=True)]


def _rows(of: LayerStates) -> "tuple[np.ndarray, np.ndarray]":
    """States [layers + 1, H] and logits [layers + 1, V]."""
    import numpy as np  # the interface does without it until it has painted

    count = of.shape[0]
    states = np.frombuffer(of.states, np.float32).reshape(count, -1)
    return states, np.frombuffer(of.logits, np.float32).reshape(count, -1)


def _gap(
    state: "np.ndarray", other: "np.ndarray", logits: "np.ndarray", theirs: "np.ndarray"
) -> LayerGap:
    import numpy as np

    h, g = state.astype(np.float64), other.astype(np.float64)
    size = float(np.linalg.norm(h)) or 1.0
    cosine = float(h @ g) / (size * (float(np.linalg.norm(g)) or 1.0))
    log_p, log_q = (_log_softmax(row.astype(np.float64)) for row in (logits, theirs))
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):
        ratios = np.where(p > 0, log_p - log_q, 0.0)
    return LayerGap(
        cosine,
        float(np.linalg.norm(h - g)) / size,
        max(0.0, float(p @ ratios)),
        (int(logits.argmax()), int(theirs.argmax())),
    )


def _log_softmax(row: "np.ndarray") -> "np.ndarray":
    import numpy as np

    shifted = row - row.max()
    return shifted - np.log(np.exp(shifted).sum())
