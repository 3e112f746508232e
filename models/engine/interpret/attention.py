"""Attention weights."""

from tokexplore.models.engine.core import Core


class Attentions:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core
