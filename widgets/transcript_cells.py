"""Tokens of the running text, and the pieces of them that wrapping treats as one."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tokexplore.models.api.chat import PartKind
from tokexplore.models.display import NEWLINE, SPACE, TAB, is_mark, safe_character
from tokexplore.models.tree.events import Came
from tokexplore.widgets.cell_text import width

FORK, FLIP = "┬", "▲"
MARKS = (FORK, FLIP)
"""What stands after tokens, in this order."""
NO_TEXT = "·"
"""Stands for a token without text where the beginnings of tokens are shown."""

WORD, BLANK, WIDE, CLOSING, OPENING, MARK, HELD, BREAK = range(8)
"""What a piece of text is to the wrapping: CLOSING and MARK (a fork or a combining mark) never
begin a line, OPENING never ends one, BREAK ends it. HELD is a line break behind which marks stand:
the last of those is the BREAK."""

_CLOSERS = frozenset("，。、；：！？）」』】》〉〕…—·％〗〙〛ー～")
_OPENERS = frozenset("（「『【《〈〔〖〘〚")
_ASCII = re.compile(r"\n|\t| +|[^ \t\n]+")
_IDEOGRAPHIC_SPACE = "\u3000"
_FIXED_SPACES = frozenset("\u00a0\u202f")


class Cell(NamedTuple):
    """One token of the path as the transcript shows it."""

    text: str
    """What it adds to the running text, raw as `Vocabulary.pieces` has it; may be empty."""
    origin: Came
    fork: bool = False
    """Whether the tree forks after this token."""
    special: bool = False
    flip: bool = False
    """Whether numeric noise could have given another token here, as far as it was measured."""
    kind: PartKind = "content"
    """Whose words it is, where the text is a conversation."""
    shown: str = ""
    """Its visible form (`Vocabulary.show`): drawn while the cursor is on a token without text."""


class Atom(NamedTuple):
    """A piece of one token's safe text that wrapping treats as one."""

    offset: int
    """Characters of the token's safe text before it."""
    text: str
    kind: int
    width: int


def _numbered(pieces: list[tuple[str, int]]) -> tuple[Atom, ...]:
    atoms, offset = [], 0
    for text, kind in pieces:
        atoms.append(Atom(offset, text, kind, width(text)))
        offset += len(text)
    return tuple(atoms)


def _ascii_kind(piece: str) -> tuple[str, int]:
    if piece == "\n":
        return NEWLINE, BREAK
    if piece == "\t":
        return TAB, BLANK
    if piece[0] == " ":
        return piece, BLANK
    return (piece if piece.isprintable() else "".join(map(safe_character, piece))), WORD


def _character_kind(character: str) -> tuple[str, int]:
    if character in "\n\t ":
        return _ascii_kind(character)
    if character == _IDEOGRAPHIC_SPACE:
        return character, BLANK
    if character in _FIXED_SPACES:
        return SPACE, WORD
    safe = safe_character(character)
    size = width(safe)
    if not size or is_mark(safe[0]):
        return safe, MARK
    if safe in _CLOSERS:
        return safe, CLOSING
    if safe in _OPENERS:
        return safe, OPENING
    return safe, WIDE if size > 1 and len(safe) == 1 else WORD


@lru_cache(maxsize=16_384)
def atoms_of(
    text: str, fork: bool = False, flip: bool = False, boundary: bool = False
) -> tuple[Atom, ...]:
    """The pieces of one token, made safe, its marks behind them.

    With `boundary`, one without text has a dot, which stays with the text that comes next.
    """
    if boundary and not text:
        pieces = [(NO_TEXT, OPENING)]
    elif text.isascii():
        pieces = [_ascii_kind(piece) for piece in _ASCII.findall(text)]
    else:
        pieces = []
        for character in text:
            safe, kind = _character_kind(character)
            joins = pieces and pieces[-1][1] in ((WORD, BLANK) if kind != MARK else range(HELD))
            if joins and (kind == MARK or kind == pieces[-1][1]):
                pieces[-1] = (pieces[-1][0] + safe, pieces[-1][1])
            else:
                pieces.append((safe, kind))
    marks = [mark for mark, shown in zip(MARKS, (fork, flip), strict=True) if shown]
    if marks and pieces and pieces[-1][1] == BREAK:
        kinds = [HELD] * len(marks) + [BREAK]
        pieces[-1:] = zip((pieces[-1][0], *marks), kinds, strict=True)
    else:
        pieces += [(mark, MARK) for mark in marks]
    return _numbered(pieces)


def first_difference(old: Sequence[Cell], new: Sequence[Cell], start: int) -> int:
    """The first index from `start` on at which two paths are laid out otherwise.

    The shorter one's end counts. The first `start` cells are known to be the same.
    """
    for index in range(start, min(len(old), len(new))):
        a, b = old[index], new[index]
        if (a.text, a.fork, a.flip) != (b.text, b.fork, b.flip):
            return index
    return min(len(old), len(new))


def extent(cells: Sequence[Cell], start: int, stop: int, columns: int) -> int:
    """About how many lines some tokens have."""
    texts = [cell.text for cell in cells[start:stop]]
    used = sum(width(text) + columns * text.count("\n") for text in texts)
    return -(-used // max(1, columns))
