"""A model whose passes run with one attention kernel or another, in turn."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedConfig, PreTrainedModel

from tokexplore.models.engine.forward.kernels import attending


class Switch:
    """`kernels.attending` for many passes: what transformers checks of each module is checked once.

    Raises:
        UsageError: see `kernels.attending`.
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
