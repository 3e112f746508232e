"""The main screen: transcript, candidates, branches, entropy, painted as often as eyes follow."""

import time
from bisect import bisect_left
from typing import ClassVar

import numpy as np
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from tokexplore.models.distribution import Distribution
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.browse.annotations import Remembering
from tokexplore.tui.browse.base import Host
from tokexplore.tui.browse.branches import Branching
from tokexplore.tui.browse.display import Viewing
from tokexplore.tui.browse.generation import Taking
from tokexplore.tui.browse.navigation import Walking
from tokexplore.tui.browse.prompting import Prompting
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.session_recorder import ScreenState
from tokexplore.tui.keys import COMMANDS, bindings
from tokexplore.tui.presenters.branches import BranchRows
from tokexplore.tui.presenters.candidates import CandidateList
from tokexplore.tui.presenters.path import PathView
from tokexplore.tui.presenters.status import (
    header_values,
    step_figures,
    step_title,
    story_title,
    suggestion,
    watch_parts,
)
from tokexplore.tui.presenters.watchlist import WatchView
from tokexplore.tui.screens.parts import has_parts
from tokexplore.tui.terminal.paced_app import Seen
from tokexplore.widgets.branches import BranchList
from tokexplore.widgets.candidates import CandidateTable
from tokexplore.widgets.entropy_strip import EntropyStrip, Watched
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar, KeyHint
from tokexplore.widgets.numbers import unit_of
from tokexplore.widgets.title_rule import Part, TitleRule, legend_parts
from tokexplore.widgets.transcript import Transcript
from tokexplore.widgets.transcript_lines import Aside

FRAMES_PER_SECOND = 15
"""At most; a key is painted at once where the last frame is older than this allows."""
SMALLEST = Size(60, 15)
NARROW = 104
"""Width under which the branch list is one key away instead of beside the candidates."""
WIDE = 168
"""Width from which the branch list has room for words beside its numbers."""
LEAST_STORY, LEAST_TABLE = 5, 11
"""Rows of the transcript, and of the candidates with their head and the line of the rest."""
FIXED_ROWS = 7
"""Header, two rules, strip of two rows, its rule and the key bar."""
ASIDES = 2
ROOMY = 30
"""Rows from which more than one branch that was left stays in view."""
ASIDE_BEFORE, ASIDE_TOKENS = 4, 60
"""Tokens of a branch that was left that are shown before its fork and after it."""
STRIP_PROMPT = 16
"""Tokens of a folded prompt that stay in the entropy strip."""
LEAST_WORDS = 12
"""Cells of the words before a step that its title shows on any screen."""
PAGE = 256
"""Candidates fetched at once beyond those that are stored."""
ON_ROWS = {
    "row", "page", "taken_row", "take", "take_nth", "find", "settings", "ladder", "watch"
}  # fmt: skip
"""Actions on the candidates of the step in view."""
TYPED_AHEAD = 0.25
"""Seconds within which no key is an answer to what the screen shows."""


class BrowseScreen(Branching, Prompting, Taking, Walking, Viewing, Remembering):
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
        self.first = first
        self.path_view = PathView(self.explorer, controller.noise.gaps)
        self.watch_view = WatchView(controller)
        self._kept = 0
        """Tokens at the start of the path that are as they were in the frame before."""
        self.branch_rows = BranchRows(self.explorer)
        self._list: CandidateList | None = None
        self._fetching = False
        self._known_asides: dict[tuple[int, int], Aside] = {}
        """By leaf and fork; a branch that was left stays as it is."""
        self._dirty = False
        self._painted_at = 0.0

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
        self.path_view.recolour(self._state.colouring)
        self.changed()
        self.query_one(KeyBar).show(*_hints())
        self.begin()

    def shown_as(self) -> ScreenState:
        """How things are shown at present."""
        if not has_parts(self):
            return self._state
        table = self.query_one(CandidateTable)
        return ScreenState(
            self.path_view.colouring,
            table.column_set,
            table.bits,
            self.query_one(Transcript).folded,
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
        return action in ON_ROWS and (self._fetching or self.controller.queries.awaits_distribution)

    def watch_changed(self) -> None:
        """Give the watched tokens a row each."""
        self._kept = 0
        self._share_rows(self.size)
        self.changed()

    def _show_whether_it_fits(self, size: Size) -> None:
        """On a terminal that is too small for anything useful, say so and nothing else."""
        fits = size.width >= SMALLEST.width and size.height >= SMALLEST.height
        for child in self.children:
            if not child.has_class("-textual-system"):  # tooltips and notices show themselves
                child.display = (child.id == "too-small") != fits
        self.query_one("#too-small", Static).update(
            Content(
                f"tokexplore needs {SMALLEST.width} x {SMALLEST.height} cells: this terminal has "
                f"{size.width} x {size.height}. Make it larger, or ctrl+q."
            )
        )

    def changed(self) -> None:
        """Something new is to be shown: at once, or when the last frame is old enough."""
        if not self._dirty and self.is_attached:
            self._dirty = True
            wait = self._painted_at + 1 / FRAMES_PER_SECOND - time.monotonic()
            if wait > 0:
                self.set_timer(wait, self.paint)
            else:
                self.call_next(self.paint)

    @property
    def is_dirty(self) -> bool:
        """Whether something new is to be shown with the next frame."""
        return self._dirty

    def paint(self) -> None:
        """Bring every widget up to the state of explorer and controller."""
        if not self._dirty or not has_parts(self):
            return
        self._dirty, self._painted_at = False, time.monotonic()
        controller, explorer = self.controller, self.explorer
        distribution = controller.queries.distribution()
        self.query_one(Header).show(header_values(controller, recording=self.host.recording))
        self._paint_story()
        self._paint_step(distribution)
        self._paint_branches()
        self._paint_strip()
        controller.noise.measure_when_idle()
        self.host.painted(Seen(explorer.cursor, explorer.row, explorer.moves))

    def _paint_story(self) -> None:
        explorer, view = self.explorer, self.path_view
        keep = self._kept = view.update()
        story = self.query_one(Transcript)
        story.live = (
            self.controller.streams.leaf is not None
            and self.controller.streams.leaf == explorer.leaf
        )
        story.following = explorer.following
        story.show(view.cells, keep, view.level)
        story.cursor = explorer.cursor
        story.aside(self._asides())
        self.query_one("#story-rule", TitleRule).show(
            [Part(story_title(explorer), "text")], legend_parts(view.colouring)
        )

    def _asides(self) -> list[Aside]:
        explorer, tree = self.explorer, self.explorer.tree
        asides: list[Aside] = []
        for leaf in reversed(explorer.left):
            fork = tree.common(leaf, explorer.leaf)
            if fork in (leaf, explorer.leaf) or tree.is_out_of_sight(leaf):
                continue
            known = self._known_asides.get((leaf, fork))
            if known is None:
                known = self._known_asides[leaf, fork] = self._aside(leaf, fork)
            if all((known.before, known.text) != (one.before, one.text) for one in asides):
                asides.append(known)
            if len(asides) == (ASIDES if self.size.height >= ROOMY else 1):
                break
        return asides

    def _aside(self, leaf: int, fork: int) -> Aside:
        explorer, tree = self.explorer, self.explorer.tree
        path, at = tree.path(leaf), tree.depth[fork]
        before = explorer.words(path, max(0, at - ASIDE_BEFORE), at)
        after = explorer.words(path, at, at + ASIDE_TOKENS)
        return Aside(tree.branch_of[leaf], before, after)

    def _paint_step(self, distribution: Distribution | None) -> None:
        controller, explorer = self.controller, self.explorer
        table = self.query_one(CandidateTable)
        view = controller.queries.sampler_view()
        room = max(LEAST_WORDS, self.size.width // 4)
        noise = self.path_view.noise
        figures = step_figures(controller, distribution, view, noise, bits=table.bits)
        self.query_one("#step-rule", TitleRule).show(step_title(explorer, room), figures)
        if distribution is None:
            self._list = None
            table.empty_text = self._why_empty()
            table.show(None)
            return
        known = self._list
        if known is None or known.node != explorer.before or known.distribution is not distribution:
            known = self._list = CandidateList(explorer.before, distribution)
        first = min(table.top, explorer.row)
        rows = range(first, max(first + table.visible_rows, explorer.row + 1))
        if rows.stop > len(known):
            self.fetch(known)
        note = "live" if controller.streaming and explorer.following else ""
        table.show(known.page(explorer, view, rows, note), explorer.row)

    def _why_empty(self) -> str:
        if self.explorer.before in self.explorer.tree.distribution.damaged:
            return f"damaged in the session's file{self._again()}"
        if self.controller.state == "loading":
            said = "the model is loading; a prompt can be typed meanwhile (p)"
            return (
                f"{said} · {self.controller.link.memory}" if self.controller.link.memory else said
            )
        if self.controller.state == "lost":
            return "the engine is gone; space starts it again"
        if self.controller.state == "recorded":
            return "nothing is recorded here; space loads the model and goes on"
        if self.explorer.before == ROOT:
            return "nothing comes before the first token" if self.explorer.nodes else "p: a prompt"
        if self.explorer.tree.ended.get(self.explorer.before) == "interrupted":
            return "stopped before the model came here; space goes on"
        return "computing…"

    def _again(self) -> str:
        """Whether what is damaged is computed again."""
        if self.controller.state == "recorded":
            return "; space loads the model, which computes it again"
        return "" if self.controller.link.absent else "; computing it again…"

    def fetch(self, known: CandidateList) -> None:
        """Ask for the candidates after those that are known."""
        if (
            self._fetching
            or self.controller.link.absent
            or len(known) >= known.distribution.vocabulary
        ):
            return
        self._fetching = True

        async def work() -> None:
            try:
                known.add(await self.controller.queries.rows(known.node, len(known), PAGE))
            finally:
                self._fetching = False

        self.controller.jobs.run(work())

    @property
    def known_rows(self) -> int:
        """How many candidates of this step can be walked at once."""
        if self._list is None or self._list.node != self.explorer.before:
            self.paint()
        return len(self._list) if self._list else 0

    def candidate(self, row: int) -> tuple[int, int] | None:
        """The token of a candidate row, and the node that it comes after."""
        self.paint()
        known = self._list
        return (known.ids[row], known.node) if known and row < len(known) else None

    def _paint_branches(self) -> None:
        rows = self.branch_rows
        rows.update(self.controller.streams.leaf)
        # Also while it is out of sight: a wider terminal draws it before the next frame.
        branches = self.query_one(BranchList)
        branches.bits = self.query_one(CandidateTable).bits
        branches.show(rows, rows.current, rows.depths)

    def _paint_strip(self) -> None:
        explorer, view = self.explorer, self.path_view
        start = self._strip_start()
        watched = [
            Watched(explorer.vocabulary.show(token), np.array(line[start:], np.float64))
            for token, line in self.watch_view.update(self._kept).items()
        ]
        bits = self.query_one(CandidateTable).bits
        unit, nats = unit_of(bits=bits)
        strip = self.query_one(EntropyStrip)
        strip.styles.height = 2 + len(watched)
        strip.show(
            np.array(view.entropies[start:]) / nats,
            flips=[index - start for index in view.flips if index >= start],
            close=np.array(view.close[bisect_left(view.close, start) :], np.int64) - start,
            cursor=explorer.cursor - start if explorer.nodes and explorer.cursor >= start else None,
            steps=explorer.numbers()[start:],
            unit=unit,
            watched=watched,
        )
        if self.watch_view.pending:
            self.changed()
        told = watch_parts(self.controller, self.watch_view, bits=bits)
        self.query_one("#strip-rule", TitleRule).show(told, suggestion(self.controller))

    def _strip_start(self) -> int:
        """Index of the strip's first token: it leaves out most of a prompt that is folded."""
        explorer, story = self.explorer, self.query_one(Transcript)
        first, cursor = explorer.first_step, explorer.cursor
        folds = story.folds and first > STRIP_PROMPT
        return first - STRIP_PROMPT if folds and cursor >= first - STRIP_PROMPT else 0

    def on_transcript_picked(self, event: Transcript.Picked) -> None:
        """A click stands on a token."""
        self.explorer.place(event.index, jump=True)
        self.changed()

    def on_transcript_aside_picked(self, event: Transcript.AsidePicked) -> None:
        """A click on a branch that was left goes back to it."""
        self.switch(event.branch)

    def on_entropy_strip_picked(self, event: EntropyStrip.Picked) -> None:
        """A click stands on a step."""
        self.explorer.place(event.index + self._strip_start(), jump=True)
        self.changed()

    def on_candidate_table_highlighted(self, event: CandidateTable.Highlighted) -> None:
        """A click moves the candidate cursor."""
        self.explorer.row = event.index
        self.changed()

    def on_candidate_table_picked(self, event: CandidateTable.Picked) -> None:
        """A double click takes the row."""
        self.explorer.row = event.index
        self.action_take()

    def on_candidate_table_page_wanted(self) -> None:
        """The table was scrolled past what it was given."""
        self.changed()

    def on_branch_list_highlighted(self, event: BranchList.Highlighted) -> None:
        """A click switches."""
        self.switch(event.number)

    async def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        """A click on a hint is its key."""
        await self.run_action(event.hint.action)


def _hints() -> tuple[list[KeyHint], KeyHint]:
    """The key bar, from the commands that have a place in it."""
    shown = sorted((c for c in COMMANDS if c.bar), key=lambda c: c.bar)
    merged = {"step.previous": ("←→", "step"), "row.up": ("↑↓", "candidate")}
    hints = []
    for command in shown:
        key, label = merged.get(command.id, (command.shown, command.label))
        hints.append(KeyHint(key, label, 20 - command.bar, command.action))
    return hints[:-1], hints[-1]
