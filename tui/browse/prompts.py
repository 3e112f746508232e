"""Prompts, typed text and chat turns."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING

from tokexplore.models.api.options import SHIPPED, PromptSpec
from tokexplore.models.errors import TokexploreError, UsageError
from tokexplore.models.tree.conversation import (
    conversation,
    is_special,
    own_system,
    turn_at,
)
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.browse.base import Actions, BrowseBase
from tokexplore.tui.browse.examples import ExampleActions
from tokexplore.tui.browse.model_wait import model_settled
from tokexplore.tui.browse.token_previews import TokenPreviews
from tokexplore.tui.explore.options import STOCK_PROMPT
from tokexplore.tui.explore.prompts import given_prompt
from tokexplore.tui.explore.streams import ENDINGS
from tokexplore.tui.explore.text_scores import TextScores
from tokexplore.tui.presenters.status import typed_title

if TYPE_CHECKING:
    from tokexplore.tui.screens.typed import PromptDraft
    from tokexplore.tui.screens.writing import Written

EXAMPLE = "The capital of France is"
LOADS_FIRST = "The model is not loaded: {type.submit:⏎} loads it first · "
STILL_COMES = "The answer still comes: {type.submit:⏎} ends it there · "
NOT_FINISHED = "The answer is not finished: {type.submit:⏎} ends it there · "


class PromptActions(Actions):
    """What goes in as text."""

    def __init__(self, screen: BrowseBase, examples: ExampleActions, *, first: bool) -> None:
        super().__init__(screen)
        self._first, self._examples = first, examples
        """Whether this is what the command line asked for: a mistake in it ends the program."""
        self._waiting: PromptSpec | None = None
        """A prompt that waits for the model: typed before it was loaded, or asked for where it was
        lost while it was loaded.
        """
        self._typed: dict[int, PromptDraft] = {}
        """What was typed as a prompt, until it is used, by the end of the prompt in view then."""
        self._left: dict[tuple[int, int], Written] = {}
        """What stood in an editor that was closed, by the leaf and the cursor that it was at."""
        self._goes_on_with: Written | None = None
        """A text that was typed to follow the first prompt before the model was loaded."""
        self._at_work = 0
        """How much that was typed is being done, or waits for its turn."""
        self._previews = TokenPreviews(screen.controller)

    @property
    def awaits_model(self) -> bool:
        """Whether something was typed that begins once a model is there."""
        return self._waiting is not None or self._goes_on_with is not None or self._waits_in_turn

    @property
    def _waits_in_turn(self) -> bool:
        """Whether something was typed that has its turn as soon as a session's model is loaded."""
        return bool(self._at_work) and self.controller.state in ("recorded", "loading")

    def _refuses_more(self) -> bool:
        """Say so where nothing more can be typed: it would follow what is not there to be seen."""
        if self._waits_in_turn:
            self.screen.warn(
                "What was typed waits for the model: once it is loaded and that has begun, "
                "more can be typed."
            )
        return self._waits_in_turn

    def begin(self) -> None:
        """Load the model; then start on the prompt, or on what is typed meanwhile."""
        if self.controller.state in ("recorded", "replaying"):
            return
        if self.explorer.nodes:
            self.restart()
            return
        options = self.controller.options
        self.controller.jobs.run(self._begin())
        if options.examples and self._first:
            self.screen.call_after_refresh(self._examples.action_examples)
        elif options.starting_prompt() is None:
            self.screen.call_after_refresh(self.action_prompt)

    async def _begin(self) -> None:
        controller = self.controller
        try:
            await controller.engine_life.open()
            if controller.state == "asking":
                self.host.sessions.model_opened()
            spec = controller.options.starting_prompt() if self._waiting is None else None
            if controller.state == "asking" and spec is not None:
                await self._start(spec)
            elif controller.state == "lost" and spec is not None:
                self._waiting = spec
        except TokexploreError as error:
            if self._first:
                await self.host.ending.leave(error.exit_code, f"tokexplore: {error}")
            elif controller.state == "loading":
                await self.host.sessions.model_refused(error)
            else:
                raise
        if controller.state == "asking" and self._waiting is not None:
            await self._start_typed(self._waiting)

    def restart(self) -> None:
        """Start a lost engine again, then on a prompt that waits for it."""
        loading = self.controller.engine_life.restart()
        self.controller.jobs.run(self._go_on_after(loading))

    async def _go_on_after(self, loading: Awaitable[None]) -> None:
        await loading
        controller = self.controller
        if controller.state not in ("asking", "paused"):
            return
        self.host.sessions.model_opened()
        if self._waiting is not None:
            await self._start_typed(self._waiting)
        elif controller.engine_life.goes_on:
            self.explorer.follow()
            controller.play()

    async def _start(self, spec: PromptSpec) -> None:
        self._waiting = None
        more, told = self._goes_on_with, self._prompt_in_view
        await self.controller.prompt(spec, go_on=more is None)
        self._goes_on_with = None
        self._typed.pop(told, None)
        if more is not None:
            self._type(more)

    async def _start_typed(self, spec: PromptSpec) -> None:
        """Start on a prompt of the editor's; one that is refused stays there."""
        await self._or_again(self._start(spec), self.action_prompt)

    async def _or_again(
        self, work: Coroutine[object, object, None], ask: Callable[[], Awaitable[None]]
    ) -> None:
        """Do what an editor was closed for; where it is refused, open the editor on it again.

        Raises:
            TokexploreError: the refusal, once the editor is open.
        """
        try:
            self._at_work += 1
            try:
                await work
            finally:
                self._at_work -= 1
        except TokexploreError:
            opened = asyncio.Event()

            async def again() -> None:
                await ask()
                opened.set()

            if self.screen.is_current:
                # In the screen's own queue: a dialog's result comes back to where it was opened.
                self.screen.call_later(again)
                await opened.wait()
            raise

    def why_not(self, action: str) -> str:
        """Text holds any token."""
        if action == "type_text":
            return self.controller.link.why_not("typed text", "prefill", "forced_tokens")
        return ""

    async def action_type_text(self) -> None:
        """Branch with typed text."""
        await self._ask_text(None)

    async def _ask_text(self, before: "Written | None") -> None:
        from tokexplore.tui.screens.continuation import ContinuationEditor
        from tokexplore.tui.screens.writing import Written

        if self._refuses_more():
            return
        self.screen.pin()
        explorer, controller, title = self.explorer, self.controller, typed_title(self.explorer)
        if not explorer.nodes:
            coming = self._waiting or controller.options.starting_prompt()
            if controller.state != "loading" or coming is None:
                self.screen.nothing("prompt yet: p asks for one")
                return
            title = "Type a continuation of the prompt"
        if controller.state == "lost" and before is None:
            self.screen.nothing("engine to read what is typed until space starts it")
            return
        place = explorer.leaf, explorer.cursor
        given = before or self._goes_on_with or self._left.get(place) or Written("")
        editor = ContinuationEditor(
            title, given.text, self._previews.more, TextScores(controller), literal=given.literal,
            unsent=given is not self._goes_on_with, leave=partial(self._keep, place),
            warning=self._warning,
        )  # fmt: skip
        await self.screen.open(editor, partial(self._type, place=place))

    def _warning(self) -> str:
        """What sending does besides at this moment."""
        return LOADS_FIRST if self.controller.link.state == "recorded" else ""

    def _warning_of_turn(self) -> str:
        """The same, of sending the next user turn."""
        if self.controller.streaming:
            return STILL_COMES
        path = self.explorer.path
        last, ended = conversation(path)[-1], path.tree.ended.get(path.leaf)
        answered = last.role == "assistant" and last.words
        half = answered and ended not in ENDINGS and not is_special(path, len(path.nodes) - 1)
        return (NOT_FINISHED if half else "") + self._warning()

    def _keep(self, place: tuple[int, int], written: "Written") -> None:
        self._left = {place: written}

    def _type(self, written: "Written | None", place: tuple[int, int] | None = None) -> None:
        """Go on with a typed text where the user stands, or at a place: a leaf and a cursor."""
        if written:
            self._left = {}
        if not written or not written.text:
            self._goes_on_with = None if written else self._goes_on_with
            return
        loading = self.controller.state == "loading"
        if loading:
            self.screen.tell("Goes on with it as soon as the model is loaded.")
        if loading and not self.explorer.nodes:
            self._goes_on_with = written
            self.screen.changed()
            return
        typing = self._type_at(written, place if loading else None)
        self.controller.jobs.change(self._or_again(typing, partial(self._ask_text, written)))

    async def _type_at(self, written: "Written", place: tuple[int, int] | None) -> None:
        await model_settled(self.controller)
        await self.controller.type_text(written.text, literal=written.literal, place=place)

    async def _give_back(self, spec: PromptSpec) -> None:
        """Open the editor again on a chat that waits for a model that can have none."""

        async def refused() -> None:
            raise UsageError(self.controller.link.why_no_chat)

        await model_settled(self.controller, or_without_chats=True)
        if self._waiting is spec and self.controller.link.why_no_chat:
            self._waiting = None
            await self._or_again(refused(), self.action_prompt)

    @property
    def _prompt_in_view(self) -> int:
        """The end of what was last given on the path: it stays while an answer comes."""
        prompts = self.explorer.path.prompts
        return prompts[-1].node if prompts else ROOT

    async def action_prompt(self) -> None:
        """Edit the prompt, or any turn of the chat: the result is another branch."""
        from tokexplore.tui.screens.editor import PromptEditor
        from tokexplore.tui.screens.typed import PromptDraft

        if self._refuses_more():
            return
        controller, told = self.controller, self._prompt_in_view

        def leave(draft: PromptDraft | None) -> None:
            self._typed.pop(told, None)
            if draft is not None:
                self._typed[told] = draft

        link, info = controller.link, controller.link.info
        told_turns = conversation(self.explorer.path)
        following, cursor = self.explorer.following, self.explorer.cursor
        turn = None if following else turn_at(told_turns, cursor)
        draft = self._typed.get(told)
        can_chat = info.chat_template if info else not link.why_no_chat
        editor = PromptEditor(
            given_prompt(self.explorer) or controller.options.prompt or PromptSpec(text=""),
            self._previews.text,
            self._previews.chat,
            leave,
            can_chat=can_chat or (draft is not None and draft.typed.form == "new"),
            as_chat=not self.explorer.nodes
            and not controller.options.prompt
            and link.is_for_chat(),
            placeholder=STOCK_PROMPT if controller.options.load.model in SHIPPED else EXAMPLE,
            draft=draft,
            options=info.template_options if info else (),
            at=turn.message if turn else None,
            warning=self._warning,
            own_system=own_system(self.explorer.path, told_turns),
        )
        await self.screen.open(editor, self._prompted)

    def _prompted(self, spec: PromptSpec | None) -> None:
        if spec is None:
            return
        controller = self.controller
        if controller.state in ("loading", "lost"):
            when = "the model is loaded" if controller.state == "loading" else "space was pressed"
            if spec.chat is None or not controller.link.why_no_chat:
                self.screen.tell(f"Starts as soon as {when}.")
            # Where a change of the path loads the model, that change has its turn first.
            if not controller.turn_is_taken:
                self._waiting = spec
                self.screen.changed()
                if spec.chat is not None:
                    controller.jobs.run(self._give_back(spec))
                return
        controller.jobs.change(self._start_typed(spec))

    async def action_turn(self) -> None:
        """Ask for the next user turn of a chat."""
        await self._ask_turn(None)

    async def _ask_turn(self, before: "Written | None") -> None:
        from tokexplore.tui.screens.writing import TextEditor, Written

        chat = self.controller.explorer.path.chat
        if chat is None:
            self.screen.warn("There is no chat here: start one with p, ctrl+r (or --chat).")
            return
        if self._refuses_more():
            return

        def submitted(written: Written | None) -> None:
            if written:
                self._left = {}
            if written and written.text:
                adding = self.controller.add_turn(written.text, literal=written.literal)
                self.controller.jobs.change(
                    self._or_again(adding, partial(self._ask_turn, written))
                )

        # The leaf moves while the answer comes; a cursor is never there.
        place = self.explorer.path.prompts[-1].node, -1
        given = before or self._left.get(place) or Written("", chat.literal)
        editor = TextEditor(
            "The next user turn", given.text, self._previews.turn, literal=given.literal,
            unsent=True, leave=partial(self._keep, place),
            warning=self._warning_of_turn,
        )  # fmt: skip
        await self.screen.open(editor, submitted)
