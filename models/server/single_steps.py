"""Tokens of a server's sampler, a request each."""

from collections.abc import Sequence

from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.dialect import Dialect, Step


class SingleSteps:
    """Implements `Steps` where a stream would not bring what is asked for.

    Args:
        seed: of the first; each later one has the next.
        length: tokens at most.
        cold: see `Dialect.steps`.
    """

    def __init__(
        self,
        server: Dialect,
        ids: Sequence[int],
        settings: SamplingSettings,
        seed: int,
        top: int,
        length: int,
        *,
        cold: bool,
    ) -> None:
        self._server, self._settings, self._top, self._cold = server, settings, top, cold
        self._path, self._seed, self._left = list(ids), seed, length
        self.ends = False

    @property
    def over(self) -> bool:
        return self._left <= 0

    def next(self, seconds: float) -> Step | None:
        """The next step, however long it takes; see `Steps.next`."""
        del seconds
        if self.over:
            return None
        step = self._server.step(self._path, self._settings, self._seed, self._top, cold=self._cold)
        self._path.append(step.token)
        self._seed, self._left, self.ends = self._seed + 1, self._left - 1, step.ends
        return step

    def close(self) -> None:
        """Nothing runs between two requests."""
