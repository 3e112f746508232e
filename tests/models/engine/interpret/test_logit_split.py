"""Logits split over a model's parts, against hooks on its blocks."""

from collections.abc import Callable

import pytest
import torch
from support import by_hand, families
from support.by_hand import ByHand
from torch import nn
from transformers import PreTrainedModel

from tokexplore.models.api.interpreter import LogitSplit
from tokexplore.models.engine.interpret.additions import Additions, Summed
from tokexplore.models.engine.interpret.attention_heads import Heads, HeadsHeard
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

IDS = [3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79]
TOKENS = (7, 50)
EXACT = 1e-4
WITH_HEADS = tuple(name for name, own in by_hand.FAMILIES.items() if own.projection)


def engine_on(model: PreTrainedModel) -> LocalEngine:
    return LocalEngine(families.loaded(model))


def blocks(split: LogitSplit) -> dict[tuple[str, int, str], float]:
    return {
        (part.kind, part.layer, part.name): part.difference
        for part in split.parts
        if part.head is None and part.kind not in ("bias", "rounding")
    }


@pytest.mark.parametrize("family", by_hand.FAMILIES)
@pytest.mark.parametrize("length", [1, len(IDS)])
def test_every_block_adds_what_hooks_on_it_say(family: str, length: int) -> None:
    model = families.uneven(family)
    hand = ByHand(family, model, IDS[:length])

    split = engine_on(model).interpreter.split(IDS[:length], TOKENS)

    one, other = (hand.logits[token].item() for token in TOKENS)
    assert split.logits == pytest.approx((one, other), abs=EXACT)
    assert split.error <= 1e-3
    head = hand.head(hand.norm(hand.states[-1], hand.states[-1], bias=True))
    apart = (head[TOKENS[0]] - head[TOKENS[1]]).item()
    slope = (one - other) / apart if abs(apart) > 1e-2 else split.slope
    assert split.slope == pytest.approx(slope, rel=1e-3)
    expected = {
        (kind, layer, name): slope * hand.difference(value, TOKENS)
        for kind, layer, name, value in hand.parts()
    }
    assert blocks(split) == pytest.approx(expected, abs=EXACT * 10)
    assert list(blocks(split)) == list(expected), "in the order in which they are added up"


@pytest.mark.parametrize("family", WITH_HEADS)
def test_every_head_adds_its_columns_of_the_projection(family: str) -> None:
    model = families.uneven(family)
    engine = engine_on(model)
    hand = ByHand(family, model, IDS)
    whole = engine.interpreter.split(IDS, TOKENS)

    for layer in (1, len(hand.layers)):
        split = engine.interpreter.split(IDS, TOKENS, (layer,))

        told = [part.difference for part in split.parts if part.head is not None]
        expected = [split.slope * hand.difference(own, TOKENS) for own in hand.heads(layer)]
        assert told == pytest.approx(expected, abs=EXACT * 10)
        heads = [part for part in split.parts if part.layer == layer and part.kind != "mlp"]
        assert [part.head for part in heads][: len(expected)] == list(range(len(expected)))
        total = sum(part.difference for part in heads)
        attention = blocks(whole)["attention", layer, heads[0].name]
        assert total == pytest.approx(attention, abs=EXACT), "with the projection's bias"
        assert split.error <= 1e-3


@pytest.mark.parametrize("family", families.STREAMS)
def test_the_parts_of_every_family_add_up(family: str) -> None:
    engine = engine_on(families.uneven(family, seed=3))
    for first, second in (TOKENS, (50, 7), (0, 95)):
        split = engine.interpreter.split(IDS, (first, second))

        assert split.total == pytest.approx(split.difference, abs=1e-3)
        assert abs(split.difference) > 1e-2
    assert not [part for part in split.parts if part.kind == "rounding"]


@pytest.mark.parametrize("family", families.STREAMS)
def test_what_low_precision_leaves_out_is_a_part(family: str) -> None:
    model = families.uneven(family, dtype=torch.bfloat16)
    engine = engine_on(model)
    split = engine.interpreter.split(IDS, TOKENS)

    assert split.parts[-1].kind == "rounding"
    assert 0 < abs(split.parts[-1].difference) < 0.1
    largest = engine.row(IDS)[0].logits.max()
    assert split.error <= 2 * torch.finfo(torch.bfloat16).eps * abs(largest)
    if family in by_hand.FAMILIES:
        hand = ByHand(family, model, IDS)
        for kind, layer, name, value in hand.parts():
            expected = split.slope * hand.difference(value, TOKENS)
            assert blocks(split)[kind, layer, name] == pytest.approx(expected, abs=0.05, rel=0.02)


def test_a_path_that_is_held_is_not_run_again() -> None:
    model = families.uneven("llama")
    engine = engine_on(model)
    apart = engine.interpreter.split(IDS, TOKENS)
    fed: list[int] = []
    with model.register_forward_pre_hook(
        lambda _module, _args, kwargs: fed.append(kwargs["input_ids"].numel()), with_kwargs=True
    ):
        again = engine.interpreter.split(IDS, TOKENS)

    assert fed[0] == 1
    assert again.total == pytest.approx(apart.total, abs=EXACT)


def test_logits_that_are_capped_alike_have_the_slope_there() -> None:
    """Two tokens of one row in the head have no difference that a secant could be of."""
    model = families.uneven("gemma2")
    head = model.get_output_embeddings()
    head.weight[TOKENS[1]] = head.weight[TOKENS[0]]
    split = engine_on(model).interpreter.split(IDS, TOKENS)

    cap = model.config.final_logit_softcapping
    assert split.difference == 0
    assert split.error <= 1e-3
    assert split.slope == pytest.approx(1 - (split.logits[0] / cap) ** 2, abs=0.1)


@pytest.mark.parametrize("family", ["roberta", "rwkv"])
def test_a_model_that_norms_its_state_is_refused(family: str) -> None:
    with pytest.raises(UsageError, match="no residual stream to split"):
        engine_on(families.model(family)).interpreter.split(IDS, TOKENS)


def test_a_mixer_without_heads_is_named() -> None:
    with pytest.raises(UsageError, match="layer 1 has no attention heads, only mixer"):
        engine_on(families.model("mamba")).interpreter.split(IDS, TOKENS, (1,))


@pytest.mark.parametrize(
    ("tokens", "heads", "words"),
    [((0, 96), (), "token 96"), ((-1, 0), (), "token -1"), ((0, 1), (3,), "layer 3"),
     ((0, 1), (0,), "layer 0")],
)  # fmt: skip
def test_what_is_not_there_is_named(
    tokens: tuple[int, int], heads: tuple[int, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        engine_on(families.model("llama")).interpreter.split(IDS, tokens, heads)


class _Hidden(nn.Module):
    """A block that writes into the state of which it is given a normed copy."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.mlp = layer.mlp
        self.held: list[torch.Tensor] = []
        layer.register_forward_pre_hook(lambda _module, args: self.held.append(args[0]))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        self.held[-1].view(-1)[-1] += 0.5
        return self.mlp(hidden)


def test_what_is_written_past_the_additions_is_refused() -> None:
    model = families.uneven("phi")
    layer = model.model.layers[1]
    layer.mlp = _Hidden(layer)
    with pytest.raises(UsageError, match=r"layer 2 \(PhiDecoderLayer\) adds .* not all found"):
        engine_on(model).interpreter.split(IDS, TOKENS)


class _Cubed(nn.Module):
    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden**3


def test_a_norm_that_is_none_is_refused() -> None:
    model = families.uneven("llama")
    model.model.norm = _Cubed()
    with pytest.raises(UsageError, match="is no norm with a gain and a bias"):
        engine_on(model).interpreter.split(IDS, TOKENS)


def test_a_head_that_scales_by_itself_is_refused() -> None:
    class Louder(nn.Linear):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return 1.5 * super().forward(hidden)

    model = families.uneven("llama")
    model.lm_head.__class__ = Louder
    with pytest.raises(UsageError, match="more than multiply by its rows"):
        engine_on(model).interpreter.split(IDS, TOKENS)


def test_a_dropped_contribution_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Additions.summed

    def dropping(self: Additions) -> Summed:
        summed = whole(self)
        first = summed.layers[0]
        layers = (first._replace(contributions=first.contributions[1:]), *summed.layers[1:])
        return summed._replace(layers=layers)

    monkeypatch.setattr(Additions, "summed", dropping)
    with pytest.raises(UsageError, match="add up to"):
        engine_on(families.uneven("llama")).interpreter.split(IDS, TOKENS)


def test_a_lost_head_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = HeadsHeard.heads

    def losing(self: HeadsHeard, number: int, block: str, value: torch.Tensor) -> Heads:
        heads = whole(self, number, block, value)
        return heads._replace(each=heads.each[1:])

    monkeypatch.setattr(HeadsHeard, "heads", losing)
    with pytest.raises(UsageError, match="add up to"):
        engine_on(families.uneven("llama")).interpreter.split(IDS, TOKENS, (1,))


def test_nothing_stays_on_the_model(engine_of: Callable[..., LocalEngine]) -> None:
    engine = engine_of("llama")
    model = engine.core.forward.model
    before = engine.row(IDS)[0].logits
    engine.interpreter.split(IDS, TOKENS, (1, 2))
    with pytest.raises(UsageError):
        engine.interpreter.split(IDS, TOKENS, (9,))

    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)
    engine.core.release()
    assert (engine.row(IDS)[0].logits == before).all()
