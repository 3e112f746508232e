"""The watch-list: tokens that are followed at every step of the path, whatever their rank."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tokexplore.models.errors import UsageError
from tokexplore.tui.explore.options import MOST_WATCHED, one_token
from tokexplore.tui.explore.queries import Questions

ID = re.compile(r"\s*(?:#|id\s+)([0-9]{1,9})\s*")
_AT_ONCE = 32
"""Steps that are asked for before the screen is told."""


class Watched(NamedTuple):
    """How a watched token stands at one step."""

    logprob: float
    """Nats; the model's."""
    rank: int


class Watching(Questions):
    """Follows tokens along the path: from what is stored where they are in it, else by asking."""

    def watch(self, token: int) -> bool:
        """Follow a token, or no longer; whether it is followed now.

        Raises:
            UsageError: for no token of the vocabulary, or one more than can be shown.
        """
        if token in self.watched:
            self.watched.remove(token)
            return False
        vocabulary = self.explorer.vocabulary
        if vocabulary is not None and not 0 <= token < vocabulary.rows:
            raise UsageError(f"id {token} is no token: they go up to {vocabulary.rows - 1}.")
        if len(self.watched) == MOST_WATCHED:
            raise UsageError(
                f"{MOST_WATCHED} tokens are watched: naming one of them again leaves it out."
            )
        self.watched.append(token)
        return True

    async def token_named(self, text: str) -> int:
        """The token of a text that goes on from the path; `id 17` is the token with this id.

        Raises:
            UsageError: where it is not exactly one, or there is no model to ask.
        """
        if named := ID.fullmatch(text):
            return int(named[1])
        vocabulary = self.explorer.vocabulary
        if self.absent or vocabulary is None:
            raise UsageError(
                "A text needs the model's tokenizer: give its id (id 850), or load it (space)."
            )
        return one_token(text, await self.client.encode(text, continuation=True), vocabulary)

    def watched_at(self, node: int, token: int) -> Watched | None:
        """How a token stands in the distribution after a node; None where it is not known."""
        known = self.standings.get((node, token))
        if known is not None:
            return Watched(known.logprob, known.rank)
        distribution = self.explorer.tree.distribution.get(node)
        index = None if distribution is None else distribution.index_of(token)
        if distribution is None or index is None:
            return None
        return Watched(distribution.logprob(index), distribution.rank(index))

    def ask_watched(self, nodes: Sequence[int]) -> None:
        """Ask how the watched tokens stand after these nodes, the first of them first."""
        if nodes and not self.absent and not self.streaming and not self._watching:
            self._watching = True
            self.run(self._ask_for(list(nodes[:_AT_ONCE])))

    async def _ask_for(self, nodes: list[int]) -> None:
        tokens = tuple(self.watched)
        try:
            for node in nodes:
                self.remember(node, await self.client.standings(self.ids_of(node), tokens))
        finally:
            self._watching = False
        self._changed()
