"""Temperature against top-p: the figures by hand, the sentence from the figures."""

import math

import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control
from tokexplore.models.lab.grid import (
    VALUES,
    Grid,
    crossings,
    finding,
    grid,
    positions,
    ranges,
    summary,
)
from tokexplore.models.sampling.settings import SamplingSettings


def test_positions_are_spread_over_the_text() -> None:
    assert positions(6, 0) == [1, 2, 3, 4, 5]
    assert positions(6, 9) == [1, 2, 3, 4, 5]
    assert positions(102, 3) == [1, 51, 101]
    assert positions(1, 5) == []
    assert positions(100, 1) == [1]


def test_crossings_are_interpolated() -> None:
    differences = [-1.0, -0.5, 0.5, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0, 0.0]
    assert crossings(differences) == pytest.approx((0.25, 0.55))
    assert crossings([1.0] * 10) == ()


def test_ranges_are_told_shortly() -> None:
    assert ranges([0.1, 0.2, 0.3, 0.7]) == "0.1–0.3, 0.7"
    assert ranges([]) == ""


def flat(by_t: list[float], by_p: list[float]) -> list[float]:
    """A table whose last column and last row are these."""
    size = len(VALUES)
    table = [[0.0] * size for _ in range(size)]
    for at in range(size):
        table[at][-1], table[-1][at] = by_t[at], by_p[at]
    return [value for row in table for value in row]


def made(name: str, change: float = 0.0) -> Grid:
    """T moves more below 0.5, top-p above it."""
    by_t = [v * 2.0 if v > 0.45 else v * 0.5 - change for v in VALUES]
    by_p = [float(v) for v in VALUES]
    by_t[-1] = by_p[-1] = 2.0
    return summary(name, [2.0, 2.0], [flat(by_t, by_p)] * 2)


def test_the_figures_are_means_over_the_steps() -> None:
    found = made("a")
    point = found.by_value[0]
    assert (point.temperature, point.top_p) == pytest.approx((0.05 - 2, 0.1 - 2))
    assert (point.temperature_more, point.top_p_more) == (1.0, 0.0)
    assert (found.by_value[7].temperature_more, found.by_value[7].top_p_more) == (0.0, 1.0)
    assert found.by_value[-1].temperature == found.by_value[-1].top_p == 0.0
    assert found.heat[0][-1] == pytest.approx(0.05)
    assert len(found.crossings) == 1
    assert 0.4 < found.crossings[0] < 0.5
    assert found.crossing_share == 1.0


def test_the_sentence_says_what_the_figures_say() -> None:
    text = finding([made("a"), made("b", 0.01)])
    assert "4 steps of 2 models" in text
    assert "the temperature lowers the mean entropy more at v = 0.1–0.4" in text
    assert "top-p lowers the mean entropy more at v = 0.5–0.9" in text
    assert "the models differ" not in text


def test_models_that_differ_are_said_to() -> None:
    by = [float(v) for v in VALUES]
    lower = [*(v * 0.9 for v in by[:-1]), 1.0]
    one = summary("a", [1.0], [flat(lower, by)])
    other = summary("b", [1.0], [flat(by, lower)])
    assert "the models differ at v = 0.1–0.9" in finding([one, other])
    assert "never crossing" in finding([one])


def test_every_step_of_a_text_is_asked_once() -> None:
    engine, told = FakeEngine(), []
    ids = engine.encode("Once upon a time there was")
    steps = positions(len(ids), 0)
    found = grid(engine, ids, steps, Control(), told.append)
    assert found is not None
    assert (found.steps, told) == (len(steps), list(range(1, len(steps) + 1)))
    expected = [
        engine.effects(ids[:n], [SamplingSettings(0.5)])[0].entropy
        - engine.describe(ids[:n]).entropy
        for n in steps
    ]
    by_hand = math.fsum(expected) / len(expected)
    assert found.by_value[4].temperature == pytest.approx(by_hand, abs=1e-6)
    assert found.heat[-1][-1] == pytest.approx(found.entropy, abs=1e-6)


def test_what_is_done_is_kept_when_it_is_stopped() -> None:
    engine, control = FakeEngine(), Control()
    ids = engine.encode("Once upon a time there was")

    def stop(done: int) -> None:
        control.cancelled = done == 2

    found = grid(engine, ids, positions(len(ids), 0), control, stop)
    assert found is not None
    assert found.steps == 2
