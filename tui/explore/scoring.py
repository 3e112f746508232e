"""The model's numbers for tokens that were given: prompts and typed text."""

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.tree.events import Scored
from tokexplore.tui.explore.engine_link import DriverBase


class Scoring(DriverBase):
    """Scores paths in the background."""

    def unscored(self, leaf: int) -> int | None:
        """Position of the first token of a path that has no logprob yet and can have one."""
        tree = self.explorer.tree
        path = tree.path(leaf)
        return next((i for i in range(1, len(path)) if not tree.rank[path[i]]), None)

    async def score_rest(self) -> None:
        leaf = self.explorer.leaf
        start = self.unscored(leaf)
        if start is not None and not self.streaming:
            await self.score(leaf, start)

    async def score(self, leaf: int, start: int) -> None:
        path = self.explorer.tree.path(leaf)
        async for batch in self.client.score(self.ids_of(leaf), start):
            for event in batch:
                if isinstance(event, ScoredToken):
                    self.scored(path, event)
                else:
                    self.progress = event if event.done < event.total else None
            self._changed()
        self.progress = None

    def scored(self, path: list[int], event: ScoredToken) -> None:
        tree, position, standing = self.explorer.tree, event.position, event.standing
        tree.tell(path[position - 1], event.distribution)
        self.remember(path[position - 1], event.watched)
        if not tree.rank[path[position]]:
            tree.append(Scored(path[position], standing.logprob, standing.rank))
        self.explorer.touch(position)
