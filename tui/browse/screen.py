"""The main screen: transcript, candidates, branches, entropy, painted as often as eyes follow."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from tokexplore.tui.browse.annotations import AnnotationActions
from tokexplore.tui.browse.base import Actions, BrowseBase, Host
from tokexplore.tui.browse.branches import BranchActions
from tokexplore.tui.browse.display import DisplayActions
from tokexplore.tui.browse.examples import ExampleActions
from tokexplore.tui.browse.generation import GenerationActions
from tokexplore.tui.browse.key_hints import Now, key_hints
from tokexplore.tui.browse.navigation import NavigationActions
from tokexplore.tui.browse.prompts import PromptActions
from tokexplore.tui.browse.second import SecondActions
from tokexplore.tui.browse.step_panel import StepPanel
from tokexplore.tui.browse.story_panel import StoryPanel
from tokexplore.tui.browse.strip_panel import StripPanel
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.session_recorder import ScreenState
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.keys import bindings
from tokexplore.tui.presenters.branches import BranchRows
from tokexplore.tui.screens.parts import has_parts
from tokexplore.tui.terminal.frame_writer import Seen
from tokexplore.widgets.branches import BranchList
from tokexplore.widgets.candidates import CandidateTable
from tokexplore.widgets.entropy_strip import EntropyStrip
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar
from tokexplore.widgets.title_rule import TitleRule
from tokexplore.widgets.transcript import Transcript

SMALLEST = Size(60, 15)
NARROW = 104
"""Width under which the branch list is one key away instead of beside the candidates."""
WIDE = 168
"""Width from which the branch list has room for words beside its numbers."""
LEAST_STORY, LEAST_TABLE = 5, 11
"""Rows of the transcript, and of the candidates with their head and the line of the rest."""
FIXED_ROWS = 7
"""Header, two rules, strip of two rows, its rule and the key bar."""
ON_ROWS = {
    "row", "page", "taken_row", "second_row", "take", "take_nth", "find", "settings", "ladder",
    "watch",
}  # fmt: skip
"""Actions on the candidates of the step in view."""
TYPED_AHEAD = 0.25
"""Seconds within which no key is an answer to what the screen shows."""


class BrowseScreen(BrowseBase):
    """BROWSE mode: letters are commands, arrows are step and candidate."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings())

    def __init__(
        self,
        controller: Controller,
        host: Host,
        *,
        first: bool = False,
        state: ScreenState = ScreenState(),  # noqa: B008 -- it is frozen
    ) -> None:
        super().__init__(controller, host)
        self._state = state
        self.fits = True
        """Whether the terminal has room for what this screen shows."""
        self._hinted: Now | None = None
        self.story, self.step, self.strip = StoryPanel(self), StepPanel(self), StripPanel(self)
        self.branch_rows = BranchRows(self.explorer)
        examples = ExampleActions(self)
        self._prompts = PromptActions(self, examples, first=first)
        self._branches = BranchActions(self, self.step)
        self.navigation = NavigationActions(self, self.story, self.step, self._branches)
        self._generation = GenerationActions(self, self.step, self._prompts)
        self._action_parts: tuple[Actions, ...] = (
            examples,
            self._prompts,
            self._branches,
            self.navigation,
            self._generation,
            AnnotationActions(self, self.navigation),
            DisplayActions(self, self.story, self.step, self._watch_changed),
            SecondActions(self, self.step),
        )
        self._take_actions()

    def _take_actions(self) -> None:
        """Textual looks an action up by its name on the screen."""
        for part in self._action_parts:
            for name in dir(part):
                if name.startswith("action_"):
                    setattr(self, name, getattr(part, name))

    def why_not(self, action: str) -> str:
        """See `Actions.why_not`."""
        return next(filter(None, (part.why_not(action) for part in self._action_parts)), "")

    @property
    def awaits_model(self) -> bool:  # type: ignore[override]
        """See `BrowseBase`."""
        return self._prompts.awaits_model

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule(id="story-rule")
        yield Transcript(id="story")
        yield TitleRule(id="step-rule")
        with Horizontal(id="step"):
            yield CandidateTable(id="candidates")
            yield BranchList(id="branches")
        yield TitleRule(id="strip-rule")
        yield EntropyStrip(id="strip")
        yield KeyBar()
        yield Static(id="too-small")

    def on_mount(self) -> None:
        """Paint, and begin with whatever the command line asked for."""
        self.query_one(CandidateTable).column_set = self._state.columns
        self.query_one(CandidateTable).bits = self._state.bits
        self.query_one(Transcript).folded = self._state.folded
        self.query_one(Transcript).boundaries = self._state.boundaries
        self.story.path_view.recolour(self._state.colouring)
        self.changed()
        self._bindings.apply_keymap(rebinding_of(self.app).keymap)  # `keeps_waiting` looks at them
        self._prompts.begin()

    def shown_as(self) -> ScreenState:
        """How things are shown at present; as they begin, where not all parts are there yet."""
        if not (self.is_mounted and has_parts(self)):
            return self._state
        table = self.query_one(CandidateTable)
        return ScreenState(
            self.story.path_view.colouring,
            table.column_set,
            table.bits,
            self.query_one(Transcript).folded,
            self.query_one(Transcript).boundaries,
        )

    def on_resize(self, event: events.Resize) -> None:
        """Share the rows between text and candidates."""
        self._share_rows(event.size)
        self.query_one("#branches").styles.width = 36 if event.size.width < WIDE else 68
        self.set_class(event.size.width < NARROW, "-narrow")
        self._show_whether_it_fits(event.size)
        self.changed()

    def _share_rows(self, size: Size) -> None:
        rows = size.height - FIXED_ROWS - len(self.controller.watchlist.tokens)
        table = min(rows - LEAST_STORY, max(LEAST_TABLE, rows * 3 // 5))
        self.query_one("#step").styles.height = max(3, table)

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether a key is for what is about to change, or for rows that were asked for."""
        if not self.is_mounted:
            return True
        bound = self._bindings.key_to_bindings.get(getattr(event, "key", ""), ())
        action = next((binding.action.partition("(")[0] for binding in bound), "")
        if action == "play" and self.controller.streams.seconds > TYPED_AHEAD:
            return False  # it pauses what is seen to stream
        if self.controller.changing:
            return True
        return action in ON_ROWS and (
            self.step.fetching or self.controller.queries.awaits_distribution
        )

    def _watch_changed(self) -> None:
        """Give the watched tokens a row each."""
        self._share_rows(self.size)
        self.changed()

    def _show_whether_it_fits(self, size: Size) -> None:
        """On a terminal that is too small for anything useful, say so and nothing else."""
        self.fits = fits = size.width >= SMALLEST.width and size.height >= SMALLEST.height
        self.set_class(not fits, "-too-small")
        for child in self.children:
            if not child.has_class("-textual-system"):  # tooltips and notices show themselves
                child.display = (child.id == "too-small") != fits
        self.query_one("#too-small", Static).update(
            Content(
                f"tokexplore needs {SMALLEST.width} x {SMALLEST.height} cells: this terminal has "
                f"{size.width} x {size.height}. Make it larger, or ctrl+q."
            )
        )

    def paint_parts(self) -> None:
        """Bring every panel up to the state of explorer and controller."""
        controller, explorer, story = self.controller, self.explorer, self.story
        distribution = controller.queries.distribution()
        story.paint()
        self.step.paint(distribution, story.path_view.noise)
        bits = self.step.table.bits
        self._paint_branches(bits=bits)
        self._paint_keys()
        self.strip.paint(story.path_view, story.unchanged, bits=bits)
        controller.second.read_on()
        controller.noise.measure_when_idle()
        self.host.frames.painted = Seen(explorer.cursor, explorer.row, explorer.moves)

    def _paint_keys(self) -> None:
        now = Now(self.controller.streaming, bool(self.story.path_view.turns))
        if now != self._hinted:
            self._hinted = now
            self.query_one(KeyBar).show(*rebinding_of(self.app).hints(*key_hints(now)))

    def _paint_branches(self, *, bits: bool) -> None:
        rows = self.branch_rows
        rows.update(self.controller.live_leaves)
        # Also while it is out of sight: a wider terminal draws it before the next frame.
        branches = self.query_one(BranchList)
        branches.bits = bits
        branches.show(rows, rows.current, rows.depths)

    def on_transcript_picked(self, event: Transcript.Picked) -> None:
        """A click stands on a token."""
        self.explorer.place(event.index, jump=True)
        self.changed()

    def on_transcript_aside_picked(self, event: Transcript.AsidePicked) -> None:
        """A click on a branch that was left goes back to it."""
        self._branches.switch(event.branch)

    def on_entropy_strip_picked(self, event: EntropyStrip.Picked) -> None:
        """A click stands on a step."""
        self.explorer.place(event.index + self.strip.start, jump=True)
        self.changed()

    def on_candidate_table_highlighted(self, event: CandidateTable.Highlighted) -> None:
        """A click moves the candidate cursor."""
        self.explorer.row = event.index
        self.changed()

    def on_candidate_table_picked(self, event: CandidateTable.Picked) -> None:
        """A double click takes the row."""
        self.explorer.row = event.index
        self._generation.action_take()

    def on_candidate_table_page_wanted(self) -> None:
        """The table was scrolled past what it was given."""
        self.changed()

    def on_branch_list_highlighted(self, event: BranchList.Highlighted) -> None:
        """A click switches."""
        self._branches.switch(event.number)
