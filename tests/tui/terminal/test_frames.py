"""Ten thousand random frames in two terminals: each cell as if the frame had been painted whole.

`python -m support.play` plays more of them.
"""

import shutil
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pyte
import pytest
from support.emulators import Tmux
from support.play import FRAMES, LANES, SIZE, played, pyte_faults, tmux_faults
from wcwidth import wcwidth

from tokexplore.tui.terminal import ansi
from tokexplore.tui.terminal.cell_reach import is_sure

STORIES = 10_000 // FRAMES
"""Of planted faults, the rarest shows in every other story."""
PARTS = 5
SEEDS = [range(STORIES)[part::PARTS] for part in range(PARTS)]


@pytest.fixture
def tmux(request: pytest.FixtureRequest) -> Iterator[Tmux | None]:
    if shutil.which("tmux") is None:
        yield None
        return
    opened = Tmux(str(abs(hash(request.node.nodeid))), 2 * LANES, SIZE)
    yield opened
    opened.close()


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_every_cell_in_pyte_and_in_tmux(seeds: range, tmux: Tmux | None) -> None:
    stories = list(played(seeds))
    assert list(islice(pyte_faults(stories), 3)) == []
    if tmux is None:
        pytest.skip("tmux is not installed")
    assert list(islice(tmux_faults(tmux, stories), 3)) == []


def of_other_widths(kind: str) -> Callable[[str], int]:
    """The width of a character in a terminal with a table of its own."""

    def width(character: str) -> int:
        known, category = wcwidth(character), unicodedata.category(character)
        ambiguous = unicodedata.east_asian_width(character) == "A"
        if is_sure(ord(character)):
            return known
        if kind == "marks are cells":
            return 1 if category[0] == "M" else known
        if kind == "ambiguous is wide":
            return 2 if ambiguous and known else known
        if kind == "emoji are narrow":
            return min(known, 1)
        return 0 if category == "So" else known

    return width


@pytest.mark.parametrize(
    "kind", ["marks are cells", "ambiguous is wide", "emoji are narrow", "symbols are not drawn"]
)
def test_every_cell_as_painted_anew_in_terminals_of_other_widths(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyte.screens, "wcwidth", of_other_widths(kind))
    assert list(islice(pyte_faults(played(range(25)), against_grid=False), 3)) == []


def halves_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the changed half of a wide character is drawn, and the cursor thought one short."""
    draw = ansi._Pen.draw

    def short(self: ansi._Pen, row: int, start: int, end: int) -> None:
        draw(self, row, start, end)
        if self._column >= 0:
            self._leave(row, end)

    monkeypatch.setattr(ansi, "spread", lambda _grid, changed, _doubt: np.zeros_like(changed))
    monkeypatch.setattr(ansi._Pen, "draw", short)


def order_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    spread = ansi.spread
    monkeypatch.setattr(ansi, "spread", lambda *given: np.zeros_like(spread(*given)))


def all_widths_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ansi, "is_sure", lambda _glyph: True)


def nothing_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ansi, "width", lambda _text: 99)


@pytest.mark.parametrize(
    "plant", [halves_left_out, order_left_out, all_widths_trusted, nothing_cleared]
)
def test_a_planted_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert next(pyte_faults(played(range(STORIES))), None) is not None
