"""Attention kernels of transformers: which there are here, and a model that runs with another."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedModel
from transformers.utils import is_flash_attn_2_available, is_flash_attn_3_available

from tokexplore.models.errors import UsageError


def here(device: str) -> list[str]:
    """Attention kernels that this machine has."""
    found = ["sdpa", "eager"]
    if device.startswith("cuda"):
        found += ["flash_attention_2"] if is_flash_attn_2_available() else []
        found += ["flash_attention_3"] if is_flash_attn_3_available() else []
    return found


def own(model: PreTrainedModel) -> str | None:
    """The kernel that a model runs with; None where it names none."""
    return getattr(model.config, "_attn_implementation", None)


def takes(model: PreTrainedModel, kernel: str) -> bool:
    """Whether a model can run with an attention kernel."""
    try:
        with attending(model, kernel):
            return True
    except UsageError:
        return False


@contextmanager
def attending(model: PreTrainedModel, kernel: str | None) -> Iterator[None]:
    """Run a model with this attention kernel; None is its own.

    Raises:
        UsageError: it is not here, or not for this model.
    """
    before = own(model)
    if kernel in (None, before):
        yield
        return
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
