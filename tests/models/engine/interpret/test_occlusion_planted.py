"""Hidden tokens where it is known what must come of it: models made by hand, and planted bugs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from support import families
from support.made_attention import PLACES, induction_model, marker_model
from support.plain_passes import logprobs_without, plain
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control
from tokexplore.models.engine.forward import hidden_tokens
from tokexplore.models.engine.interpret import occluded_path
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.interpret.occlusion import Occluded
from tokexplore.models.interpret.occlusion import occlusion as rounds

A, B, C = (ord(letter) - 32 for letter in "ABC")
TEXT = "the cat sat. my * dog ran home. it rained."


def engine_on(model: PreTrainedModel, **facts: object) -> LocalEngine:
    return LocalEngine(families.loaded(model, **facts))


def ids_of(text: str) -> list[int]:
    return [ord(letter) - 32 for letter in text]


def test_the_marker_that_decides_is_named_and_nothing_else() -> None:
    engine = engine_on(marker_model({ord("*") - 32: A, ord("@") - 32: B}), context=PLACES)
    ids, place = ids_of(TEXT), TEXT.index("*")
    assert int(engine.row(ids)[0].logits.argmax()) == A

    found = [each for each in rounds(engine, ids, [A], Control()) if isinstance(each, Occluded)]
    named = {each.unit.tokens: each.effect for each in found if abs(each.effect) > 1e-3}
    assert sorted(map(len, named)) == [1, len(" *"), len("my * dog ran home. ")]
    assert all(place in tokens for tokens in named)
    assert all(effect > 1 for effect in named.values())
    hidden = [range(at, at + 1) for at in range(len(ids) - 1)]
    base, *found = dict(
        engine.interpreter.occlude(ids, [range(0), *hidden], [A], Control())
    ).values()
    changed = [at for at, (logprob,) in enumerate(found) if abs(logprob - base[0]) > 1e-6]
    assert changed == [place]


def test_of_two_markers_each_pushes_towards_its_own_token() -> None:
    engine = engine_on(marker_model({ord("*") - 32: A, ord("@") - 32: B}), context=PLACES)
    ids = ids_of("a * b @ c")
    hidden = [range(0), range(2, 3), range(6, 7), range(4, 5)]
    found = dict(engine.interpreter.occlude(ids, hidden, [A, B], Control()))
    difference = [found[at][0] - found[at][1] for at in range(4)]
    assert difference[1] < difference[0] - 1
    assert difference[2] > difference[0] + 1
    assert difference[3] == pytest.approx(difference[0], abs=1e-6)


def test_what_was_there_before_and_what_came_after_it_make_an_induction() -> None:
    engine = engine_on(induction_model(), context=PLACES)
    text = "x y zABw vu tsrA"
    ids, place = ids_of(text), text.index("B")
    assert int(engine.row(ids)[0].logits.argmax()) == B
    hidden = [range(at, at + 1) for at in range(len(ids) - 1)]
    found = dict(engine.interpreter.occlude(ids, [range(0), *hidden], [B], Control()))
    did = [found[0][0] - found[at + 1][0] for at in range(len(hidden))]
    assert [at for at, effect in enumerate(did) if abs(effect) > 1e-3] == [place - 1, place]
    assert min(did[place - 1], did[place]) > 1


# What follows plants the bugs that this could have.

IDS = tuple((7 * at + at * at // 3) % families.ROWS for at in range(40))
STRETCHES = [range(30, 31), range(0, 1), range(38, 39), range(5, 9), range(33, 39), range(37, 38)]


def worst(engine: LocalEngine, family: str) -> float:
    twin = plain(families.model(family))
    window = families.WINDOW if family == "gemma3" else None
    found = dict(engine.interpreter.occlude(IDS, STRETCHES, [7], Control()))
    wanted = [logprobs_without(twin, IDS, stretch, window)[7].item() for stretch in STRETCHES]
    return max(abs(found[at][0] - logprob) for at, logprob in enumerate(wanted))


def _shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = hidden_tokens.hiding

    @contextmanager
    def shifted(stretches: Sequence[range], length: int) -> Iterator[None]:
        with whole([range(s.start + 1, s.stop + 1) for s in stretches], length):
            yield

    monkeypatch.setattr(occluded_path, "hiding", shifted)


def _without_window(monkeypatch: pytest.MonkeyPatch) -> None:
    def only(_mask: object, visible: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def mask(row, head, query, key):  # type: ignore[no-untyped-def]
            return visible(row, head, query, key) & (key <= query)

        return mask

    monkeypatch.setattr(hidden_tokens, "and_masks", only)


def _of_one_head(monkeypatch: pytest.MonkeyPatch) -> None:
    both = hidden_tokens.and_masks

    def first(mask: object, visible: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def narrowed(row, head, query, key):  # type: ignore[no-untyped-def]
            heads = torch.arange(4)[None, :, None, None]
            return both(mask, visible)(row, head, query, key) | (
                (heads > 0) & mask(row, head, query, key)  # type: ignore[operator]
            )

        return narrowed

    monkeypatch.setattr(hidden_tokens, "and_masks", first)


def _swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = occluded_path.OccludedPath.logits

    def swapped(self, *asked):  # type: ignore[no-untyped-def]
        return logits(self, *asked).flip(0)

    monkeypatch.setattr(occluded_path.OccludedPath, "logits", swapped)


def _longer(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = occluded_path.OccludedPath.logits

    def longer(self, stretches, first, control):  # type: ignore[no-untyped-def]
        return logits(self, stretches, min(first + 1, len(self._ids) - 1), control)

    monkeypatch.setattr(occluded_path.OccludedPath, "logits", longer)


BUGS = {
    "the column beside it": _shifted,
    "no window": _without_window,
    "one head": _of_one_head,
    "another row": _swapped,
    "a prefix that has seen it": _longer,
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_plain_passes_show_every_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family = "gemma3" if bug == "no window" else "llama"
    engine = engine_on(families.model(family))
    assert worst(engine, family) < 1e-4  # and so it is known to hide
    BUGS[bug](monkeypatch)
    assert worst(engine, family) > 1e-2


@pytest.mark.parametrize("bug", ["the column beside it", "one head"])
def test_a_model_on_which_it_goes_wrong_is_refused(
    bug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_on(families.model("llama"))
    BUGS[bug](monkeypatch)
    with pytest.raises(UsageError, match="carries tokens on"):
        worst(engine, "llama")


def test_a_model_that_asks_for_no_mask_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_on(families.model("llama"))

    @contextmanager
    def nothing(_stretches: Sequence[range], _length: int) -> Iterator[None]:
        yield

    monkeypatch.setattr(occluded_path, "hiding", nothing)
    with pytest.raises(UsageError, match="nothing hides them from later ones"):
        worst(engine, "llama")


def test_a_model_that_does_not_look_back_is_refused() -> None:
    blind = marker_model({})
    blind.transformer.h[0].attn.c_attn.weight.zero_()
    with pytest.raises(UsageError, match="does not look back"):
        worst(engine_on(blind, context=PLACES), "gpt2")


def test_a_mask_that_hides_nothing_must_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_on(families.model("llama"))
    first = engine.core.forward.batch
    monkeypatch.setattr(engine.core.forward, "batch", lambda *fed: first(*fed) * 1.01)
    with pytest.raises(UsageError, match="other logits where a mask hides nothing"):
        worst(engine, "llama")
