"""Estimates by gradients with respect to what the input embedding gives."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from tokexplore.models.api.engine import Control, Progress
from tokexplore.models.api.interpreter import Attributions, GradientMethod
from tokexplore.models.engine.core import Core
from tokexplore.models.errors import UsageError

_TRIED = 8
"""Tokens of the path that a model is tried on."""
_FAILURES = (NotImplementedError, RuntimeError, TypeError, ValueError)
"""What kernels without a backward pass raise."""


class _Slope(NamedTuple):
    """A target at scaled embeddings, and its gradient."""

    value: float
    """Nats."""
    embeddings: torch.Tensor
    """As the model has them, f64 CPU, [n, H]."""
    gradient: torch.Tensor
    """With respect to the scaled ones, f64 CPU, [n, H]."""


class Gradients:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._proven = False

    def estimate(
        self, ids: Sequence[int], tokens: Sequence[int], points: int, control: Control
    ) -> Iterator[Progress | Attributions]:
        """See `Interpreter.gradients`."""
        self._core.info.check_tokens(tokens)
        if len(tokens) not in (1, 2):
            raise UsageError(f"{len(tokens)} tokens are no target: one is, or two that differ.")
        if points < 0:
            raise UsageError(f"{points} points make no rule: give 0 for gradient x input, or more.")
        self._core.threads.use_most()
        if not self._proven:
            self._prove()
            self._proven = True
        if points:
            yield from self._integrated(ids, tokens, points, control)
        else:
            slope = self._slope(ids, tokens, 1.0)
            scores = (slope.gradient * slope.embeddings).sum(-1)  # [n]
            yield self._attributions("gradient x input", ids, tokens, scores, slope.value, 1)

    def _integrated(
        self, ids: Sequence[int], tokens: Sequence[int], points: int, control: Control
    ) -> Iterator[Progress | Attributions]:
        nodes, weights = np.polynomial.legendre.leggauss(points)  # on [-1, 1]
        scores = torch.zeros(len(ids), dtype=torch.float64)
        for done, (node, weight) in enumerate(zip(nodes, weights, strict=True), 1):
            if control.cancelled:
                return
            slope = self._slope(ids, tokens, (1 + float(node)) / 2)
            scores += float(weight) / 2 * (slope.gradient * slope.embeddings).sum(-1)  # [n]
            yield Progress("gradients", done, points, "points")
        value = self._value(ids, tokens, 1.0)
        yield self._attributions("integrated gradients", ids, tokens, scores, value, points)

    def _attributions(
        self, method: GradientMethod, ids: Sequence[int], tokens: Sequence[int],
        scores: torch.Tensor, value: float, points: int,
    ) -> Attributions:  # fmt: skip
        baseline = self._value(ids, tokens, 0.0)
        if not all(map(math.isfinite, (*scores.tolist(), value, baseline))):
            raise UsageError(
                f"the gradients of {self._core.info.name} are no numbers at this path: with a "
                "target that it cannot say, or in too low a precision, there is no estimate."
            )
        return Attributions(method, tuple(scores.tolist()), value, baseline, points)

    def _slope(self, ids: Sequence[int], tokens: Sequence[int], scale: float) -> _Slope:
        with _scaled_embeddings(self._core, scale) as held:
            logits = self._core.forward.recorded(ids)  # [V]
        if len(held) != 1:
            raise UsageError(f"{self._core.info.name} does not read its tokens by one embedding.")
        embeddings, leaf = held[0]
        with torch.enable_grad():
            target = _target(logits, tokens)
            (gradient,) = torch.autograd.grad(target, leaf)
        return _Slope(target.item(), _plain(embeddings), _plain(gradient))

    def _value(self, ids: Sequence[int], tokens: Sequence[int], scale: float) -> float:
        with _scaled_embeddings(self._core, scale), torch.inference_mode():
            return _target(self._core.forward(ids, 0, None)[-1], tokens).item()

    def _prove(self) -> None:
        """Try on random ids whether each token that matters has a gradient.

        Raises:
            UsageError: one has none.
        """
        name, rows = self._core.info.name, self._core.forward.rows
        length = min(_TRIED, self._core.info.context or _TRIED)
        *ids, token = np.random.default_rng(2).integers(0, rows, length + 1).tolist()
        try:
            slope = self._slope(ids, [token], 1.0)
        except _FAILURES as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            reason = str(error).partition("\n")[0]
            raise UsageError(f"gradients do not get through {name}: {reason}") from None
        for at in (slope.gradient == 0).all(-1).nonzero()[:, 0].tolist():
            other = ids.copy()
            other[at] = (ids[at] + rows // 2) % rows
            if self._value(other, [token], 1.0) != self._value(ids, [token], 1.0):
                raise UsageError(
                    f"gradients do not get through {name}: token {at} of a path has an effect and "
                    "no gradient."
                )


@contextmanager
def _scaled_embeddings(
    core: Core, scale: float
) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Let a model go on with `scale` times what its input embedding gives; what it gave, and the
    leaf that was put into its place, both [1, n, H]."""
    held: list[tuple[torch.Tensor, torch.Tensor]] = []

    def replace(_module: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        leaf = (scale * output.detach()).requires_grad_(torch.is_grad_enabled())
        held.append((output.detach(), leaf))
        return leaf.clone()  # some models scale what they are given in place

    handle = core.forward.model.get_input_embeddings().register_forward_hook(replace)
    try:
        yield held
    finally:
        handle.remove()


def _target(logits: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
    """The logprob of the one token, or the first's less the second's, of logits [V]."""
    if len(tokens) == 1:
        return logits.log_softmax(-1)[tokens[0]]
    return logits[tokens[0]] - logits[tokens[1]]


def _plain(states: torch.Tensor) -> torch.Tensor:
    """f64 on the CPU, [n, H]."""
    return states[0].to("cpu", torch.float64)
