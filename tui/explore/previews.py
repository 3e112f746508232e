"""Answers of the engine that are only looked at while something is typed."""

import asyncio
from typing import Any, TypeVar

from tokexplore.models.api.questions import Question
from tokexplore.tui.explore.engine_link import EngineLink

T = TypeVar("T")


class Previews:
    """Asks one such question at a time.

    The engine answers in turn, also what nobody waits for any more: so the newest question is next,
    and what is sent waits for one at most.
    """

    def __init__(self, link: EngineLink) -> None:
        self._link = link
        self._asked: asyncio.Future[Any] | None = None
        """The question that was asked last."""

    async def ask(self, question: Question[T]) -> T:
        """The answer, once the one before has come.

        Raises:
            TokexploreError: as the engine raised it.
        """
        while self._asked is not None and not self._asked.done():
            await asyncio.wait([self._asked])
        self._asked = asked = asyncio.ensure_future(self._link.client.ask(question))
        asked.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(asked)
