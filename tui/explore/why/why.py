"""Which step is looked into, which two tokens are held against each other, and what stands beside:
the same place of another branch, or a second model."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from tokexplore.models.api.questions import FindLayerGaps, FindStates
from tokexplore.models.errors import TokexploreError
from tokexplore.models.interpret.layer_gaps import LayerGap
from tokexplore.models.interpret.units import Unit
from tokexplore.models.tree.conversation import stretches
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.why.grid import LensGrid
from tokexplore.tui.explore.why.step import Subject, WhyStep

Beside = Literal["nothing", "branch", "model"]
_KEPT = 64
"""Steps whose figures are kept."""
_PATHS = 8
"""Paths whose ids are kept, of which one or two are in view."""


class Why:
    """What the user looks into, from the step under the cursor on.

    Args:
        changed: called when there is something new to show.
        other_branch: number of the branch to hold against this one; None where there is none.
        tuned: directory of a tuned lens; empty for the logit lens.
    """

    def __init__(
        self,
        controller: Controller,
        changed: Callable[[], None],
        other_branch: int | None,
        *,
        tuned: str = "",
    ) -> None:
        self._controller, self._changed, self._tuned = controller, changed, tuned
        self.explorer = controller.explorer
        self.other_branch = other_branch
        self.beside: Beside = "nothing"
        self.difference = False
        """See `Subject`."""
        self.pinned: tuple[int | None, int | None] = (None, self._row_under_cursor())
        """Tokens that the user chose; None goes by the step."""
        self.gaps: list[LayerGap] | None = None
        """How far the two models are apart after each layer of this step."""
        self.gaps_refused = ""
        self._gaps_of: tuple[int, ...] | None = None
        self._steps: OrderedDict[tuple[AsyncEngine, Subject], WhyStep] = OrderedDict()
        self._grid: LensGrid | None = None
        self._read: dict[tuple[int, int], tuple[tuple[int, ...], tuple[Unit, ...]]] = {}
        """Ids and blocks of a path up to a place, by its leaf and that place."""

    def _row_under_cursor(self) -> int | None:
        distribution = self.explorer.tree.distribution.get(self.explorer.before)
        if distribution is None or not 0 < self.explorer.row < len(distribution):
            return None
        return distribution.id_view[self.explorer.row]

    # What is looked at

    @property
    def index(self) -> int:
        """Of the step: how many tokens of the path come before it."""
        return max(1, self.explorer.cursor)

    @property
    def step(self) -> WhyStep:
        """The step itself."""
        return self._step_of(self._controller.link.client, self._subject(self.explorer.path))

    @property
    def other_step(self) -> WhyStep | None:
        """What stands beside it; None where nothing does, or it would be the very same."""
        if self.beside == "model":
            client = self._second
            subject = self._subject(self.explorer.path)
            return None if client is None else self._step_of(client, subject)
        if self.beside == "branch" and (path := self._other_path()) and not self.at_fork:
            index = min(self.index, len(path.nodes))
            subject = self._subject(path, index)
            return self._step_of(self._controller.link.client, subject)
        return None

    @property
    def grid(self) -> LensGrid:
        """The lens along the path in view."""
        if self._grid is None:
            client, jobs = self._controller.link.client, self._controller.jobs
            ids = self.explorer.ids()
            self._grid = LensGrid(ids, client, jobs, self._changed, tuned=self._tuned)
        return self._grid

    @property
    def at_fork(self) -> bool:
        """Whether the step is one that the two branches share: the last of them is where they
        part."""
        return self.beside == "branch" and self.index <= self.fork_index

    @property
    def fork_index(self) -> int:
        """Index of the step at which the other branch leaves this one; 0 where there is none."""
        tree = self.explorer.tree
        if self.other_branch is None:
            return 0
        return tree.depth[tree.common(self.explorer.leaf, tree.branch(self.other_branch).tip)]

    def tokens(self, path: TokenPath, index: int) -> tuple[int, int]:
        """The token that is asked about at a step of a path, and the one it is held against: the
        one that was taken, and the most probable of the others, unless the user chose."""
        tree = self.explorer.tree
        distribution = tree.distribution.get(path.nodes[index - 1])
        likely = list(distribution.id_view[:3]) if distribution else []
        first, second = self.pinned
        if first is None:
            taken = tree.token[path.nodes[index]] if index < len(path.nodes) else None
            first = taken if taken is not None else likely[0] if likely else 0
        if second is None and self.at_fork and (other := self._other_path()):
            second = tree.token[other.nodes[index]] if index < len(other.nodes) else None
        if second is None or second == first:
            second = next((token for token in likely if token != first), first)
        return first, second

    # Moving

    def move(self, by: int) -> None:
        """To another step; what runs of this one ends."""
        self.go_to(self.index + by)

    def go_to(self, index: int) -> None:
        """To the step at an index of the path; tokens that were chosen belong to the one before."""
        index = max(1, min(index, len(self.explorer.nodes)))
        if index != self.index:
            self.leave()
            self.explorer.place(index)
            self.pinned = (None, None)
            self._changed()

    def pin(self, first: int | None, second: int | None) -> None:
        """Ask about other tokens at this step; None leaves what is."""
        self.leave()
        one, other = self.tokens(self.explorer.path, self.index)
        self.pinned = one if first is None else first, other if second is None else second
        self._changed()

    def toggle_difference(self) -> None:
        """Ask what did the difference of the two tokens, or what did the first."""
        self.stop()
        self.difference = not self.difference
        self._changed()

    def turn(self) -> Beside:
        """Put the next thing beside: another branch, a second model, nothing."""
        order: list[Beside] = ["nothing"]
        order += ["branch"] if self.other_branch is not None else []
        same_tokens = self._second is not None and not self._controller.second.has_other_tokens
        order += ["model"] if same_tokens else []
        self.put(order[(order.index(self.beside) + 1) % len(order)])
        return self.beside

    def put(self, beside: Beside) -> None:
        """Put something beside."""
        self.leave()
        self.beside, self.pinned = beside, (self.pinned[0], None)
        self._changed()

    def leave(self) -> None:
        """End all that runs, as the user looks elsewhere."""
        for step in self._steps.values():
            step.leave()
        if self._grid is not None:
            self._grid.stop()

    def stop(self) -> None:
        """End what runs of the steps in view."""
        for step in filter(None, (self.step, self.other_step)):
            step.stop()

    # Two models

    def want_gaps(self) -> str:
        """Ask how far the two models are apart after each layer; the sentence that says why that
        cannot be told, empty where it can."""
        ids = self.explorer.ids(self.index)
        second = self._controller.second
        if second.state == "loading":
            return "The second model is still loading."
        if self._second is None:
            return "No second model is loaded: & in the main screen loads one."
        if second.has_other_tokens:
            return (
                f"{second.name} has other tokens: layers are held against each other over the same."
            )
        if ids != self._gaps_of:
            self._gaps_of, self.gaps, self.gaps_refused = ids, None, ""
            self._controller.jobs.run(self._ask_gaps(ids, self._second))
        return ""

    async def _ask_gaps(self, ids: tuple[int, ...], second: AsyncEngine) -> None:
        try:
            states = await self._controller.link.client.ask(FindStates(ids))
            gaps = await second.ask(FindLayerGaps(ids, states))
        except TokexploreError as error:
            if ids == self._gaps_of:
                self.gaps_refused = str(error)
        else:
            if ids == self._gaps_of:
                self.gaps = gaps
        self._changed()

    @property
    def _second(self) -> AsyncEngine | None:
        second = self._controller.second
        return second.client if second.is_there else None

    # Inside

    def _subject(self, path: TokenPath, index: int | None = None) -> Subject:
        at = self.index if index is None else index
        if (path.leaf, at) not in self._read:
            token = self.explorer.tree.token
            ids = tuple(token[node] for node in path.nodes[:at])
            if len(self._read) == _PATHS:
                self._read.clear()
            self._read[path.leaf, at] = ids, _blocks(path, at)
        ids, blocks = self._read[path.leaf, at]
        return Subject(ids, self.tokens(path, at), self.difference, blocks)

    def _step_of(self, client: AsyncEngine, subject: Subject) -> WhyStep:
        key = client, subject
        if key not in self._steps:
            self._steps[key] = WhyStep(
                subject, client, self._controller.jobs, self._changed, tuned=self._tuned
            )
        self._steps.move_to_end(key)
        while len(self._steps) > _KEPT:
            self._steps.popitem(last=False)[1].stop()
        return self._steps[key]

    def _other_path(self) -> TokenPath | None:
        if self.other_branch is None:
            return None
        tree = self.explorer.tree
        nodes = tree.path(tree.branch(self.other_branch).tip)
        return TokenPath(tree, self.explorer.vocabulary, nodes)


def _blocks(path: TokenPath, end: int) -> tuple[Unit, ...]:
    """The turns of a chat up to a place, and what its template wrote; empty of plain text."""
    found = stretches(path, path.pieces)
    units = (
        Unit(
            "template" if each.kind == "template" else "turn",
            each.start,
            min(each.stop, end),
            each.role,
        )
        for each in found
    )
    return tuple(unit for unit in units if unit.start < unit.end)
