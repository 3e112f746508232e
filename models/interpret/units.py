"""Stretches of a path that people point at: turns, sentences, words, tokens.

All consist of whole tokens. Sentences end where a full stop, a question or an exclamation mark
stands before a space, and where lines end, so that an abbreviation can cut one; words are what
stands between spaces, and single characters where a script has none.
"""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from tokexplore.models.api.chat import ChatPart

UnitKind = Literal["turn", "template", "sentence", "word", "token"]
"""From the coarsest to the finest. `template` is what a chat template writes by itself, or a
tokenizer in front of a text, such as BOS: it goes beside the turns, or the sentences."""

_ENDS = ".!?…"
_WIDE_ENDS = "。！？"
_CLOSING = "\"'”’)]»*_"


class Unit(msgspec.Struct, frozen=True):
    """Tokens `start` to `end` of a path, from 0."""

    kind: UnitKind
    start: int
    end: int
    role: str = ""
    """Whose turn it is, of those in a chat."""

    @property
    def tokens(self) -> range:
        """Their places."""
        return range(self.start, self.end)


def turns(parts: Sequence[ChatPart], start: int) -> list[Unit]:
    """The turns of a rendered conversation and what its template writes around them.

    Args:
        start: place of the first token of `parts`.
    """
    found = list[Unit]()
    message = -1
    for part in parts:
        kind: UnitKind = "template" if part.kind == "template" else "turn"
        end = start + part.tokens
        if found and kind == found[-1].kind == "turn" and part.message == message:
            found[-1] = msgspec.structs.replace(found[-1], end=end)
        else:
            found.append(Unit(kind, start, end, part.role))
        start, message = end, part.message
    return found


def plain(pieces: Sequence[str], special: Sequence[bool]) -> list[Unit]:
    """What a path that is no chat consists of: special tokens in front, and sentences.

    Special tokens are no part of the first sentence, as attention that has no other place to go
    goes to the first token (Xiao et al., arXiv:2309.17453): hiding it tells nothing of the words.

    Args:
        pieces: text of each token of the path, as `Vocabulary.pieces` has them.
        special: whether each is a special token.
    """
    lead = next((n for n, is_special in enumerate(special) if not is_special), len(special))
    front = [Unit("template", 0, lead)] if lead else []
    rest = cut("sentence", lead, len(pieces), pieces) if lead < len(pieces) else []
    return front + rest


def inside(unit: Unit, pieces: Sequence[str]) -> list[Unit]:
    """What the next finer stretches of a unit are, where it has more than one; none of a token.

    Args:
        pieces: text of each token of the path, as `Vocabulary.pieces` has them.
    """
    kinds: dict[UnitKind, tuple[UnitKind, ...]] = {
        "turn": ("sentence", "word", "token"),
        "template": ("token",),
        "sentence": ("word", "token"),
        "word": ("token",),
        "token": (),
    }
    for kind in kinds[unit.kind]:
        found = cut(kind, unit.start, unit.end, pieces, unit.role)
        if len(found) > 1:
            return found
    return []


def cut(kind: UnitKind, start: int, end: int, pieces: Sequence[str], role: str = "") -> list[Unit]:
    """The sentences, words or tokens of a stretch of a path."""
    begins = {"sentence": _begins_sentence, "word": _begins_word}.get(kind)
    edges = [start]
    for at in range(start + 1, end):
        # The text of a character that takes several tokens is its last token's.
        added = next((piece for piece in pieces[at:end] if piece), "")
        if begins is None or begins("".join(pieces[edges[-1] : at]), added):
            edges.append(at)
    return [Unit(kind, first, last, role) for first, last in pairwise([*edges, end])]


def _begins_word(before: str, piece: str) -> bool:
    if not piece or not before.strip():
        return False  # a character that does not end here, or spaces before a word
    return piece[0].isspace() or before[-1:].isspace() or _is_wide(piece[0])


def _begins_sentence(before: str, piece: str) -> bool:
    stripped = before.rstrip()
    if not stripped or not piece.strip():
        return False  # the spaces after a sentence belong to it
    between = before[len(stripped) :] + piece[: len(piece) - len(piece.lstrip())]
    if "\n" in between:
        return True
    bare = stripped.rstrip(_CLOSING)
    return bare.endswith(tuple(_WIDE_ENDS)) or (bool(between) and bare.endswith(tuple(_ENDS)))


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
