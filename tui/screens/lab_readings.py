"""What every run read of both sides of a fork, or of a close call: figures and dots."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.display import counted, safe_text
from tokexplore.models.lab.sides import Place, sides_of
from tokexplore.models.tree.study import Study
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.screens.lab_lines import place_lines, place_title, readings_table, runs_of
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar, KeyHint
from tokexplore.widgets.title_rule import Part, TitleRule

_HEAD_ROWS = 2
"""Lines of the table's head."""


class ReadingsScreen(LiveScreen):
    """A line for each different reading above, the runs that had it below.

    Args:
        places: the forks of a study, or its closest calls.
        index: of the one to begin with.
    """

    DEFAULT_CSS = """
    ReadingsScreen {
        background: $background; color: $foreground;
        & VerticalScroll { padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
        & Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
        & #readings-words { padding: 0 1; margin-bottom: 1; text-wrap: wrap; }
        & #readings-head { padding: 0 1; }
        & #readings-rows { height: 1fr; }
    }
    """
    mode = "LAB"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,backspace,i,escape,ctrl+g", "close", "close", id="readings.close", priority=True,
            key_display="q i ⌫", tooltip="Back to the lab.",
        ),
        Binding(
            "up,k", "select(-1)", "reading", id="readings.up", priority=True,
            tooltip="The reading above.",
        ),
        Binding(
            "down,j", "select(1)", "reading", id="readings.down", priority=True,
            tooltip="The reading below.",
        ),
        Binding(
            "pageup", "runs(-1)", "runs", id="readings.runs_up", priority=True,
            tooltip="Its runs, up.",
        ),
        Binding(
            "pagedown", "runs(1)", "runs", id="readings.runs_down", priority=True,
            tooltip="Its runs, down.",
        ),
        Binding("n", "place(1)", "next step", id="readings.next", tooltip="The next fork or call."),
        Binding(
            "N", "place(-1)", "previous step", id="readings.previous",
            tooltip="The fork or call before.",
        ),
    ]  # fmt: skip

    def __init__(
        self, controller: Controller, study: Study, places: Sequence[Place], index: int
    ) -> None:
        super().__init__(controller)
        self._study, self._places = study, places
        self._place, self._row = index, 0

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule(id="readings-title")
        yield Static(id="readings-words")
        yield Static(id="readings-head")
        yield VerticalScroll(Static(id="readings-table"), id="readings-rows")
        yield TitleRule(id="readings-rule")
        yield VerticalScroll(Static(id="readings-list"), id="readings-runs")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the first place."""
        hints = [
            KeyHint("{readings.up:↑}{readings.down:↓}", "reading", 9),
            KeyHint("{readings.next:n}{readings.previous:N}", "next, previous step", 8, "place(1)"),
            KeyHint("{readings.runs_down:pgdn}", "more runs", 7, "runs(1)"),
        ]
        self.show_keys(hints, "readings.close")
        for scroll in self.query(VerticalScroll):
            scroll.can_focus = False
        self.changed()

    def on_resize(self, event: events.Resize) -> None:
        """Everything anew."""
        del event
        self.changed()

    def paint_parts(self) -> None:
        """The place, its table, and the runs of the line under the cursor."""
        study, place, vocabulary = self._study, self._places[self._place], self.explorer.vocabulary
        number = Part(f"{self._place + 1} of {len(self._places)}")
        self.query_one("#readings-title", TitleRule).show(
            place_title(place, vocabulary), [number, Part(f"{study.dtype} · {study.setting}")]
        )
        words = place_lines(study, place, vocabulary)
        self.query_one("#readings-words", Static).update(words)
        columns = max(20, self.query_one("#readings-rows").content_size.width - 1)
        table = readings_table(place, vocabulary, self._row, columns).split("\n")
        head, rows = table[:_HEAD_ROWS], table[_HEAD_ROWS:]
        self.query_one("#readings-head", Static).update(Content("\n").join(head))
        self.query_one("#readings-table", Static).update(Content("\n").join(rows))
        runs = sides_of(place)[self._row].runs
        self.query_one("#readings-rule", TitleRule).show(
            [Part(f"read by {counted(len(runs), 'run')}, computed so", "here")]
        )
        lines = [Content(safe_text(line)) for line in runs_of(study, runs)]
        most = max(3, self.size.height // 3)
        self.query_one("#readings-runs").styles.height = min(most, len(lines))
        self.query_one("#readings-list", Static).update(Content("\n").join(lines))

    def action_select(self, by: int) -> None:
        """To another reading."""
        self._row = max(0, min(len(sides_of(self._places[self._place])) - 1, self._row + by))
        rows = self.query_one("#readings-rows", VerticalScroll)
        rows.scroll_to(y=max(0, self._row - rows.size.height // 2), animate=False)
        self.query_one("#readings-runs", VerticalScroll).scroll_home(animate=False)
        self.changed()

    def action_runs(self, by: int) -> None:
        """Scroll the runs of the reading."""
        runs = self.query_one("#readings-runs", VerticalScroll)
        runs.scroll_to(y=max(0, runs.scroll_y + by * max(1, runs.size.height - 1)), animate=False)

    def action_place(self, by: int) -> None:
        """To another fork, or another close call."""
        index = self._place + by
        if not 0 <= index < len(self._places):
            self.notify("No more steps.", timeout=2, markup=False)
            return
        self._place, self._row = index, 0
        self.action_select(0)

    def action_close(self) -> None:
        """Back to the lab."""
        self.dismiss(None)
