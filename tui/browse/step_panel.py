"""The step of the main screen: its candidates and its figures."""

from functools import cached_property

from tokexplore.models.distribution import Distribution
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.browse.base import BrowseBase
from tokexplore.tui.presenters.candidates import (
    CandidateList,
    tokens_of,
    with_chosen,
    with_second,
)
from tokexplore.tui.presenters.status import step_figures, step_title
from tokexplore.widgets.candidate_drawing import TAKEN
from tokexplore.widgets.candidates import CandidateTable
from tokexplore.widgets.title_rule import TitleRule

LEAST_WORDS = 12
"""Cells of the words before a step that its title shows on any screen."""
PAGE = 256
"""Candidates fetched at once beyond those that are stored."""


class StepPanel:
    """Brings the candidate table and its title up to date, and fetches what it is to show."""

    def __init__(self, screen: BrowseBase) -> None:
        self._screen, self._controller = screen, screen.controller
        self._explorer = screen.explorer
        self._list: CandidateList | None = None
        self.fetching = False
        self.chosen: dict[int, list[int]] = {}
        """Tokens of rows that were chosen for the futures of a step, by the node before it."""

    @cached_property
    def table(self) -> CandidateTable:
        """The widget."""
        return self._screen.query_one(CandidateTable)

    def paint(self, distribution: Distribution | None, noise: float | None) -> None:
        """Show the cursor's step as it is known now.

        Args:
            noise: standard deviation of a margin's numeric noise (nats), where it was measured.
        """
        controller, explorer, table = self._controller, self._explorer, self.table
        view = controller.queries.sampler_view()
        room = max(LEAST_WORDS, self._screen.size.width // 4)
        figures = step_figures(controller, distribution, view, noise, bits=table.bits)
        self._screen.query_one("#step-rule", TitleRule).show(step_title(explorer, room), figures)
        if distribution is None:
            self._list = None
            table.empty_text = self._taken() + self._why_empty()
            table.show(None)
            return
        listed = self._list
        if (
            listed is None
            or listed.node != explorer.before
            or listed.distribution is not distribution
        ):
            listed = self._list = CandidateList(explorer.before, distribution)
        first = min(table.top, explorer.row)
        rows = range(first, max(first + table.visible_rows, explorer.row + 1))
        if rows.stop > len(listed):
            self._fetch(listed)
        note = "live" if controller.streaming and explorer.following else ""
        page = listed.page(explorer, view, rows, note)
        if controller.second.is_there and not controller.second.has_other_tokens:
            tokens = tokens_of(page)
            page = with_second(page, controller.second.beside(explorer.before, tokens))
        if chosen := self.chosen.get(explorer.before):
            page = with_chosen(page, chosen)
        table.show(page._replace(rest_words=self._rest_words()), explorer.row)

    def _rest_words(self) -> str:
        """What is said of the candidates that are not listed, and how they can be had."""
        queries, node = self._controller.queries, self._explorer.before
        if queries.completes(node):
            return "more, asked for…"
        return "more: ↓ asks for them" if queries.can_complete(node) else "more"

    def _taken(self) -> str:
        """The token that was taken where nothing is known of the others; empty on the open end."""
        explorer = self._explorer
        if explorer.taken is None:
            return ""
        return f"{TAKEN} {explorer.vocabulary.show(explorer.tree.token[explorer.taken])} · "

    def _why_empty(self) -> str:
        explorer, state, memory = (
            self._explorer,
            self._controller.state,
            self._controller.link.memory,
        )
        if explorer.before in explorer.tree.distribution.damaged:
            return f"damaged in the session's file{self._again()}"
        if state == "loading":
            words = "the model is loading; a prompt can be typed meanwhile (p)"
            return f"{words} · {memory}" if memory else words
        if state == "lost":
            return "the engine is gone (i says why); space starts it again"
        if state == "recorded":
            return "nothing is recorded here; space loads the model"
        if self._controller.prompts.renders_chat and not explorer.nodes:
            return "the model's template renders the chat…"
        if explorer.before == ROOT:
            return "nothing comes before the first token" if explorer.nodes else "p: a prompt"
        if explorer.tree.ended.get(explorer.before) == "interrupted":
            return "stopped before the model came here; space goes on"
        return "computing…"

    def _again(self) -> str:
        """Whether what is damaged is computed again."""
        if self._controller.state == "recorded":
            return "; space loads the model, which computes it again"
        return "" if self._controller.link.absent else "; computing it again…"

    def _fetch(self, listed: CandidateList) -> None:
        """Ask for the candidates after those that are listed."""
        asks, size = self._controller.link.can("whole_rows"), listed.distribution.available
        if not self.fetching and asks and len(listed) < size:
            self.fetching = True
            self._controller.jobs.run(self._add_page(listed))

    async def _add_page(self, listed: CandidateList) -> None:
        try:
            listed.add(await self._controller.queries.rows(listed.node, len(listed), PAGE))
        finally:
            self.fetching = False

    def ask_all(self) -> None:
        """Ask for the candidates of this step that the engine lists only when asked."""
        queries, node = self._controller.queries, self._explorer.before
        if queries.can_complete(node) and not queries.completes(node):
            self._controller.jobs.run(queries.complete(node))

    @property
    def loaded_rows(self) -> int:
        """How many candidates of this step can be walked at once."""
        if self._list is None or self._list.node != self._explorer.before:
            self._screen.paint()
        return len(self._list) if self._list else 0

    def candidate(self, row: int) -> tuple[int, int] | None:
        """The token of a candidate row, and the node that it comes after."""
        self._screen.paint()
        listed = self._list
        return (listed.ids[row], listed.node) if listed and row < len(listed) else None

    def row_of(self, token: int) -> int | None:
        """The row of a token, where it is among those that can be walked."""
        if not self.loaded_rows or self._list is None:
            return None
        return self._list.ids.index(token) if token in self._list.ids else None
