"""The branches that were left, as lines below the transcript's text."""

from collections.abc import Sequence

from textual.strip import Strip

from tokexplore.widgets.transcript_lines import Aside, draw_aside, draw_more
from tokexplore.widgets.transcript_looks import Looks


class Asides:
    """As many lines as a third of the transcript's height allows; rows count from the first one."""

    def __init__(self) -> None:
        self._lines: list[Aside] = []
        self._more = 0

    def __len__(self) -> int:
        return len(self._lines)

    def show(self, lines: Sequence[Aside], more: int) -> bool:
        """Take these branches, and how many there are beside them; whether it is anything new."""
        is_new = (list(lines), more) != (self._lines, self._more)
        self._lines, self._more = list(lines), more
        return is_new

    def rows(self, height: int) -> int:
        """How many have a line in a transcript of this height."""
        return min(len(self._lines), max(1, height // 3))

    def branch_at(self, row: int, height: int) -> int | None:
        """The number of the branch on a row; None below those that have one."""
        return self._lines[row].branch if row < self.rows(height) else None

    def draw(self, row: int, height: int, columns: int, looks: Looks) -> Strip:
        """A row from the first one on: a branch, how many more there are, or nothing."""
        rows = self.rows(height)
        if row < rows:
            return draw_aside(self._lines[row], columns, looks)
        more = len(self._lines) - rows + self._more
        if more and row == rows:
            return draw_more(more, columns, looks)
        return Strip.blank(columns, looks.text)
