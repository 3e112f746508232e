"""The watch-list: tokens that are followed at every step of the path, whatever their rank."""

import math
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tokexplore.models.api.questions import Encode, FindStandings
from tokexplore.models.distribution import TokenRank
from tokexplore.models.errors import UsageError
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.options import MOST_WATCHED, one_token

ID = re.compile(r"\s*(?:#|id\s+)([0-9]{1,9})\s*")
_AT_ONCE = 32
"""Steps that are asked for before the screen shows them."""
_NOTHING: tuple["array[float]", "array[int]"] = array("d"), array("q")


class Watched(NamedTuple):
    """How a watched token stands at one step."""

    logprob: float
    """Nats; the model's."""
    rank: int


class Watchlist:
    """Follows tokens along the path: from what is stored where they are in it, else by asking."""

    def __init__(
        self, explorer: Explorer, link: EngineLink, jobs: Jobs, changed: Callable[[], None]
    ) -> None:
        self._explorer, self._link, self._jobs = explorer, link, jobs
        self._changed = changed
        self.tokens: list[int] = []
        self._told = dict[int, tuple["array[float]", "array[int]"]]()
        """By token: its logprobs and ranks after each node, where they were told; NaN elsewhere."""
        self._asking = False

    def toggle(self, token: int) -> bool:
        """Follow a token, or no longer; whether it is followed now.

        Raises:
            UsageError: for no token of the vocabulary, or one more than can be shown.
        """
        if token in self.tokens:
            self.tokens.remove(token)
            return False
        rows = self._explorer.vocabulary.rows
        if rows and not 0 <= token < rows:
            raise UsageError(f"id {token} is no token: they go up to {rows - 1}.")
        if len(self.tokens) == MOST_WATCHED:
            raise UsageError(
                f"{MOST_WATCHED} tokens are watched: naming one of them again leaves it out."
            )
        self.tokens.append(token)
        return True

    async def token_named(self, text: str, advice: str = "watch one of them") -> int:
        """The token of a text that goes on from the path; `id 17` is the token with this id.

        Args:
            advice: what to do where it is several.

        Raises:
            UsageError: where it is not exactly one, or there is no model to ask.
        """
        if named := ID.fullmatch(text):
            return int(named[1])
        if self._link.absent:
            raise UsageError(
                "A text needs the model's tokenizer: give its id (id 850), or load it (space)."
            )
        ids = await self._link.client.ask(Encode(text, continuation=True))
        return one_token(text, ids, self._explorer.vocabulary, advice)

    def at(self, node: int, token: int) -> Watched | None:
        """How a token stands in the distribution after a node; None where it is not known."""
        if (told := self.told(node, token)) is not None:
            return told
        distribution = self._explorer.tree.distribution.get(node)
        index = None if distribution is None else distribution.index_of(token)
        if distribution is None or index is None:
            return None
        return Watched(distribution.logprob(index), distribution.rank(index))

    def told(self, node: int, token: int) -> Watched | None:
        """What the engine told of a watched token after a node, beside the distribution."""
        logprobs, ranks = self._told.get(token, _NOTHING)
        if node >= len(logprobs) or math.isnan(logprobs[node]):
            return None
        return Watched(logprobs[node], ranks[node])

    def record(self, node: int, found: Iterable[TokenRank]) -> None:
        """Take in how watched tokens stand after a node."""
        for rank in found:
            logprobs, ranks = self._told.setdefault(rank.token, (array("d"), array("q")))
            if (missing := node + 1 - len(logprobs)) > 0:
                logprobs.extend([math.nan] * missing)
                ranks.extend([0] * missing)
            logprobs[node], ranks[node] = rank.logprob, rank.rank

    def ask(self, nodes: Sequence[int]) -> None:
        """Ask how the watched tokens stand after these nodes, the first of them first."""
        if nodes and self._link.can("whole_rows") and not self._asking:
            self._asking = True
            self._jobs.run(self._ask(list(nodes[:_AT_ONCE])))

    async def _ask(self, nodes: list[int]) -> None:
        tree, tokens = self._explorer.tree, tuple(self.tokens)
        try:
            for node in nodes:
                question = FindStandings(tree.ids(node), tokens)
                self.record(node, await self._link.client.ask(question))
        finally:
            self._asking = False
        self._changed()
