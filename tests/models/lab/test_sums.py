"""A logit's sum in other orders: every one against a plain loop, and against the model's own."""

import math

import numpy as np
import pytest
import torch

from tokexplore.models.api.instruments import Summands
from tokexplore.models.api.options import Dtype, LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.lab import sums
from tokexplore.models.lab.sums import exhibit

TEXT = "Once upon a time there was a king who had a"


def made(hidden: list[float], rows: list[list[float]], bias=(0.0, 0.0)) -> Summands:
    return Summands(
        (7, 9),
        np.array(hidden, np.float32).tobytes(),
        np.array(rows, np.float32).tobytes(),
        bias,
        (0.0, 0.0),
        (0.0, 0.0),
    )


def embedded(dtype: Dtype) -> tuple[LocalEngine, list[int]]:
    engine = LocalEngine.open(LoadOptions(dtype=dtype), report=lambda _: None)
    return engine, engine.encode(TEXT)


def test_bfloat16_is_rounded_as_torch_rounds_it() -> None:
    values = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    values[:4] = (1.00390625, 1.01171875, 0.0, -3.0)  # two halfway cases, which go to even
    values[4:8] = (-0.0, 1e-40, 3.4e38, np.inf)  # a subnormal, and one that overflows
    wanted = torch.from_numpy(values).bfloat16().float().numpy()
    assert np.array_equal([sums.stored_as(float(v), "bfloat16") for v in values], wanted)
    assert sums.stored_as(0.1, "float16") == float(np.float16(0.1))
    assert sums.stored_as(0.1, "float32") == float(np.float32(0.1))


@pytest.mark.parametrize("accumulator", ["float32", "bfloat16"])
def test_every_order_against_a_plain_loop(accumulator: str) -> None:
    values = np.random.default_rng(1).standard_normal(37).astype(np.float32)

    def rounded(value: torch.Tensor) -> torch.Tensor:
        return value.bfloat16().float() if accumulator == "bfloat16" else value

    def one_by_one(parts) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32)
        for part in parts:
            total = rounded(total + part)
        return total

    def halves(parts: list[torch.Tensor]) -> torch.Tensor:
        while len(parts) > 1:
            odd = parts[len(parts) // 2 * 2 :]
            parts = [rounded(a + b) for a, b in zip(parts[::2], parts[1::2], strict=False)] + odd
        return parts[0]

    terms = list(torch.from_numpy(values))
    assert sums.sequential(values, accumulator) == one_by_one(terms).item()
    assert sums.backwards(values, accumulator) == one_by_one(terms[::-1]).item()
    assert sums.pairwise(values, accumulator) == halves(terms).item()
    blocks = [one_by_one(part) for part in torch.from_numpy(values).tensor_split(4)]
    assert sums.in_blocks(4)(values, accumulator) == one_by_one(blocks).item()


def test_an_order_that_swaps_the_two_is_told() -> None:
    """2^24 swallows a 1 that is added to it, and does not swallow two that were added before."""
    big = float(2**24)
    told = exhibit(made([1.0] * 4, [[big, 1.0, 1.0, 0.0], [big, 1.0, 0.0, 0.0]]), "float32")
    assert told.exact == (big + 2, big + 1)
    assert told.margin == 1
    by = {(o.name, o.accumulator): o for o in told.orders}
    assert told.verdict(by["sequential", "float32"].stored) == "ties"
    assert told.verdict(by["reversed", "float32"].stored) == ""
    assert by["reversed", "float32"].sums == (big + 2, big)
    assert told.spread("float32") == 2
    swapped = exhibit(made([1.0] * 4, [[big, 1.0, 1.0, 1.0], [big, 2.0, 0.0, 0.0]]), "float32")
    by = {(o.name, o.accumulator): o for o in swapped.orders}
    assert swapped.exact == (big + 3, big + 2)
    assert swapped.verdict(by["sequential", "float32"].stored) == "swaps"


def test_a_bias_is_added_last() -> None:
    told = exhibit(made([2.0, 3.0], [[1.0, 1.0], [1.0, 0.5]], (0.5, -0.5)), "float32")
    assert told.exact == (5.5, 3.0)
    assert all(order.sums == (5.5, 3.0) for order in told.orders)


@pytest.mark.parametrize(("dtype", "near"), [("float32", 2e-5), ("bfloat16", 0.04)])
def test_the_sums_of_the_shipped_model_are_its_logits(dtype: Dtype, near: float) -> None:
    engine, ids = embedded(dtype)
    summands = engine.bench.summands(ids)
    told = exhibit(summands, dtype)
    first = engine.describe(ids)
    assert list(told.tokens) == first.id_view[:2].tolist()
    assert told.logits == pytest.approx(first.logit_view[:2].tolist(), abs=near)
    assert told.head == told.logits
    assert told.exact == pytest.approx(told.logits, abs=near)
    hidden = np.frombuffer(summands.hidden, np.float32).astype(np.float64)
    rows = np.frombuffer(summands.weights, np.float32).reshape(2, -1).astype(np.float64)
    assert told.exact == pytest.approx((rows @ hidden).tolist(), abs=1e-9)
    for order in told.orders:
        if order.accumulator == "float32":
            assert order.sums == pytest.approx(told.exact, abs=1e-4)


def test_the_gap_of_an_order_is_that_of_its_sums() -> None:
    told = exhibit(made([1.0, 1.0], [[0.5, 0.25], [0.25, 0.25]]), "bfloat16")
    assert all(order.gap == 0.25 for order in told.orders)
    assert math.isclose(told.margin, 0.25)


def test_a_tie_that_storing_alone_makes_is_told_from_one_of_the_order() -> None:
    near = [[1.0, 0.001], [1.0, 0.0]]
    told = exhibit(made([1.0, 1.0], near), "bfloat16")
    assert told.exact_stored == (1.0, 1.0)
    assert told.verdict(told.exact_stored) == "ties"
    told = exhibit(made([1.0, 1.0], near), "float32")
    assert told.exact_stored == (float(np.float32(1.001)), 1.0)
    assert told.verdict(told.exact_stored) == ""


def test_a_bfloat16_accumulator_alone_swaps_two() -> None:
    """256 swallows ones that come one by one, and takes four that were added before."""
    rows = [[256.0, 1.0, 1.0, 1.0, 1.0], [256.0, 2.0, 0.0, 0.0, 0.0]]
    told = exhibit(made([1.0] * 5, rows), "bfloat16")
    assert told.exact == (260.0, 258.0)
    verdicts = {(o.name, o.accumulator): told.verdict(o.stored) for o in told.orders}
    assert verdicts["sequential", "bfloat16"] == "swaps"
    assert verdicts["reversed", "bfloat16"] == ""
    assert not any(said for (_, kind), said in verdicts.items() if kind == "float32")
    assert told.verdict(told.exact_stored) == ""
