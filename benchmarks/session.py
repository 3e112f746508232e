"""What it costs to keep a session, and how quickly a large one is open again.

    python benchmarks/session.py [--nodes 100000]

The tree is made of distributions that the embedded model really told (256 candidates each), as a
stream makes it, in branches of 1,000 tokens that leave at random nodes. The cost on the event loop
is that of the same events with and without a journal, in turns. Opening is exec to first paint of
`tokexplore open` on a terminal of 120 x 40, in turns with a session of 100 tokens; a move is a key
to its paint.
"""

import argparse
import os
import pty
import random
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from fcntl import ioctl
from pathlib import Path

from interface import LEFT, Terminal, measure
from startup import COLUMNS, LINES, Screen

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.meta import Summary
from tokexplore.models.session.reader import open_session
from tokexplore.models.session.writer import View
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.cli.export_session import source_of
from tokexplore.tui.explore.options import STOCK_PROMPT
from tokexplore.tui.export.formats import export

DRAWN = 900
SETTINGS = SamplingSettings(temperature=0.8, top_p=0.75, seed=3)
BRANCH = 1_000


def stream() -> tuple[LocalEngine, list[int], list[DrawnToken]]:
    """The engine, a prompt, and what it drew after it."""
    engine = LocalEngine.open(LoadOptions(), lambda _: None)
    ids = engine.encode(STOCK_PROMPT)
    asked = StreamRequest(tuple(ids), SETTINGS, DRAWN, ignore_eos=True)
    events = engine.stream(asked, Control())
    return engine, ids, [event for event in events if isinstance(event, DrawnToken)]


def grow(
    engine: LocalEngine, ids: list[int], drawn: list[DrawnToken], nodes: int, book: Journal | None
) -> tuple[TokenTree, float]:
    """A tree of so many nodes, and the seconds that its growth took."""
    tree, chance = TokenTree(), random.Random(1)
    if book is not None:
        book.vocabulary(engine.vocabulary)
        tree.recorder = book.record
    tree.load(engine.info.provenance)
    leaf, number = ROOT, tree.configure(SETTINGS)
    for token in ids:
        leaf = tree.take(leaf, token, "prompt")
    spent = 0.0
    for step in range(nodes):
        if step % BRANCH == BRANCH - 1:
            leaf = chance.randrange(len(ids), len(tree))
        event = drawn[step % len(drawn)]
        # A token id of its own for each node, so that no two branches fall together.
        token = chance.randrange(engine.info.vocabulary)
        began = time.perf_counter()
        tree.record_distribution(leaf, event.distribution)
        leaf = tree.take(
            leaf, token, "sampled", settings=number, logprob=event.standing.logprob,
            rank=event.standing.rank, sampler_logprob=event.sampler_logprob, sampler=event.sampler,
        )  # fmt: skip
        spent += time.perf_counter() - began
        if step % 100 == 99:
            time.sleep(0.001)  # an event loop has pauses, in which the writer has its turn
    return tree, spent


def keep(
    engine: LocalEngine, ids: list[int], drawn: list[DrawnToken], nodes: int, path: Path
) -> tuple[float, float]:
    """Make a session's file: seconds on the loop, and seconds until all of it is written."""
    path.unlink(missing_ok=True)
    book = Journal(lambda: path, lambda text, _: print(text))
    began = time.perf_counter()
    tree, spent = grow(engine, ids, drawn, nodes, book)
    book.view(View(Summary("fable", len(tree) - 1, STOCK_PROMPT, time.time()), ""))
    problem = book.close("quit", patience=600)
    if problem:
        raise SystemExit(problem)
    return spent, time.perf_counter() - began


def opened(path: Path) -> tuple[int, int]:
    """`tokexplore open` on a terminal of ours: its process and the terminal."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "xterm-256color"
        arguments = ["-P", "-m", "tokexplore", "open", str(path)]
        os.execv(sys.executable, [sys.executable, *arguments])
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    return process, terminal


def paint(path: Path) -> float:
    """Seconds from exec to the first paint of a session."""
    began = time.perf_counter()
    process, terminal = opened(path)
    try:
        return Screen(terminal, began).wait_for("recorded · space loads the model")
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def move(path: Path, presses: int) -> None:
    """Key to paint in a session that was opened."""
    process, device = opened(path)
    try:
        terminal = Terminal(process, device, os.open(os.devnull, os.O_RDONLY))
        terminal.press(LEFT)
        measure(terminal, "one step back", [[LEFT]] * presses)
        measure(terminal, "another branch", [[b"J"], [b"K"]] * (presses // 2))
        measure(terminal, "next colouring", [[b"c"]] * presses)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(device)


def exports(path: Path) -> None:
    """JSON lines of a session, read from its file and written."""
    source = source_of(open_session(path, to_write=False))
    for count, target in ((0, 20_000), (20, 20_000), (256, 4_000)):
        with open(os.devnull, "wb") as out:
            began = time.perf_counter()
            export(source, "jsonl", "all", count, out)
            rate = len(source.tree) / (time.perf_counter() - began)
        print(f"JSON lines with {count} candidates: {rate:,.0f} nodes a second (target {target:,})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    engine, ids, drawn = stream()
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder, "large.tokx"), Path(folder, "small.tokx")
        bare, recorded = [], []
        for _ in range(3):
            bare.append(grow(engine, ids, drawn, 10_000, None)[1])
            recorded.append(keep(engine, ids, drawn, 10_000, small)[0])
        cost = (min(recorded) - min(bare)) / 10_000 * 1e6
        print(f"on the event loop: {cost:.1f} µs a token (target 100)")
        _, total = keep(engine, ids, drawn, asked.nodes, large)
        keep(engine, ids, drawn, 100, small)
        print(f"written: {asked.nodes / total:,.0f} tokens a second, tree and all")
        print(f"file: {large.stat().st_size / asked.nodes:,.0f} bytes a node (target 2,500)")
        seconds: dict[Path, list[float]] = {large: [], small: []}
        for path in seconds:
            paint(path)
        for _ in range(asked.rounds):
            for path, times in seconds.items():
                times.append(paint(path))
        first, base = (statistics.median(seconds[path]) for path in (large, small))
        print(
            f"open to first paint: {first:.2f} s with {asked.nodes:,} nodes (target 1), "
            f"{base:.2f} s with 100"
        )
        print("moves (target 50 ms)")
        move(large, 20)
        exports(large)


if __name__ == "__main__":
    main()
