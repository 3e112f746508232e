"""A server whose logprobs are the model's in plain greedy requests alone.

What it draws under other settings is one request; a greedy one beside it tells where that stands.
"""

from collections.abc import Iterator, Sequence

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.api.traffic import Load
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.dialect import Ask, Dialect, Logprobs, Step, Steps
from tokexplore.models.server.single_steps import SingleSteps


class GreedyLogprobs:
    """Implements `Dialect`.

    Args:
        server: gives logprobs after its sampler wherever that does anything.
        scores: it gives logprobs of tokens that it is given.
    """

    def __init__(self, server: Dialect, *, scores: bool) -> None:
        self._server, self._gives_scores = server, scores
        self.program, self.samples, self.apart = server.program, server.samples, server.apart

    def describe(self, ids: Sequence[int], top: int) -> Distribution:
        """See `Dialect.describe`."""
        return self._server.describe(ids, top)

    def logprobs(self, ids: Sequence[int]) -> Logprobs:
        """See `Dialect.logprobs`."""
        return self._server.logprobs(ids)

    def step(self, ask: Ask) -> Step:
        """See `Dialect.step`."""
        drawn = self._server.step(ask)
        if self.streams(ask.settings):
            return drawn
        distribution = self._server.step(ask.plain).distribution
        index = distribution.index_of(drawn.token)
        if index is None:
            logprob = self._unlisted(ask.ids, drawn.token)
        else:
            logprob = distribution.logprob(index)
        return Step(distribution, drawn.token, logprob, drawn.ends)

    def _unlisted(self, ids: Sequence[int], token: int) -> float:
        """The logprob of a token that is not among the first candidates after a path."""
        if not self._gives_scores:
            return float(self._server.logprobs(ids)[token])
        (scored,) = self._server.scores([*ids, token], len(ids), 1)
        return scored.standing.logprob

    def steps(self, ask: Ask, length: int) -> Steps:
        """See `Dialect.steps`."""
        if self.streams(ask.settings):
            return self._server.steps(ask, length)
        return SingleSteps(self, ask, length)

    def streams(self, settings: SamplingSettings) -> bool:
        """See `Dialect.streams`: where its sampler does nothing."""
        return settings.greedy and not settings.looks_back

    def load(self) -> Load:
        """See `Dialect.load`."""
        return self._server.load()

    def ends(self, ids: Sequence[int], token: int) -> bool:
        """See `Dialect.ends`."""
        return self._server.ends(ids, token)

    def scores(self, ids: Sequence[int], start: int, top: int) -> Iterator[ScoredToken]:
        """See `Dialect.scores`."""
        return self._server.scores(ids, start, top)
