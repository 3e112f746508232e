"""The real vLLM on the embedded model: its numbers are those of the same weights here, id by id."""

from collections.abc import Iterator

import numpy as np
import pytest
from support.vllm_server import HOME, serving

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    ScoredToken,
    StreamEnded,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.lab.experiment import Experiment, Forked, conduct
from tokexplore.models.lab.repeat import Run
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine
from tokexplore.models.tree.study import Checked

pytestmark = pytest.mark.servers

SAME = 2e-3
"""Nats by which a float32 server and a float32 model here may differ."""


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine.open(LoadOptions(threads=1), lambda _: None)


@pytest.fixture(scope="module")
def engine() -> Iterator[ServerEngine]:
    assert (HOME / "bin/vllm").exists(), "make test-servers makes its environment"
    with serving() as url:
        server = ServerOptions(tokenizer=str(EMBEDDED_DIRECTORY))
        yield ServerEngine.open(LoadOptions(url, server=server), lambda _: None)


def streamed(engine: ServerEngine | LocalEngine, ids: list[int], **how: object) -> list[DrawnToken]:
    settings = SamplingSettings(**how)  # type: ignore[arg-type]
    events = list(engine.stream(StreamRequest(tuple(ids), settings, 12), Control()))
    assert isinstance(events[-1], StreamEnded)
    return [event for event in events if isinstance(event, DrawnToken)]


def check(local: LocalEngine, path: list[int], steps: list[DrawnToken]) -> None:
    """Every listed candidate of every step has the number that the weights give here."""
    path = list(path)
    for step in steps:
        row = local.row(path)[0]
        ids = np.frombuffer(step.distribution.ids, np.uint32)
        truth = row.logits[ids] - row.lse
        np.testing.assert_allclose(step.distribution.logit_view, truth, atol=SAME)
        assert step.standing.logprob == pytest.approx(
            row.logits[step.standing.token] - row.lse, abs=SAME
        )
        path.append(step.standing.token)


def test_a_branched_session(engine: ServerEngine, local: LocalEngine) -> None:
    path = local.encode("Once upon a time there was a king who")
    assert engine.encode("Once upon a time there was a king who") == path
    trunk = streamed(engine, path)
    check(local, path, trunk)
    for at, rank in ((3, 1), (7, 4)):
        before = [*path, *(step.standing.token for step in trunk[:at])]
        branch = [*before, trunk[at].distribution.id_view[rank]]
        check(local, branch, streamed(engine, branch))
    typed = [*path, *local.encode(" said", continuation=True)]
    check(local, typed, streamed(engine, typed))


def test_the_whole_vocabulary(engine: ServerEngine, local: LocalEngine) -> None:
    assert engine.info.capabilities.whole_rows
    assert engine.info.vocabulary == local.info.vocabulary
    path = local.encode("The queen")
    theirs, ours = engine.row(path)[0], local.row(path)[0]
    np.testing.assert_allclose(theirs.logits - theirs.lse, ours.logits - ours.lse, atol=SAME)
    assert theirs.entropy == pytest.approx(ours.entropy, abs=SAME)


def test_a_prompt_is_scored(engine: ServerEngine, local: LocalEngine) -> None:
    path = local.encode("The old man went into the forest.")
    theirs, ours = (
        [event for event in which.score(path, 1, Control()) if isinstance(event, ScoredToken)]
        for which in (engine, local)
    )
    assert [s.standing.rank for s in theirs] == [s.standing.rank for s in ours]
    for one, other in zip(theirs, ours, strict=True):
        assert one.standing.logprob == pytest.approx(other.standing.logprob, abs=SAME)


def test_our_sampler_draws_the_same(engine: ServerEngine, local: LocalEngine) -> None:
    path = local.encode("The king")
    how = {"temperature": 0.8, "top_k": 8, "seed": 11}
    ours, theirs = streamed(local, path, **how), streamed(engine, path, **how)
    assert [s.standing.token for s in theirs] == [s.standing.token for s in ours]
    assert {step.chosen_by for step in theirs} == {"sampled"}


def test_the_lab(engine: ServerEngine) -> None:
    ids = tuple(engine.encode("Once upon a time"))
    request = StreamRequest(ids, SamplingSettings(), 16, prompt_length=len(ids), top=16)
    events = list(conduct(engine, Experiment(request, 2, concurrency=(1, 4)), Control()))
    runs = [event for event in events if isinstance(event, Run)]
    assert len({run.condition.words() for run in runs}) == 6
    assert len({run.ids for run in runs}) == 1, "float32 has no ties here"
    told = [run.load.running for run in runs if run.load is not None]
    assert len(told) == len(runs)
    assert max(n or 0 for n in told) > 1, "its figures may come late, but not always"
    assert all(e.same_tokens for e in events if isinstance(e, Checked))
    (found,) = (event for event in events if isinstance(event, Forked))
    assert found.close_calls is not None


def test_it_tells_how_it_renders_a_chat(engine: ServerEngine, local: LocalEngine) -> None:
    said = " ".join(what for what, _ in engine.info.evidence)
    assert ("renders a chat as its template does here" in said) == local.info.chat_template
    if local.info.chat_template:
        chat = Chat((Message("user", "Who is the king?"),))
        assert engine.render(chat).ids == local.render(chat).ids


def test_logprobs_after_its_sampler_are_not_shown(local: LocalEngine) -> None:
    with serving(EMBEDDED_DIRECTORY, "--logprobs-mode", "processed_logprobs") as url:
        server = ServerOptions(tokenizer=str(EMBEDDED_DIRECTORY))
        engine = ServerEngine.open(LoadOptions(url, server=server), lambda _: None)
        assert "gives logprobs after the temperature" in [what for what, _ in engine.info.evidence]
        ids = engine.encode("Once upon a time")
        check(local, ids, streamed(engine, ids))
        check(local, ids, streamed(engine, ids, temperature=0.7, top_k=5, seed=3))
        check(local, ids, streamed(engine, ids, temperature=1.6, seed=4))
        penalised = streamed(engine, ids, repetition_penalty=1.3)
        check(local, ids, penalised)
        scores = [s for s in engine.score(ids, 1, Control()) if isinstance(s, ScoredToken)]
        for score in scores:
            (truth,) = local.standings(ids[: score.position], [ids[score.position]])
            assert score.standing.logprob == pytest.approx(truth.logprob, abs=SAME)
