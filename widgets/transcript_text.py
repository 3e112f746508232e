"""The transcript's tokens and their sections, laid out: which rows belong to which token."""

from collections.abc import Sequence
from typing import NamedTuple

from tokexplore.widgets.transcript_cells import Cell, first_difference
from tokexplore.widgets.transcript_layout import Layout
from tokexplore.widgets.transcript_sections import Folding, Section, Sections


class Change(NamedTuple):
    """What an update changed."""

    first: int | None
    """The first token that is drawn otherwise; None where all is as it was but titles."""
    relaid: int | None
    """The first token that is laid out otherwise; None where the lines are as they were."""
    titles: list[int]
    """Sections whose lines are drawn otherwise."""


class TranscriptText:
    """Tokens, the sections that they are in, and the lines that these make.

    Rows count from the first line of the text.

    Args:
        fold_over: see `Sections`.
    """

    def __init__(self, fold_over: int) -> None:
        self.cells: list[Cell] = []
        self.sections = Sections(fold_over)
        self.layout: Layout | None = None
        """None as long as there is no room for it."""

    @property
    def rows(self) -> int:
        return len(self.layout.lines) if self.layout else 0

    def update(
        self,
        cells: Sequence[Cell],
        keep: int,
        sections: Sequence[Section],
        columns: int,
        folding: Folding,
    ) -> Change:
        """Take over a text and its sections; the lines stay as they are until they are laid out.

        Args:
            cells: the tokens in order.
            keep: so many of them are known to be as they were.
            sections: see `Sections.update`.
            columns: width in cells.
            folding: what is hidden.
        """
        before = len(self.cells)
        keep = min(keep, before, len(cells))
        relaid = first_difference(self.cells, cells, keep)
        self.cells[keep:] = cells[keep:]
        changes = self.sections.update(sections, self.cells, keep, columns, folding)
        relaid = min(relaid, changes.first)
        at = self.sections.at(relaid)
        titles = changes.titles if at is None else [*changes.titles, at]
        if keep == before == relaid == len(cells):
            return Change(None, None, titles)
        return Change(keep, None if relaid == before == len(cells) else relaid, titles)

    def fit(self, columns: int, *, boundaries: bool) -> Layout:
        """The layout at this width: a new one, of nothing yet, where it was at another.

        Args:
            columns: width in cells.
            boundaries: see `Layout`; of a new one.
        """
        if self.layout is None or self.layout.columns != columns:
            self.layout = Layout(columns)
            self.layout.boundaries = boundaries
        return self.layout

    def row_of(self, token: int | None) -> int | None:
        """The row where a token's text begins, or of the title that stands for it."""
        if self.layout is None or token is None or not 0 <= token < len(self.cells):
            return None
        titled = self._title_of(token)
        return self.layout.row_of(token) if titled is None else titled

    def rows_of(self, token: int | None) -> range:
        """The rows that change their looks with a token's; the title's for those hidden."""
        if self.layout is None or token is None:
            return range(0)
        titled = self._title_of(token)
        return self.layout.rows_of(token) if titled is None else range(titled, titled + 1)

    def title_row(self, section: int) -> int | None:
        """The row of a section's title; None where it has none."""
        if self.layout is None:
            return None
        return self.layout.title_row(self.sections.shown[section].start)

    def heading_row(self, token: int) -> int | None:
        """The row of the title of a section that a token is at the start of."""
        section = self.sections.with_heading(token)
        return None if section is None else self.title_row(section)

    def has_no_text(self, token: int) -> bool:
        """Whether nothing of a token is drawn unless the cursor is on it."""
        return not self.cells[token].text or self.sections.standing_for(token) is not None

    def first_without_text(self) -> int | None:
        """The first token that has none, hidden or not."""
        return next((at for at, cell in enumerate(self.cells) if not cell.text), None)

    def _title_of(self, token: int) -> int | None:
        """The row of the title that stands for a token which is hidden; None where it is not."""
        section = self.sections.standing_for(token)
        return None if section is None else self.title_row(section)
