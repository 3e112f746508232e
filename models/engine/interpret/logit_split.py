"""Logits as sums over the model's parts."""

from tokexplore.models.engine.core import Core


class LogitSplits:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core
