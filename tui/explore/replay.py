"""A session lived again: its events, at the times at which they came."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.session.timeline import Timeline
from tokexplore.models.tree.events import (
    Compared,
    Configured,
    Scored,
    SecondLoaded,
    Spanned,
    TokenTaken,
    Viewed,
)
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.options import IDLE_CAP


class Replay:
    """Brings an explorer through a session.

    Args:
        speed: times as fast as it was lived.
        idle_cap: seconds that a pause lasts at most, before the speed is applied.
        changed: called after what can be seen has changed.
        manual: it lives on by calls of `live` alone, whatever time it is.
    """

    def __init__(
        self, timeline: Timeline, explorer: Explorer, *, speed: float = 1.0,
        idle_cap: float = IDLE_CAP, changed: Callable[[], None] = lambda: None,
        manual: bool = False,
    ) -> None:  # fmt: skip
        self.timeline, self.explorer = timeline, explorer
        self.position = 0
        """Events that were lived again."""
        self.applying = False
        """An event of the session is being applied: what the tree records now is not the user's."""
        self._manual = manual
        self._elapsed = 0.0
        """Seconds of the replay so far."""
        self._ended = asyncio.Event()
        self._changed = changed
        self._due = _schedule(timeline, speed, idle_cap)
        self._going = asyncio.Event()
        self._going.set()
        explorer.vocabulary, explorer.is_replayed = timeline.vocabulary, True

    @property
    def paused(self) -> bool:
        return not self._going.is_set()

    @property
    def over(self) -> bool:
        return self.position >= len(self.timeline)

    @property
    def clock(self) -> tuple[float, float]:
        """Seconds of the replay so far, and in all."""
        if not self._due:
            return 0.0, 0.0
        return self._due[min(self.position, len(self._due) - 1)], self._due[-1]

    def toggle(self) -> None:
        """Pause, or go on."""
        (self._going.set if self.paused else self._going.clear)()
        self._changed()

    def leave(self) -> None:
        """End here: what is left is not lived."""
        self.position = len(self.timeline)
        self.explorer.is_replayed = False
        self._going.set()
        self._ended.set()

    def step(self) -> None:
        """Pause, and go on to the next token or the next place that was looked at."""
        self._going.clear()
        while not self.over:
            self._elapsed = self._due[self.position]
            seen = self._apply_next()
            if seen:
                break
        self._changed()

    def live(self, seconds: float) -> None:
        """Live on by so many seconds, unless it is paused.

        Raises:
            UsageError: the session's file is damaged.
        """
        if self.paused or self.over:
            return
        self._elapsed += seconds
        while not self.over and self._due[self.position] <= self._elapsed:
            self._apply_next()
        self._changed()

    async def run(self) -> None:
        """Live all of it again.

        Raises:
            UsageError: the session's file is damaged.
        """
        if self._manual:
            await self._ended.wait()
            return
        loop = asyncio.get_running_loop()
        while not self.over:
            await self._going.wait()
            began = loop.time()
            if not self.over:
                await asyncio.sleep(min(self._due[self.position] - self._elapsed, 0.1))
            self.live(loop.time() - began)
        self._changed()

    def _apply_next(self) -> bool:
        """Live the next event again; whether there is something new to look at."""
        explorer, tree = self.explorer, self.explorer.tree
        index, self.position = self.position, self.position + 1
        if self.over:
            self._ended.set()
        before = len(tree)
        self.applying = True
        try:
            moment = self.timeline.moment(index, tree.settings)
            tree.replay(moment.event, moment.act)
            match moment.event:
                case TokenTaken(node=node, parent=parent):
                    if len(tree) > before and parent == explorer.leaf and parent != ROOT:
                        explorer.grown(node)
                case Viewed(leaf, cursor):
                    explorer.show(leaf, cursor)
                case Configured(settings=settings):
                    explorer.settings = settings
                case Scored(node=node) | Compared(node=node):
                    explorer.touch(tree.depth[node] - 1)
                case Spanned() | SecondLoaded():  # one span may take the place of others
                    explorer.touch(0)
        except (ValueError, TypeError, IndexError, msgspec.MsgspecError) as error:
            self.position = len(self.timeline)
            raise UsageError(
                f"{self.timeline.path} is damaged at event {index}: {error}."
            ) from None
        finally:
            self.applying = False
        if not isinstance(moment.event, TokenTaken | Viewed | Scored):
            explorer.touch(len(explorer.nodes) - 1)
        return isinstance(moment.event, Viewed) or (
            isinstance(moment.event, TokenTaken) and moment.event.origin != "prompt"
        )


def _schedule(timeline: Timeline, speed: float, idle_cap: float) -> list[float]:
    """When each event is due, in seconds from the start."""
    times = timeline.times()
    due, total = [0.0] * len(times), 0.0
    for index, (earlier, later) in enumerate(pairwise(times), 1):
        total += min(max(0.0, later - earlier), idle_cap) / speed
        due[index] = total
    return due
