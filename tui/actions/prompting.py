"""Prompts, typed text and chat turns."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING

from textual.content import Content

from tokexplore.models.errors import TokexploreError
from tokexplore.models.options import SHIPPED, PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.actions.base import Actions
from tokexplore.tui.examples import EXAMPLES, Example
from tokexplore.tui.options import STOCK_PROMPT

if TYPE_CHECKING:
    from tokexplore.tui.screens.editor import Written

PREVIEW_TOKENS = 24
EXAMPLE = "The capital of France is"
WAIT = 0.05
"""Seconds between looks at whether the model is there."""


class Prompting(Actions):
    """What goes in as text."""

    first: bool
    """Whether this is what the command line asked for: a mistake in it ends the program."""
    _typed: PromptSpec | None = None
    """A prompt that was typed before the model was loaded."""

    def begin(self) -> None:
        """Load the model; then start on the prompt, or on what is typed meanwhile."""
        if self.driver.state in ("recorded", "replaying"):
            return
        if self.explorer.nodes:
            self.driver.run(self.restart())
            return
        options = self.driver.options
        self.driver.run(self._begin())
        if options.examples and self.first:
            self.call_after_refresh(self.action_examples)
        elif options.starting_prompt() is None:
            self.call_after_refresh(self.action_prompt)

    async def _begin(self) -> None:
        driver = self.driver
        try:
            await driver.open()
            if driver.state == "asking":
                self.host.model_opened()
            spec = driver.options.starting_prompt() if self._typed is None else None
            if driver.state == "asking" and spec is not None:
                await self._start(spec)
        except TokexploreError as error:
            if self.first:
                await self.host.leave(error.exit_code, f"tokexplore: {error}")
            elif driver.state == "loading":
                await self.host.model_refused(error)
            else:
                raise
        if driver.state == "asking" and self._typed is not None:
            await self._start_typed(self._typed)

    async def restart(self) -> None:
        """Start a lost engine again, then on a prompt that was typed meanwhile."""
        driver = self.driver
        await driver.restart(self.host.new_client(driver.options.load))
        if driver.state not in ("asking", "paused"):
            return
        if self._typed is not None:
            await self._start_typed(self._typed)
        elif driver.goes_on:
            self.explorer.follow()
            driver.play()

    async def _start(self, spec: PromptSpec) -> None:
        self._typed = None
        await self.driver.prompt(spec, go_on=spec.chat is None)
        if spec.chat is not None:
            self.app.notify("This is the rendered template; space goes on.", markup=False)

    async def _start_typed(self, spec: PromptSpec) -> None:
        """Start on a prompt of the editor's; one that is refused stays there."""
        await self._or_again(self._start(spec), partial(self._ask_prompt, spec))

    async def _or_again(
        self, work: Coroutine[object, object, None], ask: Callable[[], Awaitable[None]]
    ) -> None:
        """Do what an editor was closed for; where it is refused, open the editor on it again.

        Raises:
            TokexploreError: the refusal, once the editor is open.
        """
        try:
            await work
        except TokexploreError:
            opened = asyncio.Event()

            async def again() -> None:
                await ask()
                opened.set()

            if self.is_current:
                # In the screen's own queue: a dialog's result comes back to where it was opened.
                self.call_later(again)
                await opened.wait()
            raise

    async def action_type_text(self) -> None:
        """Branch with typed text."""
        await self._ask_text(None)

    async def _ask_text(self, before: "Written | None") -> None:
        from tokexplore.tui.screens.editor import TextEditor, Written

        self.pin()
        if not self.explorer.nodes:
            self.nothing("prompt yet: p asks for one")
            return
        if self.driver.state in ("loading", "lost"):
            when = "the model is loaded" if self.driver.state == "loading" else "space starts it"
            self.nothing(f"engine to read what is typed until {when}")
            return
        preview = None if self.driver.absent else self._preview_more
        title, given = "Type a continuation at this step", before or Written("")
        editor = TextEditor(title, given.text, preview, literal=given.literal)
        await self.open(editor, self._type)

    def _type(self, written: "Written | None") -> None:
        if written and written.text:
            typing = self.driver.type_text(written.text, literal=written.literal)
            self.driver.change(self._or_again(typing, partial(self._ask_text, written)))

    async def _preview_more(self, text: str, literal: bool) -> str:
        encode = self.driver.client.encode
        return self._tokens(await encode(text, continuation=True, literal=literal))

    async def _preview(self, text: str, literal: bool) -> str:
        return self._tokens(await self.driver.client.encode(text, literal=literal))

    def _tokens(self, ids: list[int]) -> str:
        vocabulary = self.explorer.vocabulary
        if vocabulary is None:
            return ""
        shown = "│".join(vocabulary.show(t) for t in ids[-PREVIEW_TOKENS:])
        return f"{len(ids):,} tokens  {'…' if len(ids) > PREVIEW_TOKENS else ''}{shown}"

    async def action_prompt(self) -> None:
        """Edit the prompt; the result is a new root."""
        await self._ask_prompt(None)

    async def _ask_prompt(self, spec: PromptSpec | None) -> None:
        from tokexplore.tui.screens.editor import PromptEditor

        driver = self.driver
        loaded = not driver.absent
        spec = spec or self._spec()
        example = STOCK_PROMPT if driver.options.load.model in SHIPPED else EXAMPLE
        can_chat = loaded and driver.client.info.chat_template
        preview = self._preview if loaded else None
        editor = PromptEditor(spec, preview, can_chat=can_chat, placeholder=example)
        await self.open(editor, self._prompted)

    def _spec(self) -> PromptSpec:
        """The prompt of the path in view, to be edited."""
        explorer, driver = self.explorer, self.driver
        if driver.chat is not None:
            return PromptSpec(chat=driver.chat)
        if explorer.vocabulary is None or not explorer.nodes:
            return driver.options.prompt or PromptSpec(text="")
        prompts = [i for i, n in enumerate(explorer.nodes, 1) if n in explorer.tree.prompts]
        ids = explorer.ids(prompts[-1] if prompts else explorer.first_step)
        text = explorer.vocabulary.text(ids)
        return PromptSpec(text=text, literal=explorer.vocabulary.names_special(text))

    def _prompted(self, spec: PromptSpec | None) -> None:
        if spec is None:
            return
        driver = self.driver
        if driver.state in ("loading", "lost"):
            when = "the model is loaded" if driver.state == "loading" else "space was pressed"
            self.app.notify(f"Starts as soon as {when}.", markup=False)
            # Where a change of the path loads the model, that change has its turn first.
            if not driver.turn.locked():
                self._typed = spec
                return
        driver.change(self._start_typed(spec))

    async def action_examples(self) -> None:
        """Open one of the gallery."""
        from tokexplore.tui.screens.examples import ExamplePicker

        await self.open(ExamplePicker(), self._example)

    def _example(self, index: int | None) -> None:
        if index is None:
            return
        example = EXAMPLES[index]
        if example.words:
            self.run_worker(self._show_words(example))
        else:
            self.driver.change(self._open_example(example))

    async def _open_example(self, example: Example) -> None:
        """Start on an example, as soon as there is a model to know how."""
        driver = self.driver
        while driver.state == "loading":
            await asyncio.sleep(WAIT)
        driver.configure(example.settings, example.length)
        can_chat = not driver.absent and driver.client.info.chat_template
        self.app.notify(example.look, timeout=10, markup=False)
        await self.driver.prompt(example.spec(can_chat=can_chat))

    async def _show_words(self, example: Example) -> None:
        """The figures of a few words: no model has a part in it."""
        from tokexplore.tui.lens_text import effect_lines, parse_words
        from tokexplore.tui.screens.dialog import Sheet

        words, logits = zip(*parse_words(example.words), strict=True)
        settings = [SamplingSettings(temperature=t) for t in (1.0, 100.0)]
        lines = await asyncio.to_thread(
            lambda: list(effect_lines(words, logits, settings, draw=1000))
        )
        await self.open(Sheet(example.title, Content("\n".join(lines))))

    async def action_turn(self) -> None:
        """Ask for the next user turn of a chat."""
        await self._ask_turn(None)

    async def _ask_turn(self, before: "Written | None") -> None:
        from tokexplore.tui.screens.editor import TextEditor, Written

        chat = self.driver.chat
        if chat is None:
            self.warn("There is no chat here: start one with p, ctrl+r (or --chat).")
            return

        def said(written: Written | None) -> None:
            if written and written.text:
                adding = self.driver.add_turn(written.text, literal=written.literal)
                self.driver.change(self._or_again(adding, partial(self._ask_turn, written)))

        given = before or Written("", chat.literal)
        editor = TextEditor("The next user turn", given.text, None, literal=given.literal)
        await self.open(editor, said)
