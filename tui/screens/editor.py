"""TYPE mode: editing a prompt, a chat or a continuation."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, NamedTuple, TypeVar

import msgspec
from textual import events, work
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.api.chat import Chat
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.display import counted, safe_text
from tokexplore.models.errors import TokexploreError, UsageError
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.screens.chat_form import ChatForm, Typed
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.tui.screens.draft import Draft

Preview = Callable[[str, bool], Awaitable[str]]
"""Shows the tokens of a text, the names of tokens in it read as characters or not."""
Result = TypeVar("Result")
_WARN_EVERY = 0.25
"""Seconds between looks at whether a warning still holds."""
PREVIEW = "preview"
"""The group of what computes previews."""


class Written(NamedTuple):
    """A text that was typed."""

    text: str
    literal: bool = False
    """Whether the names of tokens in it (`</s>`) are its characters."""


WRITING = (
    "{type.newline:ctrl+j} new line · {type.editor:ctrl+o} $EDITOR · {dialog.cancel:ctrl+g} cancels"
)
"""What the keys of an editor do."""


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

    async def tokens(self) -> str:
        """The tokens of what is there now, to be shown.

        Raises:
            TokexploreError: what is there cannot be read.
        """
        return ""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Ask for no more previews: what was typed goes ahead of them."""
        self.workers.cancel_group(self, PREVIEW)
        return super().dismiss(result)

    @work(exclusive=True, group=PREVIEW)
    async def _show_tokens(self) -> None:
        try:
            tokens = await self.tokens()
        except TokexploreError as error:
            tokens = str(error)
        if line := self.part(Static, "#tokens"):
            line.update(Content(tokens))


class TextEditor(Writing[Written | None]):
    """Some text, with its tokens shown as it is typed.

    Args:
        leave: told of what stands in the editor when it is closed without a result.
        warning: what handing the text over does besides at this moment, said before the hint.
    """

    hint_text = "{type.submit:⏎} done · " + WRITING

    def __init__(
        self,
        title: str,
        text: str,
        preview: Preview | None,
        *,
        literal: bool = False,
        leave: Callable[[Written], None] = lambda _: None,
        warning: Callable[[], str] = str,
    ) -> None:
        super().__init__()
        self.title_text, self.literal = title, literal
        self._text, self._preview = text, preview
        self._leave, self._warning = leave, warning

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
        self._warn()
        self.set_interval(_WARN_EVERY, self._warn)

    def _warn(self) -> None:
        hint = rebinding_of(self.app).words(self._warning() + self.hint_text)
        if (line := self.part(Static, ".dialog--hint")) and str(line.content) != hint:
            line.update(Content(hint))

    def action_cancel(self) -> None:
        """Close; what was typed is there when the editor is opened again at the same place."""
        if draft := self.part(Draft):
            self._leave(Written(draft.text, self.literal))
        super().action_cancel()

    async def tokens(self) -> str:
        draft = self.part(Draft)
        return await self._preview(draft.text, self.literal) if self._preview and draft else ""

    def action_submit(self) -> None:
        """Hand the text over."""
        self.dismiss(Written(self.query_one(Draft).text, self.literal))


AROUND = 13
"""Rows of the editor beside the turns of a chat."""
LEAST_ROWS = 4
FORMS = {
    "plain": "plain text",
    "chat": "chat: rendered by the model's template · tab, shift+tab: other turns",
    "new": "another chat: rendered by the model's template",
}
"""What a prompt can be, in words."""


class PromptTyped(NamedTuple):
    """What stands in the editor."""

    form: str
    """One of `FORMS`."""
    text: str
    chats: dict[str, Typed]
    """By form."""
    literal: bool


class PromptEditor(Writing[PromptSpec | None]):
    """A plain prompt or, where the model has a chat template, a chat.

    Args:
        spec: the prompt of the path in view, and what is said after it.
        preview: shows the tokens of a plain text.
        preview_chat: shows what a chat sends.
        leave: told of what stands in the editor when it closes.
        typed: what stood in it when it was closed before.
        options: names that the chat template asks for.
        at: the message of the chat to stand on.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "another_form", "plain or chat", priority=True, id="editor.chat"),
        Binding("ctrl+n", "add_turn", "another turn", priority=True, id="editor.turn"),
    ]

    def __init__(
        self,
        spec: PromptSpec,
        preview: Preview,
        preview_chat: Callable[[Chat], Awaitable[str]],
        leave: Callable[[PromptTyped], None],
        *,
        can_chat: bool,
        placeholder: str = "",
        typed: PromptTyped | None = None,
        options: Sequence[str] = (),
        at: int | None = None,
    ) -> None:
        super().__init__()
        self._spec, self._preview, self._preview_chat, self._leave = (
            spec, preview, preview_chat, leave,
        )  # fmt: skip
        self._placeholder, self._typed, self._options, self._at = placeholder, typed, options, at
        self._forms = ["plain", *(["chat"] if spec.chat else []), *(["new"] if can_chat else [])]
        self._form = typed.form if typed else "chat" if spec.chat else "plain"
        self.literal = spec.literal if spec.chat is None else spec.chat.literal
        if typed is not None:
            self.literal = typed.literal
        self._unedited = ""
        """What the editor makes of the text that it was given: it knows one kind of line break."""
        self.title_text = "Prompt"
        more = "{editor.chat:ctrl+r} plain/chat · {editor.turn:ctrl+n} turn · " if can_chat else ""
        self.hint_text = "{type.submit:⏎} start · " + more + WRITING

    def body(self) -> ComposeResult:
        yield Static(Content(""), id="form")
        yield Draft(self._spec.text or "", placeholder=self._placeholder, id="plain")
        for form in self._forms[1:]:
            chat = self._spec.chat if form == "chat" else None
            typed = self._typed.chats.get(form) if self._typed else None
            yield ChatForm(
                chat or Chat(()), typed=typed, options=self._options, id=form,
                at=self._at if form == "chat" else None,
            )  # fmt: skip
        yield Static("", id="sends")
        yield self.reading()
        yield Static("", id="tokens")

    def on_mount(self) -> None:
        """Stand at the end of the text."""
        plain = self.part(Draft, "#plain")
        if plain is None:
            return  # a model that is refused takes it away while it opens
        self._unedited = plain.text
        if self._typed is not None:
            plain.load_text(self._typed.text)
        self._show_form()

    def on_resize(self, event: events.Resize) -> None:
        """Leave room for what stands around a chat's turns."""
        for form in self.query(ChatForm):
            form.styles.max_height = max(LEAST_ROWS, event.size.height * 9 // 10 - AROUND)

    @property
    def _chat_form(self) -> ChatForm | None:
        return self.part(ChatForm, f"#{self._form}")

    def _show_form(self) -> None:
        for form in self._forms:
            self.query_one(f"#{form}").display = form == self._form
        self.query_one("#form", Static).update(Content.styled(FORMS[self._form], "$text-muted"))
        if (chat := self._chat_form) is not None:
            chat.stand()
        else:
            plain = self.query_one("#plain", Draft)
            plain.move_cursor(plain.document.end)
            plain.focus()
        self._show_tokens()

    def action_another_form(self) -> None:
        """The next of plain text, this chat, another chat; what was typed stays in each."""
        if len(self._forms) == 1:
            self.app.notify("This model has no chat template: plain text is the way.", markup=False)
            return
        at = self._forms.index(self._form) if self._form in self._forms else -1
        plain = self.query_one("#plain", Draft).text if self._form == "plain" else ""
        self._form = self._forms[(at + 1) % len(self._forms)]
        if plain and (chat := self._chat_form) is not None:
            chat.take(plain)
        self._show_form()

    async def action_add_turn(self) -> None:
        """A turn more; in a new one that is empty, another one speaks."""
        if (chat := self._chat_form) is not None:
            await chat.add_turn()
            self._show_tokens()

    async def tokens(self) -> str:
        """The tokens of what would be sent."""
        chat = self._chat_form
        if chat is None:
            plain = self.part(Draft, "#plain")
            return await self._preview(plain.text, self.literal) if plain else ""
        sent = self._sent()
        if line := self.part(Static, "#sends"):
            line.update(Content.styled(safe_text(_sends(chat, sent)), "$text-muted"))
        return await self._preview_chat(sent) if sent else ""

    def _sent(self) -> Chat | None:
        form = self._chat_form
        chat = None if form is None else form.chat()
        return None if chat is None else msgspec.structs.replace(chat, literal=self.literal)

    def on_input_changed(self) -> None:
        """Show the tokens of what is there now."""
        self._show_tokens()

    def on_choice_changed(self) -> None:
        """Show the tokens of what is there now."""
        self._show_tokens()

    def on_input_submitted(self) -> None:
        """Enter in a field starts too."""
        self.action_submit()

    def action_cancel(self) -> None:
        """Close; what was typed is there when the editor is opened again."""
        if self.part(Draft, "#plain"):
            self._leave(self.typed())
        super().action_cancel()

    def typed(self) -> PromptTyped:
        """What stands in the editor."""
        chats = {form.id or "": form.typed() for form in self.query(ChatForm)}
        return PromptTyped(self._form, self.query_one("#plain", Draft).text, chats, self.literal)

    def action_submit(self) -> None:
        """Hand the prompt over."""
        try:
            chat = self._sent()
        except UsageError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        self._leave(self.typed())
        if self._chat_form is not None:
            self.dismiss(PromptSpec(chat=chat) if chat else None)
            return
        text = self.query_one("#plain", Draft).text
        if text == self._unedited and self._spec.text is not None:
            text = self._spec.text
        self.dismiss(PromptSpec(text=text or self._placeholder, literal=self.literal))


def _sends(form: ChatForm, chat: Chat | None) -> str:
    """Which turns are sent, in words."""
    if chat is None:
        return "nothing to send: edit a turn, or add one"
    roles = [message.role for message in chat.messages]
    answer = "assistant from these words on" if chat.prefill else "the assistant answers"
    left = sum(bool(turn.text.strip()) for turn in form.turns) - sum(
        bool(turn.text.strip()) for turn in form.sent()
    )
    words = f"sends {', '.join(roles)}, {answer}"
    return f"{words} · {counted(left, 'turn')} left out" if left else words
