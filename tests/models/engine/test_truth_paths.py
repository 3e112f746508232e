"""Every number along streams, branches and switches against a plain full forward pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from support import families, truth
from support.truth import SAMPLED, Said
from transformers import DynamicCache, PreTrainedModel

from tokexplore.models.api.engine import Control, ScoredToken
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import prefill
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.local import LocalEngine

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79]
EngineOf = Callable[..., LocalEngine]
ModelOf = Callable[[str], PreTrainedModel]


def explored(engine: LocalEngine) -> list[Said]:
    """Stream past a snapshot and a sliding window, branch at several depths, switch, draw."""
    main = truth.run(engine, PROMPT, 40, describe_end=True)
    said = list(main.said)
    for depth in (5, len(PROMPT), 20, 33, 47, len(main.ids)):
        other = [*main.ids[:depth], 70 - depth]
        said += truth.run(engine, other, 5, SAMPLED, describe_end=True).said
        said += truth.run(engine, [*main.ids[:depth], 80 - depth], 2).said
    back = truth.run(engine, main.ids, 4, describe_end=True)
    said += back.said
    said += truth.run(engine, main.ids, 4, SAMPLED, draw=1).said
    unseen = (*main.ids[:25], 11, 12, 13)
    said.append(Said(unseen, engine.describe(unseen), None))
    said += truth.run(engine, back.ids, 3).said
    return said


@pytest.mark.parametrize("family", [*families.FAMILIES, *families.UNFORKABLE, *families.FURTHER])
def test_all_numbers_are_those_of_a_full_pass(
    family: str, engine_of: EngineOf, model_of: ModelOf
) -> None:
    said = explored(engine_of(family))

    assert truth.worst_error(model_of(family), said) <= families.tolerance(family)


@pytest.mark.parametrize("family", [*families.FAMILIES, "nemotron_h", "roberta"])
def test_a_prompt_in_chunks_is_scored_as_one_pass(
    family: str, engine_of: EngineOf, model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefill, "CHUNK", 16)
    monkeypatch.setattr(prefill, "_ONE_PASS", 32)
    engine = engine_of(family)
    path = truth.run(engine, PROMPT, 40, SAMPLED).ids
    engine.core.release()

    scored = truth.run(engine, path, 5, score_prompt=True, describe_end=True)
    later = [e for e in engine.score(path, 20, Control()) if isinstance(e, ScoredToken)]
    engine.core.release()
    plain = truth.run(engine, path, 5)

    said = scored.said + plain.said
    said += [Said(tuple(path[: e.position]), e.distribution, e.standing) for e in later]
    positions = [e.position for e in scored.events if isinstance(e, ScoredToken)]
    assert positions == list(range(1, len(path)))
    assert [e.position for e in later] == list(range(20, len(path)))
    assert truth.worst_error(model_of(family), said) <= families.tolerance(family)


def crop_off_by_one(patch: pytest.MonkeyPatch) -> None:
    honest = kv._fork_layer

    def planted(layer: object, grown: object, length: int) -> object:
        twin = honest(layer, grown, length)
        twin.keys = grown.keys[..., 1 : length + 1, :]  # type: ignore[attr-defined]
        twin.values = grown.values[..., 1 : length + 1, :]  # type: ignore[attr-defined]
        return twin if grown.keys.shape[-2] > length else honest(layer, grown, length)  # type: ignore[attr-defined]

    patch.setattr(kv, "_fork_layer", planted)


def positions_restart(patch: pytest.MonkeyPatch) -> None:
    honest = Forward.__call__

    def planted(self: Forward, tokens: list[int], start: int, cache: object, keep: int = 1):  # type: ignore[no-untyped-def]
        if len(tokens) == 1:
            self._positions = torch.zeros_like(self._positions)
        return honest(self, tokens, start, cache, keep)

    patch.setattr(Forward, "__call__", planted)


def states_are_shared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kv, "_cloned", lambda value: value)


def windows_are_cropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kv, "new_cache", lambda model, _: DynamicCache(config=model.config))


def batches_are_forced(patch: pytest.MonkeyPatch) -> None:
    honest = prefill.feed

    def planted(forward, probed, *args, **kwargs):  # type: ignore[no-untyped-def]
        return honest(forward, replace(probed, feed="batched"), *args, **kwargs)

    patch.setattr(prefill, "feed", planted)


def states_come_too_early(patch: pytest.MonkeyPatch) -> None:
    honest = kv.snapshot
    patch.setattr(
        kv, "snapshot", lambda cache, length: replace(honest(cache, length), length=length - 1)
    )


PLANTS = {
    "llama": crop_off_by_one,
    "gpt2": positions_restart,
    "qwen2": positions_restart,
    "qwen3_moe": crop_off_by_one,
    "mixtral": crop_off_by_one,
    "gemma3": windows_are_cropped,
    "mistral": windows_are_cropped,
    "qwen3_next": states_are_shared,
    "lfm2": states_are_shared,
    "mamba": batches_are_forced,
    "mamba2": states_come_too_early,
}


@pytest.mark.parametrize("family", families.FAMILIES)
def test_a_planted_bug_is_seen(
    family: str, engine_of: EngineOf, model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(family)
    PLANTS[family](monkeypatch)

    assert truth.worst_error(model_of(family), explored(engine)) > 10 * families.tolerance(family)
