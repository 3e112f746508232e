"""Lens and split of every causal architecture: true, or refused. `make test-families`."""

import pytest
import torch
from support import architectures, families

from tokexplore.models.api.engine import Control
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError, UsageError

pytestmark = pytest.mark.families

IDS = [3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79]
TOKENS = (7, 50)


@pytest.mark.parametrize("name", architectures.NAMES)
def test_the_inside_is_the_models_or_is_refused(name: str) -> None:
    try:
        model = architectures.build(name).eval().requires_grad_(False)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([IDS]), use_cache=False).logits[0, -1].double()
    except architectures.FAILS_TO_BUILD as error:
        pytest.skip(f"not built: {type(error).__name__}: {error}")
    try:
        engine = LocalEngine(families.loaded(model, rows=len(logits), context=0))
    except ModelError as error:
        pytest.skip(f"not opened: {error}")
    logprobs = logits.log_softmax(-1)

    try:
        (step,) = engine.interpreter.lens(IDS, len(IDS), len(IDS), Control(), tokens=TOKENS)
        for rank in step.layers[-1].asked:
            same = families.tolerance(name)
            assert rank.logprob == pytest.approx(logprobs[rank.token].item(), abs=same)
        for heads in ((), range(1, len(step.layers))):
            split = engine.interpreter.split(IDS, TOKENS, tuple(heads))
            apart = (logprobs[TOKENS[0]] - logprobs[TOKENS[1]]).item()
            assert split.total == pytest.approx(apart, abs=1e-3 + families.tolerance(name))
    except UsageError:
        pass  # refused in a sentence
