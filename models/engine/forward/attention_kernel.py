"""Which attention kernel of transformers a model runs with."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedModel

from tokexplore.models.errors import UsageError


@contextmanager
def attention(model: PreTrainedModel, kernel: str) -> Iterator[None]:
    """Run a model with another attention kernel.

    Raises:
        UsageError: it is not here, or not for this model.
    """
    before = model.config._attn_implementation
    if not model._can_set_attn_implementation():
        raise UsageError(f"attention {kernel} is not possible: this model has its own alone.")
    try:
        model.set_attn_implementation(kernel)
    except (ImportError, ValueError) as error:
        raise UsageError(f"attention {kernel} is not possible: {error}") from None
    try:
        yield
    finally:
        model.set_attn_implementation(before)
