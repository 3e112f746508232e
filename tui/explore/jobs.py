"""Work in the background: its errors are told, and keys wait for what changes the path in view."""

import asyncio
from collections.abc import Callable, Coroutine

Work = Coroutine[object, object, None]


class Jobs:
    """What is under way.

    Args:
        changed: called after each piece of work.
        failed: called with what a piece of work raised.
    """

    def __init__(self, changed: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        self._changed, self._failed = changed, failed
        self._running: set[asyncio.Task[None]] = set()
        self._changing: set[asyncio.Task[None]] = set()

    def run(self, work: Work) -> asyncio.Task[None]:
        """Do a piece of work in the background."""
        task = asyncio.create_task(self._guarded(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # where it was ended before it began
        return task

    def change(self, work: Work) -> asyncio.Task[None]:
        """Change what is in view in the background: keys wait for it, as it is what they act on."""
        task = self.run(work)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)
        return task

    @property
    def count(self) -> int:
        """How many pieces of work are under way."""
        return sum(not task.done() for task in self._running)

    @property
    def changing(self) -> bool:
        """Whether what is in view is about to change."""
        return any(not task.done() for task in self._changing)

    def halt(self) -> None:
        """End all work but that of the caller itself."""
        for task in self._running - {asyncio.current_task()}:
            task.cancel()

    async def _guarded(self, work: Work) -> None:
        try:
            await work
        except Exception as error:
            self._failed(error)
        self._changed()
