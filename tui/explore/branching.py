"""Taking tokens: picks, and drawing a step again."""

from tokexplore.models.distribution import TokenRank
from tokexplore.models.errors import UsageError
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.engine_link import in_turn
from tokexplore.tui.explore.streaming import ENDINGS, Streaming


class Taking(Streaming):
    """Branches at the cursor by a token."""

    @in_turn
    async def take(self, token: int, before: int) -> None:
        """Take a token after the node `before` and go on from there; a taken one is gone to."""
        await self.pause()
        explorer, tree = self.explorer, self.explorer.tree
        cursor = tree.depth[before]
        if before != explorer.leaf and not explorer.on_path(before):
            explorer.go_to(explorer.tip_through(before), cursor)
        explorer.place(cursor)
        known = tree.child(before, token)
        if known is not None:
            tree.bring_back(known)
            if explorer.taken == known:
                self._notify(f"This is the branch in view: {self.play_name} goes on at its end.")
            explorer.go_to(explorer.tip_through(known), cursor)
            explorer.touch(cursor - 1)
            self._changed()
            return
        standing = await self._standing(before, token)
        node = tree.explore(
            before, [token], "picked", extends=True,
            settings=tree.configure(explorer.settings),
            logprob=standing.logprob, rank=standing.rank,
        )  # fmt: skip
        explorer.go_to(node)
        explorer.touch(cursor - 1)
        self.play()
        self._changed()

    async def _standing(self, node: int, token: int) -> TokenRank:
        distribution = self.explorer.tree.distribution.get(node)
        index = distribution.index_of(token) if distribution else None
        if distribution is None or index is None:
            await self.wake()
            return (await self.client.standings(self.ids_of(node), [token]))[0]
        return TokenRank(
            token, distribution.logit_view[index], distribution.logprob(index),
            distribution.rank(index), index, distribution.tied(index),
        )  # fmt: skip

    @in_turn
    async def draw_again(self) -> None:
        """Draw the cursor's step once more, under the next draw number."""
        explorer, tree = self.explorer, self.explorer.tree
        if explorer.settings.greedy:
            raise UsageError(
                "Temperature 0 always takes the first candidate: set one above 0 (s) to draw."
            )
        await self.wake()
        await self.pause()
        before, cursor = explorer.before, explorer.cursor
        if before == ROOT:
            return
        draw = tree.draws.get(before, 0)
        explorer.go_to(before)
        known = set(tree.children[before])
        self.play(1, draw=draw)
        await self.finished()
        node = explorer.leaf
        if node in known:
            explorer.go_to(explorer.tip_through(node), cursor)
            self._notify(f"Draw {draw + 1} gave the same token as an earlier draw.")
        elif node != before and tree.ended.get(node) not in ENDINGS:
            self.play()
        self._changed()
