"""The embedded model as users get it: every number against a plain full pass of transformers."""

import pytest
import torch
from support import truth
from support.truth import SAMPLED, Said
from transformers import AutoModelForCausalLM, PreTrainedModel

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.local import LocalEngine

TOLERANCE = 1e-4
STORY = "Once upon a time there was a king who had a"
CHINESE = "今天是星期五，国王说"


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.open(LoadOptions(device="cpu", dtype="float32"), lambda _: None)


@pytest.fixture(scope="module")
def plain() -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED_DIRECTORY, dtype=torch.float32)
    return model.eval()


@pytest.mark.parametrize("prompt", [STORY, CHINESE])
def test_prompt_stream_branch_switch_and_draw_are_those_of_a_full_pass(
    engine: LocalEngine, plain: PreTrainedModel, prompt: str
) -> None:
    ids = engine.encode(prompt)
    main = truth.run(engine, ids, 60, score_prompt=True, describe_end=True)
    said = list(main.said)
    for depth in (len(ids), len(ids) + 7, len(ids) + 40):
        before = next(s for s in main.said if len(s.path) == depth)
        second = before.distribution.id_view[1]
        said += truth.run(engine, [*main.ids[:depth], second], 12, SAMPLED).said
    said += truth.run(engine, main.ids, 6, SAMPLED, draw=2).said
    unseen = (*ids, *engine.encode(" daughter called Snow", continuation=True))
    said.append(Said(unseen, engine.describe(unseen)))

    assert len(said) > 100
    assert truth.worst_error(plain, said) <= TOLERANCE


def test_up_to_the_end_of_the_context(engine: LocalEngine, plain: PreTrainedModel) -> None:
    context = engine.info.context
    ids = (engine.encode(STORY) * context)[: context - 200]
    run = truth.run(engine, ids, context, SAMPLED)

    assert run.ended.reason == "context"
    assert len(run.ids) == context
    assert truth.worst_error(plain, run.said[-40:]) <= TOLERANCE
