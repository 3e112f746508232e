"""SGLang's server on the embedded model: numbers and ids are the model's, prompts are scored."""

import json
from collections.abc import Iterator

import pytest
from support.served import check, events, opened, steps
from support.stub_server import Stub, send, serving

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    ScoredToken,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.api.traffic import Load, Traffic
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError, ServerError, UsageError
from tokexplore.models.lab.experiment import Experiment, planned
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine
from tokexplore.models.server.sglang.dialect import Sglang
from tokexplore.models.server.wire.address import Address
from tokexplore.models.server.wire.http import Http

GENERATE = "/generate"


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine.open(LoadOptions(threads=1), lambda _: None)


@pytest.fixture
def stub(local: LocalEngine) -> Stub:
    return Stub(local, "sglang")


@pytest.fixture
def engine(stub: Stub) -> Iterator[ServerEngine]:
    with serving(stub) as url:
        yield opened(url)


def test_what_it_can_do_is_found_out(engine: ServerEngine, local: LocalEngine) -> None:
    assert engine.info.capabilities == Capabilities(
        listed=20, on_demand=True, instruments=False, serves=True
    )
    assert engine.info.eos_ids == local.info.eos_ids
    assert engine.info.context == local.info.context
    assert engine.vocabulary.bytes_of(300) == local.vocabulary.bytes_of(300)
    said = " ".join(what for what, _ in engine.info.evidence)
    for words in (
        "SGLang 0.5.23",
        f"lists all {local.info.vocabulary:,} tokens",
        "before its sampler",
        "logprobs of a prompt",
        "whatever the seed",
        "tokenizer here",
    ):
        assert words in said


@pytest.mark.parametrize("incremental", [False, True])
def test_a_greedy_stream_is_the_models(
    stub: Stub, engine: ServerEngine, local: LocalEngine, incremental: bool
) -> None:
    stub.incremental = incremental
    ours = steps(engine, "Once upon a time")
    check(ours, steps(local, "Once upon a time"))
    assert {step.chosen_by for step in ours} == {"greedy"}
    streams = [body for path, body in stub.asked if path == GENERATE and body.get("stream")]
    assert len(streams) == 1


def test_our_sampler_draws_where_it_can(engine: ServerEngine, local: LocalEngine) -> None:
    how = {"temperature": 0.8, "top_k": 6, "seed": 5}
    ours, theirs = steps(engine, "The king", **how), steps(local, "The king", **how)
    same = next((i for i, step in enumerate(ours) if step.chosen_by == "server"), len(ours))
    assert same > 2
    check(ours[:same], theirs[:same])


def test_a_token_outside_the_list_has_its_logprob_and_no_rank(
    engine: ServerEngine, local: LocalEngine
) -> None:
    path, outside = list(engine.encode("The king")), 0
    for step in steps(engine, "The king", temperature=1.9, seed=1):
        (truth,) = local.standings(path, [step.standing.token])
        assert step.standing.logprob == pytest.approx(truth.logprob, abs=1e-5)
        assert step.standing.rank == (truth.rank if step.standing.index >= 0 else 0)
        outside += step.standing.index < 0
        path.append(step.standing.token)
    assert outside


def test_the_whole_vocabulary_of_a_step_is_had(engine: ServerEngine, local: LocalEngine) -> None:
    ids = engine.encode("The king")
    ours, theirs = engine.describe(ids, whole=True), local.describe(ids)
    assert ours.entropy == pytest.approx(theirs.entropy, abs=1e-4)
    assert ours.ids[:80] == theirs.ids[:80]


def test_a_prompt_is_scored(engine: ServerEngine, local: LocalEngine) -> None:
    last = local.info.vocabulary - 1
    ids = [*engine.encode("The king said purple 国王"), last, 5]
    for start in (1, 3):
        ours = [e for e in engine.score(ids, start, Control()) if isinstance(e, ScoredToken)]
        theirs = [e for e in local.score(ids, start, Control()) if isinstance(e, ScoredToken)]
        assert [e.position for e in ours] == [e.position for e in theirs]
        for score, truth in zip(ours, theirs, strict=True):
            assert score.standing.token == truth.standing.token
            assert score.standing.logprob == pytest.approx(truth.standing.logprob, abs=1e-5)
            listed = score.standing.index >= 0
            assert score.standing.rank == (truth.standing.rank if listed else 0)
            assert score.distribution.ids == truth.distribution.ids[:80]


def test_half_a_character_is_a_step(engine: ServerEngine, local: LocalEngine) -> None:
    ids = engine.encode("国")
    assert len(ids) > 1
    for cut in range(1, len(ids)):
        check(events(engine, ids[:cut], 4)[0], events(local, ids[:cut], 4)[0])


def test_a_text_ends_where_the_server_says_so(
    stub: Stub, engine: ServerEngine, local: LocalEngine
) -> None:
    path = engine.encode("Once upon a time")
    third = events(engine, path, 3)[0][-1].standing.token
    stub.engine = Ends(local, third)
    (*_, last), ended = events(engine, path, 8)
    assert (last.standing.token, ended.reason) == (third, "eos")
    with serving(stub) as url:
        http = Http(Address.parse(url), ServerOptions())
        dialect = Sglang(http, "SGLang", local.info.vocabulary)
        assert dialect.ends(path, third)
        assert not dialect.ends(path, third + 1)


class Ends:
    """A local engine of which another token ends texts."""

    def __init__(self, engine: LocalEngine, token: int) -> None:
        self._engine, self._token = engine, token

    @property
    def info(self) -> object:
        class Info:
            eos_ids = (self._token,)

        return Info

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def test_a_length_beyond_the_context_is_not_asked_for(local: LocalEngine) -> None:
    with serving(Stub(local, "sglang", context=12)) as url:
        engine = opened(url)
        ids = engine.encode("Once upon a time")
        drawn, ended = events(engine, ids, 40)
    assert (len(ids) + len(drawn), ended.reason) == (12, "context")


def test_requests_are_kept_from_its_prefix_cache(stub: Stub, engine: ServerEngine) -> None:
    ids = tuple(engine.encode("Once upon"))
    request = StreamRequest(ids, SamplingSettings(), 4, ignore_eos=True)
    found = list(engine.requests.run([request], Traffic(cold=True), Control()))
    (load,) = (event for event in found if isinstance(event, Load))
    assert load.running is not None
    assert load.running <= 1, "what it tells of one priority is in the total"
    assert (load.waiting, load.cache) == (2, 0.25), "of two engines, each with a cache"
    assert [isinstance(e[1], DrawnToken) for e in found if not isinstance(e, Load)].count(True) == 4
    stub.keeps_salts = False
    with pytest.raises(ServerError, match="from its prefix cache"):
        list(engine.requests.run([request], Traffic(cold=True), Control()))


def test_settings_that_it_has_not_are_refused(engine: ServerEngine) -> None:
    for field, value in (("typical_p", 0.5), ("repetition_penalty", 1.2), ("bias", (((5,), 1.0),))):
        with pytest.raises(UsageError, match=r"SGLang 0\.5\.23 has no .* as we have it"):
            steps(engine, "The", temperature=1.0, **{field: value})
    with pytest.raises(UsageError, match="has top-k and top-p together otherwise"):
        steps(engine, "The", temperature=1.0, top_k=5, top_p=0.5)
    assert steps(engine, "The", top_k=5, top_p=0.5), "neither does anything in greedy"
    assert steps(engine, "The", temperature=1.0, top_k=2**60)


def test_seeds_are_in_force_where_it_says_so(stub: Stub, engine: ServerEngine) -> None:
    ids = tuple(engine.encode("The"))
    request = StreamRequest(ids, SamplingSettings(temperature=1.0), 4)
    with pytest.raises(UsageError, match="draws anew for each request"):
        planned(engine, Experiment(request, 2))
    assert planned(engine, Experiment(request, 2, new_seeds=True))
    stub.seeded = True
    with serving(stub) as url:
        seeded = opened(url)
    assert planned(seeded, Experiment(request, 2))
    with pytest.raises(UsageError, match=r"has no min-p as we have it"):
        steps(seeded, "The", temperature=1.0, min_p=0.1)


def test_without_a_tokenizer_it_says_what_to_name(local: LocalEngine) -> None:
    with (
        serving(Stub(local, "sglang")) as url,
        pytest.raises(ModelError, match=r"the tokenizer of owner/stub .* --tokenizer DIR"),
    ):
        opened(url, tokenizer="")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("parent", "owner/base", "open owner/base"),
        ("disaggregation", "prefill", "only the prefill"),
    ],
)
def test_what_cannot_be_asked_by_ids_is_refused(
    stub: Stub, name: str, value: str, words: str
) -> None:
    setattr(stub, name, value)
    with serving(stub) as url, pytest.raises(ModelError, match=words):
        opened(url)


def test_a_server_without_logprobs_of_prompts_says_so(stub: Stub) -> None:
    refused = {"error": {"message": "Prompt input logprobs (logprob_start_len) are not supported"}}
    answer = stub.answer
    stub.answer = lambda path, body: (  # type: ignore[method-assign]
        (400, refused) if "logprob_start_len" in body else answer(path, body)
    )
    with serving(stub) as url:
        engine = opened(url)
        assert not engine.info.capabilities.prompt_scores
        with pytest.raises(UsageError, match="gives no logprobs of tokens that it is given"):
            list(engine.score(engine.encode("The king"), 1, Control()))


META = {"completion_tokens": 1, "output_token_logprobs": [[-0.5, 5, None]]}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"error": {"message": "no room\nfor this"}}, "gave the request up: no room for this"),
        ({"error": "input_ids: expected"}, "gave the request up: input_ids: expected"),
        ({"meta_info": META}, "a logprob for each token"),
        ({"meta_info": META | {"output_top_logprobs": [[[None, 5, None]]]}}, "a logprob for each"),
        ({"meta_info": META | {"output_top_logprobs": [[[-1, 10**9, None]]]}}, "cannot be"),
        ({"meta_info": META | {"output_top_logprobs": 5}}, "as SGLang writes them"),
        (
            {"meta_info": {"completion_tokens": 0, "finish_reason": {
                "type": "abort", "message": "Aborted", "status_code": None}}},
            "gave the request up: Aborted",
        ),
        (
            {"meta_info": META | {"finish_reason": {"type": "stop", "matched": "NaN happened"}}},
            "gave the request up: NaN happened",
        ),
    ],
)  # fmt: skip
def test_what_it_sends_is_checked(
    stub: Stub, engine: ServerEngine, reply: dict[str, object], words: str
) -> None:
    data = f"data: {json.dumps(reply)}\n\ndata: [DONE]\n\n"
    stub.faults[GENERATE] = [
        lambda handler: send(handler, 200, data, "text/event-stream"),
        lambda handler: send(handler, 200, reply),
    ]
    with pytest.raises(ServerError, match=words):
        steps(engine, "The")
    with pytest.raises(ServerError, match=words):
        engine.describe(engine.encode("The"))
