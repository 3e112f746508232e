"""Numbers of threads are chosen by what steps take, and no experiment sees that."""

import random
from collections.abc import Callable

import pytest
import torch
from support import families

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.instruments import Execution
from tokexplore.models.engine.forward.threads import Threads, Tuner
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings

Machine = Callable[[int], float]
"""Seconds of a step by its number of threads."""


def alone(count: int) -> float:
    return {2: 0.048, 1: 0.067}[count] * random.uniform(0.95, 1.1)


def beside_a_job(count: int) -> float:
    """Two threads wait for each other whenever one of them does not run."""
    return random.uniform(0.1, 0.35) if count == 2 else 0.07 * random.uniform(0.9, 1.2)


def passed(tuner: Tuner, machine: Machine, steps: int, *, idle: bool = False) -> float:
    """Seconds that some steps take under a tuner."""
    total = 0.0
    for _ in range(steps):
        seconds = machine(tuner.count)
        tuner.took(seconds, idle=idle)
        total += seconds
    return total


def best(machine: Machine, counts: tuple[int, ...], steps: int) -> float:
    return min(sum(machine(count) for _ in range(steps)) for count in counts)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(5)


@pytest.mark.parametrize(("machine", "count"), [(alone, 2), (beside_a_job, 1)])
def test_what_is_faster_is_taken_and_finding_out_costs_little(machine: Machine, count: int) -> None:
    tuner = Tuner((2, 1))
    ratio = best(machine, (2, 1), 400) / passed(tuner, machine, 400)
    assert tuner.count == count
    assert tuner.settled
    assert ratio > 0.93


def test_a_job_that_comes_and_goes_is_followed() -> None:
    tuner = Tuner((2, 1))
    passed(tuner, alone, 50)
    passed(tuner, beside_a_job, 8)
    assert tuner.count == 1
    passed(tuner, beside_a_job, 100)
    assert tuner.wants == 1
    passed(tuner, alone, 30, idle=True)
    assert tuner.count == 2
    passed(tuner, beside_a_job, 100)
    passed(tuner, alone, 600)
    assert tuner.count == 2, "also where nobody can tell that cores are idle"


def test_among_many_the_fastest_is_found() -> None:
    taken = {15: 0.2, 7: 0.05, 3: 0.03, 1: 0.06}
    tuner = Tuner((15, 7, 3, 1))
    passed(tuner, lambda count: taken[count], 40)
    assert tuner.count == 3
    passed(tuner, lambda count: 0.3 / count, 200, idle=True)
    assert tuner.count == 15


def test_steps_that_become_longer_with_the_path_change_nothing() -> None:
    tuner, length = Tuner((2, 1)), 0

    def growing(count: int) -> float:
        nonlocal length
        length += 1
        return (0.01 + 0.0001 * length) * (1.4 if count == 1 else 1)

    passed(tuner, growing, 1000)
    assert tuner.count == 2


def engine_with(threads: Threads) -> LocalEngine:
    return LocalEngine(families.loaded(families.model("llama"), threads=threads))


@pytest.fixture
def _as_before() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def streamed(engine: LocalEngine, count: int = 24) -> list[DrawnToken]:
    request = StreamRequest((1, 2, 3), SamplingSettings(), count, ignore_eos=True)
    return [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]


@pytest.mark.usefixtures("_as_before")
def test_tokens_tell_their_threads_and_their_numbers_are_the_same_to_rounding() -> None:
    auto, one = engine_with(Threads(2, auto=True)), engine_with(Threads(1))
    assert (auto.info.threads, one.info.threads) == ("auto 1-2", "1")
    assert auto.info.provenance.threads == "auto 1-2"
    varied, steady = streamed(auto), streamed(one)
    assert {event.threads for event in steady} == {1}
    assert {event.threads for event in varied} == {1, 2}, "each is tried"
    for a, b in zip(varied, steady, strict=True):
        assert a.standing.token == b.standing.token
        assert a.standing.logprob == pytest.approx(b.standing.logprob, abs=1e-4)


@pytest.mark.usefixtures("_as_before")
def test_an_experiment_is_computed_with_the_threads_that_it_says() -> None:
    engine = engine_with(Threads(2, auto=True))
    torch.set_num_threads(1)  # what a stream found faster
    for threads, wanted in ((0, 2), (1, 1)):
        with engine.bench._computing(Execution(threads=threads)):
            assert torch.get_num_threads() == wanted
        assert torch.get_num_threads() == 1
