"""How far two models are apart, layer by layer."""

import math

import numpy as np
import pytest

from tokexplore.models.api.interpreter import LayerStates
from tokexplore.models.errors import UsageError
from tokexplore.models.interpret.layer_gaps import layer_gaps


def states(hidden: list[list[float]], logits: list[list[float]]) -> LayerStates:
    shape = (len(hidden), len(hidden[0]), len(logits[0]))
    return LayerStates(
        shape, np.array(hidden, np.float32).tobytes(), np.array(logits, np.float32).tobytes()
    )


def test_each_layer_is_told_by_itself() -> None:
    third = math.log(3)
    first = states([[3, 4], [1, 0], [2, 2]], [[0, 0, 0], [third, 0, 0], [0, 5, 0]])
    second = states([[3, 4], [0, 2], [-2, -2]], [[0, 0, 0], [0, 0, third], [9, 9, 9]])
    same, apart, opposite = layer_gaps(first, second)

    assert (same.cosine, same.distance, same.divergence) == pytest.approx((1, 0, 0), abs=1e-6)
    assert apart.cosine == pytest.approx(0)
    assert apart.distance == pytest.approx(5**0.5)
    # p = (3, 1, 1) / 5 and q = (1, 1, 3) / 5.
    assert apart.divergence == pytest.approx(0.4 * third, rel=1e-5)
    assert apart.tokens == (0, 2)
    assert opposite.cosine == pytest.approx(-1)
    assert opposite.distance == pytest.approx(2)
    p = np.exp([0, 5, 0]) / np.exp([0, 5, 0]).sum()
    assert opposite.divergence == pytest.approx(math.log(3) + float(p @ np.log(p)), rel=1e-5)
    assert opposite.tokens == (1, 0)


def test_tokens_that_a_model_never_says_count_for_nothing_or_for_all() -> None:
    bars = states([[1.0]], [[0, 0, -math.inf]])
    free = states([[1.0]], [[0, 0, 0]])
    assert layer_gaps(bars, free)[0].divergence == pytest.approx(math.log(1.5))
    assert layer_gaps(free, bars)[0].divergence == math.inf
    assert layer_gaps(bars, bars)[0].divergence == 0


def test_a_state_of_zeros_has_no_direction() -> None:
    (gap,) = layer_gaps(states([[0, 0]], [[1, 2]]), states([[3, 4]], [[1, 2]]))
    assert (gap.cosine, gap.distance) == (0, 5)


@pytest.mark.parametrize("other", [[[1.0, 2, 3]], [[1.0, 2]] * 2])
def test_other_shapes_are_refused(other: list[list[float]]) -> None:
    one = states([[1.0, 2]], [[1, 2]])
    with pytest.raises(UsageError, match=r"do not share a shape \(0 layers of 2 and 2 tokens; "):
        layer_gaps(one, states(other, [[1, 2]] * len(other)))
