"""TYPE mode: a text whose tokens are shown as it is typed."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal, NamedTuple, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.errors import TokexploreError
from tokexplore.tui.keymap import rebinding_of
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

    DEFAULT_CSS = """
    Writing #tokens.-told { height: auto; text-wrap: wrap; text-overflow: clip; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+t",
            "toggle_literal",
            "names of tokens",
            tooltip="Read </s> and the like as tokens, or as their characters.",
            priority=True,
            id="editor.literal",
        ),
        Binding(
            "ctrl+l",
            "other_words",
            "draft or sent words",
            tooltip="Between an unsent draft and what stood here before it: neither is lost.",
            priority=True,
            id="editor.words",
        ),
        Binding("enter", "submit", "done", show=False, id="editor.submit"),
    ]
    literal = False
    warning: Callable[[], str] = str
    """Tells what handing the text over does besides at this moment, said before the hint."""
    draft: Literal["none", "shown", "aside"] = "none"
    """Whether what was typed before and not sent stands here, or waits while other words do."""
    other_words = "puts it aside"
    """What becomes of a draft in favour of the words that stood here before it."""

    def on_mount(self) -> None:
        """Warn as long as there is something to be warned of."""
        self._warn()
        self.set_interval(_WARN_EVERY, self._warn)

    def _warn(self) -> None:
        hint = rebinding_of(self.app).words(self.warning() + self.hint_text)
        if (line := self.part(Static, ".dialog--hint")) and str(line.content) != hint:
            line.update(Content(hint))

    @property
    def has_draft(self) -> bool:
        """Whether there is a draft of what stands here."""
        return self.draft != "none"

    def draft_line(self) -> Static:
        """The line that marks an unsent draft; see `tell_draft`."""
        line = Static("", id="draft")
        line.display = False
        return line

    def tell_draft(self, draft: Literal["shown", "aside"]) -> None:
        """Say that an unsent draft stands here, or that there is one."""
        self.draft = draft
        words = {
            "shown": f"unsent draft · {{editor.words:ctrl+l}} {self.other_words}",
            "aside": "without your unsent draft · {editor.words:ctrl+l} brings it back",
        }
        if line := self.part(Static, "#draft"):
            line.display = self.has_draft
            line.update(Content.styled(rebinding_of(self.app).words(words[draft]), "bold $here"))

    async def action_other_words(self) -> None:
        """Between an unsent draft and the words before it."""
        if not self.has_draft:
            self.app.notify("There is no unsent draft here.", timeout=3, markup=False)
            return
        await self.exchange()
        self.tell_draft("aside" if self.draft == "shown" else "shown")
        self._show_tokens()

    async def exchange(self) -> None:
        """Put the words in place that are aside."""

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
        """The tokens of what is there now, in a line; below it what is told of them.

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
            tokens, refusal = await self.tokens(), ""
        except TokexploreError as error:
            tokens, refusal = "", self.explained(str(error))
        if line := self.part(Static, "#tokens"):
            line.set_class(bool(refusal) or "\n" in tokens, "-told")
            line.update(Content(tokens or refusal))
            self.call_after_refresh(self.make_room)

    def explained(self, refusal: str) -> str:
        """Why what is there cannot be read, in the words of this dialog."""
        return refusal

    def make_room(self) -> None:
        """Called when more or fewer lines are told below the text."""


class TextEditor(Writing[Written | None]):
    """Some text, with its tokens shown as it is typed.

    Args:
        unsent: whether the text was typed before and not sent.
        leave: told of what stands in the editor when it is closed without a result.
        warning: see `Writing`.
    """

    hint_text = "{type.submit:⏎} done · " + WRITING

    def __init__(
        self,
        title: str,
        text: str,
        preview: Preview | None,
        *,
        literal: bool = False,
        unsent: bool = False,
        leave: Callable[[Written], None] = lambda _: None,
        warning: Callable[[], str] = str,
    ) -> None:
        super().__init__()
        self.title_text, self.literal = title, literal
        self._text, self._preview, self._unsent = text, preview, unsent
        self._aside = ""
        """The draft while it does not stand in the editor."""
        self._leave, self.warning = leave, warning

    def body(self) -> ComposeResult:
        yield self.draft_line()
        yield Draft(self._text)
        yield self.reading()
        yield Static("", id="tokens")

    def on_mount(self) -> None:
        """Stand in the text."""
        self.query_one(Draft).focus()
        if self._unsent and self._text:
            self.tell_draft("shown")
        self._show_tokens()

    def action_cancel(self) -> None:
        """Close; what was typed is there when the editor is opened again at the same place."""
        if draft := self.part(Draft):
            self._leave(Written(draft.text or self._aside, self.literal))
        super().action_cancel()

    async def exchange(self) -> None:
        draft = self.query_one(Draft)
        self._aside, text = draft.text, self._aside
        draft.load_text(text)

    async def tokens(self) -> str:
        draft = self.part(Draft)
        return await self._preview(draft.text, self.literal) if self._preview and draft else ""

    def action_submit(self) -> None:
        """Hand the text over."""
        self.dismiss(Written(self.query_one(Draft).text, self.literal))
