"""The numeric noise along the path: what was streamed against one prefill pass of the same path."""

from collections.abc import Callable

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.lab.flips import LEAST
from tokexplore.models.lab.noise import LONGEST
from tokexplore.models.numerics import LOW_PRECISION
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.streams import Streams

STREAMED = ("step", "fork")
"""How the sources of distributions begin that were computed token by token."""


class NoiseMeter:
    """Measures noise when there is nothing else to do, where the dtype is coarse enough to have it.

    A pass that has begun ends before the next token: a few hundred tokens at most.
    """

    def __init__(
        self,
        explorer: Explorer,
        link: EngineLink,
        streams: Streams,
        jobs: Jobs,
        changed: Callable[[], None],
    ) -> None:
        self._explorer, self._link, self._streams = explorer, link, streams
        self._jobs, self._changed = jobs, changed
        self.gaps: dict[int, float] = {}
        """By node: how far one prefill pass moved the gap of its first two candidates (nats)."""
        self._measured: set[int] = set()
        """Leaves whose path was measured, or has nothing to measure."""

    def measure_when_idle(self) -> None:
        """Begin to measure the path in view, unless that was done or something else goes on."""
        link, explorer = self._link, self._explorer
        leaf, idle = explorer.leaf, link.can("prompt_scores") and not self._jobs.count
        if not idle or link.info is None or not explorer.nodes or leaf in self._measured:
            return
        self._measured.add(leaf)
        start = self._unmeasured()
        if link.info.dtype in LOW_PRECISION and start is not None:
            self._jobs.run(self._measure(leaf, start))

    def _unmeasured(self) -> int | None:
        """Position of the first token before which a streamed distribution has no measure yet."""
        tree, path = self._explorer.tree, self._explorer.nodes
        first = max(tree.prompt_length(self._explorer.leaf) + 1, len(path) - LONGEST)
        if len(path) - first < LEAST:
            return None
        return next((at for at in range(first, len(path)) if path[at - 1] not in self.gaps), None)

    async def _measure(self, leaf: int, start: int) -> None:
        tree = self._explorer.tree
        path = tree.path(leaf)
        async for batch in self._link.client.score(tree.ids(leaf), start):
            for event in batch:
                if isinstance(event, ScoredToken):
                    self._compare(path[event.position - 1], event)
            if self._streams.live:
                self._measured.discard(leaf)
                break
        self._changed()

    def _compare(self, node: int, event: ScoredToken) -> None:
        """How far the gap of a step's first two candidates is from what was streamed."""
        tree = self._explorer.tree
        streamed, figures = tree.distribution.get(node), tree.distribution.figures(node)
        here = len(tree.provenance) - 1
        if streamed is None or figures is None or figures.model != here or len(streamed) < 2:
            return
        if not streamed.source.startswith(STREAMED):
            return
        first, second = streamed.id_view[:2]
        places = [event.distribution.index_of(token) for token in (first, second)]
        if None not in places:
            logits = [event.distribution.logit_view[at] for at in places if at is not None]
            self.gaps[node] = (logits[0] - logits[1]) - streamed.margin
