"""Lines of pieces that each have a role: tables and coloured text of plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from tokexplore.widgets.cell_text import line
from tokexplore.widgets.changed_lines import ChangedLines
from tokexplore.widgets.heat import SHADES

Role = Literal[
    "text", "bold", "muted", "rule", "here", "chosen", "bar", "sampler", "close", "more", "less",
    "heat-0", "heat-1", "heat-2", "heat-3", "heat-4", "heat-5",
    "heat-6", "heat-7", "heat-8", "heat-9", "heat-10", "heat-11",
]  # fmt: skip
"""`here` is what the user stands on, `chosen` a stretch of text under the cursor."""
_PLAIN: tuple[Role, ...] = (
    "bold", "muted", "rule", "here", "chosen", "bar", "sampler", "close", "more", "less",
)  # fmt: skip
_WHEEL = 3


class Piece(NamedTuple):
    """Some cells of a line; the text is safe to draw."""

    text: str
    role: Role = "text"


Row = Sequence[Piece]


def heat_role(level: int) -> Role:
    """The role of a level of `widgets.heat`; plain text where there is none."""
    return f"heat-{level}" if level > 0 else "text"  # type: ignore[return-value]


class RoleLines(ChangedLines):
    """Rows under a head that stays; the cursor's row is lit and kept in view."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "role-lines--cursor",
        *(f"role-lines--{role}" for role in _PLAIN),
        *(f"role-lines--heat-{level}" for level in range(SHADES)),
    }
    DEFAULT_CSS = """
    RoleLines {
        height: 1fr; background: $background; color: $foreground;
        & .role-lines--cursor { background: $here-row; }
        & .role-lines--bold { color: $foreground; text-style: bold; }
        & .role-lines--muted { color: $muted; }
        & .role-lines--rule { color: $rule; }
        & .role-lines--here { color: $here; text-style: bold; }
        & .role-lines--chosen { background: $here; color: $here-text; }
        & .role-lines--bar { color: $model-bar; }
        & .role-lines--sampler { color: $sampler; }
        & .role-lines--close { color: $close; }
        & .role-lines--more { color: $more; }
        & .role-lines--less { color: $less; }
        & .role-lines--heat-0 { background: $heat-0; color: $heat-text-0; }
        & .role-lines--heat-1 { background: $heat-1; color: $heat-text-1; }
        & .role-lines--heat-2 { background: $heat-2; color: $heat-text-2; }
        & .role-lines--heat-3 { background: $heat-3; color: $heat-text-3; }
        & .role-lines--heat-4 { background: $heat-4; color: $heat-text-4; }
        & .role-lines--heat-5 { background: $heat-5; color: $heat-text-5; }
        & .role-lines--heat-6 { background: $heat-6; color: $heat-text-6; }
        & .role-lines--heat-7 { background: $heat-7; color: $heat-text-7; }
        & .role-lines--heat-8 { background: $heat-8; color: $heat-text-8; }
        & .role-lines--heat-9 { background: $heat-9; color: $heat-text-9; }
        & .role-lines--heat-10 { background: $heat-10; color: $heat-text-10; }
        & .role-lines--heat-11 { background: $heat-11; color: $heat-text-11; }
        &:nocolor .role-lines--heat-3 { text-style: bold; }
        &:nocolor .role-lines--heat-4 { text-style: bold; }
        &:nocolor .role-lines--heat-5 { text-style: bold italic; }
        &:nocolor .role-lines--chosen { text-style: reverse; }
    }
    """

    @dataclass
    class Highlighted(Message):
        """A row was clicked, or the wheel turned: the cursor is to go there."""

        lines: "RoleLines"
        index: int

        @property
        def control(self) -> "RoleLines":
            """The widget, for handlers that select by it."""
            return self.lines

    @dataclass
    class Widened(Message):
        """It has another width than its rows were made for."""

        lines: "RoleLines"

        @property
        def control(self) -> "RoleLines":
            """The widget, for handlers that select by it."""
            return self.lines

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._width = 0
        self._head: Sequence[Row] = ()
        self._rows: Sequence[Row] = ()
        self._cursor: int | None = None
        self._lit = True
        self._top = 0
        self._styles: dict[str, Style] | None = None
        self._strips: dict[int, tuple[tuple[Row, bool, int], Strip]] = {}
        """What each line was drawn of, and what it looks like."""

    def show(
        self,
        rows: Sequence[Row],
        cursor: int | None = None,
        *,
        head: Sequence[Row] = (),
        lit: bool = True,
    ) -> None:
        """Show rows below a head that does not scroll.

        Args:
            cursor: index of the row to keep in view.
            lit: whether that row has a background of its own.
        """
        self._head, self._rows, self._cursor, self._lit = head, rows, cursor, lit
        self._place()
        self.repaint_changed()

    @property
    def cursor(self) -> int | None:
        """Index of the row that is kept in view."""
        return self._cursor

    @property
    def row_count(self) -> int:
        """How many rows there are below the head."""
        return len(self._rows)

    @property
    def visible_rows(self) -> int:
        """How many rows there is room for."""
        return max(1, self.size.height - len(self._head))

    def draw_line(self, y: int) -> Strip:
        index = self._top + y - len(self._head)
        rows, at = (self._head, y) if y < len(self._head) else (self._rows, index)
        row = tuple(rows[at]) if at < len(rows) else ()
        drawn_of = row, rows is self._rows and self._lit and index == self._cursor, self.size.width
        held = self._strips.get(y)
        if held is not None and held[0] == drawn_of:
            return held[1]
        strip = self._drawn(row, lit=drawn_of[1])
        self._strips[y] = drawn_of, strip
        return strip

    def _drawn(self, row: Row, *, lit: bool) -> Strip:
        styles = self._role_styles()
        over = styles["cursor"] if lit else Style()
        plain = styles["text"] + over
        pieces = (
            Segment(piece.text, styles[piece.role] + (over if _is_plain(piece.role) else Style()))
            for piece in row
        )
        return line(pieces, self.size.width, plain)

    def _place(self) -> None:
        """Bring the cursor's row into view."""
        room, at = self.visible_rows, self._cursor or 0
        most = max(0, len(self._rows) - room)
        self._top = max(0, min(max(min(self._top, at), at - room + 1), most))

    def _role_styles(self) -> dict[str, Style]:
        if self._styles is None:
            names = [*_PLAIN, *(f"heat-{level}" for level in range(SHADES))]
            found = {name: self.get_component_rich_style(f"role-lines--{name}") for name in names}
            cursor = self.get_component_rich_style("role-lines--cursor")
            found["text"], found["cursor"] = self.rich_style, Style(bgcolor=cursor.bgcolor)
            self._styles = found
        return self._styles

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = None
        self._strips = {}

    def on_resize(self, event: events.Resize) -> None:
        self._place()
        self.refresh()
        if event.size.width != self._width:
            self._width = event.size.width
            self.post_message(self.Widened(self))

    def on_click(self, event: events.Click) -> None:
        index = self._top + event.y - len(self._head)
        if event.y >= len(self._head) and index < len(self._rows):
            self.post_message(self.Highlighted(self, index))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._wheel(_WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._wheel(-_WHEEL)

    def _wheel(self, rows: int) -> None:
        if self._rows and self._cursor is not None:
            index = max(0, min(self._cursor + rows, len(self._rows) - 1))
            self.post_message(self.Highlighted(self, index))


def _is_plain(role: Role) -> bool:
    """Whether a role has no background of its own."""
    return role == "text" or (role in _PLAIN and role != "chosen")
