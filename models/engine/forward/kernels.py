"""Attention kernels of transformers: which there are here, and a model that runs with another."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedConfig, PreTrainedModel
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


class Switch:
    """`attending` for many passes: what transformers checks of each module is checked once.

    Raises:
        UsageError: see `attending`.
    """

    def __init__(self, model: PreTrainedModel, kernel: str) -> None:
        configs = list(_configs(model))
        before = [config._attn_implementation for config in configs]
        with attending(model, kernel):
            after = [config._attn_implementation for config in configs]
        self._changed = [
            change for change in zip(configs, before, after, strict=True) if change[1] != change[2]
        ]

    @contextmanager
    def on(self) -> Iterator[None]:
        """Run the model with that kernel."""
        try:
            for config, _, kernel in self._changed:
                config._attn_implementation_internal = kernel
            yield
        finally:
            for config, kernel, _ in self._changed:
                config._attn_implementation_internal = kernel


def _configs(model: PreTrainedModel) -> Iterator[PreTrainedConfig]:
    """The configs of a model and its parts, each once."""
    waiting, seen = [m.config for m in model.modules() if isinstance(m, PreTrainedModel)], set()
    while waiting:
        config = waiting.pop()
        if id(config) not in seen:
            seen.add(id(config))
            waiting += filter(None, (getattr(config, name, None) for name in config.sub_configs))
            yield config
