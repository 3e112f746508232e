"""What a second model says of the candidates of the step in view."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tokexplore.models.api.questions import Describe, FindStandings
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import EngineLostError, TokexploreError
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.streams import Streams

_STEPS_KEPT = 256
"""Steps whose figures are kept."""


class Beside(NamedTuple):
    """What the second model says of a step."""

    greedy: int
    """Its most probable token."""
    logprobs: dict[int, float | None]
    """Of the tokens that were asked for so far, nats; None where it cannot be had."""


class SecondCandidates:
    """Asks one second model, which has the first one's tokens, one question at a time.

    Args:
        client: the second model.
    """

    def __init__(
        self, explorer: Explorer, streams: Streams, jobs: Jobs, client: AsyncEngine
    ) -> None:
        self._explorer, self._streams, self._jobs = explorer, streams, jobs
        self._client = client
        self.asking = False
        """Whether an answer is waited for."""
        self._pending: tuple[int, list[int]] | None = None
        """A node and tokens that it is asked for once it has read on."""
        self._known: OrderedDict[int, tuple[Distribution, Beside]] = OrderedDict()
        """By node."""
        self._refused: set[int] = set()
        """Nodes of which it can say nothing."""

    def after(self, node: int, tokens: Collection[int]) -> Beside | None:
        """What it says after a node, as far as it is known; of tokens of which it is not, it is
        asked."""
        known = self._known[node][1] if node in self._known else None
        missing = [t for t in tokens if known is None or t not in known.logprobs]
        if node in self._refused or node == ROOT:
            return known
        if self._streams.live is not None and self._explorer.following:
            self._pending = node, missing  # what streams by is asked for where it has read on
        elif missing and not self.asking:
            self.asking = True
            self._jobs.run(self._ask(node, missing))
        return known

    async def ask_for_newest(self) -> None:
        """Ask for what was left while tokens streamed by, where it is still in view."""
        pending, self._pending = self._pending, None
        if pending is not None and pending[0] == self._explorer.before and not self.asking:
            self.asking = True
            await self._ask(*pending)

    async def _ask(self, node: int, tokens: Sequence[int]) -> None:
        try:
            told, logprobs = await self._told(node, tokens)
        except EngineLostError:
            return  # whoever lost it says so
        except TokexploreError:
            self._refused.add(node)  # reading on says why, once
            return
        finally:
            self.asking = False
        known = self._known[node][1].logprobs if node in self._known else {}
        self._known[node] = told, Beside(told.id_view[0], known | logprobs)
        self._known.move_to_end(node)
        while len(self._known) > _STEPS_KEPT:
            self._known.popitem(last=False)

    async def _told(
        self, node: int, tokens: Sequence[int]
    ) -> tuple[Distribution, dict[int, float | None]]:
        client, ids = self._client, self._explorer.tree.ids(node)
        told = self._known[node][0] if node in self._known else await client.ask(Describe(ids))
        places = {token: told.index_of(token) for token in tokens}
        logprobs = {t: None if at is None else told.logprob(at) for t, at in places.items()}
        others = [t for t, at in places.items() if at is None and t < client.info.vocabulary]
        if others and client.info.capabilities.whole_rows:
            ranks = await client.ask(FindStandings(ids, others))
            logprobs |= {rank.token: rank.logprob for rank in ranks}
        return told, logprobs
