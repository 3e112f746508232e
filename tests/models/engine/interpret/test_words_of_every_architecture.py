"""Hidden tokens, gradients and attention of every causal architecture, or a sentence why not: of
the tier `make test-families`."""

import math

import pytest
import torch
import transformers
from support import architectures, families

from tokexplore.models.api.engine import Control
from tokexplore.models.api.interpreter import Attributions
from tokexplore.models.engine.interpret.occluded_path import OccludedPath
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError, UsageError

pytestmark = pytest.mark.families

IDS = [1 + (7 * at + at * at // 3) % (families.ROWS - 1) for at in range(70)]
HIDDEN = [range(0), range(20, 23), range(60, 61), range(68, 69)]


def engine_of(case: str) -> LocalEngine:
    transformers.logging.set_verbosity_error()
    try:
        model = architectures.build(case)
    except Exception as error:
        pytest.skip(f"not built: {type(error).__name__}: {error}")
    try:
        return LocalEngine(families.loaded(model, context=architectures.CONTEXT))
    except ModelError as error:
        pytest.skip(f"refused: {error}")


def logprobs(engine: LocalEngine, ids: list[int]) -> torch.Tensor:
    """A row for each stretch, computed together from the third token on."""
    logits = OccludedPath(engine.core, ids, own=True).logits(HIDDEN, 3, Control())
    assert logits is not None
    return logits.log_softmax(-1).nan_to_num(neginf=0.0)


@pytest.mark.parametrize("case", architectures.CASES)
def test_what_is_hidden_does_not_matter_and_nothing_else_changes(case: str) -> None:
    engine = engine_of(case)
    try:
        told = dict(engine.interpreter.occlude(IDS, HIDDEN, range(5), Control()))
    except UsageError as error:
        pytest.skip(f"refused: {error}")
    found = logprobs(engine, IDS)
    plain = engine.core.forward.plain(IDS)[-1].log_softmax(-1).nan_to_num(neginf=0.0)
    assert (found[0] - plain).abs().max() < 1e-4
    for at, stretch in enumerate(HIDDEN):
        assert told[at] == pytest.approx(found[at, :5].tolist(), abs=1e-4)
        other = IDS.copy()
        for place in stretch:
            other[place] = (other[place] + 40) % families.ROWS
        assert (logprobs(engine, other)[at] - found[at]).abs().max() < 1e-4


@pytest.mark.parametrize("case", architectures.CASES)
def test_gradients_and_weights_are_told_or_refused(case: str) -> None:
    engine, refused = engine_of(case), list[str]()
    try:
        (found,) = engine.interpreter.gradients(IDS, [7], 0, Control())
        assert isinstance(found, Attributions)
        assert all(map(math.isfinite, found.scores))
        own = engine.row(IDS)[0].logits.astype("float64")
        assert found.value == pytest.approx(
            torch.from_numpy(own).log_softmax(-1)[7].item(), abs=families.tolerance(case)
        )
    except UsageError as error:
        refused.append(str(error))
    try:
        weights = engine.interpreter.attention(IDS)
        for layer in range(len(weights.layers)):
            assert sum(weights.row(layer, None)) <= 1 + 1e-5
    except UsageError as error:
        refused.append(str(error))
    if len(refused) == 2:
        pytest.skip("; ".join(refused))
