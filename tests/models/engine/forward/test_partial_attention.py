"""Attention over parts, joined, against one softmax over all of them."""

import pytest
import torch

from tokexplore.models.engine.forward.partial_attention import Partial, joined, partial

SCALING = 0.3


def whole(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor,
    softcap: float | None, bias: torch.Tensor | None, sinks: torch.Tensor | None,
) -> torch.Tensor:  # fmt: skip
    """By the definition, in float64."""
    scores = query.double() @ keys.double().transpose(-2, -1) * SCALING
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if bias is not None:
        scores = scores + bias
    if sinks is not None:
        scores = torch.cat([scores, sinks.double().expand(scores.shape[:-1])[..., None]], -1)
    return torch.softmax(scores, -1)[..., : keys.shape[-2]] @ values.double()


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("with_sinks", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_parts_give_what_one_softmax_gives(
    softcap: float | None, with_sinks: bool, masked: bool
) -> None:
    random = torch.Generator().manual_seed(5)
    query = 3 * torch.randn(2, 3, 4, 8, generator=random)
    keys, values = (torch.randn(2, 3, 50, 8, generator=random) for _ in "kv")
    keys[:, :, 45:] *= 20  # scores of very unlike sizes
    bias = sinks = None
    if masked:
        bias = torch.zeros(1, 1, 4, 50)
        bias[..., 0, :30] = bias[..., 2, 11:] = -torch.inf
    if with_sinks:
        sinks = torch.randn(2, 3, 4, generator=random)
    cuts = [(0, 12), (12, 30), (30, 50)]  # of some queries all of a part is masked
    parts = [
        partial(query, keys[:, :, a:b], values[:, :, a:b], SCALING, softcap,
                None if bias is None else bias[..., a:b])
        for a, b in cuts
    ]  # fmt: skip
    found = joined(Partial(*map(torch.stack, zip(*parts, strict=True))), sinks)

    expected = whole(query, keys, values, softcap, bias, sinks)
    assert (found - expected).abs().max() < 1e-5


def test_a_part_that_is_all_masked_gives_nothing() -> None:
    query, keys = torch.ones(1, 1, 1, 2), torch.ones(1, 1, 3, 2)
    read = partial(query, keys, keys, SCALING, None, torch.full((1, 1, 1, 3), -torch.inf))
    assert read.found.tolist() == [[[[0, 0]]]]
    assert read.total.tolist() == [[[0]]]


def test_what_was_given_is_not_written_to() -> None:
    query, keys = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4)
    before = query.clone(), keys.clone()
    partial(query, keys, keys, SCALING, 2.0, torch.zeros(1, 1, 3, 5))
    assert torch.equal(query, before[0])
    assert torch.equal(keys, before[1])
