"""Tokens that the user takes, and steps that are drawn again."""

from collections.abc import Awaitable, Callable

import msgspec

from tokexplore.models.api.questions import FindStandings
from tokexplore.models.distribution import TokenRank
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.randomness import seed_after
from tokexplore.models.tree.conversation import answer_at
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.visibility import end_through, is_out_of_sight
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.queries import Queries
from tokexplore.tui.explore.streams import ENDINGS, FULL, Notify, Streams


class Picks:
    """Branches at a step by a token; the path in view goes there.

    Args:
        wake: loads the model of a session that is open without it.
        play_name: the key or the command that goes on, as notices name it.
    """

    def __init__(
        self,
        explorer: Explorer,
        link: EngineLink,
        streams: Streams,
        queries: Queries,
        notify: Notify,
        wake: Callable[[], Awaitable[None]],
        play_name: str,
    ) -> None:
        self._explorer, self._link = explorer, link
        self._streams, self._queries = streams, queries
        self._notify, self._wake, self._play_name = notify, wake, play_name

    async def take(self, token: int, before: int) -> bool:
        """Take a token after the node `before`; whether it was not there to be seen.

        Raises:
            TokexploreError: the engine does not go on with the token, or cannot say how it stands.
        """
        explorer, tree = self._explorer, self._explorer.tree
        cursor = tree.depth[before]
        if before != explorer.leaf and not explorer.on_path(before):
            explorer.go_to(explorer.tip_through(before), cursor)
        explorer.place(cursor)
        taken = tree.child(before, token)
        fresh = taken is None or is_out_of_sight(tree, taken)
        node = await self.node_of(token, before)
        if explorer.taken == node:
            self._notify(f"This is the branch in view: {self._play_name} goes on at its end.")
        explorer.go_to(end_through(tree, node), None if taken is None else cursor)
        return fresh

    async def node_of(self, token: int, before: int) -> int:
        """The node of a token after another node, in sight: one that is there, out of sight or not,
        or a new one.

        Raises:
            TokexploreError: see `take`.
        """
        tree, taken = self._explorer.tree, self._explorer.tree.child(before, token)
        if taken is None:
            taken = await self._add(token, before)
        elif is_out_of_sight(tree, taken):
            explore(tree, before, [token], "picked")
        self._explorer.touch(tree.depth[before] - 1)
        return taken

    async def _add(self, token: int, before: int) -> int:
        explorer, tree = self._explorer, self._explorer.tree
        self._link.check("another token", "prefill")
        if self._link.info is not None and 0 < self._link.info.context <= tree.depth[before]:
            raise UsageError(FULL)
        standing = self._queries.stored_rank(before, token)
        if standing is None:
            await self._wake()
            standing = await self._rank(token, before)
        return explore(
            tree, before, [token], "picked", extends=True,
            settings=tree.configure(explorer.settings),
            logprob=standing and standing.logprob, rank=standing and standing.rank,
        )  # fmt: skip

    async def _rank(self, token: int, before: int) -> TokenRank | None:
        """How a token stands that is not stored; None where the engine does not tell.

        Raises:
            UsageError: the engine does not go on with it.
            EngineLostError: there is none.
        """
        if limit := self._link.limit("forced_tokens"):
            raise UsageError(f"{limit}: id {token} is none of those at this step.")
        if self._link.limit("whole_rows"):
            return None
        question = FindStandings(self._explorer.tree.ids(before), [token])
        return (await self._link.client.ask(question))[0]

    def check_draws(self) -> None:
        """Refuse to draw where nothing is drawn.

        Raises:
            UsageError: at temperature 0.
        """
        if self._explorer.settings.greedy:
            raise UsageError(
                "Temperature 0 always takes the first candidate: set one above 0 (s) to draw."
            )

    def answer_to_draw(self) -> int:
        """Index of the first generated word of the answer that the cursor's turn means.

        Raises:
            UsageError: at temperature 0, and where nothing is answered on this path.
        """
        explorer = self._explorer
        coming = self._streams.leaf == explorer.leaf
        first = answer_at(explorer.path, explorer.cursor, coming=coming)
        if first is None:
            raise UsageError("There is no answer of a chat on this path: p starts one.")
        if explorer.settings.greedy:
            raise UsageError(
                "Temperature 0 gives the same answer again: set one above 0 (s) for another."
            )
        return first

    async def answer_again(self, first: int, jobs: Jobs) -> None:
        """Generate the answer that begins at an index of the path once more, under the next seed.

        The new path is the old one as far as it draws the same tokens. Where all of them were drawn
        before, the answer that they are is in view.
        """
        explorer, streams = self._explorer, self._streams
        leaf, cursor = explorer.leaf, explorer.cursor
        known = _known(explorer.tree)
        settings = explorer.settings
        seed = seed_after(settings.seed, 1)
        streams.configure(msgspec.structs.replace(settings, seed=seed), streams.max_new_tokens)
        explorer.place(first, jump=True)
        explorer.go_to(explorer.before)
        self._notify(f"Another answer, under seed {seed}.")
        streams.play()
        stream = streams.live

        async def tell_where_nothing_new_came() -> None:
            await streams.finished()
            tree = explorer.tree
            if stream is None or explorer.leaf != stream.leaf or _known(tree) != known:
                return
            reason = tree.ended.get(stream.leaf, "interrupted")
            if reason == "interrupted":  # it may yet differ
                return
            if tree.common(stream.leaf, leaf) == stream.leaf:
                explorer.go_to(leaf, cursor)
                self._notify(f"Under seed {seed} it was the same as this answer.")
            else:
                number = tree.branch_of[stream.leaf]
                self._notify(
                    f"Under seed {seed} it was the same as an earlier answer: that of branch "
                    f"{number}, now in view."
                )

        jobs.run(tell_where_nothing_new_came())

    async def draw_again(self) -> None:
        """Draw the cursor's step under the next draw number; a new token is gone on from."""
        explorer, tree = self._explorer, self._explorer.tree
        before, cursor = explorer.before, explorer.cursor
        if before == ROOT:
            return
        draw = tree.draws[before]
        explorer.go_to(before)
        taken = {child for child in tree.children[before] if not is_out_of_sight(tree, child)}
        self._streams.play(1, draw=draw)
        await self._streams.finished()
        node = explorer.leaf
        if node in taken:
            explorer.go_to(end_through(tree, node), cursor)
            self._notify(f"Draw {draw + 1} gave the same token as an earlier draw.")
        elif node != before and tree.ended.get(node) not in ENDINGS:
            self._streams.play()


def _known(tree: TokenTree) -> tuple[int, int]:
    """What is another value once something came into the tree, or came back into sight."""
    return len(tree), tree.shape
