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
from tokexplore.widgets.transcript_cells import Cell, first_difference
from tokexplore.widgets.transcript_layout import Layout
from tokexplore.widgets.transcript_lines import (
    Aside,
    draw_aside,
    draw_fold,
    draw_line,
    draw_more,
    draw_title,
)
from tokexplore.widgets.transcript_looks import CLASSES, CSS, Looks, looks_of
from tokexplore.widgets.transcript_sections import Folding, Section, Sections

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
        self._sections = Sections(fold_over)
        self._cells: list[Cell] = []
        self._level: LevelOf = no_heat
        self._asides: list[Aside] = []
        self._more_asides = 0
        self._layout_lines: Layout | None = None
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
        before = len(self._cells)
        keep = min(keep, before, len(cells))
        if level is not self._level:
            self._level = level
            self._touch(0, self._rows())
        relaid = first_difference(self._cells, cells, keep)
        was_at_end = self._rows() <= self._top + self._text_rows()
        self._cells[keep:] = cells[keep:]
        changes = self._sections.update(sections, self._cells, keep, self.size.width, self._folding)
        for number in changes.titles:
            self._touch_title(number)
        relaid = min(relaid, changes.first)
        if (changed := self._sections.at(relaid)) is not None:
            self._touch_title(changed)
        if keep == before == relaid == len(cells):
            return
        self._lay_out(None if relaid == before == len(cells) else relaid)
        self._touch(self._rows_of(keep).start, self._rows())
        if self.following and was_at_end:
            self._reveal(self._rows() - 1)
        self._keep_in_range()

    def aside(self, lines: Sequence[Aside], more: int = 0) -> None:
        """Show these branches below the text, as many as a third of the height allows, and, where
        a row is free, how many there are beside those, `more` included."""
        if (list(lines), more) != (self._asides, self._more_asides):
            self._asides, self._more_asides = list(lines), more
            self._settle()
            self.refresh()

    def scroll_page(self, pages: int) -> None:
        """Move the view by pages, down or (below 0) up."""
        self._scroll_by(pages * max(1, self._text_rows() - 1))

    @property
    def hidden_rows(self) -> tuple[int, int]:
        """Lines above and below the view."""
        return self._top, max(0, self._rows() - self._top - self._text_rows())

    # Geometry: rows count from the first line of the text

    @property
    def folds(self) -> bool:
        """Whether a long section is shown as one line at present."""
        return bool(self._sections.folded) and self.folded

    @property
    def _folding(self) -> Folding:
        return Folding(self.folded, self.reasoning_folded)

    def _rows(self) -> int:
        return len(self._layout_lines.lines) if self._layout_lines else 0

    def _aside_rows(self) -> int:
        return min(len(self._asides), max(1, self.size.height // 3))

    def _text_rows(self) -> int:
        return max(1, self.size.height - self._aside_rows())

    def _cursor_row(self, cursor: int | None) -> int | None:
        layout = self._layout_lines
        if layout is None or cursor is None or not 0 <= cursor < len(self._cells):
            return None
        titled = self._title_of(cursor)
        return layout.row_of(cursor) if titled is None else titled

    def _title_of(self, token: int) -> int | None:
        """The row of the title that stands for a token which is hidden; None where it is not."""
        section = self._sections.standing_for(token)
        return None if section is None else self._title_row(section)

    def _title_row(self, section: int) -> int | None:
        start, layout = self._sections.shown[section].start, self._layout_lines
        return None if layout is None else layout.title_row(start)

    def _touch_title(self, section: int) -> None:
        row = self._title_row(section)
        if row is not None:
            self._touch(row, row + 1)

    def _rows_of(self, token: int | None) -> range:
        """The rows that change their looks with a token's; the title's for those hidden."""
        layout = self._layout_lines
        if layout is None or token is None:
            return range(0)
        titled = self._title_of(token)
        return layout.rows_of(token) if titled is None else range(titled, titled + 1)

    def _lay_out(self, keep: int | None) -> None:
        """Lay the text out again from token `keep` on (None: its text is as it was)."""
        columns = self.size.width
        if columns < 1:  # no layout is kept of a text that changes while it has no room
            self._layout_lines = None
            self._strips.clear()
            return
        layout = self._layout_lines
        if layout is None or layout.columns != columns:
            layout, keep = Layout(columns), 0
            layout.boundaries = self.boundaries
            self._layout_lines = layout
            self._strips.clear()
            self.refresh()
        if keep is None:
            return
        rows, sections = self._rows(), self._sections
        changed = layout.update(self._cells, keep, sections.titles, sections.hidden)
        self._touch(changed, max(rows, self._rows()) + len(self._asides) + 1)

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
        row, columns, layout = self._top + y, self.size.width, self._layout_lines
        text_rows = min(self._text_rows(), max(0, self._rows() - self._top))
        if layout is not None and y < text_rows:
            if row not in self._strips:
                self._strips[row] = self._draw(layout, row)
            return self._strips[row]
        asides = self._aside_rows()
        if y - text_rows < asides:
            return draw_aside(self._asides[y - text_rows], columns, self._looks)
        more = len(self._asides) - asides + self._more_asides
        if more and y - text_rows == asides:
            return draw_more(more, columns, self._looks)
        return Strip.blank(columns, self._looks.text)

    def _draw(self, layout: Layout, row: int) -> Strip:
        columns, cursor, text = self.size.width, self.cursor, layout.lines[row]
        if text.section >= 0:
            return self._draw_title(text.section)
        return draw_line(
            text,
            columns,
            self._cells,
            self._level,
            cursor,
            self._looks,
            live=self.live and row == self._rows() - 1,
            reveal=self._cursor_row(cursor) == row and self._has_no_text(cursor or 0),
            boundaries=self.boundaries,
        )

    def _has_no_text(self, cell: int) -> bool:
        """Whether nothing of a token is drawn unless the cursor is on it."""
        return not self._cells[cell].text or self._sections.standing_for(cell) is not None

    def _draw_title(self, number: int) -> Strip:
        columns, cursor, section = self.size.width, self.cursor, self._sections.shown[number]
        inside = cursor is not None and self._sections.standing_for(cursor) == number
        here = self._cells[cursor] if inside and cursor is not None else None
        shown = (here.shown or here.text) if here else ""
        forks = self._sections.hides_fork(number, self._cells)
        if not self._sections.is_folded(number):
            return draw_title(
                section.label, section.figures, shown, columns, self._looks, forks=forks
            )
        start, end = section.start, cursor if here and cursor is not None else section.stop
        cells = self._cells[max(start, end - columns) : end]
        words = (cell.text for cell in cells if cell.kind != "template")
        return draw_fold(
            section.label,
            section.words,
            "".join(words),
            shown,
            columns,
            self._looks,
            forks=forks,
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
        most = max(0, self._rows() - self._text_rows())
        self._scroll_to_row(max(0, min(most, self._top + rows)))

    def _reveal(self, row: int, heading: int | None = None) -> None:
        """Bring a row into view, by half a page when it is out of it, and its heading's row with it
        where both have room."""
        page = self._text_rows()
        first = row if heading is None or row - heading > page // 2 else heading
        if self._top <= first <= row < self._top + page:
            return
        most = max(0, self._rows() - page)
        if self.live and row == self._rows() - 1:
            most += page // 2
        self._scroll_to_row(max(0, min(most, row - page // 2)))

    def _keep_in_range(self) -> None:
        page = self._text_rows()
        self._scroll_to_row(max(0, min(self._top, self._rows() - 1 - page // 2)))

    def _settle(self) -> None:
        """Bring into view what is followed: the end, or else the cursor."""
        self._keep_in_range()
        if not self.following:
            self._reveal_cursor()
        elif self._rows():
            self._reveal(self._rows() - 1)

    def _reveal_cursor(self) -> None:
        """Bring the cursor's row into view, and the title of a turn that it is at the start of."""
        row, cursor = self._cursor_row(self.cursor), self.cursor
        if row is None or cursor is None:
            return
        section = self._sections.with_heading(cursor)
        self._reveal(row, None if section is None else self._title_row(section))

    # What changes

    def watch_cursor(self, before: int | None, cursor: int | None) -> None:
        for rows in (self._rows_of(before), self._rows_of(cursor)):
            self._touch(rows.start, rows.stop)
        if not self.following:
            self._reveal_cursor()

    def watch_following(self) -> None:
        self._settle()

    def watch_live(self) -> None:
        self._touch(self._rows() - 1, self._rows())

    def watch_folded(self) -> None:
        self._fold_anew()

    def watch_reasoning_folded(self) -> None:
        self._fold_anew()

    def watch_boundaries(self) -> None:
        """Draw the text anew; it is laid out again only from where a token has no text."""
        layout, self._cached_looks = self._layout_lines, None
        first = next((at for at, cell in enumerate(self._cells) if not cell.text), None)
        if layout is not None:
            layout.boundaries = self.boundaries
            self._lay_out(first)
            self._touch(0, self._rows())
            self._settle()

    def on_resize(self) -> None:
        self._fold_anew()

    def _fold_anew(self) -> None:
        self._sections.fold(self._cells, self.size.width, self._folding)
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
        if offset is None or self._layout_lines is None:
            return
        row = self._top + offset.y
        text_rows = min(self._text_rows(), max(0, self._rows() - self._top))
        if offset.y >= text_rows:
            if offset.y - text_rows < self._aside_rows():
                branch = self._asides[offset.y - text_rows].branch
                self.post_message(self.AsidePicked(self, branch))
            return
        if self._layout_lines.lines[row].section >= 0:
            self.folded = not self.folded
            return
        token = self._layout_lines.token_at(row, offset.x)
        if token is not None:
            self.post_message(self.Picked(self, token))
