"""The fake engine's inside: four layers whose last is the engine itself, and effects that each
earlier token has by its id."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from support.fake_numbers import log_sum_exp, standing_of
from tokexplore.models.api.engine import Control, Progress
from tokexplore.models.api.interpreter import (
    LENS_TOP,
    AttentionWeights,
    Attributions,
    LayerReading,
    LayerStates,
    LensStep,
    LogitSplit,
    Part,
)

if TYPE_CHECKING:
    from support.fake_engine import FakeEngine

LAYERS, HEADS, SIZE = 4, 2, 8


class FakeInterpreter:
    """Implements `models.api.interpreter.Interpreter`."""

    def __init__(self, engine: "FakeEngine") -> None:
        self._engine = engine
        self.hidden: list[range] = []
        """Stretches that were hidden, in order."""

    def lens(
        self, ids: Sequence[int], first: int, last: int, control: Control, *,
        tokens: Sequence[int] = (), top: int = LENS_TOP, tuned: str = "",
    ) -> Iterator[LensStep]:  # fmt: skip
        del tuned
        for position in range(first, last + 1):
            if control.cancelled:
                return
            asked = (*ids[position : position + 1], *tokens)
            rows = self._rows(ids[:position])
            layers = tuple(_reading(row, rows[-1], asked, top) for row in rows)
            yield LensStep(position, tuple(asked), layers, 0.0)

    def states(self, ids: Sequence[int]) -> LayerStates:
        rows = self._rows(ids)
        states = np.stack([row[:SIZE] for row in rows]).astype(np.float32)
        shape = (LAYERS + 1, SIZE, rows.shape[1])
        return LayerStates(shape, states.tobytes(), rows.astype(np.float32).tobytes())

    def split(
        self, ids: Sequence[int], tokens: tuple[int, int], heads: Sequence[int] = ()
    ) -> LogitSplit:
        logits = self._engine.full(ids)
        model = float(logits[tokens[0]]), float(logits[tokens[1]])
        shares = np.random.default_rng(len(ids)).standard_normal(2 * LAYERS + 1)
        shares[-1] += 1.0 - shares.sum()  # they add up to the model's logits
        parts = [Part("embedding", 0, "", _scaled(model, shares[-1]))]
        for layer in range(1, LAYERS + 1):
            at = 2 * (layer - 1)
            share = shares[at]
            if layer in heads:
                parts += [
                    Part("attention", layer, "self_attn", _scaled(model, share / HEADS), head)
                    for head in range(HEADS)
                ]
            else:
                parts.append(Part("attention", layer, "self_attn", _scaled(model, share)))
            parts.append(Part("mlp", layer, "mlp", _scaled(model, shares[at + 1])))
        return LogitSplit(len(ids), tokens, model, tuple(parts))

    def occlude(
        self, ids: Sequence[int], hidden: Sequence[range], tokens: Sequence[int], control: Control
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        logits = self._engine.full(ids)
        lse = log_sum_exp(logits)
        for at, places in enumerate(hidden):
            if control.cancelled:
                return
            self.hidden.append(places)
            lost = sum(effect_of(ids[place]) for place in places)
            yield at, tuple(float(logits[t]) - lse - lost / (n + 1) for n, t in enumerate(tokens))

    def gradients(
        self, ids: Sequence[int], tokens: Sequence[int], points: int, control: Control
    ) -> Iterator[Progress | Attributions]:
        del tokens
        scores = [effect_of(token) for token in ids]
        for done in range(points):
            if control.cancelled:
                return
            yield Progress("gradients", done + 1, points, "points")
        method = "integrated gradients" if points else "gradient x input"
        value = sum(scores) + (0.01 if points else 0.5)
        yield Attributions(method, tuple(scores), value, 0.0, points or 1)

    def attention(self, ids: Sequence[int]) -> AttentionWeights:
        random = np.random.default_rng(len(ids))
        weights = random.random((LAYERS, HEADS, len(ids))).astype(np.float32)
        weights[..., 0] += len(ids)  # a sink
        weights /= weights.sum(-1, keepdims=True)
        layers = tuple(range(1, LAYERS + 1))
        return AttentionWeights(layers, HEADS, len(ids), weights.tobytes(), "eager", False)

    def _rows(self, ids: Sequence[int]) -> np.ndarray:
        """f64, shape [LAYERS + 1, V]: the layers' logits, nearer and nearer to the engine's own."""
        own = self._engine.full(ids).astype(np.float64)
        noise = np.random.default_rng(7).standard_normal(len(own))
        shares = np.arange(LAYERS + 1)[:, None] / LAYERS
        blended = np.nan_to_num(own) * shares + noise * (1 - shares)
        return np.where(np.isinf(own), own, blended)


def effect_of(token: int) -> float:
    """What a hidden token takes from the target, nats."""
    return (token * 37 % 101 - 50) / 100


def _scaled(model: tuple[float, float], share: float) -> tuple[float, float]:
    return model[0] * float(share), model[1] * float(share)


def _reading(row: np.ndarray, own: np.ndarray, asked: Sequence[int], top: int) -> LayerReading:
    logits = row.astype(np.float32)
    order = np.argsort(-logits, kind="stable")
    lse = log_sum_exp(logits)
    log_q = row - lse
    log_p = own - log_sum_exp(own.astype(np.float32))
    p, q = np.exp(log_p), np.exp(log_q)
    finite = p > 0
    divergence = max(0.0, float((p[finite] * (log_p[finite] - log_q[finite])).sum()))
    entropy = -float((q[finite] * log_q[finite]).sum())
    found = [standing_of(order, logits, int(t), lse) for t in (*order[:top], *asked)]
    return LayerReading(tuple(found[:top]), tuple(found[top:]), entropy, divergence)
