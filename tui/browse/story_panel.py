"""The story of the main screen: the text of the path in view, and of branches that were left."""

from functools import cached_property
from itertools import islice

from tokexplore.models.api.engine import ModelInfo
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.tree.visibility import is_out_of_sight
from tokexplore.tui.browse.base import BrowseBase
from tokexplore.tui.presenters.path import PathView
from tokexplore.tui.presenters.status import story_title
from tokexplore.tui.presenters.turns import sections_of
from tokexplore.widgets.candidates import CandidateTable
from tokexplore.widgets.heat import COLOURINGS, Colouring
from tokexplore.widgets.title_rule import Part, TitleRule, legend_parts
from tokexplore.widgets.transcript import Transcript
from tokexplore.widgets.transcript_lines import Aside

BOUNDARY_LEGEND = "_ begins a token"
ASIDES = 2
ROOMY = 30
"""Rows from which more than one branch that was left stays in view."""
ASIDE_BEFORE, ASIDE_TOKENS = 4, 60
"""Tokens of a branch that was left that are shown before its fork and after it."""


class StoryPanel:
    """Brings the transcript and its title up to date."""

    def __init__(self, screen: BrowseBase) -> None:
        self._screen, self._explorer = screen, screen.explorer
        self._streams = screen.controller.streams
        self.path_view = PathView(screen.explorer, screen.controller.noise.gaps)
        self._coloured_for: ModelInfo | None = None
        """The second model that the text was coloured for when it came."""
        self.unchanged = 0
        """Tokens at the start of the path that are as they were in the frame before."""
        self._aside_cache: dict[tuple[int, int], Aside] = {}
        """By a branch's tip and the first of its tokens that are told."""

    @cached_property
    def transcript(self) -> Transcript:
        """The widget."""
        return self._screen.query_one(Transcript)

    def recolour(self) -> None:
        """Colour by the next quantity."""
        view = self.path_view
        tree = self._explorer.tree
        both: tuple[Colouring, ...] = ("delta",) if tree.compared or tree.spans else ()
        order = (*COLOURINGS, *both)
        at = order.index(view.colouring) if view.colouring in order else -1
        view.recolour(order[(at + 1) % len(order)])

    def paint(self) -> None:
        """Show the path as it is now."""
        explorer, view, story = self._explorer, self.path_view, self.transcript
        second = self._screen.controller.second
        if second.is_there and second.info is not self._coloured_for:
            view.recolour("delta")
        elif view.colouring == "delta" and not (second.name or second.state == "loading"):
            view.recolour("surprisal")
        self._coloured_for = second.info
        self.unchanged = view.update()
        leaf = self._streams.leaf
        story.live = leaf is not None and leaf == explorer.leaf
        story.following = explorer.following
        bits = self._screen.query_one(CandidateTable).bits
        sections = sections_of(explorer, view.turns, bits=bits)
        story.show(view.cells, self.unchanged, view.level, sections)
        story.cursor = explorer.cursor
        story.aside(*self._asides())
        self._screen.query_one("#story-rule", TitleRule).show(self._title(), self._legend())

    def _title(self) -> list[Part]:
        waits = [Part("what was typed waits for the model", "here")]
        return [Part(story_title(self._explorer), "text"), *waits[: self._screen.awaits_model]]

    def _legend(self) -> list[Part]:
        begins = [Part(BOUNDARY_LEGEND)] if self.transcript.boundaries else []
        return legend_parts(self.path_view.colouring) + begins

    def _asides(self) -> tuple[list[Aside], int]:
        """The branches that were left, as lines, and how many more there are."""
        left = self._left()
        most = ASIDES if self._screen.size.height >= ROOMY else 1
        shown = [self._aside(tip, at) for tip, at in islice(left.values(), most)]
        return shown, len(left) - len(shown)

    def _left(self) -> dict[int, tuple[int, int]]:
        """Of each branch that was left, by number, the latest first: its end, and its first index
        that is not on the path in view."""
        explorer, tree = self._explorer, self._explorer.tree
        left: dict[int, tuple[int, int]] = {}
        for leaf in reversed(explorer.left):
            number, tip = tree.branch_of[leaf], explorer.tip_through(leaf)
            fork = tree.common(tip, explorer.leaf)
            if number in left or fork in (tip, explorer.leaf) or is_out_of_sight(tree, leaf):
                continue
            left[number] = tip, tree.depth[fork]
        return left

    def _aside(self, tip: int, at: int) -> Aside:
        """A branch from an index on, at which it leaves the path in view."""
        aside = self._aside_cache.get((tip, at))
        if aside is None:
            explorer, tree = self._explorer, self._explorer.tree
            path = TokenPath(tree, explorer.vocabulary, tree.path(tip)[: at + ASIDE_TOKENS])
            before = path.words(max(0, at - ASIDE_BEFORE), at)
            aside = Aside(tree.branch_of[tip], before, path.words(at, at + ASIDE_TOKENS))
            self._aside_cache[tip, at] = aside
        return aside
