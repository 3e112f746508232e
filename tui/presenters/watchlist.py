"""The watched tokens along the path in view, kept up to date by redoing only what changed."""

import math
from array import array
from heapq import nsmallest

from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.watchlist import Watched

AT_ONCE = 256
"""Steps that one update looks at: each may have to be read from the session's file."""


class WatchView:
    """Of each watched token its logprob at every step of the path, those near the cursor first."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._lines: dict[int, array[float]] = {}
        self._unseen: set[int] = set()
        """Indices that were not looked at yet, or whose answer came since."""
        self._missing: set[int] = set()
        """Indices where a watched token has a logprob that only the engine can tell."""

    def update(self, keep: int) -> dict[int, "array[float]"]:
        """Logprobs (nats) by token and index, NaN where not known; the first `keep` are as before.

        What is missing is asked for.
        """
        controller, count = self._controller, len(self._controller.explorer.nodes)
        if list(self._lines) != controller.watchlist.tokens:
            self._lines, keep = {token: array("d") for token in controller.watchlist.tokens}, 0
        unchanged = min(keep, count)
        unknown = array("d", [math.nan]) * (count - unchanged)
        for line in self._lines.values():
            line[unchanged:] = unknown
        self._missing = {index for index in self._missing if index < unchanged}
        self._unseen = {index for index in self._unseen if index < unchanged}
        if self._lines:
            self._unseen.update(range(unchanged, count))
            self._unseen |= {index for index in self._missing if self._is_answered(index)}
            self._missing -= self._unseen
            self._look()
            self._ask()
        return self._lines

    @property
    def pending(self) -> bool:
        """Whether another update finds more."""
        return bool(self._unseen)

    def here(self, token: int) -> Watched | None:
        """How a token stands at the cursor's step."""
        return self._controller.watchlist.at(self._controller.explorer.before, token)

    def _before(self, index: int) -> int:
        nodes = self._controller.explorer.nodes
        return nodes[index - 1] if index else ROOT

    def _nearest(self, indices: set[int], most: int) -> list[int]:
        cursor = self._controller.explorer.cursor
        return nsmallest(most, indices, key=lambda index: abs(index - cursor))

    def _is_answered(self, index: int) -> bool:
        node, told = self._before(index), self._controller.watchlist.told
        return any(told(node, token) is not None for token in self._lines)

    def _look(self) -> None:
        """Take over what is known of some steps."""
        controller = self._controller
        for index in self._nearest(self._unseen, AT_ONCE):
            self._unseen.discard(index)
            node = self._before(index)
            for token, line in self._lines.items():
                watched = controller.watchlist.at(node, token)
                if watched is not None:
                    line[index] = watched.logprob
                elif controller.explorer.tree.distribution.is_complete(node):
                    self._missing.add(index)

    def _ask(self) -> None:
        """Ask for what is missing; also at the open end."""
        controller, explorer = self._controller, self._controller.explorer
        nodes = [self._before(index) for index in self._nearest(self._missing, AT_ONCE)]
        before = explorer.before
        unknown = any(controller.watchlist.at(before, token) is None for token in self._lines)
        if unknown and explorer.tree.distribution.is_complete(before) and before not in nodes:
            nodes.insert(0, before)
        if not controller.streaming:
            controller.watchlist.ask(nodes)
