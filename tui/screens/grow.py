"""`G`: a tree that grows by probability, live: its mass, watched texts, the most probable texts."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tokexplore.models.errors import TokexploreError
from tokexplore.models.grow.budget import Budget
from tokexplore.models.grow.growth import By
from tokexplore.models.grow.node import Leaf
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.growing import Growing, asked_growth
from tokexplore.tui.presenters.growth import figures, likely_texts, text_rows
from tokexplore.tui.presenters.status import step_title
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar, KeyHint
from tokexplore.widgets.role_lines import Piece, RoleLines
from tokexplore.widgets.title_rule import Part, TitleRule

ASKED = "A budget: 500 tokens, 20 s, depth 12, above 0.1%, or several; sampler grows by its own"
_TEXT = "What is to be in the text: words, or /a regular expression/; again takes it away"
_PART = 3
"""The watched texts take one of so many parts of the screen at most."""


class GrowScreen(LiveScreen):
    """The tree from the step under the cursor on.

    Args:
        by: whose probability it grows by.
    """

    DEFAULT_CSS = """
    GrowScreen {
        background: $background; color: $foreground;
        & #grow-figures { height: auto; padding: 0 1; }
        & #grow-texts { height: 1fr; padding: 0 1; }
    }
    """
    mode = "GROW"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,backspace,G,escape,ctrl+g", "close", "close", id="grow.close", priority=True,
            key_display="q G ⌫", tooltip="Stop, and back to the main screen; what grew stays.",
        ),
        Binding("up,k", "select(-1)", "text", id="grow.up", priority=True,
                tooltip="The text before."),
        Binding("down,j", "select(1)", "text", id="grow.down", priority=True,
                tooltip="The next text."),
        Binding("pageup", "page(-1)", "page", id="grow.page_up", priority=True,
                tooltip="A page of texts back."),
        Binding("pagedown", "page(1)", "page", id="grow.page_down", priority=True,
                tooltip="A page of texts on."),
        Binding("enter", "take", "go there", id="grow.take", priority=True,
                tooltip="Stop, and make this text the path in view."),
        Binding("space", "hold", "stop", id="grow.hold", priority=True,
                tooltip="Stop, or let it go on."),
        Binding("w", "watch", "watch", id="grow.watch",
                tooltip="Tell the probability of a text or a /regular expression/; of one that is "
                "told, no longer."),
        Binding("e", "edit", "budget", id="grow.budget",
                tooltip="Another budget; what grew stays."),
    ]  # fmt: skip

    def __init__(self, controller: Controller, budget: Budget, by: By) -> None:
        super().__init__(controller)
        self.growing = Growing(controller, budget, by, self.changed)
        self._leaves: list[Leaf] = []
        self._index = 0

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule()
        yield RoleLines(id="grow-figures")
        yield RoleLines(id="grow-texts")
        yield KeyBar()

    def on_mount(self) -> None:
        """Let it grow."""
        hints = [
            KeyHint("{grow.up:↑}{grow.down:↓}", "text", 9),
            KeyHint("{grow.take:⏎}", "go there", 8, "take"),
            KeyHint("{grow.hold:space}", "stop/go on", 9, "hold"),
            KeyHint("{grow.watch:w}", "watch", 7, "watch"),
            KeyHint("{grow.budget:e}", "budget", 6, "edit"),
        ]
        self.show_keys(hints, "grow.close")
        title = step_title(self.explorer, self.size.width // 3)
        self.query_one(TitleRule).show([Part("grow", "text"), *title])
        self.controller.jobs.change(self._begin())

    async def _begin(self) -> None:
        try:
            await self.growing.begin()
        except TokexploreError:
            self.dismiss(None)
            raise

    def on_resize(self, event: events.Resize) -> None:
        """All lines anew."""
        del event
        self.changed()

    def paint_parts(self) -> None:
        """Bring figures and texts up to date."""
        self._leaves = likely_texts(self.growing.growth)
        while self.growing.growth and self.growing.growth.refused:
            said = self.growing.growth.refused.pop(0)
            self.app.notify(said, severity="warning", markup=False)
        self._index = max(0, min(self._index, len(self._leaves) - 1))
        columns = max(20, self.size.width - 2)
        above, below = self.query_one("#grow-figures", RoleLines), self._texts
        rows = figures(self.growing, columns, max(2, self.size.height // _PART))
        above.styles.height = len(rows)
        above.show(rows, lit=False)
        head = [[Piece("   mass" + " " * 14 + "stands", "muted"), Piece(" " * 7 + "says", "muted")]]
        lines = text_rows(self._leaves, self.explorer.vocabulary, columns)
        below.show(lines, self._index if lines else None, head=head)

    @property
    def _texts(self) -> RoleLines:
        return self.query_one("#grow-texts", RoleLines)

    # Keys

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether it is about to begin, or the path in view to change."""
        del event
        return self.controller.changing

    def action_select(self, by: int) -> None:
        """To another text."""
        self._index = max(0, min(len(self._leaves) - 1, self._index + by))
        self.changed()

    def action_page(self, by: int) -> None:
        """A page of texts on, or back."""
        self.action_select(by * max(1, self._texts.visible_rows - 1))

    def on_role_lines_highlighted(self, event: RoleLines.Highlighted) -> None:
        """A click stands on a text."""
        if event.lines is self._texts:
            self._index = event.index
            self.changed()

    def action_take(self) -> None:
        """Make this text the path in view."""
        if self._leaves:
            self.controller.jobs.change(self._take(self._leaves[self._index]))

    async def _take(self, leaf: Leaf) -> None:
        number = await self.growing.take(leaf)
        self.app.notify(f"Branch {number} is in view.", timeout=2, markup=False)
        self.dismiss(None)

    def action_hold(self) -> None:
        """Stop, or go on."""
        if self.growing.running:
            self.controller.jobs.change(self.growing.hold())
        elif self.growing.is_over:
            self.action_edit()
        elif self.has_engine():
            self.growing.go_on()

    def action_watch(self) -> None:
        """Ask for a text to watch."""
        self.app.push_screen(Ask(_TEXT, take=self._watch))

    async def _watch(self, words: str) -> None:
        self.growing.watch(words)

    def action_edit(self) -> None:
        """Ask for another budget."""
        if self.has_engine():
            words = self.growing.budget.words()
            self.app.push_screen(Ask(ASKED, words, replaced=True, take=self._edited))

    async def _edited(self, text: str) -> None:
        budget, by = asked_growth(text)
        before = self.growing
        if by in (None, before.by):
            await before.change_budget(budget)
            return
        await before.hold()
        self.growing = Growing(self.controller, budget, by, self.changed)
        await self.growing.begin()
        for watch in before.growth.watches if before.growth else ():
            self.growing.watch(watch.words)

    async def action_close(self) -> None:
        """Stop, and back to the main screen."""
        await self.growing.hold()
        self.dismiss(None)
