"""A lane's text that is laid out as it comes is the one that is laid out at once."""

import math
import random
from itertools import pairwise

import pytest
from support.fake_vocabulary import VOCABULARY

from tokexplore.models.tree.events import Scored
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.futures import Lane
from tokexplore.tui.presenters.lanes import LaneText, entropies
from tokexplore.tui.presenters.why.text import ColouredLines, coloured_text
from tokexplore.widgets.role_lines import Role

WORDS = [" a", " word", "ing", "", "\n", " \n", "\n\n", " longlong", "x" * 15, " ", "日本", " é",
         "a\nb", " c\nd", "\u0301", "\x1b[31m"]  # fmt: skip


def test_text_that_comes_in_parts_breaks_where_it_does_as_a_whole() -> None:
    chance = random.Random(0)
    for _ in range(400):
        pieces = chance.choices(WORDS, k=chance.randrange(1, 40))
        roles: list[Role] = chance.choices(["text", "bold"], k=len(pieces))
        columns, at = chance.randrange(3, 30), 0
        lines = ColouredLines(columns)
        while at < len(pieces):
            more = chance.randrange(1, 4)
            lines.add(zip(pieces[at : at + more], roles[at : at + more], strict=True))
            at += more
            whole = coloured_text(pieces[:at], roles[:at], columns)
            assert lines.last() == whole
            assert lines.last(2) == whole[-2:]


def test_a_long_text_is_not_laid_out_again_for_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    laid, lay = list[str](), ColouredLines._lay

    def counted(lines: ColouredLines, piece: str, role: Role, cells: int) -> None:
        laid.append(piece)
        lay(lines, piece, role, cells)

    monkeypatch.setattr(ColouredLines, "_lay", counted)
    for word in " tale", "日本":
        lines = ColouredLines(40)
        lines.add([(word, "text")] * 2000)
        laid.clear()
        lines.add([(word, "text")])
        lines.last(10)
        assert len(laid) < 60


def grown(tokens: list[int], logprob: float = -1.0) -> tuple[TokenTree, Lane]:
    tree, lane, node = TokenTree(), Lane(1), ROOT
    for token in tokens:
        node = tree.take(node, token, "greedy", logprob=logprob)
        lane.nodes.append(node)
    return tree, lane


def text_of(text: LaneText) -> str:
    return "".join(piece.text for row in text.last(99) for piece in row).strip()


def test_a_character_that_is_not_whole_is_shown_until_it_is() -> None:
    first, second = _split("é")
    tree, lane = grown([first])
    text = LaneText(tree, VOCABULARY, lane, 40)
    assert text_of(text) == "<C3>"
    lane.nodes.append(tree.take(lane.leaf, second, "greedy", logprob=-1.0))
    assert text_of(text) == "é"


def _split(character: str) -> list[int]:
    """The tokens of a character's bytes."""
    data = character.encode()
    ids = range(len(VOCABULARY))
    return [next(i for i in ids if VOCABULARY.bytes_of(i) == bytes([byte])) for byte in data]


def test_a_token_that_is_scored_later_takes_its_colour() -> None:
    tree, lane = grown([300], math.nan)
    text = LaneText(tree, VOCABULARY, lane, 40)
    assert {piece.role for row in text.last(9) for piece in row} == {"text"}
    tree.append(Scored(lane.head, -5.0, 40))
    assert text.last(9) == LaneText(tree, VOCABULARY, lane, 40).last(9)
    assert any(piece.role != "text" for row in text.last(9) for piece in row)


def test_bars_stay_where_they_are_for_many_steps() -> None:
    tree, lane = grown([300] * 100)
    shown = [entropies(tree, lane.nodes[:count], 20) for count in range(1, 101)]
    assert max(map(len, shown)) == 20
    assert all(len(bars) >= 10 for bars in shown[20:])
    moves = sum(len(b) <= len(a) for a, b in pairwise(shown))
    assert moves == 8
