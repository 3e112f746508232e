"""Figures and bars: short, exact at the ends, never a false zero."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.widgets.bars import bar
from tokexplore.widgets.numbers import (
    count,
    duration,
    logprob_text,
    mass_text,
    percent,
    probability_text,
    ratio_text,
    short_count,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (1e-12, "<0.01%"),
        (0.00012, "0.01%"),
        (0.0003, "0.03%"),
        (0.00999, "1.0%"),
        (0.198, "19.8%"),
        (0.9994, "99.9%"),
        (0.99999, ">99.9%"),
        (1.0, "100%"),
    ],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (45.4, "45 s"), (119, "119 s"), (120, "2 min"), (7000, "117 min"),
        (7200, "2 h"), (172_799, "48 h"), (172_800, "2 days"), (6e7, "694 days"),
        (63_072_000, "2 years"), (3.1536e12, "100,000 years"),
    ],
)  # fmt: skip
def test_how_long_something_takes_is_told_in_a_unit_that_is_read(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_no_probability_between_is_shown_as_nothing_or_everything(share: float) -> None:
    text = percent(share)
    assert len(text) <= 6
    assert text not in ("0%", "100%")
    assert text.strip("<>%") not in ("0.0", "0.00", "100.0")


@pytest.mark.parametrize(
    ("nats", "text"),
    [
        (-1.61754, "-1.6175"),
        (0.0, "0.0000"),
        (-0.0, "0.0000"),
        (-0.00004, "-4.0e-05"),
        (-math.inf, "-∞"),
        (-123.45678, "-123.4568"),
    ],
)
def test_logprob(nats: float, text: str) -> None:
    assert logprob_text(nats) == text


@given(st.floats(-500, -1e-30))
def test_a_logprob_below_zero_never_looks_like_zero(nats: float) -> None:
    assert float(logprob_text(nats)) < 0
    assert len(logprob_text(nats)) <= 9


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (9999, "9999"), (12_345, "12.3k"), (100_000, "100k"), (999_600, "1.0M"),
     (494_000_000, "494M"), (7_600_000_000, "7.6G")],
)  # fmt: skip
def test_short_count(number: int, text: str) -> None:
    assert short_count(number) == text


@given(st.integers(0, 10**12))
def test_a_short_count_is_short(number: int) -> None:
    assert len(short_count(number)) <= 5


def test_count_parts_thousands() -> None:
    assert count(151_936) == "151,936"


@given(st.floats(-1, 2), st.integers(0, 80))
def test_a_bar_has_its_cells_and_grows_with_the_share(share: float, width: int) -> None:
    text = bar(share, width)
    assert len(text) == width
    assert abs(text.count("█") - min(1.0, max(0.0, share)) * width) <= 1
    if share > 0 and width:
        assert text.strip()
    if share <= 0:
        assert not text.strip()


def test_bars_resolve_eighths_of_a_cell() -> None:
    assert [bar(n / 8, 1) for n in range(9)] == list(" ▏▎▍▌▋▊▉█")
    assert bar(0.000001, 10) == "▏".ljust(10)


@pytest.mark.parametrize(
    ("nats", "text"),
    [
        (0.0, "100.00%"),
        (-1e-9, ">99.99%"),
        (math.log(0.1234), "12.34%"),
        (math.log(0.00011), "0.01%"),
        (math.log(0.9999e-4), "1.00e-04"),
        (math.log(3.21) - 57 * math.log(10), "3.21e-57"),
        (-1e5, "3.56e-43430"),
        (-math.inf, "0"),
    ],
)
def test_a_probability_is_shown_however_small_it_is(nats: float, text: str) -> None:
    assert probability_text(nats) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (9.9e-5, "<0.01%"), (0.1234, "12.34%"), (0.99999, ">99.99%"), (1.0, "100.00%")],
)
def test_a_mass_is_never_rounded_to_none_or_all(share: float, text: str) -> None:
    assert mass_text(share) == text


@given(st.floats(-1e7, 0))
def test_a_probability_is_never_shown_as_nothing(nats: float) -> None:
    assert float(probability_text(nats).partition("e")[0].strip(">%")) > 0


@pytest.mark.parametrize(
    ("times", "text"),
    [(1, "1.00"), (9.99, "9.99"), (9.999, "10.0"), (52.8, "52.8"), (999.9, "1,000"),
     (123_456, "123,456"), (4.5e6, "4.50e+06")],
)  # fmt: skip
def test_a_ratio(times: float, text: str) -> None:
    assert ratio_text(math.log(times)) == text


def test_a_ratio_that_no_float_holds() -> None:
    assert ratio_text(2000.0) == "3.88e+868"
    assert ratio_text(math.inf) == "∞"
