"""What goes in as text: prompts, chat turns and typed text, as tokens of the tree."""

import math
from collections.abc import Callable, Sequence

import msgspec

from tokexplore.models.api.chat import Chat, Message, Rendered, last_tokens
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.api.questions import AppendTurns, Encode, Question, Render
from tokexplore.models.display import counted
from tokexplore.models.errors import UsageError
from tokexplore.models.tree.conversation import spoken
from tokexplore.models.tree.events import Origin, Prompted
from tokexplore.models.tree.exploring import bring_back, explore
from tokexplore.models.tree.going_on import kept, shared
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.first_token import begun_by_text
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.scoring import Scorer
from tokexplore.tui.explore.streams import Notify


class Prompts:
    """Reads texts with the engine's tokenizer and template; the path in view goes to their end."""

    def __init__(
        self,
        explorer: Explorer,
        link: EngineLink,
        scorer: Scorer,
        jobs: Jobs,
        changed: Callable[[], None],
        notify: Notify,
    ) -> None:
        self._explorer, self._link, self._scorer = explorer, link, scorer
        self._jobs, self._changed, self._notify = jobs, changed, notify
        self.renders_chat = False
        """A conversation is with the chat template."""

    async def begin(self, spec: PromptSpec) -> None:
        """Start on a prompt; the old tree stays.

        A plain prompt begins at the root. A conversation goes on from the last answer of the path
        in view up to which the two say the same; the tokens of the path stay as they are.

        Raises:
            TokexploreError: the prompt is refused, or longer than the context.
        """
        self._warn(spec.notice)
        tree = self._explorer.tree
        before = len(tree), tree.shape
        if spec.chat is not None:
            await self._converse(spec.chat)
        else:
            await self._begin_text(spec.text or "", literal=spec.literal)
        self._remark(spec.notice)
        if (len(tree), tree.shape) == before:
            number = tree.branch_of[self._explorer.leaf]
            self._notify(f"This prompt is there already: on branch {number}.")

    def _warn(self, notice: str) -> None:
        if notice:
            self._notify(f"{notice}.", severity="warning")

    def _remark(self, notice: str) -> None:
        """Keep with the prompt that was just given what was told of it."""
        if notice:
            self._explorer.remark(self._explorer.leaf, f"{notice}.")

    async def _begin_text(self, text: str, *, literal: bool) -> None:
        client = self._link.client
        if limit := self._link.limit("plain_prompts"):
            raise UsageError(f"{limit}: ctrl+r (or --user TEXT) makes the prompt a chat.")
        ids = await client.ask(Encode(text, literal=literal))
        notice = begun_by_text(text, ids, client.info, client.vocabulary, literal=literal)
        self._warn(notice)
        self._check_length(len(ids), "This prompt has")
        leaf = self._give(ROOT, ids, "prompt")
        self._explorer.tree.append(Prompted(leaf, "text"))
        self._remark(notice)

    async def _converse(self, chat: Chat) -> None:
        explorer, client = self._explorer, self._link.client
        known, end = shared(explorer.path, chat)
        rendered = await self._rendered(self._asked(chat, known, end))
        self._warn(rendered.warning)
        what = "With this turn the path has" if known else "This prompt has"
        self._check_length(end + len(rendered.ids), what)
        said = kept(explorer.path, end, chat, rendered)
        start, ids = end + said, rendered.ids[said:]
        leaf = self._give(explorer.nodes[start - 1] if start else ROOT, ids, "prompt")
        marks, parts = client.info.reasoning_marks, last_tokens(rendered.parts, len(ids))
        explorer.tree.append(Prompted(leaf, "chat", chat, parts, marks))
        self._remark(rendered.warning)

    async def _rendered(self, question: Question[Rendered]) -> Rendered:
        self.renders_chat = True
        self._changed()
        try:
            return await self._link.client.ask(question)
        finally:
            self.renders_chat = False

    def rendering(self, chat: Chat) -> Question[Rendered]:
        """What asks for the tokens that a conversation adds to the path in view."""
        return self._asked(chat, *shared(self._explorer.path, chat))

    def _asked(self, chat: Chat, known: int, end: int) -> Question[Rendered]:
        """The same, of one that shares so many messages and tokens with that path."""
        return AppendTurns(self._explorer.ids(end), chat, known) if known else Render(chat)

    def _check_length(self, length: int, what: str) -> None:
        context = self._link.client.info.context
        if 0 < context < length:
            raise UsageError(
                f"{what} {length:,} tokens but the model's context holds {context:,}: shorten it."
            )

    def chat_in_view(self) -> Chat:
        """The conversation of the path in view, what was answered last included.

        Raises:
            UsageError: there is none.
        """
        chat = spoken(self._explorer.path)
        if chat is None:
            raise UsageError("There is no chat on this path: start one first, or type text.")
        return chat

    async def add_turn(self, user: str, *, literal: bool) -> None:
        """Append the next user turn of the chat in view.

        Args:
            literal: read the names of tokens in the turn as their characters.

        Raises:
            TokexploreError: there is no chat, the template refuses the turn, or it is too long.
        """
        chat = self.chat_in_view()
        messages = (*chat.messages, Message("user", user))
        await self._converse(msgspec.structs.replace(chat, messages=messages, literal=literal))

    def _give(self, parent: int, ids: Sequence[int], origin: Origin) -> int:
        """Go to given tokens after a node, the last of which is returned.

        Where all of them are there already they stay what they were, prompt or not.
        """
        explorer, tree = self._explorer, self._explorer.tree
        leaf = tree.find(parent, ids)
        if leaf is None:
            number = tree.configure(explorer.settings)
            leaf = explore(tree, parent, ids, origin, extends=True, settings=number)
        else:
            bring_back(tree, leaf)
        explorer.go_to(leaf)
        return leaf

    async def type_text(self, text: str, *, literal: bool) -> None:
        """Branch at the cursor with typed text: it takes the place of what was taken there.

        Args:
            literal: read the names of tokens in it as their characters.

        Raises:
            TokexploreError: with it the path is longer than the context, or the engine goes on only
                with tokens of its own.
        """
        explorer = self._explorer
        self._link.check("typed text", "prefill", "forced_tokens")
        ids = await self._link.client.ask(Encode(text, continuation=True, literal=literal))
        if not ids:
            return
        cursor = explorer.cursor
        self._check_length(cursor + len(ids), "With this text the path has")
        explorer.go_to(explorer.before)
        start = len(explorer.nodes)
        self._give(explorer.leaf, ids, "typed")
        explorer.place(cursor)
        self._jobs.run(self._score_typed(explorer.leaf, start))

    async def _score_typed(self, leaf: int, start: int) -> None:
        """Score the tokens that were typed, and say what they cost the model."""
        tree = self._explorer.tree
        typed = tree.path(leaf)[start:]
        if self._link.can("prompt_scores"):
            await self._scorer.score(leaf, max(1, start))
        follow = [n for n in typed if tree.parent[n] != ROOT]
        logprobs = [tree.logprob[n] for n in follow if tree.is_scored(n)]
        notice = f"{counted(len(typed), 'token')} typed"
        if limit := self._link.limit("prompt_scores"):
            notice += f". {limit}"
        elif logprobs and len(logprobs) == len(follow):
            total = math.fsum(logprobs)
            notice += (
                f"; the model gave them {total:.2f} nats in all, "
                f"{total / len(logprobs):.2f} a token"
            )
        self._notify(f"{notice}.")


def given_prompt(explorer: Explorer) -> PromptSpec | None:
    """The prompt of the path in view, to be edited; of a chat all that is said on it."""
    begun = explorer.path.chat
    if (chat := spoken(explorer.path)) is not None and begun is not None:
        return PromptSpec(
            chat=msgspec.structs.replace(
                chat,
                prefill=begun.prefill,
                prefill_as=begun.prefill_as,
                prefill_more=begun.prefill_more,
            )
        )
    if not explorer.nodes:
        return None
    prompts = [i for i, n in enumerate(explorer.nodes, 1) if n in explorer.tree.prompts]
    ids = explorer.ids(prompts[-1] if prompts else explorer.first_step)
    text = explorer.vocabulary.text(ids)
    return PromptSpec(text=text, literal=explorer.vocabulary.names_special(text))
