"""Which attention kernel of transformers a model runs with."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedConfig, PreTrainedModel

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


class Switch:
    """`attention` for many passes: what transformers checks of each module is checked once.

    Raises:
        UsageError: see `attention`.
    """

    def __init__(self, model: PreTrainedModel, kernel: str) -> None:
        configs = list(_configs(model))
        before = [config._attn_implementation for config in configs]
        with attention(model, kernel):
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
