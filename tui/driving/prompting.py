"""Prompts, chat turns and typed text."""

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.events import Origin, Prompted
from tokexplore.models.options import PromptSpec
from tokexplore.models.protocol import Message
from tokexplore.models.tree import ROOT
from tokexplore.tui.driving.streaming import Streaming


class Prompting(Streaming):
    """What goes in as text."""

    async def prompt(self, spec: PromptSpec, *, go_on: bool = True) -> None:
        """Start a new root on a prompt; the old tree stays."""
        await self.pause()
        if spec.chat is not None:
            rendered = await self.client.render(spec.chat)
            ids, form = list(rendered.ids), "chat"
            if rendered.warning:
                self._notify(rendered.warning, severity="warning")
        else:
            ids, form = await self.client.encode(spec.text or ""), "text"
        self._check_length(ids)
        leaf = ROOT
        for token in ids:
            leaf = self.explorer.tree.take(leaf, token, "prompt")
        self.explorer.tree.append(Prompted(leaf, form))
        if spec.chat is not None:
            self.chats[leaf] = spec.chat
        self.explorer.go_to(leaf)
        self.state = "paused"
        if go_on:
            self.play()

    def _check_length(self, ids: list[int]) -> None:
        context = self.client.info.context
        if context and len(ids) > context:
            raise UsageError(
                f"This prompt has {len(ids):,} tokens but the model's context holds {context:,}: "
                "shorten it."
            )

    async def add_turn(self, user: str) -> None:
        """Append the next user turn of a chat, then let the assistant answer."""
        chat, explorer = self.chat, self.explorer
        if chat is None or explorer.vocabulary is None:
            raise UsageError("There is no chat on this path: start one first, or type text.")
        await self.pause()
        answer = chat.prefill + explorer.vocabulary.text(explorer.ids()[explorer.prompt_length :])
        said = (*chat.messages, Message("assistant", answer))
        so_far = msgspec.structs.replace(chat, messages=said, prefill="")
        rendered = await self.client.next_turn(explorer.ids(), so_far, user)
        if rendered.warning:
            self._notify(rendered.warning, severity="warning")
        self._give(rendered.ids, "prompt")
        turns = (*said, Message("user", user))
        self.chats[explorer.leaf] = msgspec.structs.replace(so_far, messages=turns)
        self.play()

    def _give(self, ids: tuple[int, ...] | list[int], origin: Origin) -> None:
        tree, leaf = self.explorer.tree, self.explorer.leaf
        fork = bool(tree.children[leaf])
        number = tree.configure(self.explorer.settings)
        for index, token in enumerate(ids):
            known = tree.child(leaf, token)
            leaf = tree.take(leaf, token, origin, settings=number)
            if known is None and fork and not index:
                tree.note_branch(tree.branch_of[leaf])
        self.explorer.go_to(leaf)

    async def type_text(self, text: str) -> None:
        """Branch at the cursor with typed text: it takes the place of what was taken there."""
        await self.pause()
        explorer = self.explorer
        ids = await self.client.encode(text, continuation=True)
        if not ids:
            return
        keep = explorer.cursor
        explorer.go_to(explorer.before)
        start = len(explorer.nodes)
        self._give(ids, "typed")
        explorer.place(keep)
        await self.score(explorer.leaf, max(1, start))
        sums = [explorer.tree.logprob[n] for n in explorer.nodes[start:]]
        self._notify(
            f"{len(ids)} tokens typed; the model gave them {sum(sums):.2f} nats in all, "
            f"{sum(sums) / len(sums):.2f} a token."
        )
        self._changed()
