"""A path computed beside other branches of it, as lanes stream: against plain passes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import pytest
import torch
from support.truth import GREEDY, SAMPLED
from transformers.cache_utils import DynamicCache

from tokexplore.models.api.borders import Borders
from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.instruments import Execution
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.conditions import BESIDE, offered, possible

IDS = tuple((7 * n + 3) % 90 for n in range(40))
PATH = (*IDS, 7, 3, 9, 1, 70, 22, 41, 8, 15, 60)
SHARING = ("llama", "gpt2", "qwen2", "qwen3_moe", "mistral", "gemma3")
EngineOf = Callable[..., LocalEngine]


class Pass(NamedTuple):
    """One of several rows."""

    tokens: tuple[int, ...]
    prefixes: list[object]
    """Of each row the memory that its first positions lie in."""
    logits: torch.Tensor
    """[B, V]."""


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Pass]:
    """Passes of several rows; any other one is a row of its own."""
    seen, honest, plain = list[Pass](), Forward.together, Forward.__call__

    def together(self: Forward, tokens: Sequence[int], caches: Sequence[DynamicCache]) -> object:
        logits = honest(self, tokens, caches)
        firsts = [cache.layers[0].segments[0].buffer for cache in caches]
        seen.append(Pass(tuple(tokens), firsts, logits))
        return logits

    def alone(self: Forward, tokens: Sequence[int], *rest: object) -> object:
        logits = plain(self, tokens, *rest)
        seen.append(Pass(tuple(tokens[-1:]), [None], logits))
        return logits

    monkeypatch.setattr(Forward, "together", together)
    monkeypatch.setattr(Forward, "__call__", alone)
    return seen


def traced(engine: LocalEngine, execution: Execution) -> dict[int, torch.Tensor]:
    rows = engine.bench.trace(PATH, len(IDS), execution, Control(), stepwise=True)
    return {done: torch.from_numpy(logits[0]) for done, logits in rows}


@pytest.mark.parametrize("family", SHARING)
@pytest.mark.parametrize("beside", BESIDE[1:])
def test_its_logits_are_those_of_a_plain_pass(
    family: str, beside: int, engine_of: EngineOf
) -> None:
    engine = engine_of(family)
    truth = engine.core.forward(PATH, 0, None, len(PATH))  # [50, V]
    for execution in (Execution(beside=beside), Execution(beside=beside, chunk=7, cached=16)):
        found = traced(engine, execution)
        assert sorted(found) == list(range(len(IDS), len(PATH) + 1))
        far = [(logits - truth[length - 1]).abs().max() for length, logits in found.items()]
        assert max(far) <= 1e-4


@pytest.mark.parametrize("beside", BESIDE[1:])
def test_all_branches_are_rows_of_one_pass_on_one_prefix(
    beside: int, engine_of: EngineOf, passes: list[Pass]
) -> None:
    engine = engine_of("llama")
    passes.clear()
    traced(engine, Execution(beside=beside))
    _, *steps = list(passes)

    assert [len(each.tokens) for each in steps] == [beside + 1] * (len(PATH) - len(IDS))
    assert [each.tokens[0] for each in steps] == list(PATH[len(IDS) :])
    assert len(set(steps[0].tokens)) == beside + 1, "each begins with a token of its own"
    assert all(len(set(map(id, each.prefixes))) == 1 for each in steps), "it is held once"
    for row in range(1, beside + 1):
        path = (*IDS, *(each.tokens[row] for each in steps))
        truth = engine.core.forward(path, 0, None, len(steps))  # [10, V]
        assert (torch.stack([each.logits[row] for each in steps]) - truth).abs().max() <= 1e-4
        assert list(path[len(IDS) + 1 :]) == truth.argmax(-1)[:-1].tolist(), "it goes on greedily"


def test_others_begin_with_the_most_probable_tokens_that_the_path_does_not_take(
    engine_of: EngineOf, passes: list[Pass]
) -> None:
    engine = engine_of("llama")
    likely = engine.core.forward(IDS, 0, None)[0].argsort(descending=True).tolist()
    for place in (0, 2, 50):
        passes.clear()
        path = (*IDS, likely[place])
        list(engine.bench.trace(path, len(IDS), Execution(beside=3), Control(), stepwise=True))
        others = [token for token in likely[:4] if token != likely[place]][:3]
        assert passes[1].tokens == (likely[place], *others)


@pytest.mark.parametrize("settings", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_run_in_float32_is_the_stream_alone(settings: object, engine_of: EngineOf) -> None:
    engine = engine_of("llama")
    request = StreamRequest(IDS, settings, 20, prompt_length=len(IDS), ignore_eos=True)
    alone = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
    for beside in BESIDE:
        events = engine.bench.run(request, Execution(beside=beside), Control())
        ran = [e for e in events if isinstance(e, DrawnToken)]
        assert [e.standing.token for e in ran] == [e.standing.token for e in alone]
        assert [e.uniform for e in ran] == [e.uniform for e in alone]


@pytest.mark.parametrize("family", ["gptj", "mamba2", "lfm2"])
def test_a_model_that_shares_no_prefix_is_told_so(family: str, engine_of: EngineOf) -> None:
    engine = engine_of(family)
    with pytest.raises(UsageError, match="runs each branch by itself: it shares no prefix"):
        traced(engine, Execution(beside=3))
    knobs, said = possible(("beside",), engine.info, len(IDS), 8)
    assert knobs == ()
    assert said == [f"beside cannot vary on {engine.info.name}: its branches share no prefix."]
    assert "beside" not in offered(engine, len(IDS), 8)
    assert "beside" in offered(engine_of("llama"), len(IDS), 8)


def test_what_cannot_be_beside_is_refused_by_name(
    engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, moe = engine_of("llama"), engine_of("qwen3_moe")
    for execution, word in (
        (Execution((IDS,), beside=1), "in no batch of others"),
        (Execution(attention="eager", beside=1), "the kernel that shares their prefix"),
        (Execution(beside=engine.info.vocabulary), "tokens to begin with"),
    ):
        with pytest.raises(UsageError, match=word):
            traced(engine, execution)
    with pytest.raises(UsageError, match="beside other rows"):
        list(engine.bench.trace(PATH, 40, Execution(beside=1), Control(), stepwise=False))
    with pytest.raises(UsageError, match="routing of a path beside"):
        moe.bench.routing(PATH, 40, Execution(beside=1), Control(), stepwise=True)
    info = engine.core.info
    across = msgspec.structs.replace(info, borders=Borders((44,)))
    monkeypatch.setitem(engine.core.__dict__, "info", across)
    with pytest.raises(UsageError, match="branches on both sides share no pass"):
        traced(engine, Execution(beside=1))
