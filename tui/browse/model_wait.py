"""Waiting for a model that is being loaded."""

import asyncio

from tokexplore.tui.explore.controller import Controller

_PAUSE = 0.05
"""Seconds between looks at whether the model is there."""


async def model_settled(controller: Controller, *, or_without_chats: bool = False) -> None:
    """Wait until no model is being loaded.

    Args:
        or_without_chats: no longer than until it is known that there can be no chat with it.
    """
    link = controller.link
    while controller.state == "loading" and not (or_without_chats and link.why_no_chat):
        await asyncio.sleep(_PAUSE)
