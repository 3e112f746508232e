"""Writes sessions in many processes and kills each at some moment: how much of each is lost.

    python -m support.killed_writers COUNT FOLDER SEED

Prints a JSON line for each: seconds that it wrote, tokens that it had a second before its death,
tokens that the file holds, and what is wrong with the file, if anything.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from support.sessions import grow, journal_of, prompted
from tokexplore.models.errors import UsageError
from tokexplore.models.session.reading import open_session
from tokexplore.models.tree import TokenTree

AT_ONCE = 10
TOKENS_A_SECOND = 150


def write(path: Path, pipe: int) -> None:
    """Write for ever, saying how far it is."""
    tree = TokenTree()
    journal_of(tree, path)
    leaf = prompted(tree)
    for number in range(10**9):
        leaf = grow(tree, leaf, 1, seed=number) if number % 50 else tree.path(leaf)[3]
        os.write(pipe, b"%r %d\n" % (time.monotonic(), len(tree)))
        time.sleep(1 / TOKENS_A_SECOND)


def told(lines: bytes, death: float) -> int:
    """How many tokens there were a second before the death."""
    entries = [line.split() for line in lines.splitlines()]
    return max((int(n) for at, n in entries if float(at) <= death - 1.0), default=0)


def judge(path: Path, lines: bytes, lived: float, death: float) -> dict[str, object]:
    """What is left of a session."""
    result: dict[str, object] = {"lived": lived, "told": told(lines, death), "kept": 0, "wrong": ""}
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
    lives = [chance.uniform(0, 0.5) for _ in range(short)]
    lives += [chance.uniform(1.0, 2.0) for _ in range(count - short)]
    while waiting:
        living = []
        for path in waiting[:AT_ONCE]:
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                write(path, writing)
            os.close(writing)
            born = time.monotonic()
            living.append((born + lives.pop(0), born, child, reading, path))
        del waiting[:AT_ONCE]
        for end, born, child, reading, path in sorted(living):
            time.sleep(max(0.0, end - time.monotonic()))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            death = time.monotonic()
            with os.fdopen(reading, "rb") as pipe:
                lines = pipe.read()
            print(json.dumps(judge(path, lines, death - born, death)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
