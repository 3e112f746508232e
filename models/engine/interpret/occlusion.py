"""Tokens made invisible to all later ones."""

from tokexplore.models.engine.core import Core


class Occlusions:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core
