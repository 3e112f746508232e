"""Writes sessions in many processes and kills each at some moment: how much of each is lost.

    python -m support.killed_writers COUNT FOLDER SEED

Prints a JSON line for each: tokens that were said to be written before its death, tokens that the
file holds, and what is wrong with the file, if anything. What is killed when goes by what a writer
has done, not by the clock: on a busy machine it has done little in a second.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy.random  # noqa: F401  # else each writer imports it

from support.sessions import grow, journal_of, prompted
from tokexplore.models.errors import UsageError
from tokexplore.models.session import journal
from tokexplore.models.session.reader import open_session
from tokexplore.models.session.writer import View, Writer
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import Act, Event, TokenTaken
from tokexplore.models.tree.tree import TokenTree

AT_ONCE = 10
TOKENS_A_SECOND = 150
MADE, WRITTEN = b"made", b"written"


class TellingWriter(Writer):
    """Says after each commit up to which node the file holds all."""

    pipe = -1
    newest = 0

    def add(self, item: tuple[int, Event, Act] | Vocabulary | View) -> None:
        super().add(item)
        if isinstance(item, tuple) and isinstance(item[1], TokenTaken):
            self.newest = max(self.newest, item[1].node)

    def commit(self, *, sync: bool) -> bool:
        synced = super().commit(sync=sync)
        os.write(self.pipe, b"%s %d\n" % (WRITTEN, self.newest + 1))
        return synced


def write(path: Path, pipe: int) -> None:
    """Write for ever, saying how far it is."""
    TellingWriter.pipe, journal.Writer = pipe, TellingWriter
    tree = TokenTree()
    journal_of(tree, path)
    leaf = prompted(tree)
    for number in range(10**9):
        leaf = grow(tree, leaf, 1, seed=number) if number % 50 else tree.path(leaf)[3]
        os.write(pipe, b"%s %d\n" % (MADE, len(tree)))
        time.sleep(1 / TOKENS_A_SECOND)


def reached(lines: bytes, what: bytes) -> int:
    """How far a writer said that it is; half a line at the end does not count."""
    entries = [line.split() for line in lines.splitlines(keepends=True) if line.endswith(b"\n")]
    return max((int(count) for said, count in entries if said == what), default=0)


def judge(path: Path, lines: bytes) -> dict[str, object]:
    """What is left of a session."""
    result: dict[str, object] = {"told": reached(lines, WRITTEN), "kept": 0, "wrong": ""}
    if not path.exists() or not path.stat().st_size:
        return result
    try:
        session = open_session(path)
    except UsageError as error:
        result["wrong"] = "" if "is empty" in str(error) else str(error)
        return result
    tree = session.tree
    result["kept"] = len(tree)
    # A token that was kept has all that came before it: its distribution, its scores.
    whole = all(
        tree.rank[n] and tree.distribution.get(tree.parent[n]) is not None
        for n in range(1, len(tree)) if tree.origin[n] == "sampled"
    )  # fmt: skip
    if not whole:
        result["wrong"] = "the tree is not whole"
    return result


def main(count: int, folder: Path, seed: int) -> None:
    """Run writers, a few at a time, and print what became of each."""
    chance = random.Random(seed)
    waiting = [folder / f"{n}.tokx" for n in range(count)]
    short = count * 4 // 5
    goals = [(MADE, chance.randrange(75)) for _ in range(short)]
    goals += [(WRITTEN, chance.randrange(20, 110)) for _ in range(count - short)]
    while waiting:
        living = []
        for path in waiting[:AT_ONCE]:
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                os.close(reading)
                write(path, writing)
            os.close(writing)
            living.append((child, reading, path, *goals.pop(0)))
        del waiting[:AT_ONCE]
        for child, reading, path, what, goal in living:
            lines = b""
            while reached(lines, what) < goal and (more := os.read(reading, 1 << 16)):
                lines += more
            time.sleep(chance.uniform(0, 2 / TOKENS_A_SECOND))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            with os.fdopen(reading, "rb") as pipe:
                lines += pipe.read()
            print(json.dumps(judge(path, lines)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
