"""The tokens of what is being typed."""

from collections.abc import Sequence

import msgspec

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.questions import Encode
from tokexplore.models.display import counted
from tokexplore.models.errors import UsageError
from tokexplore.models.tree.conversation import spoken
from tokexplore.tui.browse.model_wait import model_settled
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.previews import Previews

PREVIEW_TOKENS = 24


class TokenPreviews:
    """A line for each kind of text: how many tokens, and the last of them."""

    def __init__(self, controller: Controller) -> None:
        self._controller, self._previews = controller, Previews(controller.link)

    async def more(self, text: str, literal: bool) -> str:
        """Of a text that a path goes on with."""
        return await self.text(text, literal, continuation=True)

    async def text(self, text: str, literal: bool, *, continuation: bool = False) -> str:
        """Of a text that begins a path, or goes on with one."""
        await model_settled(self._controller)
        if self._controller.link.absent:
            return ""
        question = Encode(text, continuation=continuation, literal=literal)
        return self._shown(await self._previews.ask(question))

    async def chat(self, chat: Chat) -> str:
        """Of a conversation, with what the template warns of.

        Raises:
            UsageError: the model has no chats.
        """
        await model_settled(self._controller, or_without_chats=True)
        if self._controller.link.why_no_chat:
            raise UsageError(self._controller.link.why_no_chat)
        if self._controller.link.absent:
            return ""
        rendered = await self._previews.ask(self._controller.rendering(chat))
        return "\n".join(filter(None, (self._shown(rendered.ids), rendered.warning)))

    async def turn(self, text: str, literal: bool) -> str:
        """Of the chat in view with another turn of the user's."""
        chat = spoken(self._controller.explorer.path)
        if chat is None or not text.strip():
            return ""
        messages = (*chat.messages, Message("user", text))
        return await self.chat(msgspec.structs.replace(chat, messages=messages, literal=literal))

    def _shown(self, ids: Sequence[int]) -> str:
        shown = "│".join(
            self._controller.explorer.vocabulary.show(t) for t in ids[-PREVIEW_TOKENS:]
        )
        return f"{counted(len(ids), 'token')}  {'…' if len(ids) > PREVIEW_TOKENS else ''}{shown}"
