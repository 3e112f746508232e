"""What every dialog shares: a titled box that keys alone open, use and close."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.keys import EVERYWHERE, bindings
from tokexplore.widgets.header import RECORDING

Result = TypeVar("Result")
Part = TypeVar("Part", bound=Widget)

LIST_KEYS = frozenset(("up", "down", "pageup", "pagedown", "home", "end", "enter"))
"""Keys that are for the rows of a list."""


class Dialog(ModalScreen[Result]):
    """A box in the middle of the screen; `ctrl+g` closes it without a result."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > .dialog--box {
            width: 90%; max-width: 100; height: auto; max-height: 90%;
            background: $surface; padding: 0 2 1 2; border-top: tall $here;
        }
        & .dialog--title { color: $here; text-style: bold; margin-bottom: 1; }
        & .dialog--hint { color: $text-muted; margin-top: 1; }
        & Static { text-wrap: nowrap; text-overflow: ellipsis; }
        & .dialog--title, & .dialog--hint { height: auto; text-wrap: wrap; text-overflow: clip; }
        & Input, & Input:focus { border: none; padding: 0 1; background: $panel; height: 1; }
        & OptionList, & OptionList:focus {
            border: none; background: $surface; height: auto; max-height: 16;
            text-wrap: nowrap; text-overflow: ellipsis;
        }
        & TextArea, & TextArea:focus {
            border: none; padding: 0 1; background: $panel; height: 8;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+g,escape", "cancel", "close", id="dialog.cancel", priority=True),
        *bindings(EVERYWHERE, priority=False),
    ]
    title_text = ""
    hint_text = "{dialog.cancel:ctrl+g} closes"

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()
        """Set once the dialog takes keys, or never will."""
        self._dismissed = False

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with a result; once, however often a key that closes was pressed."""
        if self._dismissed:
            return AwaitComplete.nothing()
        self._dismissed = True
        return super().dismiss(result)

    def part(self, kind: type[Part], selector: str = "*") -> Part | None:
        """The first part of a kind; None where the dialog was closed before an answer came."""
        return next(iter(self.query(selector).results(kind)), None)

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether the dialog, or the list that a key is for, is not there yet."""
        if not self.opened.is_set():
            return True
        return self.rows_are_coming and getattr(event, "key", "") in LIST_KEYS

    @property
    def rows_are_coming(self) -> bool:
        """Whether the rows of a list are still looked for."""
        return False

    def on_mount(self) -> None:
        """Let the title say whether the screen is recorded."""
        self.watch(self.app, "recording", self._draw_title)

    def _draw_title(self, recording: bool) -> None:
        if (line := self.part(Static, ".dialog--title")) is not None:
            sign = (f"{RECORDING} ", "bold $error") if recording else ""
            line.update(Content.assemble(sign, safe_text(self.title_text)))

    def on_screen_resume(self) -> None:
        """Focus is given with the first refresh."""
        self.call_after_refresh(self.opened.set)

    def on_screen_suspend(self) -> None:
        """Nobody waits for a dialog that another screen covers before it was seen."""
        self.opened.set()

    def on_unmount(self) -> None:
        """Nor for one that is closed before."""
        self.opened.set()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box"):
            yield Static(classes="dialog--title")
            yield from self.body()
            yield Static(
                Content(rebinding_of(self.app).words(self.hint_text)), classes="dialog--hint"
            )

    def body(self) -> ComposeResult:
        """The dialog's own widgets."""
        yield from ()

    def action_cancel(self) -> None:
        """Close without a result."""
        self.dismiss(None)


class Ask(Dialog[str | None]):
    """One line of text, or None.

    Args:
        replaced: what is typed takes the place of the value.
        take: does what the line is for; a line that it refuses (`TokexploreError`) stays to be
            mended, with the reason below it.
        takes_nothing: whether it is for an empty line too.
    """

    DEFAULT_CSS = """
    Ask #refusal { color: $error; height: auto; text-wrap: wrap; display: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "done", priority=True, show=False, id="ask.submit")
    ]
    hint_text = "{ask.submit:⏎} done · {dialog.cancel:ctrl+g} cancels"

    def __init__(
        self,
        title: str,
        value: str = "",
        *,
        replaced: bool = False,
        take: Callable[[str], Awaitable[None]] | None = None,
        takes_nothing: bool = False,
    ) -> None:
        super().__init__()
        self.title_text, self._value = title, value
        self._replaced, self._take, self._takes_nothing = replaced, take, takes_nothing

    def body(self) -> ComposeResult:
        yield Input(self._value, select_on_focus=self._replaced)
        yield Static(id="refusal")

    async def action_submit(self) -> None:
        """Hand the line over, once."""
        field = self.part(Input)
        if field is None or self._dismissed:
            return
        try:
            if self._take is not None and (field.value or self._takes_nothing):
                await self._take(field.value)
        except TokexploreError as error:
            if line := self.part(Static, "#refusal"):
                line.update(Content(safe_text(str(error))))
                line.display = True
            return
        self.dismiss(field.value)


class Sheet(Dialog[None]):
    """Text to read: scrolls by the arrows, closed by `q` or backspace."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,backspace,enter",
            "cancel",
            "close",
            id="sheet.close",
            priority=True,
            key_display="q ⌫ ⏎",
        )
    ]
    DEFAULT_CSS = """
    Sheet VerticalScroll { scrollbar-gutter: stable; }
    Sheet VerticalScroll Static { text-wrap: wrap; text-overflow: clip; }
    """
    hint_text = "↑↓ scroll · {sheet.close:q} closes"

    def __init__(self, title: str, content: Content) -> None:
        super().__init__()
        self.title_text = title
        self._content = content

    def body(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            scroll.styles.height = "auto"
            scroll.styles.max_height = max(6, self.app.size.height - 10)
            yield Static(self._content)

    def show(self, content: Content) -> None:
        """Say something else, for what is known only after a while."""
        self._content = content
        if self.is_attached:
            self.query_one(VerticalScroll).query_one(Static).update(content)

    def on_mount(self) -> None:
        """Let the arrows scroll at once."""
        self.query_one(VerticalScroll).focus()
