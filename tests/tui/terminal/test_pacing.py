"""Frames leave as fast as the line answers, and never wait for an answer that does not come."""

from tokexplore.tui.terminal.pacer import (
    BUDGET_BYTES,
    BUDGET_FRAMES,
    FRAMES_PER_SECOND,
    GIVE_UP,
    IN_FLIGHT,
    Pacer,
)

FRAME = 1 / FRAMES_PER_SECOND


def test_frames_come_no_faster_than_the_cap() -> None:
    pacer = Pacer(asks=True, mark=0)
    assert pacer.wait(10.0) == 0
    pacer.sent(10.0, 100, 1)
    pacer.answered(10.001)
    assert 0 < pacer.wait(10.002) <= FRAME
    assert pacer.wait(10.0 + FRAME) == 0


def test_two_frames_may_be_unanswered_and_an_answer_frees_the_next() -> None:
    pacer = Pacer(asks=True, mark=0)
    for number in range(IN_FLIGHT):
        assert pacer.wait(10 + number * FRAME) == 0
        pacer.sent(10 + number * FRAME, 100, number + 1)
    assert pacer.wait(10.2) > 1
    pacer.answered(10.3)
    assert pacer.wait(10.3) == 0
    assert abs((pacer.figures(10.3).round_trip or 0) - 0.3) < 1e-9


def test_a_key_acts_on_the_frame_that_was_answered() -> None:
    pacer = Pacer(asks=True, mark="nothing")
    pacer.sent(10.0, 100, "first")
    pacer.sent(10.1, 100, "second")
    assert pacer.seen == "nothing"
    pacer.answered(10.2)
    assert pacer.seen == "first"
    pacer.unchanged("second, with nothing to paint")
    pacer.answered(10.3)
    assert pacer.seen == "second, with nothing to paint"


def test_an_answer_that_is_lost_is_given_up() -> None:
    pacer = Pacer(asks=True, mark=0)
    pacer.sent(1.0, 1, 1)
    pacer.answered(1.1)
    pacer.sent(10.0, 100, 2)
    pacer.sent(10.1, 100, 3)
    assert pacer.wait(10.2) > 0
    assert pacer.wait(10.0 + GIVE_UP) == 0
    assert pacer.seen == 2
    assert pacer.asks, "this line answered before"


def test_a_terminal_that_never_answers_gets_a_budget() -> None:
    pacer = Pacer(asks=True, mark=0)
    for number in range(IN_FLIGHT):
        pacer.sent(10.0 + number, 100, number)
    assert pacer.wait(11.0 + GIVE_UP) == 0
    assert not pacer.asks
    assert not pacer.awaits


def test_a_budget_counts_frames_and_bytes() -> None:
    pacer = Pacer(asks=False, mark=0)
    pacer.sent(10.0, 100, 1)
    assert pacer.seen == 1, "nothing better is known"
    assert abs(pacer.wait(10.0) - 1 / BUDGET_FRAMES) < 1e-9
    pacer.sent(11.0, BUDGET_BYTES, 2)
    assert abs(pacer.wait(11.0) - 1.0) < 1e-9


def test_figures_are_of_the_last_seconds() -> None:
    pacer = Pacer(asks=True, mark=0)
    for number in range(30):
        pacer.sent(10 + number / 10, 200, 0)
        pacer.answered(10 + number / 10 + 0.05)
    figures = pacer.figures(13.0)
    assert abs(figures.frames - 10) < 0.5
    assert abs(figures.bytes - 2000) < 100
    assert pacer.figures(60.0).frames == 0
