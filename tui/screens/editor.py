"""TYPE mode: editing a prompt or a chat."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.api.chat import Chat
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.display import counted, safe_text
from tokexplore.models.errors import UsageError
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.screens.chat_form import IN_FIELDS, ChatForm
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.typed import PromptDraft, PromptTyped
from tokexplore.tui.screens.writing import WRITING, Preview, Writing

AROUND = 13
"""Rows of the editor beside the turns of a chat."""
LEAST_ROWS = 4
FEW_TURNS = 3
"""Turns that are named one by one where it is said what will be sent."""
FORMS = {
    "plain": "plain text",
    "chat": "chat: rendered by the model's template · tab, shift+tab: other turns",
    "new": "a new chat: rendered by the model's template",
}
"""What a prompt can be, in words."""


class PromptEditor(Writing[PromptSpec | None]):
    """A plain prompt or, where the model has a chat template, a chat.

    Args:
        spec: the prompt of the path in view, and what is said after it.
        preview: shows the tokens of a plain text.
        preview_chat: shows what a chat sends.
        leave: told of what stands in the editor when it closes; None where that is what it began
            with.
        as_chat: whether it begins as a new chat, where it can be one.
        draft: what stood in it when it was closed before.
        options: names that the chat template asks for.
        at: the message of the chat to stand on.
        warning: see `Writing`.
        own_system: see `ChatForm`.
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
        leave: Callable[[PromptDraft | None], None],
        *,
        can_chat: bool,
        as_chat: bool = False,
        placeholder: str = "",
        draft: PromptDraft | None = None,
        options: Sequence[str] = (),
        at: int | None = None,
        warning: Callable[[], str] = str,
        own_system: str = "",
    ) -> None:
        super().__init__()
        self.warning, self._own_system = warning, own_system
        self._spec, self._preview, self._preview_chat, self._leave = (
            spec, preview, preview_chat, leave,
        )  # fmt: skip
        self._placeholder, self._left, self._options, self._at = placeholder, draft, options, at
        self._forms = ["plain", *(["chat"] if spec.chat else []), *(["new"] if can_chat else [])]
        new = "new" if as_chat and can_chat else "plain"
        self._form = "chat" if spec.chat else new
        self.literal = spec.literal if spec.chat is None else spec.chat.literal
        self._sent_words = self._aside = PromptTyped(self._form, "", {}, self.literal)
        """What the editor makes of what it was given (it knows one kind of line break), and what
        does not stand in it at present: that, or a draft."""
        self._drafts = set[str]()
        """The forms of which there is a draft."""
        if spec.chat is not None or spec.text:
            self.other_words = "brings the words back that were sent"
        self.title_text = "Prompt"
        more = "{editor.chat:ctrl+r} plain/chat · {editor.turn:ctrl+n} turn · " if can_chat else ""
        self.hint_text = "{type.submit:⏎} start · " + more + WRITING

    def body(self) -> ComposeResult:
        yield Static(Content(""), id="form")
        yield self.draft_line()
        yield Draft(self._spec.text or "", placeholder=self._placeholder, id="plain")
        for form in self._forms[1:]:
            chat = self._spec.chat if form == "chat" else None
            at = self._at if form == "chat" else None
            own = f"the template's own: {self._own_system}" if self._own_system else ""
            yield ChatForm(chat or Chat(()), options=self._options, id=form, at=at, own_system=own)
        yield Static("", id="sends")
        yield self.reading()
        yield Static("", id="tokens")

    def on_mount(self) -> None:
        """Stand at the end of the text that was typed before, else of what was sent."""
        if self.part(Draft, "#plain") is None:
            return  # a model that is refused takes it away while it opens
        self._sent_words = self._aside = self.typed()
        if self._left is None:
            self._show_form()
            return
        typed = self._left.over(self._sent_words)
        if drafts := typed.differing(self._sent_words):
            self._drafts = drafts
            self.tell_draft("shown")
        # In the screen's own queue: before it takes a key.
        self.call_next(self._put, typed)

    async def _put(self, typed: PromptTyped) -> None:
        """Let other words stand in the fields."""
        if not self.is_attached:
            return  # it was closed meanwhile
        self._form, self.literal = typed.form, typed.literal
        self.query_one("#literal", Static).update(self._reading())
        self.query_one("#plain", Draft).load_text(typed.text)
        for form in self.query(ChatForm):
            if form.id in typed.chats:
                await form.put(typed.chats[form.id])
        if self.is_attached:
            self._show_form()

    async def exchange(self) -> None:
        self._aside, typed = self.typed(), self._aside
        self._drafts = typed.differing(self._aside)
        await self._put(typed._replace(form=self._form))

    def on_resize(self) -> None:
        """Leave room for what stands around a chat's turns."""
        self.make_room()

    def make_room(self) -> None:
        told = self.part(Static, "#tokens")
        around = AROUND + max(0, told.size.height - 1 if told else 0)
        for form in self.query(ChatForm):
            form.styles.max_height = max(LEAST_ROWS, self.app.size.height * 9 // 10 - around)

    def explained(self, refusal: str) -> str:
        for option, here in IN_FIELDS.items():
            refusal = refusal.replace(option, rebinding_of(self.app).words(here))
        return refusal

    @property
    def has_draft(self) -> bool:
        return self._form in self._drafts

    @property
    def _chat_form(self) -> ChatForm | None:
        return self.part(ChatForm, f"#{self._form}")

    def _show_form(self) -> None:
        for form in self._forms:
            self.query_one(f"#{form}").display = form == self._form
        self.query_one("#draft", Static).display = self.has_draft
        self.query_one("#form", Static).update(Content.styled(FORMS[self._form], "$text-muted"))
        if (chat := self._chat_form) is not None:
            chat.stand()
        else:
            self.query_one("#plain", Draft).focus()
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
        chat, sent = self._chat_form, self._sent()
        if line := self.part(Static, "#sends"):
            sends = "" if chat is None else _sends(chat, sent)
            line.update(Content.styled(safe_text(sends), "$text-muted"))
        if chat is None:
            plain = self.part(Draft, "#plain")
            return await self._preview(plain.text, self.literal) if plain else ""
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
            self._leave(self._to_keep())
        super().action_cancel()

    def _to_keep(self) -> PromptDraft | None:
        """What stands in the editor, or a draft for which nothing else was typed."""
        typed = self.typed()
        is_new = self.draft != "aside" or typed.differs(self._sent_words)
        kept = typed if is_new else self._aside
        return None if kept == self._sent_words else PromptDraft(kept, self._sent_words)

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
        form = self._chat_form
        if form is not None and chat is None:
            why = form.why_nothing()
            self.app.notify(f"{why[0].upper()}{why[1:]}.", severity="warning", markup=False)
            return
        self._leave(self._to_keep())
        if chat is not None:
            self.dismiss(PromptSpec(chat=chat))
            return
        text = self.query_one("#plain", Draft).text
        if text == self._sent_words.text and self._spec.text is not None:
            text = self._spec.text
        self.dismiss(PromptSpec(text=text or self._placeholder, literal=self.literal))


def _sends(form: ChatForm, chat: Chat | None) -> str:
    """Which turns are sent, in words."""
    if chat is None:
        return form.why_nothing()
    roles = [message.role for message in chat.messages]
    answer = "assistant from these words on" if chat.prefill else "the assistant answers"
    left = sum(bool(turn.text.strip()) for turn in form.turns) - sum(
        bool(turn.text.strip()) for turn in form.sent()
    )
    if form.answers_again:
        begun = " from these words on" if chat.prefill else ""
        return f"answers again{begun}; this answer stays · sends {counted(len(roles), 'turn')}"
    told = ", ".join(roles) if len(roles) <= FEW_TURNS else counted(len(roles), "turn")
    words = f"sends {told}, {answer}"
    return f"{words} · {counted(left, 'turn')} left out" if left else words
