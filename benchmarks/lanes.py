"""What the interface takes while eight branches stream at once, on every screen that shows them.

    python benchmarks/lanes.py [fake | MODEL] [--rates 100 200] [--lengths 50 600]

The app is the real one on a pseudo-terminal of 120 x 40 that is always read. `fake` is the tests'
engine in a process of its own, as in `line.py`, which says so many tokens a second, of all streams
together: eight lanes (`F`, `8`) against one stream at the same total rate. A model streams as fast
as it can. Each screen is measured when the lanes have come to be so long: the futures, the branch
list over the main screen, and the main screen alone, whose path one of the lanes extends.

CPU is that of the app's process, in shares of a core; bytes are those on the line, without keys.
Keys come after that, at random moments: `key` is from a key to the last byte of what it changes on
the screen (of the main screen the colouring's name, else the cursor's row).
"""

import argparse
import random
import re
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

from line import COLOURINGS, COLUMNS, LINES, Line, at, command

from tokexplore.tui.explore.options import STOCK_PROMPT

LANES = 8
TARGET = "interface 25 % of a core, key p95 50 ms, bytes a token 1.00 x"
READY, LONG = 60.0, 600.0
"""Seconds in which the app is to get somewhere, and lanes to be so long."""
CURSOR = "›"
ENTER, UP, DOWN, RIGHT, END = "\r", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[F"

Look = Callable[[Line], Hashable]


class Figures(NamedTuple):
    """What a screen costs."""

    share: float
    """CPU of the interface, of one core."""
    bytes: float
    """A token."""
    keys: list[float]
    """Seconds from keys to their paint."""


def text_of(line: Line) -> str:
    """What is on the screen."""
    return "\n".join(line.screen.display)


def header_rate(line: Line) -> float:
    """Tokens a second of the stream in view, as the header has them."""
    found = re.search(r"([\d.]+) tok/s", text_of(line))
    return float(found[1]) if found else float("nan")


def until(line: Line, wanted: Callable[[str], object], seconds: float = READY) -> None:
    """Let time pass until the screen's text is so.

    Raises:
        SystemExit: that never came.
    """
    end = time.monotonic() + seconds
    while not wanted(text := text_of(line)):
        if time.monotonic() > end:
            raise SystemExit(f"this never came to be what was waited for:\n{text}")
        line.pass_time()


def lengths_of(text: str) -> list[int]:
    """Tokens of each lane on the screen of futures."""
    return [int(count) for count in re.findall(r"· (\d+) tok\b", text)]


def cells(line: Line, row: int, count: int) -> str:
    """The first cells of a row; `Screen.display` draws all rows, which takes what it measures."""
    found = line.screen.buffer[row]
    return "".join(found[x].data for x in range(count))


def colouring(line: Line) -> Hashable:
    """The name of the colouring on the main screen."""
    told = cells(line, 1, COLUMNS)
    return next((name for name in COLOURINGS if name in told), None)


def cursor_row(line: Line) -> Hashable:
    """Where the cursor of a list stands, which is at its left."""
    return next((y for y in range(2, LINES) if CURSOR in cells(line, y, 6)), None)


def key_to_paint(line: Line, key: str, look: Look) -> float:
    """Seconds from a key to what it changes.

    Raises:
        SystemExit: that never came.
    """
    before, began = look(line), time.monotonic()
    line.send(key.encode())
    while look(line) == before:
        line.pass_time()
        if time.monotonic() > began + READY:
            raise SystemExit(f"{key!r} changed nothing:\n{text_of(line)}")
    return line.arrived - began


class Bench:
    """The app under measurement.

    Args:
        app: its command line.
        seconds: how long each screen is watched.
        presses: keys on each screen.
    """

    def __init__(self, app: Sequence[str], seconds: float, presses: int) -> None:
        self.line = Line(app, 0, 0.0)
        self._seconds, self._presses = seconds, presses
        self._one: Figures | None = None
        self._rate = 0.0

    def stream(self) -> Figures:
        """One stream on the main screen."""
        self._begin()
        return self._show("one stream, main screen", "c", colouring)

    def lanes(self, lengths: Sequence[int], one: Figures) -> None:
        """Lanes after the last step of a stream that is still short, on every screen."""
        self._begin()
        self._one, line = one, self.line
        self._press(" ", "paused")
        line.wait(0.5)
        self._press(END, "branch")
        self._press(RIGHT, "open end")
        self._open_lanes()
        for length in lengths:
            until(line, lambda text: min(lengths_of(text), default=0) >= length, LONG)  # noqa: B023
            before, began = sum(lengths_of(text_of(line))), time.monotonic()
            line.wait(2)
            self._rate = (sum(lengths_of(text_of(line))) - before) / (time.monotonic() - began)
            self._show(f"{LANES} lanes of {length}, futures", (DOWN, UP), cursor_row)
        self._press("q", "BROWSE")
        self._show("main screen, lanes beside the path", "c", colouring)
        self._press("b", "Branches")
        self._show("branch list", (DOWN, UP), cursor_row)
        self._press("q", "entropy")
        self._open_lanes()
        self._press(ENTER, "BROWSE")
        self._show("main screen, a lane is the path", "c", colouring)

    def _begin(self) -> None:
        until(self.line, lambda text: "tok/s" in text)
        self.line.wait(2)
        self._rate = header_rate(self.line)

    def _press(self, key: str, then: str) -> None:
        """Press a key and wait until something is on the screen."""
        self.line.send(key.encode())
        until(self.line, lambda text: then in text)

    def _open_lanes(self) -> None:
        """The lanes of the step under the cursor: new ones, or those that are there."""
        self._press("F", "How many")
        self.line.send(f"{LANES}{ENTER}".encode())
        until(self.line, lambda text: len(lengths_of(text)) == LANES)

    def _show(self, what: str, keys: Sequence[str], look: Look) -> Figures:
        """Measure the screen in front and print it beside one stream.

        Args:
            keys: pressed in turn.
        """
        line, chance = self.line, random.Random(0)
        line.wait(1)
        size, busy, began = line.bytes, line.cpu(), time.monotonic()
        line.wait(self._seconds)
        took = time.monotonic() - began
        share, each = (line.cpu() - busy) / took, (line.bytes - size) / took / self._rate
        times = []
        for number in range(self._presses):
            line.wait(chance.uniform(0.1, 0.3))
            times.append(key_to_paint(line, keys[number % len(keys)], look))
        told = Figures(share, each, times)
        one = self._one or told
        print(
            f"  {what:<34} {self._rate:4.0f} tokens/s  interface {share:4.0%} "
            f"({share / one.share:.2f} x)  {each:5.0f} bytes a token ({each / one.bytes:.2f} x)  "
            f"key p50 {at(times, 0.5) * 1e3:3.0f}  p95 {at(times, 0.95) * 1e3:3.0f} ms",
            flush=True,
        )
        return told


def measure(app: Sequence[str], asked: argparse.Namespace) -> None:
    """The figures of one stream in an app, and of lanes in another, which have the context to
    themselves."""
    one: Figures | None = None
    while True:
        bench = Bench(app, asked.seconds, asked.presses)
        try:
            if one is not None:
                bench.lanes(asked.lengths, one)
                return
            one = bench.stream()
        finally:
            bench.line.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="fake")
    parser.add_argument("--rates", type=float, nargs="+", default=[100, 200])
    parser.add_argument("--lengths", type=int, nargs="+", default=[30, 500])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--presses", type=int, default=40)
    asked = parser.parse_args()
    print(f"targets: {TARGET}", flush=True)
    if asked.model == "fake":
        for rate in asked.rates:
            print(f"{rate:g} tokens/s in all", flush=True)
            measure(command("app", rate, "paced"), asked)
    else:
        program = str(Path(sys.executable).with_name("tokexplore"))
        endless = ["--max-new-tokens", "100000", "--ignore-eos", "--prompt", STOCK_PROMPT]
        measure([program, asked.model, *endless], asked)


if __name__ == "__main__":
    main()
