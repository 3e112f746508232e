"""The numeric noise along the path: what was streamed against one prefill pass of the same path."""

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.lab.noise import LEAST, LONGEST
from tokexplore.models.numerics import LOW_PRECISION
from tokexplore.tui.explore.streaming import Streaming

STREAMED = ("step", "fork")
"""Sources of distributions that were computed token by token."""


class Noising(Streaming):
    """Measures noise when there is nothing else to do, where the dtype is coarse enough to have it.

    A pass that has begun ends before the next token: a few hundred tokens at most.
    """

    def measure_when_idle(self) -> None:
        """Begin to measure the path in view, unless that was done or something else goes on."""
        info, leaf = self.info, self.explorer.leaf
        if self.state != "paused" or self.busy or info is None or leaf in self._measured:
            return
        self._measured.add(leaf)
        start = self._unmeasured()
        if info.dtype in LOW_PRECISION and start is not None:
            self.run(self._measure(leaf, start))

    def _unmeasured(self) -> int | None:
        """Position of the first token before which a streamed distribution has no measure yet."""
        tree, path = self.explorer.tree, self.explorer.nodes
        first = max(tree.prompt_length(self.explorer.leaf) + 1, len(path) - LONGEST)
        if len(path) - first < LEAST:
            return None
        return next((at for at in range(first, len(path)) if path[at - 1] not in self.gaps), None)

    async def _measure(self, leaf: int, start: int) -> None:
        path = self.explorer.tree.path(leaf)
        async for batch in self.client.score(self.ids_of(leaf), start):
            for event in batch:
                if isinstance(event, ScoredToken):
                    self._hold_against(path[event.position - 1], event)
            if self.streaming:
                self._measured.discard(leaf)
                break
        self._changed()

    def _hold_against(self, node: int, event: ScoredToken) -> None:
        """How far the gap of a step's first two candidates is from what was streamed."""
        tree = self.explorer.tree
        told, figures = tree.distribution.get(node), tree.distribution.figures(node)
        here = len(tree.provenance) - 1
        if told is None or figures is None or figures.model != here or len(told) < 2:
            return
        if told.source not in STREAMED:
            return
        first, second = told.id_view[:2]
        places = [event.distribution.index_of(token) for token in (first, second)]
        if None not in places:
            logits = [event.distribution.logit_view[at] for at in places if at is not None]
            self.gaps[node] = (logits[0] - logits[1]) - told.margin
