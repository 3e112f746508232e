"""The watched tokens along the path in view, kept up to date by redoing only what changed."""

import math
from array import array

from tokexplore.models.tree import ROOT
from tokexplore.tui.driver import Driver
from tokexplore.tui.driving.watching import Watched


class WatchView:
    """Of each watched token its logprob at every step of the path."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._lines: dict[int, array[float]] = {}
        self._missing: set[int] = set()
        """Indices where a watched token has a logprob that is not known here."""

    def update(self, keep: int) -> dict[int, "array[float]"]:
        """Logprobs (nats) by token and index, NaN where not known; the first `keep` are as before.

        What is missing is asked for.
        """
        driver = self._driver
        count = len(driver.explorer.nodes)
        self._lines = {token: self._lines.get(token, array("d")) for token in driver.watched}
        self._missing = {index for index in self._missing if index < min(keep, count)}
        for index in list(self._missing):
            self._look(index)
        for token, line in self._lines.items():
            del line[min(keep, len(line)) :]
            for index in range(len(line), count):
                line.append(self._logprob(index, token))
        self._ask()
        return self._lines

    def here(self, token: int) -> Watched | None:
        """How a token stands at the cursor's step."""
        return self._driver.watched_at(self._driver.explorer.before, token)

    def _before(self, index: int) -> int:
        nodes = self._driver.explorer.nodes
        return nodes[index - 1] if index else ROOT

    def _logprob(self, index: int, token: int) -> float:
        node = self._before(index)
        known = self._driver.watched_at(node, token)
        if known is None and node in self._driver.explorer.tree.distribution:
            self._missing.add(index)
        return math.nan if known is None else known.logprob

    def _look(self, index: int) -> None:
        """Take over what was answered since."""
        self._missing.discard(index)
        for token, line in self._lines.items():
            if index < len(line):
                line[index] = self._logprob(index, token)

    def _ask(self) -> None:
        """Ask for what is missing, nearest to the cursor first; also at the open end."""
        driver, explorer = self._driver, self._driver.explorer
        near = sorted(self._missing, key=lambda index: abs(index - explorer.cursor))
        nodes = [self._before(index) for index in near]
        before = explorer.before
        unknown = any(driver.watched_at(before, token) is None for token in driver.watched)
        if unknown and before in explorer.tree.distribution and before not in nodes:
            nodes.insert(0, before)
        driver.ask_watched(nodes)
