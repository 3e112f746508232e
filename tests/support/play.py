"""Random frames played into terminal emulators, and where a cell is not what it should be.

    python -m support.play 1000000 [SEED]    from `tests`: so many frames into pyte and into tmux

A frame is compared with what painting the same frame whole shows in another terminal of the same
kind, cell by cell with its style, and with the grid.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from support.emulators import Pyte, Tmux
from support.frames import Frame, Story
from tokexplore.tui.terminal.cell_grid import Grid, glyph_text, start_of
from tokexplore.tui.terminal.cell_reach import fitting, is_sure, pushed_from

SIZE = (16, 3)
FRAMES = 40
"""Of each story."""
LANES = 8
"""Stories that tmux plays at once, each in two panes."""


def characters(grid: Grid, row: int) -> list[tuple[int, int, str]]:
    """First column, the column after the last, and text of each character of a row.

    Left out are the last two of a row that ends in marks on what may be wider than its cells:
    marks in the last column are on the character before it in some terminals (`pushed_from`).
    """
    glyphs = grid.glyphs[row]
    found: list[tuple[int, int, str]] = []
    end = grid.width
    while end:
        start = start_of(glyphs, end - 1)
        found.insert(0, (start, end, fitting(int(glyphs[start]), grid.width - start)))
        end = start
    last = glyph_text(int(glyphs[found[-1][0]]))
    loose = pushed_from(grid, row) is None or not is_sure(ord(last[0]))
    return found[:-2] if len(last) > 1 and loose else found


@dataclass(frozen=True)
class Played:
    """The frames of a story, for several terminals."""

    seed: int
    filtered: bool
    frames: list[Frame]


def played(seeds: Iterable[int]) -> Iterator[Played]:
    """The stories of some seeds."""
    for seed in seeds:
        story = Story(seed, SIZE)
        yield Played(seed, story.filtered, list(story.frames(FRAMES)))


def pyte_faults(stories: Iterable[Played], *, against_grid: bool = True) -> Iterator[str]:
    """What pyte shows wrong, as far as the first fault of each story."""
    for story in stories:
        size, pair = (0, 0), []
        for number, (sent, whole, grid) in enumerate(story.frames):
            if size != (grid.width, grid.height):
                size = grid.width, grid.height
                pair = [Pyte(*size), Pyte(*size)]
            shown, painted = pair[0].show(sent), pair[1].show(whole)
            wrong = shown != painted or (against_grid and _wrong_in_pyte(grid, shown))
            if wrong:
                yield f"pyte, story {story.seed}, frame {number}: {wrong}, sent {sent!a}"
                break


def _wrong_in_pyte(grid: Grid, shown: list[list[tuple]]) -> str:
    for row in range(grid.height):
        for start, end, text in characters(grid, row):
            got = [cell[0] for cell in shown[row][start:end]]
            if got != Pyte.drawn(text, end - start, grid.width - start):
                return f"row {row}, column {start}: {text!a} is {got!a}"
    return ""


def tmux_faults(tmux: Tmux, stories: Sequence[Played]) -> Iterator[str]:
    """What tmux shows wrong; it has two panes for each of its lanes."""
    for first in range(0, len(stories), LANES):
        some = stories[first : first + LANES]
        for number, frames in enumerate(zip(*(story.frames for story in some), strict=True)):
            for lane, frame in enumerate(frames):
                for pane in (2 * lane, 2 * lane + 1):
                    tmux.resize(pane, frame.grid.width, frame.grid.height)
            shown = tmux.show([data for frame in frames for data in (frame.sent, frame.whole)])
            for lane, (story, frame) in enumerate(zip(some, frames, strict=True)):
                one, other = shown[2 * lane : 2 * lane + 2]
                # tmux joins flags and emoji by rules of its own, which only a filtered story lacks.
                wrong = one != other or (story.filtered and _wrong_in_tmux(tmux, frame.grid, one))
                if wrong:
                    yield f"tmux, story {story.seed}, frame {number}: {wrong}, sent {frame.sent!a}"


def _wrong_in_tmux(tmux: Tmux, grid: Grid, shown: list) -> str:
    for row in range(grid.height):
        wanted = "".join(
            tmux.drawn(text, start, end, grid.width) for start, end, text in characters(grid, row)
        ).rstrip()
        got = "".join(character for character, _ in shown[row])
        if got[: len(wanted)] != wanted:
            return f"row {row}: {wanted!a} is {got!a}"
    return ""


def main() -> None:
    """Play many frames, and say what went wrong as it comes."""
    frames, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    tmux, found = Tmux(f"play-{os.getpid()}", 2 * LANES, SIZE), 0
    try:
        for begin in range(first, first + frames // FRAMES, 100):
            stories = list(played(range(begin, begin + 100)))
            for fault in (*pyte_faults(stories), *tmux_faults(tmux, stories)):
                found += 1
                print(fault, flush=True)
            print(f"stories {first} to {begin + 99}: {found} faults", flush=True)
    finally:
        tmux.close()


if __name__ == "__main__":
    main()
