"""The logit lens and tuned lenses."""

from tokexplore.models.engine.core import Core


class LogitLens:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core
