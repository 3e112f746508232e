"""Estimates by gradients."""

from tokexplore.models.engine.core import Core


class Gradients:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core
