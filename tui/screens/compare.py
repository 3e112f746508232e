"""`d`: branches side by side from their fork, live."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.presenters.compare import chosen, compare
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.tui.screens.why import WhyScreen
from tokexplore.widgets.compare import CompareView
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar, KeyHint
from tokexplore.widgets.title_rule import Part, TitleRule, legend_parts


class CompareScreen(LiveScreen):
    """Two to four branches; the one that streams grows as it does."""

    mode = "COMPARE"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,backspace,d,escape,ctrl+g",
            "close",
            "close",
            id="compare.close",
            priority=True,
            key_display="q d ⌫",
            tooltip="Back to the main screen.",
        ),
        Binding(
            "v",
            "mode",
            "text or tokens",
            id="compare.mode",
            tooltip="Running text, or one token a line with its surprisal.",
        ),
        Binding(
            "space",
            "play",
            "pause, go on",
            id="compare.play",
            tooltip="Pause the stream, or go on with the branch in view.",
        ),
        Binding(
            "o",
            "other",
            "other branch",
            id="compare.other",
            tooltip="Make the next of these branches the one in view.",
        ),
        Binding(
            "Y",
            "why",
            "why",
            id="compare.why",
            tooltip="Why they part: the fork's step, one token against the other.",
        ),
    ]

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self.numbers = chosen(controller.explorer)
        self._seen: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule()
        yield CompareView()
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the branches and keep them live."""
        hints = [
            KeyHint("↑↓", "scroll", 9),
            KeyHint("{compare.mode:v}", "text/tokens", 8, "mode"),
            KeyHint("{compare.play:space}", "pause/go on", 7, "play"),
            KeyHint("{compare.other:o}", "other branch", 6, "other"),
            KeyHint("{compare.why:Y}", "why", 5, "why"),
        ]
        self.show_keys(hints, "compare.close")
        title = f"{len(self.numbers)} branches from their fork"
        self.query_one(TitleRule).show([Part(title, "text")], legend_parts("surprisal"))
        self.query_one(CompareView).focus()
        self.changed()

    def paint_parts(self) -> None:
        """Bring the view up to date where its branches have changed."""
        controller, explorer = self.controller, self.explorer
        tips = tuple(explorer.tree.branch(n).tip for n in self.numbers)
        seen = (tips, controller.live_leaves, self.numbers)
        if seen == self._seen or not tips:
            return
        self._seen = seen
        self.query_one(CompareView).show(*compare(explorer, self.numbers, controller.live_leaves))

    def action_mode(self) -> None:
        """Running text, or one token a line."""
        self.query_one(CompareView).toggle_mode()

    def action_play(self) -> None:
        """Pause, or go on with the branch in view."""
        controller = self.controller
        if controller.replay is not None:
            self.app.notify("Space in the main screen goes on.", timeout=3, markup=False)
        else:
            controller.jobs.change(controller.go_on())

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether another branch is about to come into view."""
        del event
        return self.controller.changing

    def action_other(self) -> None:
        """Make the next of these branches the one in view."""
        self.controller.jobs.change(self._switch())

    async def _switch(self) -> None:
        number = await self.controller.switch(self._following, stay=True)
        self.app.notify(f"Branch {number} is in view.", timeout=2, markup=False)

    def _following(self) -> int:
        """The one of these branches that comes after the one in view."""
        branch = self.controller.explorer.branch
        at = self.numbers.index(branch.number) if branch and branch.number in self.numbers else -1
        return self.numbers[(at + 1) % len(self.numbers)]

    def why_not(self, action: str) -> str:
        """A model's inside is seen here alone."""
        return self.controller.link.why_not("why", "inside") if action == "why" else ""

    def action_why(self) -> None:
        """Why the branch in view and the next of these part."""
        if self.has_engine():
            self.controller.jobs.change(self.controller.while_paused(self._open_why))

    async def _open_why(self) -> None:
        await self.app.push_screen(WhyScreen(self.controller, self._following()))

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)
