"""Two rows of logits against the formulas, written out."""

import math

import numpy as np
import pytest

from tokexplore.models.diff.rows import Pairs
from tokexplore.models.diff.steps import Step
from tokexplore.models.diff.vocabularies import Shared
from tokexplore.models.errors import TokexploreError

NEAR = 1e-12
INF = math.inf


def rows(seed: int, size: int = 50) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    first = random.standard_normal(size).astype(np.float32) * 3
    return first, first + random.standard_normal(size).astype(np.float32)


def distribution(row: np.ndarray) -> list[float]:
    values = [math.exp(x) for x in row.astype(float)]
    return [value / math.fsum(values) for value in values]


def kl(p: list[float], q: list[float]) -> float:
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a)


def step(first: object, second: object, token: int = 0, shared: Shared | None = None) -> Step:
    one, other = (np.array(row, np.float32) for row in (first, second))
    both = shared or Shared(min(len(one), len(other)))
    return Pairs(both, ("one", "other")).step(one, other, 7, token)


@pytest.mark.parametrize("seed", range(5))
def test_every_figure_is_its_formula(seed: int) -> None:
    one, other = rows(seed)
    token = seed * 7
    p, q = distribution(one), distribution(other)
    mixed = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    found = step(one, other, token)
    assert found.kl == pytest.approx(kl(p, q), abs=NEAR)
    assert found.kl_back == pytest.approx(kl(q, p), abs=NEAR)
    assert found.js == pytest.approx((kl(p, mixed) + kl(q, mixed)) / 2, abs=NEAR)
    assert found.acceptance == pytest.approx(math.fsum(map(min, p, q)), abs=NEAR)
    assert found.delta == pytest.approx(math.log(q[token] / p[token]), abs=NEAR)
    assert found.left_out == (0.0, 0.0)
    for said, of_one in ((found.first, p), (found.second, q)):
        falling = sorted(of_one, reverse=True)
        assert said.logprob == pytest.approx(math.log(of_one[token]), abs=NEAR)
        assert said.rank == falling.index(of_one[token]) + 1
        assert said.greedy == of_one.index(falling[0])
        assert said.margin == pytest.approx(math.log(falling[0] / falling[1]), abs=NEAR)


def test_the_same_row_twice_is_no_difference_at_all() -> None:
    one, _ = rows(1, 1000)
    found = step(one, one)
    assert (found.kl, found.kl_back, found.delta) == (0.0, 0.0, 0.0)
    assert found.js == pytest.approx(0.0, abs=1e-15)
    assert found.acceptance == pytest.approx(1.0, abs=1e-15)
    assert not found.parts


def test_what_one_holds_impossible_is_infinitely_far_one_way_only() -> None:
    found = step([0.0, 0.0, -INF], [0.0, -INF, -INF], token=1)
    assert found.kl == INF
    assert found.kl_back == pytest.approx(math.log(2))
    mixed = (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25) + math.log(1 / 0.75)) / 2
    assert found.js == pytest.approx(mixed)
    assert found.acceptance == pytest.approx(0.5)
    assert found.delta == -INF
    assert step([0.0, 0.0, -INF], [0.0, 1.0, -INF], token=2).delta == 0.0, "both impossible"


def test_distributions_without_a_common_token_are_log_2_apart() -> None:
    found = step([0.0, -INF], [-INF, 0.0])
    assert (found.kl, found.kl_back, found.acceptance) == (INF, INF, 0.0)
    assert found.js == pytest.approx(math.log(2))


def test_probabilities_that_no_float_holds_count_by_their_logarithms() -> None:
    found = step([0.0, -2000.0], [-2000.0, 0.0])
    assert found.kl == pytest.approx(2000)
    assert found.js == pytest.approx(math.log(2))


def test_equal_logits_are_a_tie_of_the_lowest_id() -> None:
    found = step([1.0, 3.0, 3.0], [3.0, 3.0, 1.0])
    assert (found.first.greedy, found.second.greedy) == (1, 0)
    assert (found.first.margin, found.second.margin) == (0.0, 0.0)
    assert found.parts
    assert found.second.rank == 1


def test_tokens_of_one_alone_are_left_out_of_divergences_and_never_accepted() -> None:
    one, other = rows(3, 20)
    p, q = distribution(one), distribution(other[:18])
    found = step(one, other[:18], 5, Shared(18, (2,), (2, 0)))
    kept = [n for n in range(18) if n != 2]
    inside = [math.fsum(of_one[n] for n in kept) for of_one in (p, q)]
    a, b = [p[n] / inside[0] for n in kept], [q[n] / inside[1] for n in kept]
    assert found.kl == pytest.approx(kl(a, b), abs=NEAR)
    assert found.kl_back == pytest.approx(kl(b, a), abs=NEAR)
    assert found.left_out == pytest.approx((1 - inside[0], 1 - inside[1]), abs=NEAR)
    assert found.acceptance == pytest.approx(math.fsum(min(p[n], q[n]) for n in kept), abs=NEAR)
    assert found.first.logprob == pytest.approx(math.log(p[5]), abs=NEAR), "over all of its own"


def test_nothing_is_known_where_one_holds_all_on_tokens_of_its_own() -> None:
    found = step([-INF, -INF, 0.0], [0.0, 1.0], 0, Shared(2, (), (1, 0)))
    assert (found.kl, found.kl_back, found.js) == (None, None, None)
    assert found.acceptance == 0.0
    assert found.left_out == (1.0, 0.0)


@pytest.mark.parametrize("bad", [math.nan, INF])
def test_logits_that_are_no_numbers_are_named(bad: float) -> None:
    with pytest.raises(TokexploreError, match="logits of other are no numbers"):
        step([0.0, 1.0], [0.0, bad])
    with pytest.raises(TokexploreError, match="logits of one are no numbers"):
        step([-INF, -INF], [0.0, 1.0])
