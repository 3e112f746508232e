"""The rows of a picker as a list: under headings, which the cursor steps over."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from textual.content import Content
from textual.widgets.option_list import Option

from tokexplore.models.display import safe_text
from tokexplore.tui.screens.paged_list import PagedList

Row = TypeVar("Row")


class RowList(PagedList, Generic[Row]):
    """Shows rows, and knows which one is under the cursor; keys come from the picker.

    Args:
        heading: what a row stands under; empty for nothing.
        line: a row as it is listed.
        can_pick: whether the cursor can stand on a row.
    """

    DEFAULT_CSS = """
    RowList {
        & > .option-list--option-highlighted {
            background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
        }
        & > .option-list--option-disabled { color: $text-muted; }
    }
    """
    can_focus = False

    def __init__(
        self,
        heading: Callable[[Row], str],
        line: Callable[[Row], Content],
        can_pick: Callable[[Row], bool],
    ) -> None:
        super().__init__(markup=False)
        self._heading, self._line, self._can_pick = heading, line, can_pick
        self._shown: list[Row | None] = []
        """As the list has them; None for a heading."""

    def add(self, rows: Iterable[Row]) -> None:
        """Put rows at the end, under their headings."""
        more: list[Option] = []
        last = next((self._heading(row) for row in reversed(self._shown) if row is not None), "")
        for row in rows:
            if (heading := self._heading(row)) != last:
                last = heading
                more.append(Option(Content(safe_text(heading)), disabled=True))
                self._shown.append(None)
            more.append(Option(self._line(row), disabled=not self._can_pick(row)))
            self._shown.append(row)
        self.add_options(more)
        if self.highlighted is None:
            self.action_first()

    def clear(self) -> None:
        """Show no row."""
        self.clear_options()
        self._shown.clear()

    def keep_height(self) -> None:
        """Take so many rows of the screen from now on, however few are shown later."""
        self.styles.min_height = len(self._shown)

    def move(self, where: str) -> None:
        """Move the cursor: up, down, page_up or page_down."""
        moves = {
            "up": self.action_cursor_up,
            "down": self.action_cursor_down,
            "page_up": self.action_page_up,
            "page_down": self.action_page_down,
        }
        moves[where]()

    def at(self, index: int | None) -> Row | None:
        """The row at a place of the list; None for a heading, and where there is none."""
        return None if index is None or index >= len(self._shown) else self._shown[index]
