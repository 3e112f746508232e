"""The workbench: the same path in other shapes, against streams and plain passes."""

import numpy as np
import pytest
from support import families
from support.connect import in_thread
from support.truth import GREEDY, SAMPLED

from tokexplore.models.api.engine import Control, DrawnToken, StreamEnded, StreamRequest
from tokexplore.models.api.instruments import Execution
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import FindAttentions, FindRouting, FindSplits, FindSummands
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.client import EngineClient

IDS = tuple(range(5, 25))
MATES = (tuple(range(30, 41)), tuple(range(50, 75)), IDS)
OTHERWISE = (
    Execution(),
    Execution(MATES),
    Execution(MATES, row=2),
    Execution(MATES, row=1, together=True),
    Execution(MATES, row=3, together=True, chunk=7),
    Execution(chunk=1),
    Execution(chunk=6, cached=9),
    Execution(MATES[:1], cached=19),
    Execution(attention="eager", threads=1, deterministic=True),
)
FAMILIES = ("llama", "gpt2", "qwen3_moe", "mixtral", "gemma3")


def engine_of(family: str) -> LocalEngine:
    return LocalEngine(families.loaded(families.model(family)))


def request(settings: SamplingSettings = GREEDY, length: int = 12) -> StreamRequest:
    return StreamRequest(IDS, settings, length, prompt_length=len(IDS), ignore_eos=True, top=8)


def told(events) -> tuple[list[DrawnToken], StreamEnded]:
    *tokens, end = events
    assert isinstance(end, StreamEnded)
    return tokens, end


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("settings", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_every_way_of_computing_gives_the_same_run_in_float32(family, settings) -> None:
    engine = engine_of(family)
    asked = request(settings)
    streamed = [e for e in engine.stream(asked, Control()) if isinstance(e, DrawnToken)]
    for execution in OTHERWISE:
        tokens, end = told(engine.bench.run(asked, execution, Control()))
        assert [t.standing.token for t in tokens] == [t.standing.token for t in streamed]
        assert end.reason == "length"
        for mine, theirs in zip(tokens, streamed, strict=True):
            assert mine.distribution.id_view[0] == theirs.distribution.id_view[0]
            assert mine.standing.logprob == pytest.approx(theirs.standing.logprob, abs=1e-4)
            assert mine.uniform == theirs.uniform


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trace_has_the_logits_of_one_plain_pass(family) -> None:
    engine = engine_of(family)
    path = (*IDS, 7, 3, 9, 1)
    truth = engine.core.forward(path, 0, None, len(path)).numpy()  # [24, V]
    ways = [(e, True) for e in OTHERWISE]
    ways += [(e, False) for e in OTHERWISE if e.batch == 1]
    for execution, stepwise in ways:
        rows: dict[int, np.ndarray] = {}
        for done, logits in engine.bench.trace(
            path, len(IDS), execution, Control(), stepwise=stepwise
        ):
            for back, row in enumerate(reversed(logits)):
                rows[done - back] = row
        wanted = range(len(IDS), len(path) + 1)
        assert [n for n in sorted(rows) if n >= len(IDS)] == list(wanted)
        for length in wanted:
            assert np.abs(rows[length] - truth[length - 1]).max() < 1e-3


def test_a_model_that_is_fed_in_twos_is_traced_as_plain_passes_have_it() -> None:
    engine = engine_of("nemotron_h")
    assert engine.info.feed == "twos"
    path = tuple(range(5, 60))
    truth = engine.core.forward(path, 0, None, len(path)).numpy()  # [55, V]

    for done, logits in engine.bench.trace(path, 20, Execution(), Control(), stepwise=True):
        assert np.abs(logits[0] - truth[done - 1]).max() < 1e-4
    with pytest.raises(UsageError, match="in one pass only"):
        list(engine.bench.trace(path, 20, Execution(chunk=4), Control(), stepwise=False))


def test_padding_is_not_seen_and_a_planted_shift_of_positions_is() -> None:
    """Without their own positions the padded rows of GPT-2 are wrong: this check would see it."""
    engine = engine_of("gpt2")
    plain, _ = told(engine.bench.run(request(), Execution(), Control()))
    batch = engine.core.forward.batch
    engine.core.forward.batch = lambda *fed: batch(*fed[:3])  # type: ignore[method-assign]
    shifted, _ = told(engine.bench.run(request(), Execution(MATES, together=True), Control()))
    far = [
        abs(a.standing.logprob - b.standing.logprob) for a, b in zip(plain, shifted, strict=True)
    ]
    assert max(far) > 1e-2


def test_the_same_batch_again_is_the_same_bit_for_bit() -> None:
    engine = engine_of("mixtral")
    execution = Execution(MATES, row=1)
    first, _ = told(engine.bench.run(request(), execution, Control()))
    again, _ = told(engine.bench.run(request(), execution, Control()))
    assert [t.distribution.logits for t in first] == [t.distribution.logits for t in again]


def test_a_run_ends_where_a_stream_does() -> None:
    engine = engine_of("llama")
    plain, _ = told(engine.bench.run(request(), Execution(), Control()))
    stop = plain[3].standing.token
    asked = StreamRequest(IDS, GREEDY, 12, stop_ids=(stop,))
    tokens, end = told(engine.bench.run(asked, Execution(MATES), Control()))
    assert end.reason == "stop"
    assert tokens[-1].standing.token == stop
    control = Control()
    events = engine.bench.run(request(), Execution(), control)
    next(events)
    control.cancelled = True
    assert [e.reason for e in events if isinstance(e, StreamEnded)] == ["interrupted"]


@pytest.mark.parametrize("family", ["llama", "mamba", "rwkv", "lfm2", "gemma3"])
def test_the_kernels_that_are_named_run_and_are_gone_again(family: str) -> None:
    engine = engine_of(family)
    own = engine.core.forward.model.config._attn_implementation
    assert engine.bench.attentions[0] == own
    assert (len(engine.bench.attentions) > 1) is (family not in ("mamba", "rwkv"))
    for kernel in engine.bench.attentions[1:]:
        told(engine.bench.run(request(length=2), Execution(attention=kernel), Control()))
    assert engine.core.forward.model.config._attn_implementation == own


def test_what_a_model_cannot_do_is_refused_by_name() -> None:
    mamba = engine_of("mamba")
    with pytest.raises(UsageError, match="runs no batches"):
        told(mamba.bench.run(request(), Execution(MATES), Control()))
    with pytest.raises(UsageError, match="in one pass"):
        told(mamba.bench.run(request(), Execution(chunk=4), Control()))
    told(mamba.bench.run(request(), Execution(threads=1), Control()))
    llama = engine_of("llama")
    for execution, word in (
        (Execution(attention="nonsense"), "nonsense"),
        (Execution(experts="x"), "experts x"),
    ):
        with pytest.raises(UsageError, match=word):
            told(llama.bench.run(request(), execution, Control()))
    assert llama.core.forward.model.config._attn_implementation == "sdpa"
    with pytest.raises(UsageError, match="row 4"):
        told(llama.bench.run(request(), Execution(MATES, row=4), Control()))


async def test_what_is_a_plain_value_can_be_asked_of_an_engine_in_another_process() -> None:
    engine = engine_of("qwen3_moe")
    client = EngineClient(LoadOptions("tiny"), connect=in_thread(lambda *_: engine))
    await client.start(lambda _: None)
    execution = Execution(MATES[:1])
    assert await client.ask(FindAttentions()) == engine.bench.attentions
    assert await client.ask(FindSummands(IDS)) == engine.bench.summands(IDS)
    assert await client.ask(FindSplits(IDS, (1, 3))) == list(engine.bench.split(IDS, (1, 3)))
    routing = engine.bench.routing(IDS, 12, execution, Control(), stepwise=True)
    assert await client.ask(FindRouting(IDS, 12, execution, stepwise=True)) == routing
    with pytest.raises(UsageError, match="row 5 is not in a batch of 2"):
        await client.ask(FindRouting(IDS, 12, Execution(MATES[:1], row=5)))
    await client.close()
