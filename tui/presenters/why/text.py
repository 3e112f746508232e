"""The text of a path, wrapped, each token in the colour of what it did."""

from collections.abc import Iterable, Sequence

from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.widgets.cell_text import chop, width
from tokexplore.widgets.role_lines import Piece, Role, Row

Coloured = tuple[str, Role]
"""What a token adds to the text, and its role."""


class ColouredLines:
    """A path's text as lines, broken between words where it can be, that may grow: what stands is
    not laid out again.

    Args:
        columns: cells of a line.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._lines: list[list[Piece]] = [[]]
        self._used = 0
        """Cells of the last line."""
        self._open: list[Coloured] = []
        """The last word, as far as it is known: more of it may take it to another line."""

    def add(self, tokens: Iterable[Coloured]) -> None:
        """Lay out what comes after."""
        self._open += tokens
        at = 0
        while at < len(self._open):
            cells, whole = self._word(at)
            if not whole:
                break
            self._lay(*self._open[at], cells)
            at += 1
        del self._open[:at]

    def last(self, count: int | None = None, ends: Sequence[Coloured] = ()) -> list[Row]:
        """The last lines (all by default).

        Args:
            ends: what comes after as things stand, and is laid out anew the next time.
        """
        first, line, used = len(self._lines) - 1, list(self._lines[-1]), self._used
        kept = len(self._open)
        self._open += ends
        for at, token in enumerate(self._open):
            self._lay(*token, self._word(at)[0])
        lines = self._lines if count is None else self._lines[-count - 1 :]
        rows: list[Row] = [row for row in lines if row]
        del self._open[kept:]
        self._lines[first:], self._used = [line], used
        return (rows if count is None else rows[-count:]) or [[]]

    def _lay(self, piece: str, role: Role, cells: int) -> None:
        """Put a token at the end.

        Args:
            cells: of the word that begins with it.
        """
        columns, lines = self._columns, self._lines
        if self._used and piece[:1].isspace() and self._used + min(cells, columns) > columns:
            self._break()
        for number, part in enumerate(piece.split("\n")):
            if number:
                lines[-1].append(Piece(NEWLINE if self._used < columns else "", "muted"))
                self._break()
            begins = not self._used and part.startswith(" ")
            shown = safe_text(part[1:] if begins else part)
            while shown:
                head, shown = chop(shown, columns - self._used)
                lines[-1].append(Piece(head, role))
                self._used += width(head)
                if shown:
                    self._break()

    def _break(self) -> None:
        self._lines.append([])
        self._used = 0

    def _word(self, at: int) -> tuple[int, bool]:
        """Cells of an open token and of those after it that go on with its word, about so far as a
        line has room; and whether no more tokens could change it. Of a token that goes on with a
        word itself nothing is asked."""
        first = self._open[at][0]
        if not first[:1].isspace():
            return 0, True
        word = first.split("\n")[0]
        for piece, _ in self._open[at + 1 :]:
            if not piece or piece[0].isspace() or len(word) > self._columns:
                return width(word), True
            word += piece.split("\n")[0]
        return width(word), len(word) > self._columns


def coloured_text(pieces: Sequence[str], roles: Sequence[Role], columns: int) -> list[Row]:
    """A path's text as lines, broken between words where it can be.

    Args:
        pieces: text of each token, as `Vocabulary.pieces` has them.
        roles: of each token.
    """
    lines = ColouredLines(columns)
    lines.add(zip(pieces, roles, strict=True))
    return lines.last()


def line_of(pieces: Sequence[str], token: int, columns: int) -> int:
    """The line that a token begins on."""
    roles: list[Role] = ["text"] * (token + 1)
    return len(coloured_text(pieces[: token + 1], roles, columns)) - 1
