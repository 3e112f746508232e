"""Tokens of a server's sampler, a request each."""

from tokexplore.models.server.dialect import Ask, Dialect, Step


class SingleSteps:
    """Implements `Steps` where a stream would not bring what is asked for.

    Args:
        ask: of the first; each later one has the next seed.
        length: tokens at most.
    """

    def __init__(self, server: Dialect, ask: Ask, length: int) -> None:
        self._server, self._ask, self._left = server, ask, length
        self.ends = False

    @property
    def over(self) -> bool:
        return self._left <= 0

    def next(self, seconds: float) -> Step | None:
        """The next step, however long it takes; see `Steps.next`."""
        del seconds
        if self.over:
            return None
        ask = self._ask
        step = self._server.step(ask)
        self._ask = ask._replace(ids=[*ask.ids, step.token], seed=ask.seed + 1)
        self._left, self.ends = self._left - 1, step.ends
        return step

    def close(self) -> None:
        """Nothing runs between two requests."""
