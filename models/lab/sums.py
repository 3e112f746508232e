"""Sums are not associative: a logit's dot product added up in other orders."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tokexplore.models.api.instruments import Summands

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
BLOCKS = (2, 4, 8, 16)
ACCUMULATORS = ("float32", "bfloat16")


class Order(msgspec.Struct, frozen=True):
    """Both logits, added up in one order with one accumulator."""

    name: str
    accumulator: str
    sums: tuple[float, float]
    """Of the first and the second candidate, before they are stored."""
    stored: tuple[float, float]
    """The same, rounded to the model's dtype."""

    @property
    def gap(self) -> float:
        """First less second, before they are stored."""
        return self.sums[0] - self.sums[1]


class Exhibit(msgspec.Struct, frozen=True):
    """One step's two sums in every order."""

    tokens: tuple[int, int]
    length: int
    """Products that each sum has: the width of the hidden state."""
    exact: tuple[float, float]
    """The sums of the exact products, rounded once at the end (f64)."""
    exact_stored: tuple[float, float]
    """The same, rounded to the model's dtype: what storing alone does."""
    logits: tuple[float, float]
    """The model's own."""
    head: tuple[float, float]
    """What its output embedding gave, before the model scaled or capped it."""
    orders: tuple[Order, ...]

    @property
    def margin(self) -> float:
        """Exact gap of the two sums (nats where the model does not scale or cap them)."""
        return abs(self.exact[0] - self.exact[1])

    def spread(self, accumulator: str) -> float:
        """How far the gaps of one accumulator's orders lie apart."""
        gaps = [order.gap for order in self.orders if order.accumulator == accumulator]
        return max(gaps) - min(gaps)

    def verdict(self, sums: tuple[float, float]) -> str:
        """What becomes of the exact ranking in two sums: `swaps`, `ties`, or nothing.

        Of sums before they are stored it is what the order alone does.
        """
        exact = self.exact[0] - self.exact[1]
        gap = sums[0] - sums[1]
        if not gap:
            return "ties" if exact else ""
        return "swaps" if gap * exact < 0 else ""


class _Adding(NamedTuple):
    name: str
    add: Callable[[Vector, str], float]


def exhibit(summands: Summands, dtype: str) -> Exhibit:
    """Add up both logits of a step in every order.

    Each product is rounded to float32 once (of two values of a 16-bit format it is exact). Every
    addition is made in float32, and its result rounded to the accumulator's format: with bfloat16
    each running and each partial sum. A bias is added last, in float32, and the sum is then
    rounded to the model's dtype, as it is stored. Kernels that fuse products with additions round
    less often; none of these orders claims to be the model's own.

    Args:
        dtype: the model's.
    """
    hidden = np.frombuffer(summands.hidden, np.float32)  # [H]
    weights = np.frombuffer(summands.weights, np.float32).reshape(2, -1)  # [2, H]
    products = weights * hidden  # [2, H]
    orders = []
    for accumulator in ACCUMULATORS:
        for adding in _ADDINGS:
            sums = [
                float(np.float32(adding.add(row, accumulator)) + np.float32(bias))
                for row, bias in zip(products, summands.bias, strict=True)
            ]
            stored = [stored_as(value, dtype) for value in sums]
            orders.append(
                Order(adding.name, accumulator, (sums[0], sums[1]), (stored[0], stored[1]))
            )
    exact = [
        math.fsum([*(row.astype(np.float64) * hidden.astype(np.float64)), bias])
        for row, bias in zip(weights, summands.bias, strict=True)
    ]
    return Exhibit(
        tokens=summands.tokens,
        length=len(hidden),
        exact=(exact[0], exact[1]),
        exact_stored=(stored_as(exact[0], dtype), stored_as(exact[1], dtype)),
        logits=summands.logits,
        head=summands.head,
        orders=tuple(orders),
    )


def sequential(values: Vector, accumulator: str) -> float:
    """From the first to the last."""
    if accumulator == "float32":
        return float(np.add.accumulate(values, dtype=np.float32)[-1])
    total: Any = np.float32(0)
    for value in values:
        total = _bfloat16(total + value)
    return float(total)


def backwards(values: Vector, accumulator: str) -> float:
    """From the last to the first."""
    return sequential(values[::-1], accumulator)


def pairwise(values: Vector, accumulator: str) -> float:
    """Neighbours first, then their sums, until one is left; an odd last one waits a round."""
    while len(values) > 1:
        odd = values[len(values) // 2 * 2 :]
        sums = (values[: len(values) // 2 * 2 : 2] + values[1::2]).astype(np.float32)
        values = np.concatenate([sums if accumulator == "float32" else _bfloat16(sums), odd])
    return float(values[0])


def in_blocks(blocks: int) -> Callable[[Vector, str], float]:
    """Blocks of neighbours, each from its first to its last, then the blocks' sums likewise."""

    def add(values: Vector, accumulator: str) -> float:
        cut = [part for part in np.array_split(values, blocks) if len(part)]
        parts = [sequential(part, accumulator) for part in cut]
        return sequential(np.array(parts, np.float32), accumulator)

    return add


_ADDINGS = (
    _Adding("sequential", sequential),
    _Adding("reversed", backwards),
    _Adding("pairwise", pairwise),
    *(_Adding(f"{blocks} blocks", in_blocks(blocks)) for blocks in BLOCKS),
)


def stored_as(value: float, dtype: str) -> float:
    """A value rounded to float32 and then to a format, to nearest, ties to even."""
    single = np.float32(value)
    if dtype == "bfloat16":
        return float(_bfloat16(single))
    return float(np.float16(single)) if dtype == "float16" else float(single)


def _bfloat16(values: Any) -> Any:
    """float32 values rounded to bfloat16: to nearest, ties to even."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32)
