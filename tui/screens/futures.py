"""`F`: many futures of a step at once, a lane each."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.futures import ORDERS, Futures, Lane, asked_choice
from tokexplore.tui.presenters.lanes import LEAST_COLUMNS, LaneText, lane_head, lanes_note
from tokexplore.tui.presenters.status import step_title
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.widgets.header import Header, HeaderValues
from tokexplore.widgets.keybar import KeyBar, KeyHint
from tokexplore.widgets.role_lines import RoleLines
from tokexplore.widgets.title_rule import Part, TitleRule, legend_parts

ASKED = "How many of the first candidates (4), all above a share (2%), or draws (draws 6)"
LEAST_ROWS = 4
"""Of a lane: its head, and text."""


class FuturesScreen(LiveScreen):
    """Lanes beside each other, or below each other where the screen is narrow.

    Args:
        futures: begun.
    """

    DEFAULT_CSS = """
    FuturesScreen {
        background: $background; color: $foreground;
        & #lanes { height: 1fr; }
        & #lanes.-beside { layout: horizontal; }
        & #lanes RoleLines { width: 1fr; height: 1fr; padding: 0 1; }
        & #lanes-note {
            height: auto; padding: 0 1; color: $muted; text-wrap: nowrap; text-overflow: ellipsis;
        }
    }
    """
    mode = "FUTURES"
    frames = 8  # all lanes change in each: nobody reads more of them
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,backspace,F,escape,ctrl+g", "close", "close", id="futures.close", priority=True,
            key_display="q F ⌫", tooltip="Back to the main screen; what streams goes on.",
        ),
        Binding("up,left,k", "select(-1)", "lane", id="futures.up", priority=True,
                tooltip="The lane before."),
        Binding("down,right,j", "select(1)", "lane", id="futures.down", priority=True,
                tooltip="The next lane."),
        Binding("pageup", "page(-1)", "page", id="futures.page_up", priority=True,
                tooltip="As many lanes back as are in view."),
        Binding("pagedown", "page(1)", "page", id="futures.page_down", priority=True,
                tooltip="As many lanes on as are in view."),
        Binding("enter", "take", "go there", id="futures.take", priority=True,
                tooltip="Make this lane the path in view, while the others go on."),
        Binding("space", "toggle_all", "hold all", id="futures.hold", priority=True,
                tooltip="Hold all lanes, or let them go on."),
        Binding("s", "hold_one", "hold one", id="futures.toggle",
                tooltip="Hold this lane, or let it go on."),
        Binding("x", "drop", "drop", id="futures.drop",
                tooltip="Leave this lane out and hide its branch; nothing is deleted."),
        Binding("o", "order", "order", id="futures.order",
                tooltip="Sort them as they began, by their first token's mass, by nats a token."),
        Binding("f", "fold", "fold twins", id="futures.fold",
                tooltip="Lanes that say by other tokens what one before says: leave out, or show."),
        Binding("e", "edit", "others", id="futures.edit", tooltip="Other futures of this step."),
        Binding("m", "mark", "mark", id="futures.mark",
                tooltip="Mark this lane's branch for comparison."),
    ]  # fmt: skip

    def __init__(self, controller: Controller, futures: Futures) -> None:
        super().__init__(controller)
        self.futures, self._folded = futures, False
        self._here: Lane | None = None
        """The lane under the cursor: it stays that, however they are sorted."""
        self._last = 0
        """Its place, for when it is there no longer."""
        self._texts = dict[Lane, LaneText]()
        self._widgets = list[RoleLines]()
        """Of the lanes in view: what is being removed is among the children for a while."""
        self._note = ""

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule()
        yield Container(id="lanes")
        yield Static(id="lanes-note", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """The lines around the lanes."""
        hints = [
            KeyHint("{futures.up:↑}{futures.down:↓}", "lane", 9),
            KeyHint("{futures.take:⏎}", "go there", 8, "take"),
            KeyHint("{futures.hold:space}", "hold all/go on", 9, "toggle_all"),
            KeyHint("{futures.toggle:s}", "this one", 7, "hold_one"),
            KeyHint("{futures.drop:x}", "drop", 6, "drop"),
            KeyHint("{futures.order:o}", "order", 5, "order"),
            KeyHint("{futures.edit:e}", "others", 4, "edit"),
            KeyHint("{futures.fold:f}", "fold twins", 3, "fold"),
            KeyHint("{futures.mark:m}", "mark", 2, "mark"),
        ]
        self.show_keys(hints, "futures.close")
        title = step_title(self.explorer, self.size.width // 3)
        self.query_one(TitleRule).show([Part("futures", "text"), *title], legend_parts("surprisal"))

    def on_resize(self, event: events.Resize) -> None:
        """All lanes anew."""
        del event
        self.changed()

    def on_role_lines_widened(self) -> None:
        """Text for the new width."""
        self.paint_anew()

    @property
    def shown(self) -> list[Lane]:
        """The lanes that are not folded."""
        lanes = self.futures.lanes
        return [lane for lane in lanes if not (self._folded and self.futures.twin(lane))]

    @property
    def lane(self) -> Lane | None:
        """The lane under the cursor."""
        lanes = self.shown
        return lanes[self._place(lanes)] if lanes else None

    def _place(self, lanes: list[Lane]) -> int:
        """Where the lane under the cursor stands; where it is left out, the one in its place."""
        at = lanes.index(self._here) if self._here in lanes else min(self._last, len(lanes) - 1)
        self._here, self._last = lanes[at], at
        return at

    # Painting

    def header_values(self) -> HeaderValues:
        """That of the lanes, while any streams."""
        values = super().header_values()
        if not self.futures.live or self.controller.streaming:
            return values
        rate = self.controller.branch_streams.rate
        return values._replace(state="streaming", detail="", tokens_per_second=rate)

    def paint_parts(self) -> None:
        """Bring the lanes in view up to date."""
        lanes, box = self.shown, self.query_one("#lanes", Container)
        if not lanes:
            return
        beside = self.size.width // len(lanes) >= LEAST_COLUMNS
        box.set_class(beside, "-beside")
        room = len(lanes) if beside else max(1, box.size.height // LEAST_ROWS)
        count = min(len(lanes), room)
        here = self._place(lanes)
        first = min(here // count * count, len(lanes) - count)
        if len(self._widgets) != count:
            self._mount_lanes(box, count)
            return
        for at, widget in enumerate(self._widgets, first):
            self._paint_lane(widget, lanes[at], here=at == here)
        note = lanes_note(self.futures, count)
        if note != self._note:  # a Static lays the whole screen out
            self._note = note
            self.query_one("#lanes-note", Static).update(note)

    def _mount_lanes(self, box: Container, count: int) -> None:
        """As many widgets as there are lanes in view; painted when they are there."""
        for widget in self._widgets[count:]:
            widget.remove()
        new = [RoleLines() for _ in range(count - len(self._widgets))]
        box.mount_all(new)
        self._widgets = self._widgets[:count] + new
        self.call_after_refresh(self.paint_anew)

    def _paint_lane(self, widget: RoleLines, lane: Lane, *, here: bool) -> None:
        columns = max(20, widget.size.width - 2)
        head = lane_head(self.futures, lane, columns, here=here)
        text = self._texts.get(lane)
        if text is None or text.columns != columns:
            text = LaneText(self.futures.tree, self.futures.vocabulary, lane, columns)
            self._texts[lane] = text
        rows = text.last(self.size.height)  # however high its lane will be
        widget.show(rows, len(rows) - 1, head=head, lit=False)

    # Keys

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether lanes are about to begin, or the path in view to change."""
        del event
        return self.controller.changing

    def action_select(self, by: int) -> None:
        """To another lane."""
        if lanes := self.shown:
            self._here = lanes[max(0, min(len(lanes) - 1, self._place(lanes) + by))]
            self.changed()

    def action_page(self, by: int) -> None:
        """To a lane that is out of view."""
        self.action_select(by * len(self._widgets))

    def action_take(self) -> None:
        """Make the lane the path in view."""
        if self.lane is not None:
            self.controller.jobs.change(self._take(self.lane))

    async def _take(self, lane: Lane) -> None:
        number = await self.futures.take(lane)
        self.app.notify(f"Branch {number} is in view.", timeout=2, markup=False)
        self.dismiss(None)

    def action_toggle_all(self) -> None:
        """Hold all lanes, or let them go on."""
        if self.futures.live or self.has_engine():
            self.controller.jobs.change(self.futures.toggle_all())

    def action_hold_one(self) -> None:
        """Hold this lane, or let it go on."""
        if (lane := self.lane) is None:
            return
        if lane.live:
            self.controller.jobs.change(self.futures.hold(lane))
        elif self.has_engine():
            self.futures.go_on(lane)
            self.changed()

    def action_drop(self) -> None:
        """Leave this lane out."""
        if self.lane is not None:
            self.controller.jobs.change(self.futures.drop(self.lane))

    def action_order(self) -> None:
        """The next order."""
        following = (ORDERS.index(self.futures.order) + 1) % len(ORDERS)
        self.futures.order = ORDERS[following]
        self.changed()

    def action_fold(self) -> None:
        """Leave lanes out that say what another says, or show them."""
        if not self._folded and not any(map(self.futures.twin, self.futures.lanes)):
            self.app.notify("No lane says what another one says.", timeout=3, markup=False)
            return
        self._folded = not self._folded
        self.changed()

    def action_mark(self) -> None:
        """Mark this lane's branch for comparison, or take the mark off."""
        if (lane := self.lane) is not None:
            self.explorer.mark(self.futures.tree.branch_of[lane.leaf])
            marked = ", ".join(map(str, self.explorer.marked)) or "none"
            self.app.notify(f"Marked for comparison: {marked}.", timeout=3, markup=False)

    def action_edit(self) -> None:
        """Ask for other futures of this step."""
        if self.has_engine():
            self.app.push_screen(Ask(ASKED, "4", replaced=True, take=self._edited))

    async def _edited(self, text: str) -> None:
        await self.futures.begin(asked_choice(text))
        self._here, self._last = None, 0
        self._texts.clear()

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)
