"""Prompts, chat turns and typed text."""

import math
from collections.abc import Sequence

import msgspec

from tokexplore.models.api.engine import Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.tree.events import Origin, Prompted
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.engine_link import in_turn
from tokexplore.tui.explore.first_token import begun_by_text
from tokexplore.tui.explore.streaming import Streaming


class Prompting(Streaming):
    """What goes in as text."""

    @in_turn
    async def prompt(self, spec: PromptSpec, *, go_on: bool = True) -> None:
        """Start a new root on a prompt; the old tree stays."""
        await self.wake()
        await self.pause()
        if spec.chat is not None:
            rendered = await self.client.render(spec.chat)
            ids, form, said = list(rendered.ids), "chat", rendered.warning
        else:
            text, literal, client = spec.text or "", spec.literal, self.client
            ids, form = await client.encode(text, literal=literal), "text"
            said = begun_by_text(text, ids, client.info, client.vocabulary, literal=literal)
        for notice in filter(None, (spec.notice, said)):
            self._notify(f"{notice}.", severity="warning")
        self._check_length(len(ids), "This prompt has")
        tree = self.explorer.tree
        known = len(tree)
        leaf = self._give(ROOT, ids, "prompt")
        tree.append(Prompted(leaf, form, spec.chat))
        if len(tree) == known:
            self._notify(f"This prompt is there already: on branch {tree.branch_of[leaf]}.")
        self.state = "paused"
        if go_on:
            self.play()

    def _check_length(self, length: int, what: str) -> None:
        context = self.client.info.context
        if 0 < context < length:
            raise UsageError(
                f"{what} {length:,} tokens but the model's context holds {context:,}: shorten it."
            )

    @in_turn
    async def add_turn(self, user: str, *, literal: bool = False) -> None:
        """Append the next user turn of a chat, then let the assistant answer.

        Args:
            literal: read the names of tokens in the turn as their characters.
        """
        chat, explorer = self.chat, self.explorer
        if chat is None or explorer.vocabulary is None:
            raise UsageError("There is no chat on this path: start one first, or type text.")
        await self.wake()
        await self.pause()
        answer = chat.prefill + explorer.vocabulary.text(explorer.ids()[explorer.prompt_length :])
        said = (*chat.messages, Message("assistant", answer, chat.prefill_more))
        so_far = msgspec.structs.replace(
            chat, messages=said, prefill="", prefill_as="turn", prefill_more={}, literal=literal
        )
        rendered = await self.client.next_turn(explorer.ids(), so_far, user)
        if rendered.warning:
            self._notify(f"{rendered.warning}.", severity="warning")
        self._check_length(len(explorer.nodes) + len(rendered.ids), "With this turn the path has")
        self._give(explorer.leaf, rendered.ids, "prompt")
        turns = (*said, Message("user", user))
        so_far = msgspec.structs.replace(so_far, messages=turns)
        explorer.tree.append(Prompted(explorer.leaf, "chat", so_far))
        self.play()

    def _give(self, parent: int, ids: Sequence[int], origin: Origin) -> int:
        """Go to given tokens after a node, the last of which is returned.

        Where all of them are there already they stay what they were, prompt or not.
        """
        explorer, tree = self.explorer, self.explorer.tree
        leaf = tree.find(parent, ids)
        if leaf is None:
            number = tree.configure(explorer.settings)
            leaf = tree.explore(parent, ids, origin, extends=True, settings=number)
        else:
            tree.bring_back(leaf)
        explorer.go_to(leaf)
        return leaf

    @in_turn
    async def type_text(self, text: str, *, literal: bool = False) -> None:
        """Branch at the cursor with typed text: it takes the place of what was taken there.

        Args:
            literal: read the names of tokens in it as their characters.
        """
        await self.wake()
        await self.pause()
        explorer = self.explorer
        ids = await self.client.encode(text, continuation=True, literal=literal)
        if not ids:
            return
        keep = explorer.cursor
        self._check_length(keep + len(ids), "With this text the path has")
        explorer.go_to(explorer.before)
        start = len(explorer.nodes)
        self._give(explorer.leaf, ids, "typed")
        explorer.place(keep)
        self.run(self._score_typed(explorer.leaf, start))

    async def _score_typed(self, leaf: int, start: int) -> None:
        """Score the tokens that were typed, and say what they cost the model."""
        tree = self.explorer.tree
        typed = tree.path(leaf)[start:]
        await self.score(leaf, max(1, start))
        known = [tree.logprob[n] for n in typed if tree.rank[n]]
        said = f"{len(typed)} tokens typed"
        if known:
            total = math.fsum(known)
            said += (
                f"; the model gave them {total:.2f} nats in all, {total / len(known):.2f} a token"
            )
        self._notify(f"{said}.")
