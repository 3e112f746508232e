"""The text of a path, wrapped, each token in the colour of what it did."""

from collections.abc import Sequence

from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.widgets.cell_text import chop, width
from tokexplore.widgets.role_lines import Piece, Role, Row


def coloured_text(pieces: Sequence[str], roles: Sequence[Role], columns: int) -> list[Row]:
    """A path's text as lines, broken between words where it can be.

    Args:
        pieces: text of each token, as `Vocabulary.pieces` has them.
        roles: of each token.
    """
    lines: list[list[Piece]] = [[]]
    used = 0
    for at, (piece, role) in enumerate(zip(pieces, roles, strict=True)):
        cells = width(_word(pieces, at, columns))
        if used and used + min(cells, columns) > columns and piece[:1].isspace():
            lines.append([])
            used = 0
        for number, part in enumerate(piece.split("\n")):
            if number:
                lines[-1].append(Piece(NEWLINE if used < columns else "", "muted"))
                lines.append([])
                used = 0
            shown = safe_text(part) if used or not part.startswith(" ") else safe_text(part[1:])
            while shown:
                head, shown = chop(shown, columns - used)
                lines[-1].append(Piece(head, role))
                used += width(head)
                if shown:
                    lines.append([])
                    used = 0
    return [row for row in lines if row] or [[]]


def line_of(pieces: Sequence[str], token: int, columns: int) -> int:
    """The line that a token begins on."""
    roles: list[Role] = ["text"] * (token + 1)
    return len(coloured_text(pieces[: token + 1], roles, columns)) - 1


def _word(pieces: Sequence[str], at: int, longest: int) -> str:
    """A piece and those after it that go on with its word, about so far as a line has room."""
    word = pieces[at].split("\n")[0]
    for piece in pieces[at + 1 :]:
        if not piece or piece[0].isspace() or len(word) > longest:
            break
        word += piece.split("\n")[0]
    return word
