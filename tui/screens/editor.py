"""TYPE mode: editing a prompt, a chat or a continuation."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from tokexplore.models.errors import TokexploreError
from tokexplore.models.options import PromptSpec
from tokexplore.models.protocol import Chat, Message
from tokexplore.tui.screens.dialog import Dialog

Preview = Callable[[str], Awaitable[str]]


class Draft(TextArea):
    """A text area in which enter submits and ctrl+j breaks the line.

    Both are acted on after the keys that wait in the queue: text that comes in one burst is whole.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "done", priority=True, id="type.submit"),
        Binding("ctrl+j", "newline", "new line", priority=True, id="type.newline"),
        Binding("ctrl+o", "editor", "open $EDITOR", priority=True, id="type.editor"),
    ]

    def action_newline(self) -> None:
        """Break the line."""
        self.call_later(self.insert, "\n")

    async def action_submit(self) -> None:
        """Hand the text to the dialog."""
        dialog = self.screen
        self.call_later(dialog.run_action, "submit")
        if isinstance(dialog, Dialog):
            await dialog.closing()

    async def action_editor(self) -> None:
        """Edit the text in the user's own editor."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        with tempfile.TemporaryDirectory(prefix="tokexplore-") as folder:
            path = Path(folder, "prompt.txt")
            path.write_text(self.text, encoding="utf-8")
            try:
                with self.app.suspend():
                    subprocess.run([*shlex.split(editor), str(path)], check=True)
                self.load_text(path.read_text(encoding="utf-8").removesuffix("\n"))
            except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
                self.app.notify(f"{editor} did not work: {error}", severity="error", markup=False)


class TextEditor(Dialog[str | None]):
    """Some text, with its tokens shown as it is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "done", show=False, id="editor.submit")
    ]
    hint_text = "⏎ done · ctrl+j new line · ctrl+o $EDITOR · ctrl+g cancels"

    def __init__(
        self, title: str, text: str, preview: Preview | None, placeholder: str = ""
    ) -> None:
        super().__init__()
        self.title_text = title
        self._text, self._preview, self._placeholder = text, preview, placeholder

    def body(self) -> ComposeResult:
        yield Draft(self._text, placeholder=self._placeholder)
        yield Static("", id="tokens")

    def on_mount(self) -> None:
        """Stand at the end of the text."""
        draft = self.query_one(Draft)
        draft.move_cursor(draft.document.end)
        draft.focus()
        self._show_tokens()

    def on_text_area_changed(self) -> None:
        """Show the tokens of what is there now."""
        self._show_tokens()

    @work(exclusive=True)
    async def _show_tokens(self) -> None:
        if self._preview is None:
            return
        line = self.query_one("#tokens", Static)  # the dialog may be closed before the answer
        try:
            tokens = await self._preview(self.query_one(Draft).text)
        except TokexploreError as error:
            tokens = str(error)
        line.update(Content(tokens))

    def action_submit(self) -> None:
        """Hand the text over."""
        self.dismiss(self.query_one(Draft).text)


class PromptEditor(Dialog[PromptSpec | None]):
    """A plain prompt or, where the model has a chat template, a chat."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "toggle_chat", "plain or chat", priority=True, id="editor.chat"),
        Binding("enter", "submit", "done", show=False, id="editor.submit"),
    ]

    def __init__(
        self, spec: PromptSpec, preview: Preview | None, *, can_chat: bool, placeholder: str = ""
    ) -> None:
        super().__init__()
        self._spec, self._preview, self._can_chat = spec, preview, can_chat
        self._chat = spec.chat is not None
        self._placeholder = placeholder
        self._unedited = ""
        """What the editor makes of the text that it was given: it knows one kind of line break."""
        self.title_text = "Prompt"
        more = "ctrl+r plain/chat · " if can_chat else ""
        self.hint_text = f"⏎ start · {more}ctrl+j new line · ctrl+o $EDITOR · ctrl+g cancels"

    def body(self) -> ComposeResult:
        said = {m.role: m.content for m in self._spec.chat.messages} if self._spec.chat else {}
        prefill = self._spec.chat.prefill if self._spec.chat else ""
        yield Static(Content(""), id="form")
        yield Input(
            said.get("system", ""), placeholder="system (optional)", id="system", classes="chat"
        )
        yield Draft(self._spec.text or said.get("user", ""), placeholder=self._placeholder)
        yield Input(
            prefill,
            placeholder="the assistant's first words (optional)",
            id="prefill",
            classes="chat",
        )
        yield Static("", id="tokens")

    def on_mount(self) -> None:
        """Stand at the end of the text."""
        draft = self.query_one(Draft)
        draft.move_cursor(draft.document.end)
        draft.focus()
        self._unedited = draft.text
        self._show_form()
        self._show_tokens()

    def _show_form(self) -> None:
        for field in self.query(".chat"):
            field.display = self._chat
        name = "chat: rendered by the model's template" if self._chat else "plain text"
        self.query_one("#form", Static).update(Content.styled(name, "$text-muted"))

    def action_toggle_chat(self) -> None:
        """Between a plain prompt and a chat."""
        if not self._can_chat:
            self.app.notify("This model has no chat template: plain text is the way.", markup=False)
            return
        self._chat = not self._chat
        self._show_form()
        self._show_tokens()

    def on_text_area_changed(self) -> None:
        """Show the tokens of what is there now."""
        self._show_tokens()

    @work(exclusive=True)
    async def _show_tokens(self) -> None:
        line = self.query_one("#tokens", Static)
        if self._preview is None or self._chat:
            line.update("")
            return
        try:
            line.update(Content(await self._preview(self.query_one(Draft).text)))
        except TokexploreError as error:
            line.update(Content(str(error)))

    def on_input_submitted(self) -> None:
        """Enter in a field starts too."""
        self.action_submit()

    def action_submit(self) -> None:
        """Hand the prompt over."""
        text = self.query_one(Draft).text
        if text == self._unedited and self._spec.text is not None:
            text = self._spec.text
        if not self._chat:
            self.dismiss(PromptSpec(text=text or self._placeholder))
            return
        before = self._spec.chat.messages if self._spec.chat else ()
        earlier = [m for m in _without_last_user(before) if m.role != "system"]
        system = self.query_one("#system", Input).value
        messages = [Message("system", system)] if system else []
        messages += [*earlier, Message("user", text)]
        args = self._spec.chat.template_args if self._spec.chat else {}
        prefill = self.query_one("#prefill", Input).value
        self.dismiss(PromptSpec(chat=Chat(tuple(messages), prefill, args)))


def _without_last_user(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns before the one that the editor shows."""
    last = max((i for i, m in enumerate(messages) if m.role == "user"), default=len(messages))
    return messages[:last]
