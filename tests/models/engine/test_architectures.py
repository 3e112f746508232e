"""Every causal architecture against a plain pass: a tier of its own, `make test-families`."""

import pytest
import transformers
from support import architectures, referee

pytestmark = pytest.mark.families


@pytest.mark.parametrize("length", referee.LENGTHS)
@pytest.mark.parametrize("case", architectures.CASES)
def test_every_number_is_that_of_a_plain_pass_or_the_model_is_refused(
    case: str, length: int
) -> None:
    transformers.logging.set_verbosity_error()
    try:
        model = architectures.build(case)
    except architectures.FAILS_TO_BUILD as error:
        pytest.skip(f"not built: {type(error).__name__}: {error}")

    verdict = referee.judge(model, length)

    assert verdict.refused or set(verdict.worst) >= {"streamed", "forked", "scored"}
    assert verdict.largest <= referee.tolerance(case)[0], verdict
