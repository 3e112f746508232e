"""Hidden tokens against plain passes whose masks are made by hand."""

from collections.abc import Callable, Sequence
from functools import cache

import pytest
import torch
from support import families, truth
from support.families import BORDER, WINDOW
from support.plain_passes import logprobs_without, plain
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control
from tokexplore.models.engine.interpret import occluded_path
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

EngineOf = Callable[..., LocalEngine]

WINDOWS = {"gemma3": WINDOW, "mistral": WINDOW, "gpt_oss": WINDOW, "gemma3_longrope": WINDOW}
HIDES = (
    "llama", "gpt2", "qwen2", "qwen3", "qwen3_moe", "mixtral", "olmoe", "dbrx", "deepseek_v3",
    "gpt_oss", "gemma3", "mistral", "roberta",
)  # fmt: skip
CARRIES_ON = (
    "mamba", "mamba2", "lfm2", "qwen3_next", "falcon_h1", "nemotron_h", "rwkv", "recurrent_gemma",
)  # fmt: skip
BORDERED = ("llama_longrope", "phi3_longrope", "gemma3_longrope", "llama_dynamic")

IDS = tuple((7 * at + at * at // 3) % families.ROWS for at in range(40))
TOKENS = (7, 50, 93)
STRETCHES = [
    range(30, 31), range(0), range(0, 1), range(38, 39), range(1, 2), range(5, 9), range(20, 39),
    range(33, 39), range(0, 39), range(6, 7), range(8, 20), range(37, 38), range(5, 9),
]  # fmt: skip


@cache
def twin_of(family: str) -> PreTrainedModel:
    return plain(families.model(family))


def worst(
    engine: LocalEngine, family: str, ids: Sequence[int], stretches: Sequence[range]
) -> float:
    """Largest difference of a logprob from a plain pass."""
    found = dict(engine.interpreter.occlude(ids, stretches, TOKENS, Control()))
    assert sorted(found) == list(range(len(stretches)))
    differences = []
    for at, stretch in enumerate(stretches):
        wanted = logprobs_without(twin_of(family), ids, stretch, WINDOWS.get(family))
        own = torch.tensor(found[at], dtype=torch.float64)
        differences.append((own - wanted[list(TOKENS)]).abs().max().item())
    return max(differences)


def cut_small(monkeypatch: pytest.MonkeyPatch, fed: int = 30, held: int = 200) -> None:
    """Small batches, and rows that are fed in several passes."""
    monkeypatch.setattr(occluded_path, "_FED", fed)
    monkeypatch.setattr(occluded_path, "_HELD", held)


@pytest.mark.parametrize("family", HIDES)
def test_hidden_tokens_are_masked_columns(family: str, engine_of: EngineOf) -> None:
    assert worst(engine_of(family), family, IDS, STRETCHES) < 1e-4


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral", "gemma3", "gpt_oss", "roberta"])
def test_every_token_by_itself_in_small_batches(
    family: str, engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch)
    tokens = [range(at, at + 1) for at in range(len(IDS) - 1)]
    assert worst(engine_of(family), family, IDS, tokens) < 1e-4


@pytest.mark.parametrize("length", [BORDER - 1, BORDER, BORDER + 1, BORDER + 12])
@pytest.mark.parametrize("family", BORDERED)
def test_paths_on_both_sides_of_a_border(
    family: str, length: int, engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch)
    engine = engine_of(family)
    ids = [(5 * at + at * at // 7) % families.ROWS for at in range(length)]
    truth.run(engine, ids[:20], 3)  # a cache of the beginning, under the rules of short paths
    stretches = [range(0), range(1, 2), range(4, 9), range(30, 34), range(length - 2, length - 1)]
    assert worst(engine, family, ids, stretches) < 1e-4


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt_oss"])
def test_streams_know_nothing_of_it_and_their_caches_serve(
    family: str, engine_of: EngineOf
) -> None:
    untouched = truth.run(engine_of(family), IDS, 6)
    engine = engine_of(family)
    first = truth.run(engine, IDS, 3)
    own = engine.core.forward.model.config._attn_implementation

    assert worst(engine, family, IDS, STRETCHES) < 1e-4
    assert worst(engine, family, first.ids, STRETCHES) < 1e-4

    assert engine.core.forward.model.config._attn_implementation == own
    again = truth.run(engine, IDS, 6)
    assert again.ids == untouched.ids
    for mine, theirs in zip(again.said, untouched.said, strict=True):
        assert mine.standing.logprob == pytest.approx(theirs.standing.logprob, abs=1e-5)


def test_no_more_is_fed_than_what_comes_after_a_stretch(
    engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of("llama")
    list(engine.interpreter.occlude(IDS, [range(0)], [7], Control()))
    batch, fed = engine.core.forward.batch, list[tuple[int, int, int]]()

    def counted(rows: Sequence[Sequence[int]], start: int, cache: object) -> torch.Tensor:
        fed.append((len(rows), start, len(rows[0])))
        return batch(rows, start, cache)

    monkeypatch.setattr(engine.core.forward, "batch", counted)
    list(engine.interpreter.occlude(IDS, [range(5, 30)], [7], Control()))
    assert fed == [(1, 30, 10)]
    fed.clear()
    monkeypatch.setattr(occluded_path, "_FED", 8)
    list(engine.interpreter.occlude(IDS, [range(22, 23), range(5, 23)], [7], Control()))
    assert fed == [(1, 23, 8), (1, 31, 8), (1, 39, 1)] * 2


@pytest.mark.parametrize(("fed", "held"), [(30, 10**6), (10**6, 200), (64, 300)])
def test_batches_are_bounded_and_of_neighbours(
    fed: int, held: int, engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch, fed, held)
    path = occluded_path.OccludedPath(engine_of("llama").core, IDS)
    hidden = [range(at, at + 1 + at % 3) for at in range(36)]
    batches = list(path.batches(hidden))
    assert sorted(at for batch in batches for at in batch) == list(range(36))
    for batch in batches:
        stops = [hidden[at].stop for at in batch]
        assert stops == sorted(stops)
        assert len(batch) == 1 or len(batch) * (len(IDS) - stops[0]) <= fed
        assert len(batch) == 1 or len(batch) * len(IDS) <= held
        assert all(stop - stops[0] <= max(16, (len(IDS) - stop) / 4) for stop in stops)
    assert max(map(len, batches)) > 1


def test_an_empty_stretch_has_the_logprobs_of_the_step(engine_of: EngineOf) -> None:
    engine = engine_of("qwen2")
    ((at, logprobs),) = engine.interpreter.occlude(IDS, [range(3, 3)], TOKENS, Control())
    row, _ = engine.row(IDS)
    assert at == 0
    wanted = torch.from_numpy(row.logits).log_softmax(-1)[list(TOKENS)]
    assert logprobs == pytest.approx(wanted.tolist(), abs=1e-5)
    alone = engine.interpreter.occlude(IDS[:1], [range(0)], TOKENS, Control())
    assert [at for at, _ in alone] == [0]


def test_it_stops_between_two_batches(engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small(monkeypatch)
    engine, control = engine_of("llama"), Control()
    events = engine.interpreter.occlude(IDS, [range(at, at + 1) for at in range(39)], [7], control)
    done = [next(events)[0]]
    control.cancelled = True
    done += [at for at, _ in events]
    assert len(done) < 10
    assert done == list(range(len(done)))


@pytest.mark.parametrize("family", CARRIES_ON)
def test_what_carries_tokens_on_by_more_than_attention_is_refused(
    family: str, engine_of: EngineOf
) -> None:
    engine = engine_of(family)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"^tiny carries tokens on by more than attention"):
            next(engine.interpreter.occlude(IDS, [range(0)], [7], Control()))


@pytest.mark.parametrize("stretch", [range(39, 40), range(30, 45), range(-2, 3), range(0, 8, 2)])
def test_what_cannot_be_hidden_is_refused(stretch: range, engine_of: EngineOf) -> None:
    events = engine_of().interpreter.occlude(IDS, [range(0), stretch], [7], Control())
    with pytest.raises(UsageError, match=r"cannot be hidden: those before the last one .* 0 to 38"):
        next(events)


def test_a_token_that_there_is_not_is_refused(engine_of: EngineOf) -> None:
    events = engine_of().interpreter.occlude(IDS, [range(0)], [7, 96], Control())
    with pytest.raises(UsageError, match="token 96 is not in the vocabulary of 96 ids"):
        next(events)
