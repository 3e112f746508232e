"""`/`: search the whole vocabulary at one step, with true ranks, and take what is found."""

from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from tokexplore.models.display import safe_text
from tokexplore.models.distribution import Rows
from tokexplore.models.errors import TokexploreError
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.presenters.characters import character_note
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.widgets.candidates import CandidatePage, CandidateRow, CandidateTable

HITS = 200
TALLEST, OTHER_ROWS = 16, 9
"""Rows of the table, and those of the dialog beside it."""
EMPTY = "type a part of the token; case does not matter"


class FindToken(Dialog[int | None]):
    """A filtered list of the step's candidates; the result is a token id."""

    DEFAULT_CSS = """
    FindToken CandidateTable { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "row(-1)", "up", priority=True, id="find.up"),
        Binding("down", "row(1)", "down", priority=True, id="find.down"),
        Binding("pageup", "row(-10)", "up", priority=True, id="find.page_up"),
        Binding("pagedown", "row(10)", "down", priority=True, id="find.page_down"),
    ]
    title_text = "Find a token at this step"
    hint_text = (
        "{find.up:↑}{find.down:↓} row · ⏎ take it and go on · {dialog.cancel:ctrl+g} cancels"
    )

    def __init__(
        self,
        vocabulary: Vocabulary,
        before: Sequence[bytes],
        top_logprob: float,
        search: Callable[[str], Awaitable[Rows]],
    ) -> None:
        super().__init__()
        self._vocabulary, self._top, self._search = vocabulary, top_logprob, search
        self._before = before
        """The bytes of the last tokens before the step."""
        self._hits: Rows | None = None
        self._problem = ""
        self._answered = ""
        """The text that the hits are for."""
        self._row = 0

    def body(self) -> ComposeResult:
        yield Input(placeholder="part of a token's text", id="needle")
        table = CandidateTable()
        table.empty_text = EMPTY
        table.styles.height = max(4, min(TALLEST, self.app.size.height * 9 // 10 - OTHER_ROWS))
        yield table

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search for what is there now."""
        self._find(event.value)

    @work(exclusive=True)
    async def _find(self, text: str) -> None:
        self._hits, self._problem = None, ""
        try:
            self._hits = await self._search(text) if text else None
        except TokexploreError as error:
            self._problem = safe_text(str(error))
        self._answered, self._row = text, 0
        self._show()

    @property
    def rows_are_coming(self) -> bool:
        """Whether the hits are those of another text than the one that stands there."""
        line = self.part(Input)
        return line is not None and line.value != self._answered

    def _show(self) -> None:
        table, hits = self.part(CandidateTable), self._hits
        if table is None:
            return
        if hits is None:
            table.empty_text = self._problem or EMPTY
            table.show(None)
            return
        note = "" if hits.total else "no token holds this text"
        if hits.of:
            those = f"first {hits.of}" if hits.source == "listed" else f"{hits.of} recorded"
            note = f"of the {those}" if hits.total else f"none of the {those}"
        rows = [self._candidate(hits, i) for i in range(len(hits))]
        table.show(
            CandidatePage(rows, 0, len(hits), hits.total - len(hits), None, self._top, note),
            self._row,
        )

    def _candidate(self, hits: Rows, index: int) -> CandidateRow:
        token, ranks = array("I", hits.ids)[index], array("I", hits.ranks)
        return CandidateRow(
            rank=ranks[index],
            tied=ranks.count(ranks[index]) > 1,
            text=self._vocabulary.show(token),
            special=token in self._vocabulary.special,
            id=token,
            logprob=array("f", hits.logits)[index] - hits.lse,
            cumulative=None,
            sampler=None,
            character=character_note(self._before, self._vocabulary.bytes_of(token)),
        )

    def action_row(self, by: int) -> None:
        """Move the cursor among the hits."""
        if self._hits is not None and len(self._hits):
            self._row = max(0, min(len(self._hits) - 1, self._row + by))
            self._show()

    def on_candidate_table_highlighted(self, event: CandidateTable.Highlighted) -> None:
        """A click moves the cursor."""
        self._row = event.index
        self._show()

    def on_candidate_table_picked(self, event: CandidateTable.Picked) -> None:
        """A double click takes the row."""
        self._row = event.index
        self.on_input_submitted()

    def on_input_submitted(self) -> None:
        """Hand the token over."""
        if self._hits is not None and len(self._hits):
            self.dismiss(array("I", self._hits.ids)[self._row])
