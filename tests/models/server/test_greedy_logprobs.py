"""Servers that give logprobs after their sampler: what is shown is the model's all the same."""

from collections.abc import Iterator

import pytest
from support.served import check, opened, steps
from support.stub_server import Stub, serving

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.traffic import Traffic
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine

KINDS = ("vllm", "sglang")


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine.open(LoadOptions(threads=1), lambda _: None)


@pytest.fixture(params=KINDS)
def stub(local: LocalEngine, request: pytest.FixtureRequest) -> Stub:
    kind: str = request.param
    limit = local.info.vocabulary if kind == "vllm" else 20
    return Stub(local, kind, processed=True, limit=limit)  # type: ignore[arg-type]


@pytest.fixture
def engine(stub: Stub) -> Iterator[ServerEngine]:
    with serving(stub) as url:
        yield opened(url)


def test_it_says_so(engine: ServerEngine) -> None:
    assert "gives logprobs after the temperature" in [what for what, _ in engine.info.evidence]


def test_a_greedy_stream_is_one_request(
    stub: Stub, engine: ServerEngine, local: LocalEngine
) -> None:
    before = len(stub.asked)
    ours = steps(engine, "Once upon a time")
    check(ours, steps(local, "Once upon a time"))
    assert len(stub.asked) == before + 1


def test_our_sampler_draws_the_same(engine: ServerEngine, local: LocalEngine) -> None:
    how = {"temperature": 0.8, "top_k": 6, "seed": 5}
    ours, theirs = steps(engine, "The king", **how), steps(local, "The king", **how)
    same = next((i for i, step in enumerate(ours) if step.chosen_by == "server"), len(ours))
    assert same > 2
    check(ours[:same], theirs[:same])


def test_what_the_server_draws_has_the_models_logprobs(
    engine: ServerEngine, local: LocalEngine
) -> None:
    _check_drawn(steps(engine, "The king", temperature=1.9, seed=1), engine, local)


def test_what_the_lab_draws_has_the_models_logprobs(
    stub: Stub, engine: ServerEngine, local: LocalEngine
) -> None:
    ids = tuple(engine.encode("The king"))
    request = StreamRequest(ids, SamplingSettings(temperature=1.5, seed=15), 12)
    before = len(stub.asked)
    found = list(engine.requests.run([request], Traffic(cold=True), Control()))
    drawn = [each[1] for each in found if isinstance(each, tuple)]
    _check_drawn([event for event in drawn if isinstance(event, DrawnToken)], engine, local)
    draws = [body for _, body in stub.asked[before:] if _temperature(body)]
    assert len(draws) == 12
    assert all("cache_salt" in body for body in draws)


def test_a_bias_of_the_server_changes_no_number(local: LocalEngine) -> None:
    with serving(Stub(local, "vllm", processed=True)) as url:
        engine = opened(url)
        (first, *_) = steps(engine, "The king")
        (biased, *_) = steps(engine, "The king", bias=(((first.distribution.id_view[3],), 50.0),))
    assert biased.standing.token == first.distribution.id_view[3]
    assert biased.standing.logprob == pytest.approx(first.distribution.logprob(3), abs=1e-5)
    assert biased.distribution.ids == first.distribution.ids


def _temperature(body: dict[str, object]) -> object:
    sampling = body.get("sampling_params", body)
    assert isinstance(sampling, dict)
    return sampling.get("temperature")


def _check_drawn(drawn: list[DrawnToken], engine: ServerEngine, local: LocalEngine) -> None:
    path, unlisted = list(engine.encode("The king")), 0
    assert drawn
    for step in drawn:
        (truth,) = local.standings(path, [step.standing.token])
        assert step.standing.logprob == pytest.approx(truth.logprob, abs=1e-5)
        told = local.describe(path)
        assert step.distribution.ids == told.ids[: len(step.distribution.ids)]
        unlisted += step.standing.index < 0
        path.append(step.standing.token)
    assert unlisted, "tokens outside the list have their logprobs too"
