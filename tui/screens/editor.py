"""TYPE mode: editing a prompt, a chat or a continuation."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.recording.recordable_app import rebinding_of
from tokexplore.tui.screens.dialog import Dialog

Preview = Callable[[str, bool], Awaitable[str]]
"""Shows the tokens of a text, the names of tokens in it read as characters or not."""
Result = TypeVar("Result")


class Written(NamedTuple):
    """A text that was typed."""

    text: str
    literal: bool = False
    """Whether the names of tokens in it (`</s>`) are its characters."""


WRITING = (
    "{type.newline:ctrl+j} new line · {type.editor:ctrl+o} $EDITOR · {dialog.cancel:ctrl+g} cancels"
)
"""What the keys of an editor do."""


class Draft(TextArea):
    """A text area in which enter submits and ctrl+j breaks the line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "done", priority=True, id="type.submit"),
        Binding("ctrl+j", "newline", "new line", priority=True, id="type.newline"),
        Binding("ctrl+o", "editor", "open $EDITOR", priority=True, id="type.editor"),
    ]

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")

    async def action_submit(self) -> None:
        """Hand the text to the dialog."""
        await self.screen.run_action("submit")

    async def action_editor(self) -> None:
        """Edit the text in the user's own editor."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        with tempfile.TemporaryDirectory(prefix="tokexplore-") as folder:
            path = Path(folder, "prompt.txt")
            path.write_text(self.text, encoding="utf-8")
            try:
                with self.app.suspend():
                    subprocess.run([*shlex.split(editor), str(path)], check=True)
                self.load_text(path.read_text(encoding="utf-8-sig").removesuffix("\n"))
            except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
                self.app.notify(f"{editor} did not work: {error}", severity="error", markup=False)


class Writing(Dialog[Result]):
    """A dialog whose text names tokens or spells them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+t",
            "toggle_literal",
            "names of tokens",
            tooltip="Read </s> and the like as tokens, or as their characters.",
            priority=True,
            id="editor.literal",
        ),
        Binding("enter", "submit", "done", show=False, id="editor.submit"),
    ]
    literal = False

    def reading(self) -> Static:
        """The line that says how names of tokens are read."""
        return Static(self._reading(), id="literal")

    def _reading(self) -> Content:
        how = "characters" if self.literal else "tokens"
        return Content.styled(
            rebinding_of(self.app).words("{editor.literal:ctrl+t}: names such as </s> are " + how),
            "$text-muted",
        )

    def action_toggle_literal(self) -> None:
        """Between tokens and characters."""
        self.literal = not self.literal
        self.query_one("#literal", Static).update(self._reading())
        self._show_tokens()

    def on_text_area_changed(self) -> None:
        """Show the tokens of what is there now."""
        self._show_tokens()

    def previewed(self) -> Preview | None:
        """What shows the tokens of the text; None where it is not a text alone."""
        raise NotImplementedError

    @work(exclusive=True)
    async def _show_tokens(self) -> None:
        draft, preview = self.part(Draft), self.previewed()
        try:
            tokens = await preview(draft.text, self.literal) if preview and draft else ""
        except TokexploreError as error:
            tokens = str(error)
        if line := self.part(Static, "#tokens"):
            line.update(Content(tokens))


class TextEditor(Writing[Written | None]):
    """Some text, with its tokens shown as it is typed."""

    hint_text = "{type.submit:⏎} done · " + WRITING

    def __init__(
        self, title: str, text: str, preview: Preview | None, *, literal: bool = False
    ) -> None:
        super().__init__()
        self.title_text, self.literal = title, literal
        self._text, self._preview = text, preview

    def body(self) -> ComposeResult:
        yield Draft(self._text)
        yield self.reading()
        yield Static("", id="tokens")

    def on_mount(self) -> None:
        """Stand at the end of the text."""
        draft = self.query_one(Draft)
        draft.move_cursor(draft.document.end)
        draft.focus()
        self._show_tokens()

    def previewed(self) -> Preview | None:
        return self._preview

    def action_submit(self) -> None:
        """Hand the text over."""
        self.dismiss(Written(self.query_one(Draft).text, self.literal))


class PromptEditor(Writing[PromptSpec | None]):
    """A plain prompt or, where the model has a chat template, a chat."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "toggle_chat", "plain or chat", priority=True, id="editor.chat")
    ]

    def __init__(
        self, spec: PromptSpec, preview: Preview | None, *, can_chat: bool, placeholder: str = ""
    ) -> None:
        super().__init__()
        self._spec, self._preview, self._can_chat = spec, preview, can_chat
        self._chat = spec.chat is not None
        self.literal = spec.literal if spec.chat is None else spec.chat.literal
        self._placeholder = placeholder
        self._unedited = ""
        """What the editor makes of the text that it was given: it knows one kind of line break."""
        self.title_text = "Prompt"
        more = "{editor.chat:ctrl+r} plain/chat · " if can_chat else ""
        self.hint_text = "{type.submit:⏎} start · " + more + WRITING

    def body(self) -> ComposeResult:
        contents = {m.role: m.content for m in self._spec.chat.messages} if self._spec.chat else {}
        prefill = self._spec.chat.prefill if self._spec.chat else ""
        yield Static(Content(""), id="form")
        yield Input(
            contents.get("system", ""), placeholder="system (optional)", id="system", classes="chat"
        )
        yield Draft(self._spec.text or contents.get("user", ""), placeholder=self._placeholder)
        yield Input(
            prefill,
            placeholder="the assistant's first words (optional)",
            id="prefill",
            classes="chat",
        )
        yield self.reading()
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

    def previewed(self) -> Preview | None:
        return None if self._chat else self._preview

    def on_input_submitted(self) -> None:
        """Enter in a field starts too."""
        self.action_submit()

    def action_submit(self) -> None:
        """Hand the prompt over."""
        text = self.query_one(Draft).text
        if text == self._unedited and self._spec.text is not None:
            text = self._spec.text
        if not self._chat:
            self.dismiss(PromptSpec(text=text or self._placeholder, literal=self.literal))
            return
        chat = self._spec.chat or Chat(())
        earlier = [m for m in _without_last_user(chat.messages) if m.role != "system"]
        system = self.query_one("#system", Input).value
        messages = [_message(chat, "system", system)] if system else []
        messages += [*earlier, _message(chat, "user", text)]
        edited = msgspec.structs.replace(
            chat,
            messages=tuple(messages),
            prefill=self.query_one("#prefill", Input).value,
            literal=self.literal,
        )
        self.dismiss(PromptSpec(chat=edited))


def _message(chat: Chat, role: str, text: str) -> Message:
    """The last message of a role with all that it holds, where it says this; else a new one."""
    last = next((m for m in reversed(chat.messages) if m.role == role), None)
    return last if last is not None and last.content == text else Message(role, text)


def _without_last_user(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns before the one that the editor shows."""
    last = max((i for i, m in enumerate(messages) if m.role == "user"), default=len(messages))
    return messages[:last]
