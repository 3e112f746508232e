"""The inside of a real chat model against plain passes of its weights in f64."""

import numpy as np
import pytest
import torch
from support.llama_server import GGUF
from support.plain_passes import logprobs_without, plain, slopes
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control
from tokexplore.models.api.interpreter import Attributions
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.interpret.occlusion import Occluded, occlusion

TEXT = "My cat is called Tom. My dog is called Rex. My cat is called"
"""It says that the cat is called Rex too."""


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.open(LoadOptions(str(GGUF), threads=1), lambda _: None)


@pytest.fixture(scope="module")
def twin(engine: LocalEngine) -> PreTrainedModel:
    return plain(engine.core.forward.model)


def test_the_word_that_decides_is_found_and_every_figure_is_a_plain_pass(
    engine: LocalEngine, twin: PreTrainedModel
) -> None:
    ids = engine.encode(TEXT)
    (tom, *_), (rex, *_) = engine.encode(" Tom"), engine.encode(" Rex")
    assert int(engine.row(ids)[0].logits.argmax()) == rex

    told = [e for e in occlusion(engine, ids, [rex, tom], Control()) if isinstance(e, Occluded)]
    whole = logprobs_without(twin, ids, range(0))
    for each in told:
        wanted = logprobs_without(twin, ids, each.unit.tokens)
        assert each.logprobs == pytest.approx(wanted[[rex, tom]].tolist(), abs=2e-4)
        effect = (whole[rex] - whole[tom] - wanted[rex] + wanted[tom]).item()
        assert each.effect == pytest.approx(effect, abs=4e-4)
    pieces = engine.vocabulary.pieces(ids)
    for kind, text in ("sentence", " My dog is called Rex."), ("word", " Rex."), ("token", " Rex"):
        largest = max((e for e in told if e.unit.kind == kind), key=lambda each: each.effect).unit
        assert "".join(pieces[largest.start : largest.end]) == text


def test_gradients_and_attention_are_those_of_a_plain_pass(
    engine: LocalEngine, twin: PreTrainedModel
) -> None:
    ids = engine.encode(TEXT)
    token = int(engine.row(ids)[0].logits.argmax())
    (found,) = engine.interpreter.gradients(ids, [token], 0, Control())
    assert isinstance(found, Attributions)
    wanted = slopes(twin, ids, [token], 1.0)
    assert found.scores == pytest.approx(wanted.tolist(), abs=1e-3 * wanted.abs().max().item())

    weights = engine.interpreter.attention(ids)
    rows = np.frombuffer(weights.weights, np.float32).reshape(30, 9, len(ids))
    with torch.no_grad():
        told = twin(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    assert weights.layers == tuple(range(1, 31))
    assert np.abs(rows - torch.cat(told)[:, :, -1].numpy()).max() < 1e-4
