"""Work in the background, and its end."""

import asyncio
import inspect

from tokexplore.tui.explore.jobs import Jobs


async def test_work_that_is_ended_before_it_began_leaves_no_warning() -> None:
    async def work() -> None:
        raise AssertionError("it was never to begin")

    jobs, waiting = Jobs(lambda: None, lambda _: None), work()
    task = jobs.run(waiting)
    jobs.halt()
    await asyncio.wait([task])
    assert task.cancelled()
    assert inspect.getcoroutinestate(waiting) == inspect.CORO_CLOSED
