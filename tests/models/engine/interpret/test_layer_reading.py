"""What layers' logits say, against the rows' own figures and plain sums in float64."""

import pytest
import torch

from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.interpret import layer_reading
from tokexplore.models.engine.interpret.layer_reading import readings
from tokexplore.models.errors import UsageError


def rows() -> torch.Tensor:
    """Five rows of 40: plain, with ties inside and at the border, with -inf, all equal."""
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(1)) * 3
    logits[1, [3, 9]] = logits[1].max() + 1
    logits[2, 10:30] = logits[2].max() + 1
    logits[3, 4:] = -torch.inf
    logits[4] = 0.5
    return logits


@pytest.mark.parametrize("elements", [1, 80, 2**19])
@pytest.mark.parametrize("top", [1, 5, 40, 50])
def test_ranks_are_those_of_the_rows(
    elements: int, top: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_reading, "_ELEMENTS", elements)
    logits, tokens = rows(), (3, 39, 17)
    own = logits[0].double().log_softmax(-1)

    told = readings(logits, own, tokens, top)

    for row, reading in zip(logits, told, strict=True):
        full = logits_row.summarise(row, "made")
        listed = logits_row.candidates(full.logits, top)[0]
        for found, ids in ((reading.top, listed), (reading.asked, tokens)):
            expected = [logits_row.standing(full, int(token)) for token in ids]
            for one, other in zip(found, expected, strict=True):
                assert (one.token, one.rank, one.index, one.tied, one.logit) == (
                    other.token, other.rank, other.index, other.tied, other.logit,
                )  # fmt: skip
                assert one.logprob == pytest.approx(other.logprob, abs=1e-5)
        assert reading.entropy == pytest.approx(full.entropy, abs=1e-5)


def test_divergences_are_plain_sums() -> None:
    logits = rows()
    own = logits[3].double().log_softmax(-1)
    p = own.exp()

    told = readings(logits, own, (), 1)

    for row, reading in zip(logits, told, strict=True):
        q = row.double().softmax(-1)
        expected = (p[:4] * (p[:4] / q[:4]).log()).sum().item()
        assert reading.divergence == pytest.approx(expected, abs=1e-12)
    assert told[3].divergence < 1e-12


def test_what_a_layer_excludes_is_infinitely_far() -> None:
    logits = rows()
    (reading,) = readings(logits[3:4], logits[0].double().log_softmax(-1), (), 1)
    assert reading.divergence == float("inf")
    assert reading.entropy < 2


def test_logits_that_are_no_numbers_are_refused() -> None:
    logits = rows()
    logits[2, 0] = torch.nan
    with pytest.raises(UsageError, match="are no numbers"):
        readings(logits, logits[0].double().log_softmax(-1), (), 1)
