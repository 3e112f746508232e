"""transformers' own masks with columns taken out, against masks made by hand."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers.masking_utils import (
    ALL_MASK_ATTENTION_FUNCTIONS,
    sliding_window_causal_mask_function,
)

from tokexplore.models.engine.forward.hidden_tokens import KERNELS, hiding

HIDDEN = [range(2, 4), range(0), range(5, 6)]


def made(kernel: str, *, queries: int = 6, start: int = 0, window: int = 0) -> torch.Tensor | None:
    """What a kernel's mask function makes of 3 rows: True where a query sees a key, [3, q, k]."""
    more = {"mask_function": sliding_window_causal_mask_function(window)} if window else {}
    mask = ALL_MASK_ATTENTION_FUNCTIONS[kernel](
        batch_size=3, q_length=queries, kv_length=start + queries, q_offset=start, kv_offset=0,
        attention_mask=torch.ones(3, start + queries, dtype=torch.bool), dtype=torch.float32,
        **{"mask_function": lambda _row, _head, query, key: key <= query, **more},
    )  # fmt: skip
    if mask is None:
        return None
    assert mask.shape == (3, 1, queries, start + queries)
    if mask.dtype != torch.bool:
        assert set(mask.unique().tolist()) <= {0.0, torch.finfo(torch.float32).min}
    return mask[:, 0] if mask.dtype == torch.bool else mask[:, 0] == 0


@pytest.mark.parametrize("window", [0, 3])
@pytest.mark.parametrize(("queries", "start"), [(7, 0), (4, 3), (1, 6)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_hidden_columns_are_gone_but_for_the_token_itself(
    kernel: str, queries: int, start: int, window: int
) -> None:
    with hiding(HIDDEN, 7):
        mask = made(kernel, queries=queries, start=start, window=window)
    assert mask is not None
    for row, hidden in enumerate(HIDDEN):
        for query in range(start, 7):
            for key in range(7):
                seen = key <= query and (not window or query - key < window)
                seen = seen and (key not in hidden or key == query)
                assert mask[row, query - start, key].item() is seen


@pytest.mark.parametrize("kernel", KERNELS)
def test_masks_are_as_ever_where_nothing_is_hidden(kernel: str) -> None:
    before = made(kernel)
    with pytest.raises(RuntimeError, match="a failed pass"), hiding(HIDDEN, 6):
        raise RuntimeError("a failed pass")
    after = made(kernel)
    if kernel == "sdpa":
        assert before is after is None, "a causal mask is left to the kernel"
    else:
        assert before is not None
        assert after is not None
        assert torch.equal(before, after)


def test_a_pass_in_another_thread_hides_nothing() -> None:
    with hiding(HIDDEN, 6), ThreadPoolExecutor(1) as pool:
        assert pool.submit(made, "sdpa").result() is None
