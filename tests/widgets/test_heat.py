"""The levels of the ramp, and a legend that says where each begins."""

import math

import pytest

from tokexplore.widgets.heat import COLOURINGS, LEVELS, NONE, Colouring, legend, level


@pytest.mark.parametrize(
    ("colouring", "value", "expected"),
    [
        ("surprisal", 0.0, 0),
        ("surprisal", 0.49, 0),
        ("surprisal", 0.5, 1),
        ("surprisal", 1.99, 2),
        ("surprisal", 4.0, 4),
        ("surprisal", 30.0, 5),
        ("surprisal", math.inf, 5),
        ("probability", 1.0, 0),
        ("probability", 0.999, 1),
        ("probability", 0.2, 2),
        ("probability", 0.0, 5),
        ("entropy", 2.5, 3),
        ("entropy", 5.0, 5),
    ],
)
def test_level(colouring: Colouring, value: float, expected: int) -> None:
    assert level(colouring, value) == expected


@pytest.mark.parametrize("colouring", COLOURINGS)
def test_an_unknown_value_has_no_level(colouring: Colouring) -> None:
    assert level(colouring, math.nan) == NONE


@pytest.mark.parametrize("colouring", COLOURINGS)
def test_the_legend_names_the_value_at_which_each_level_begins(colouring: Colouring) -> None:
    steps = legend(colouring)
    assert [step for _, step in steps] == list(range(LEVELS))
    for label, step in steps:
        value = float(label.rstrip("+"))
        assert level(colouring, value) == step
        below = value - 1e-9
        if step and colouring != "probability":
            assert level(colouring, below) == step - 1
        if colouring == "probability" and step < LEVELS - 1:
            assert level(colouring, below) == step + 1
