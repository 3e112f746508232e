"""The logit lens against states put through norm and head by hand, on any way to feed a cache."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from support import by_hand, families
from support.by_hand import ByHand
from support.families import BORDER
from support.llama_server import GGUF
from torch import nn
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control
from tokexplore.models.api.interpreter import LensStep
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.forward import prefill
from tokexplore.models.engine.interpret import logit_lens
from tokexplore.models.engine.interpret.residual_stream import ResidualStream, tolerance
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

IDS = [3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79]
ASKED = (7, 50)
SAME = 1e-4


def engine_on(model: PreTrainedModel) -> LocalEngine:
    return LocalEngine(families.loaded(model))


def lens(
    engine: LocalEngine, ids: Sequence[int], first: int, last: int, tokens: Sequence[int] = ASKED
) -> list[LensStep]:
    return list(engine.interpreter.lens(ids, first, last, Control(), tokens=tokens))


def assert_says(step: LensStep, layers: Sequence[torch.Tensor], same: float = SAME) -> None:
    """Layer by layer what logits [V] in float64 say."""
    own = layers[-1].log_softmax(-1)
    assert len(step.layers) == len(layers)
    for reading, logits in zip(step.layers, layers, strict=True):
        logprobs = logits.double().log_softmax(-1)
        for rank in (*reading.top, *reading.asked):
            assert rank.logprob == pytest.approx(logprobs[rank.token].item(), abs=same)
        best = logprobs.topk(len(reading.top)).values.tolist()
        assert [rank.logprob for rank in reading.top] == pytest.approx(best, abs=same)
        assert tuple(rank.token for rank in reading.asked) == step.tokens
        for rank in reading.asked:
            larger = int((logprobs > logprobs[rank.token] + same).sum())
            equal = int((logprobs > logprobs[rank.token] - same).sum())
            assert larger < rank.rank <= max(equal, 1)
        entropy = -(logprobs.exp() * logprobs).sum().item()
        assert reading.entropy == pytest.approx(entropy, abs=10 * same)
        divergence = (own.exp() * (own - logprobs)).sum().item()
        assert reading.divergence == pytest.approx(divergence, abs=10 * same)


@pytest.mark.parametrize("family", by_hand.FAMILIES)
def test_every_layer_says_what_norm_and_head_make_of_it(family: str) -> None:
    model = families.uneven(family)
    steps = lens(engine_on(model), IDS, 1, len(IDS))

    assert [step.position for step in steps] == list(range(1, len(IDS) + 1))
    for step in steps:
        hand = ByHand(family, model, IDS[: step.position])
        taken = IDS[step.position : step.position + 1]
        assert step.tokens == (*taken, *ASKED)
        assert step.error <= SAME
        read = [hand.read(state) for state in hand.states]
        assert (read[-1] - hand.logits).abs().max() < SAME, "the reference is one"
        assert_says(step, [*read[:-1], hand.logits])


@pytest.mark.parametrize("family", by_hand.FAMILIES)
def test_states_are_those_that_layers_hand_on(family: str) -> None:
    model = families.uneven(family)
    engine = engine_on(model)
    hand = ByHand(family, model, IDS)

    told = engine.interpreter.states(IDS)

    layers, size, rows = told.shape
    states = np.frombuffer(told.states, np.float32).reshape(layers, size)
    logits = np.frombuffer(told.logits, np.float32).reshape(layers, rows)
    assert np.abs(states - torch.stack(hand.states).numpy()).max() < SAME
    read = torch.stack([hand.read(state) for state in hand.states])
    assert np.abs(logits - read.numpy()).max() < SAME


OTHERS = [name for name in families.STREAMS if name not in by_hand.FAMILIES]


@pytest.mark.parametrize("family", [*OTHERS, "rwkv", "recurrent_gemma", "roberta"])
def test_the_last_layer_of_any_family_is_the_model(family: str) -> None:
    model = families.uneven(family)
    for step in lens(engine_on(model), IDS, 5, len(IDS)):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([IDS[: step.position]])).logits[0, -1]
        last = step.layers[-1]
        own = logits.double().log_softmax(-1)
        for rank in (*last.top, *last.asked):
            expected = own[rank.token].item()
            assert rank.logprob == pytest.approx(expected, abs=families.tolerance(family))
        assert step.error <= SAME
        assert last.divergence <= 1e-9
        assert step.layers[0].divergence > 1e-2


@pytest.mark.parametrize("family", ["phi3_longrope", "llama_dynamic", "gemma3_dynamic"])
def test_steps_on_both_sides_of_a_border(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefill, "CHUNK", 16)
    model = families.uneven(family)
    ids = [(7 * place) % 90 + 1 for place in range(BORDER + 8)]
    engine = engine_on(model)
    for _ in range(2):  # on nothing that is held, and on what the first turn left
        for step in lens(engine, ids, BORDER - 3, BORDER + 4):
            path = torch.tensor([ids[: step.position]])
            with torch.inference_mode():
                said = model(input_ids=path, output_hidden_states=True)
                read = [
                    model.lm_head(model.model.norm(state[0, -1])).double()
                    for state in said.hidden_states[:-1]
                ]
            assert_says(step, [*read, said.logits[0, -1].double()])


@pytest.mark.parametrize("feed", ["batched", "twos", "stepwise", "whole"])
@pytest.mark.parametrize("family", ["llama", "nemotron_h"])
def test_all_ways_to_feed_give_the_same(family: str, feed: str) -> None:
    model = families.uneven(family)
    plain, other = engine_on(model), engine_on(model)
    object.__setattr__(other.core.probed, "feed", feed)
    for ids in (IDS[:6], IDS):
        once, again = lens(plain, ids, 2, len(ids)), lens(other, ids, 2, len(ids))
        assert len(once) == len(again) == len(ids) - 1
        for one, two in zip(once, again, strict=True):
            for here, there in zip(one.layers, two.layers, strict=True):
                assert here.entropy == pytest.approx(there.entropy, abs=1e-3)
                assert here.divergence == pytest.approx(there.divergence, abs=1e-3)


@pytest.fixture
def fed() -> Iterator[Callable[[PreTrainedModel], list[tuple[int, ...]]]]:
    """The shapes of the ids that a model's passes take."""
    handles = []

    def listen(model: PreTrainedModel) -> list[tuple[int, ...]]:
        shapes: list[tuple[int, ...]] = []

        def hook(_module: nn.Module, _args: object, kwargs: dict[str, torch.Tensor]) -> None:
            shapes.append(tuple(kwargs["input_ids"].shape))

        handles.append(model.register_forward_pre_hook(hook, with_kwargs=True))
        return shapes

    yield listen
    for handle in handles:
        handle.remove()


def test_a_step_on_a_held_path_costs_one_token(
    fed: Callable[[PreTrainedModel], list[tuple[int, ...]]],
) -> None:
    model = families.uneven("llama")
    engine = engine_on(model)
    first = lens(engine, IDS, len(IDS), len(IDS))
    shapes = fed(model)
    again = lens(engine, IDS, len(IDS), len(IDS))

    assert shapes == [(1, 1), (3, 1)], "the last token, then three states without their layers"
    assert_says(again[0], [_row(engine, IDS, layer) for layer in range(3)])
    assert again[0].layers[1].entropy == pytest.approx(first[0].layers[1].entropy, abs=1e-4)


def _row(engine: LocalEngine, ids: Sequence[int], layer: int) -> torch.Tensor:
    told = engine.interpreter.states(ids)
    rows = np.frombuffer(told.logits, np.float32).reshape(told.shape[0], told.shape[2])
    return torch.from_numpy(rows[layer].copy()).double()


@pytest.mark.parametrize("rows", [1, 2, 4, 7])
def test_the_layers_logits_are_few_at_a_time(
    rows: int,
    monkeypatch: pytest.MonkeyPatch,
    fed: Callable[[PreTrainedModel], list[tuple[int, ...]]],
) -> None:
    model = families.uneven("gemma3")
    whole = lens(engine_on(model), IDS, 1, len(IDS))
    monkeypatch.setattr(logit_lens, "_LOGIT_BYTES", 4 * families.ROWS * rows)
    engine = engine_on(model)
    shapes = fed(model)
    pieces = lens(engine, IDS, 1, len(IDS))

    assert max(shape[0] for shape in shapes) == rows
    assert [step.position for step in pieces] == [step.position for step in whole]
    for one, two in zip(whole, pieces, strict=True):
        assert one.tokens == two.tokens
        for here, there in zip(one.layers, two.layers, strict=True):
            assert here.entropy == pytest.approx(there.entropy, abs=1e-4)
            assert [r.token for r in here.top] == [r.token for r in there.top]


def test_it_stops_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logit_lens, "_LOGIT_BYTES", 4 * families.ROWS * 3)
    control = Control()
    engine = engine_on(families.uneven("llama"))
    steps = engine.interpreter.lens(IDS, 1, len(IDS), control)
    assert next(steps).position == 1
    control.cancelled = True
    assert list(steps) == []


def test_another_question_between_two_steps_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefill, "CHUNK", 4)
    engine = engine_on(families.uneven("llama"))
    expected = lens(engine, IDS, 4, len(IDS))
    engine.core.release()
    engine.row(IDS[:3])
    told = []
    for step in engine.interpreter.lens(IDS, 4, len(IDS), Control(), tokens=ASKED):
        engine.core.rows_held.clear()
        engine.row([*IDS[: step.position], 70])
        told.append(step)
    for one, two in zip(expected, told, strict=True):
        assert one.layers[1].entropy == pytest.approx(two.layers[1].entropy, abs=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "granite", "cohere", "mamba"])
def test_low_precision_is_read_within_its_grid(family: str) -> None:
    model = families.uneven(family, dtype=torch.bfloat16)
    (step,) = lens(engine_on(model), IDS, len(IDS), len(IDS))
    hand = ByHand(family, model, IDS)

    largest = hand.logits.abs().max().item()
    allowed = tolerance(torch.bfloat16, largest)
    assert step.error <= allowed < 0.3
    read = [hand.read(state) for state in hand.states[:-1]]
    for reading, logits in zip(step.layers, [*read, hand.logits], strict=True):
        for rank in reading.top:
            size = max(1.0, logits.abs().max().item() / largest)
            assert rank.logit == pytest.approx(logits[rank.token].item(), abs=2 * allowed * size)


class _Peeking(nn.Module):
    """A final norm that knows the place of a token in its path."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.norm(hidden) + 0.02 * torch.arange(hidden.shape[1])[:, None]


def test_a_model_that_does_more_after_its_layers_is_refused() -> None:
    model = families.uneven("llama")
    model.model.norm = _Peeking(model.model.norm)
    engine = engine_on(model)
    with pytest.raises(UsageError, match=r"is \d\.\d+ from the model's logits"):
        lens(engine, IDS, len(IDS), len(IDS))
    with pytest.raises(UsageError, match="from the model's logits"):
        engine.interpreter.states(IDS)


def test_layers_that_hand_no_state_on_are_refused() -> None:
    model = families.uneven("llama")
    for layer in model.model.layers:
        layer.register_forward_hook(lambda _module, _args, output: output[:, None])
        layer.register_forward_pre_hook(
            lambda _module, args: tuple(a[:, 0] if a.ndim == 4 else a for a in args)
        )
    model.model.norm.register_forward_pre_hook(lambda _module, args: (args[0][:, 0],))
    with pytest.raises(UsageError, match="no layers that hand one hidden state on"):
        lens(engine_on(model), IDS, 1, 2)


@pytest.mark.parametrize("moved", [1, 0])
def test_states_of_another_layer_or_none_are_seen(
    moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ResidualStream.stacked

    def planted(self: ResidualStream, states: Sequence[torch.Tensor]) -> torch.Tensor:
        stacked = whole(self, states)
        return stacked.roll(1, 0) if moved else stacked * 1.01 + 0.01

    monkeypatch.setattr(ResidualStream, "stacked", planted)
    with pytest.raises(UsageError, match="from the model's logits"):
        lens(engine_on(families.uneven("llama")), IDS, 3, 3)


@pytest.mark.parametrize("left_out", ["norm", "cap"])
def test_a_norm_or_a_soft_cap_that_is_left_out_is_seen(
    left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = families.uneven("gemma2")
    cap = model.config.final_logit_softcapping

    def planted(_self: ResidualStream, states: torch.Tensor) -> torch.Tensor:
        if left_out == "norm":
            return cap * torch.tanh(model.lm_head(states) / cap)
        return model.lm_head(model.model.norm(states))

    monkeypatch.setattr(ResidualStream, "logits", planted)
    with pytest.raises(UsageError, match="from the model's logits"):
        lens(engine_on(model), IDS, 3, 3)


@pytest.mark.parametrize(
    ("first", "last", "tokens", "words"),
    [(0, 3, (), "steps 0 to 3 are not on a path of 12"), (5, 4, (), "steps 5 to 4"),
     (1, 13, (), "steps 1 to 13"), (1, 2, (96,), "token 96 is not in the vocabulary")],
)  # fmt: skip
def test_what_is_not_there_is_named(
    first: int, last: int, tokens: tuple[int, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        lens(engine_on(families.model("llama")), IDS, first, last, tokens)


def test_no_tokens_to_list_is_refused() -> None:
    steps = engine_on(families.model("llama")).interpreter.lens(IDS, 1, 2, Control(), top=0)
    with pytest.raises(UsageError, match="first 0 tokens"):
        next(steps)


def test_nothing_stays_on_the_model() -> None:
    model = families.uneven("llama")
    engine = engine_on(model)
    lens(engine, IDS, 1, 4)
    next(engine.interpreter.lens(IDS, 1, 4, Control()))
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)


class TestSmolLM2:
    """A real chat model."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> LocalEngine:
        options = LoadOptions(str(GGUF), dtype="float32")
        return LocalEngine.open(options, lambda _progress: None)

    @pytest.fixture(scope="class")
    @classmethod
    def ids(cls, engine: LocalEngine) -> list[int]:
        return engine.encode("The capital of France is")

    def test_every_layer_by_hand(self, engine: LocalEngine, ids: list[int]) -> None:
        (step,) = lens(engine, ids, len(ids), len(ids))
        hand = ByHand("llama", engine.core.forward.model, ids)

        assert step.error <= SAME
        paris = step.layers[-1].top[0].token
        assert engine.vocabulary.show(paris) == "␣Paris"
        assert_says(step, [*(hand.read(state) for state in hand.states[:-1]), hand.logits])

    def test_every_part_by_hand(self, engine: LocalEngine, ids: list[int]) -> None:
        row = engine.describe(ids)
        tokens = row.id_view[0], row.id_view[1]
        split = engine.interpreter.split(ids, tokens, (24,))
        hand = ByHand("llama", engine.core.forward.model, ids)

        assert split.error <= 1e-3
        told = [part.difference for part in split.parts if part.head is None]
        parts = [part for part in hand.parts() if part[:2] != ("attention", 24)]
        expected = [hand.difference(part[3], tokens) for part in parts]
        assert told == pytest.approx(expected, abs=1e-3)
        heads = [part.difference for part in split.parts if part.head is not None]
        by_head = [hand.difference(own, tokens) for own in hand.heads(24)]
        assert heads == pytest.approx(by_head, abs=1e-3)
