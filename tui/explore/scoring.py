"""The model's numbers for tokens that were given: prompts and typed text."""

from collections.abc import Callable

from tokexplore.models.api.engine import Progress, ScoredToken
from tokexplore.models.tree.record import record
from tokexplore.models.worker.async_engine import Handle
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.watchlist import Watchlist


class Scorer:
    """Scores paths, and puts what comes of it into the tree."""

    def __init__(
        self,
        explorer: Explorer,
        link: EngineLink,
        watchlist: Watchlist,
        changed: Callable[[], None],
    ) -> None:
        self._explorer, self._link, self._watchlist = explorer, link, watchlist
        self._changed = changed
        self.progress: Progress | None = None
        self._handle: Handle[Progress | ScoredToken] | None = None

    def unscored(self, leaf: int) -> int | None:
        """Position of the first token of a path that has no logprob yet and can have one."""
        if not self._link.can("prompt_scores"):
            return None
        tree = self._explorer.tree
        path = tree.path(leaf)
        return next((i for i in range(1, len(path)) if not tree.is_scored(path[i])), None)

    async def score(self, leaf: int, start: int) -> None:
        """Score the tokens of a path from position `start` on, in the place of those before."""
        path = self._explorer.tree.path(leaf)
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._link.client.score(self._explorer.tree.ids(leaf), start)
        try:
            async for batch in self._handle:
                for event in batch:
                    if isinstance(event, ScoredToken):
                        self.add(path, event)
                    else:
                        self.progress = event if event.done < event.total else None
                self._changed()
        finally:
            self.progress = None

    def add(self, path: list[int], event: ScoredToken) -> None:
        """Put a token's score into the tree, and the distribution that it was scored in."""
        record(self._explorer.tree, path[-1], event, path=path)
        self._watchlist.record(path[event.position - 1], event.watched)
        self._explorer.touch(event.position)
