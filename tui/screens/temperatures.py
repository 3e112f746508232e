"""`C`: a step under several temperatures, and the continuations below each other."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from tokexplore.models.display import safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.randomness import seed_after
from tokexplore.models.untrusted import brief
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.temperature_runs import TEMPERATURES, TemperatureRun, TemperatureRuns
from tokexplore.tui.presenters.sources import shared_passes
from tokexplore.tui.presenters.status import step_title
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.tui.screens.temperature_lines import run_content
from tokexplore.widgets.cell_text import fitting
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar, KeyHint
from tokexplore.widgets.title_rule import SEPARATOR, Part, TitleRule, legend_parts


class TemperaturesScreen(LiveScreen):
    """One row for each temperature; `enter` keeps a continuation as a branch."""

    DEFAULT_CSS = """
    TemperaturesScreen {
        background: $background; color: $foreground;
        & VerticalScroll { padding: 0 1; scrollbar-size-vertical: 1; }
        & VerticalScroll Static { height: auto; margin-bottom: 1; }
        & #passes-note { height: 1; padding: 0 1; color: $muted; }
    }
    """
    mode = "TEMPERATURES"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,backspace,C,escape,ctrl+g", "close", "close", id="ladder.close", priority=True,
            key_display="q C ⌫", tooltip="Back to the main screen.",
        ),
        Binding(
            "up,k", "select(-1)", "row", id="ladder.up", priority=True, tooltip="The row above."
        ),
        Binding(
            "down,j", "select(1)", "row", id="ladder.down", priority=True, tooltip="The row below."
        ),
        Binding(
            "enter", "keep", "keep", id="ladder.keep", priority=True,
            tooltip="Keep this continuation as a branch.",
        ),
        Binding(
            "e,t", "edit", "temperatures", id="ladder.edit", tooltip="Other temperatures."
        ),
        Binding(
            "r", "again", "again", id="ladder.again", tooltip="Continue again with the next seed."
        ),
    ]  # fmt: skip

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self.temperature_runs = TemperatureRuns(controller, self.changed)
        self._index = 0
        self._seed = self.explorer.settings.seed
        self._temperatures: tuple[float, ...] = TEMPERATURES

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule()
        yield VerticalScroll()
        yield Static(id="passes-note", markup=False)
        yield KeyBar()

    async def on_mount(self) -> None:
        """Run the usual temperatures at once."""
        hints = [
            KeyHint("{ladder.up:↑}{ladder.down:↓}", "row", 9),
            KeyHint("{ladder.keep:⏎}", "keep as a branch", 8, "keep"),
            KeyHint("{ladder.edit:e}", "temperatures", 7, "edit"),
            KeyHint("{ladder.again:r}", "next seed", 6, "again"),
        ]
        self.show_keys(hints, "ladder.close")
        title = step_title(self.explorer, self.size.width // 3)
        self.query_one(TitleRule).show(
            [Part("temperatures", "text"), *title], legend_parts("surprisal")
        )
        self.query_one(VerticalScroll).can_focus = False
        await self._begin()

    def on_resize(self, event: events.Resize) -> None:
        """All rows for the new width."""
        del event
        self.call_after_refresh(self.changed)

    def on_unmount(self) -> None:
        """Nothing goes on unseen."""
        self.temperature_runs.stop()

    async def _begin(self) -> None:
        self.temperature_runs.start(self._temperatures, self._seed)
        self._index = min(self._index, len(self.temperature_runs.runs) - 1)
        scroll = self.query_one(VerticalScroll)
        await scroll.remove_children()
        await scroll.mount_all(Static() for _ in self.temperature_runs.runs)
        self.call_after_refresh(self.changed)

    def paint_parts(self) -> None:
        """Bring the rows up to date."""
        vocabulary = self.explorer.vocabulary
        rows = list(self.query_one(VerticalScroll).query(Static))
        columns = self.query_one(VerticalScroll).content_size.width - 1
        for index, (row, run) in enumerate(zip(rows, self.temperature_runs.runs, strict=False)):
            listed = self.temperature_runs.listed
            row.update(run_content(run, listed, vocabulary, columns, here=index == self._index))
        self._paint_note(columns)

    def _paint_note(self, columns: int) -> None:
        """Where the dtype is coarse: that the runs went on together, and what follows of it."""
        info = self.controller.link.info
        drawn = (event for run in self.temperature_runs.runs for event in run.drawn)
        rows = max((event.distribution.rows for event in drawn), default=1)
        said = shared_passes(rows, info.dtype) if info else []
        note = self.query_one("#passes-note", Static)
        note.display = bool(said)
        note.update(fitting(said, columns, SEPARATOR))

    def action_select(self, by: int) -> None:
        """To another row."""
        self._index = max(0, min(len(self.temperature_runs.runs) - 1, self._index + by))
        rows = list(self.query_one(VerticalScroll).query(Static))
        rows[self._index].scroll_visible(animate=False)
        self.changed()

    def action_keep(self) -> None:
        """Keep this continuation as a branch."""
        run = self.temperature_runs.runs[self._index]
        if not run.drawn:
            self.notify("Nothing is written here yet.", timeout=2, markup=False)
            return
        self.controller.jobs.change(self._keep(run))

    async def _keep(self, run: TemperatureRun) -> None:
        number = await self.temperature_runs.keep(run)
        self.app.notify(f"Kept as branch {number}.", timeout=2, markup=False)
        self.changed()

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether a branch is about to come into view."""
        del event
        return self.controller.changing

    async def action_again(self) -> None:
        """Continue again with the next seed."""
        self._seed = seed_after(self._seed, 1)
        await self._begin()

    def action_edit(self) -> None:
        """Ask for other temperatures."""
        shown = ",".join(f"{t:g}" for t in self._temperatures)
        title = "Temperatures, with commas between them"
        self.app.push_screen(Ask(title, shown, replaced=True, take=self._edited))

    async def _edited(self, text: str) -> None:
        before = self._temperatures
        try:
            self._temperatures = _temperatures(text)
            await self._begin()
        except UsageError:
            self._temperatures = before
            raise

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)


def _temperatures(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{safe_text(brief(text))!r} is no list of numbers: 0,0.5,1,2.") from None
