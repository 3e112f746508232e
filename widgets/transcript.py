"""The path's running text: every token coloured by how unlikely it was, the cursor's one marked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tokexplore.widgets.heat import NONE
from tokexplore.widgets.transcript_asides import Asides
from tokexplore.widgets.transcript_cells import Cell
from tokexplore.widgets.transcript_layout import Layout
from tokexplore.widgets.transcript_lines import Aside, draw_line, draw_section
from tokexplore.widgets.transcript_looks import CLASSES, CSS, Looks, looks_of
from tokexplore.widgets.transcript_sections import Folding, Section
from tokexplore.widgets.transcript_text import TranscriptText

_WHEEL = 3

LevelOf = Callable[[int], int]
"""The heat level (`widgets.heat`) of the token at an index; NONE where its value is not known."""


def no_heat(_: int) -> int:
    """No colours."""
    return NONE


class Transcript(Widget):
    """Tokens as wrapped text, with the branches that were left as dim lines below.

    It scrolls by half pages, so that following a stream repaints the screen rarely. It has no
    scroll bar and takes no focus: arrows belong to the app.
    """

    COMPONENT_CLASSES = CLASSES
    DEFAULT_CSS = CSS

    cursor: reactive[int | None] = reactive(None, repaint=False)
    """Index of the token that the user stands on."""
    following: reactive[bool] = reactive(True, repaint=False)
    """Whether the end of the text is kept in view as it grows."""
    live: reactive[bool] = reactive(False, repaint=False)
    """Whether a stream is writing at the open end."""
    folded: reactive[bool] = reactive(True, repaint=False)
    """Whether a section of more than `fold_over` lines is shown as one, and what a template wrote
    is hidden."""
    reasoning_folded: reactive[bool] = reactive(False, repaint=False)
    """Whether what was thought and not said is hidden."""
    boundaries: reactive[bool] = reactive(False, repaint=False)
    """Whether it is shown where tokens begin."""

    @dataclass
    class Picked(Message):
        """The user clicked on a token."""

        transcript: "Transcript"
        index: int

        @property
        def control(self) -> "Transcript":
            return self.transcript

    @dataclass
    class AsidePicked(Message):
        """The user clicked on a branch that was left."""

        transcript: "Transcript"
        branch: int

        @property
        def control(self) -> "Transcript":
            return self.transcript

    def __init__(
        self,
        *,
        fold_over: int = 3,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._text = TranscriptText(fold_over)
        self._level: LevelOf = no_heat
        self._asides = Asides()
        self._top = 0
        self._strips: dict[int, Strip] = {}
        self._cached_looks: Looks | None = None

    # What the app tells it

    def show(
        self,
        cells: Sequence[Cell],
        keep: int,
        level: LevelOf = no_heat,
        sections: Sequence[Section] = (),
    ) -> None:
        """Show a path; text is laid out again only from where it changed, colours never.

        Args:
            cells: the path's tokens in order.
            keep: how many of them, and of their levels, are known to be as in the last call.
            level: gives the levels of those that are drawn; another function colours all anew.
            sections: the turns of a conversation; without any, the prompt at the beginning is one.
        """
        text = self._text
        was_at_end = text.rows <= self._top + self._text_rows()
        if level is not self._level:
            self._level = level
            self._touch(0, text.rows)
        change = text.update(cells, keep, sections, self.size.width, self._folding)
        for number in change.titles:
            self._touch_title(number)
        if change.first is None:
            return
        self._lay_out(change.relaid)
        self._touch(text.rows_of(change.first).start, text.rows)
        if self.following and was_at_end:
            self._reveal(text.rows - 1)
        self._keep_in_range()

    def aside(self, lines: Sequence[Aside], more: int = 0) -> None:
        """Show these branches below the text, as many as a third of the height allows, and, where
        a row is free, how many there are beside those, `more` included."""
        if self._asides.show(lines, more):
            self._settle()
            self.refresh()

    def scroll_page(self, pages: int) -> None:
        """Move the view by pages, down or (below 0) up."""
        self._scroll_by(pages * max(1, self._text_rows() - 1))

    @property
    def hidden_rows(self) -> tuple[int, int]:
        """Lines above and below the view."""
        return self._top, max(0, self._text.rows - self._top - self._text_rows())

    # Geometry: rows count from the first line of the text

    @property
    def folds(self) -> bool:
        """Whether a long section is shown as one line at present."""
        return bool(self._text.sections.folded) and self.folded

    @property
    def _folding(self) -> Folding:
        return Folding(self.folded, self.reasoning_folded)

    def _text_rows(self) -> int:
        return max(1, self.size.height - self._asides.rows(self.size.height))

    def _touch_title(self, section: int) -> None:
        row = self._text.title_row(section)
        if row is not None:
            self._touch(row, row + 1)

    def _lay_out(self, keep: int | None) -> None:
        """Lay the text out again from token `keep` on (None: its text is as it was)."""
        text, columns = self._text, self.size.width
        if columns < 1:  # no layout is kept of a text that changes while it has no room
            text.layout = None
            self._strips.clear()
            return
        before, layout = text.layout, text.fit(columns, boundaries=self.boundaries)
        if layout is not before:
            keep = 0
            self._strips.clear()
            self.refresh()
        if keep is None:
            return
        rows, sections = text.rows, text.sections
        changed = layout.update(text.cells, keep, sections.titles, sections.hidden)
        self._touch(changed, max(rows, text.rows) + len(self._asides) + 1)

    # Looks

    @property
    def _looks(self) -> Looks:
        if self._cached_looks is None:
            looks = looks_of(self.get_component_rich_style)
            self._cached_looks = looks.with_boundaries() if self.boundaries else looks
        return self._cached_looks

    def notify_style_update(self) -> None:
        """Drop what was drawn in the styles before."""
        super().notify_style_update()
        self._cached_looks = None
        self._strips.clear()

    # Painting

    def render_line(self, y: int) -> Strip:
        """One row of the view: a line of text, a branch that was left, or nothing."""
        row, columns, layout = self._top + y, self.size.width, self._text.layout
        text_rows = min(self._text_rows(), max(0, self._text.rows - self._top))
        if layout is not None and y < text_rows:
            if row not in self._strips:
                self._strips[row] = self._draw(layout, row)
            return self._strips[row]
        return self._asides.draw(y - text_rows, self.size.height, columns, self._looks)

    def _draw(self, layout: Layout, row: int) -> Strip:
        cursor, line, text = self.cursor, layout.lines[row], self._text
        if line.section >= 0:
            return self._draw_title(line.section)
        return draw_line(
            line,
            self.size.width,
            text.cells,
            self._level,
            cursor,
            self._looks,
            live=self.live and row == text.rows - 1,
            reveal=text.row_of(cursor) == row and text.has_no_text(cursor or 0),
            boundaries=self.boundaries,
        )

    def _draw_title(self, number: int) -> Strip:
        cells, sections, cursor = self._text.cells, self._text.sections, self.cursor
        inside = cursor is not None and sections.standing_for(cursor) == number
        return draw_section(
            sections.shown[number],
            cells,
            cursor if inside else None,
            self.size.width,
            self._looks,
            folded=sections.is_folded(number),
            forks=sections.hides_fork(number, cells),
        )

    def _touch(self, first: int, stop: int) -> None:
        """Paint the rows from `first` up to `stop` again."""
        for row in [row for row in self._strips if first <= row < stop]:
            del self._strips[row]
        top, bottom = max(first, self._top), min(stop, self._top + self.size.height)
        if top < bottom:
            self.refresh(Region(0, top - self._top, self.size.width, bottom - top))

    # Scrolling

    def _scroll_to_row(self, top: int) -> None:
        if top != self._top:
            self._top = top
            if len(self._strips) > 512:
                self._strips.clear()
            self.refresh()

    def _scroll_by(self, rows: int) -> None:
        most = max(0, self._text.rows - self._text_rows())
        self._scroll_to_row(max(0, min(most, self._top + rows)))

    def _reveal(self, row: int, heading: int | None = None) -> None:
        """Bring a row into view, by half a page when it is out of it, and its heading's row with it
        where both have room."""
        page = self._text_rows()
        first = row if heading is None or row - heading > page // 2 else heading
        if self._top <= first <= row < self._top + page:
            return
        most = max(0, self._text.rows - page)
        if self.live and row == self._text.rows - 1:
            most += page // 2
        self._scroll_to_row(max(0, min(most, row - page // 2)))

    def _keep_in_range(self) -> None:
        page = self._text_rows()
        self._scroll_to_row(max(0, min(self._top, self._text.rows - 1 - page // 2)))

    def _settle(self) -> None:
        """Bring into view what is followed: the end, or else the cursor."""
        self._keep_in_range()
        if not self.following:
            self._reveal_cursor()
        elif self._text.rows:
            self._reveal(self._text.rows - 1)

    def _reveal_cursor(self) -> None:
        """Bring the cursor's row into view, and the title of a turn that it is at the start of."""
        row, cursor = self._text.row_of(self.cursor), self.cursor
        if row is not None and cursor is not None:
            self._reveal(row, self._text.heading_row(cursor))

    # What changes

    def watch_cursor(self, before: int | None, cursor: int | None) -> None:
        for rows in (self._text.rows_of(before), self._text.rows_of(cursor)):
            self._touch(rows.start, rows.stop)
        if not self.following:
            self._reveal_cursor()

    def watch_following(self) -> None:
        self._settle()

    def watch_live(self) -> None:
        self._touch(self._text.rows - 1, self._text.rows)

    def watch_folded(self) -> None:
        self._fold_anew()

    def watch_reasoning_folded(self) -> None:
        self._fold_anew()

    def watch_boundaries(self) -> None:
        """Draw the text anew; it is laid out again only from where a token has no text."""
        layout, self._cached_looks = self._text.layout, None
        if layout is not None:
            layout.boundaries = self.boundaries
            self._lay_out(self._text.first_without_text())
            self._touch(0, self._text.rows)
            self._settle()

    def on_resize(self) -> None:
        self._fold_anew()

    def _fold_anew(self) -> None:
        self._text.sections.fold(self._text.cells, self.size.width, self._folding)
        self._lay_out(0)
        self._settle()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll_by(_WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll_by(-_WHEEL)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        layout = self._text.layout
        if offset is None or layout is None:
            return
        row = self._top + offset.y
        text_rows = min(self._text_rows(), max(0, self._text.rows - self._top))
        if offset.y >= text_rows:
            branch = self._asides.branch_at(offset.y - text_rows, self.size.height)
            if branch is not None:
                self.post_message(self.AsidePicked(self, branch))
            return
        if layout.lines[row].section >= 0:
            self.folded = not self.folded
            return
        token = layout.token_at(row, offset.x)
        if token is not None:
            self.post_message(self.Picked(self, token))
