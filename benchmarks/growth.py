"""How memory grows with what is explored: a stream, and a branch every so many tokens.

    python benchmarks/growth.py [MODEL] [--tokens 156000] [--branch 800] [--checkout OTHER]

The app is the real one on a pseudo-terminal of 120 x 40 that is always read, and keeps its session
in a folder of its own. It streams at full speed; after each `--branch` tokens it goes back to a
random step of the path in view and takes another candidate there. MODEL is `fake` (the tests'
engine, inside the app's process: the interface's part alone, 256 candidates a step) or one that
the worker loads; of that the engine's process is weighed too. `--checkout` is the folder of another
build, with its own `.venv`: the same script then weighs that one. Memory is what the kernel says is
resident, less the file's pages that are mapped; bytes a token are the slope over the last half.

13 minutes at 200 tokens a second with a branch every four seconds are the defaults.
"""

import argparse
import asyncio
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interface import Terminal, on_terminal

from tokexplore.models.api.options import LoadOptions

TEMPERATURE, TOP_P = 0.8, 0.95
POLL = 0.002
"""Seconds between looks at whether a stream has ended."""
SAMPLES = 24
"""Weighings of a run."""


def resident(pid: int | str = "self") -> float:
    """Resident memory of a process in MB (1e6 bytes), less what is mapped of files."""
    _, held, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(held) - int(shared)) * resource.getpagesize() / 1e6


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in found for child in file.read_text().split()]


def serve(checkout: Path, report: int, load: LoadOptions, tokens: int, branch: int) -> None:
    """Be the app that is weighed; a line of JSON to the descriptor for each weighing."""
    sys.path.insert(0, str(checkout / "benchmarks"))  # with the tests' engine of that build
    from watched_app import WatchedApp

    from tokexplore.models.api.options import PromptSpec
    from tokexplore.models.sampling.settings import SamplingSettings
    from tokexplore.tui.explore.environment import REAL
    from tokexplore.tui.explore.options import STOCK_PROMPT, AppOptions

    class GrowingApp(WatchedApp):
        """Streams and branches until there are so many tokens."""

        async def watch(self) -> None:
            """Grow, and tell the weight on the way."""
            chance, due, began = random.Random(0), 0, time.monotonic()
            while True:
                await self._stands()
                explorer = self.controller.explorer
                count = len(explorer.tree) - 1
                if count >= due:
                    due += max(branch, tokens // SAMPLES)
                    await asyncio.sleep(1.5)  # what was written is let go
                    self.report(
                        tokens=count, interface=resident(), path=len(explorer.nodes),
                        branches=len(explorer.tree.branches), seconds=time.monotonic() - began,
                        done=count >= tokens,
                    )  # fmt: skip
                if count >= tokens:
                    return
                await self._branch(chance)

        async def _stands(self) -> None:
            while self.controller.state != "paused" or self.controller.busy:
                await asyncio.sleep(POLL)

        async def _branch(self, chance: random.Random) -> None:
            """Take another candidate at a random step and go on from there."""
            explorer = self.controller.explorer
            tree, first = explorer.tree, explorer.first_step
            room = (self.controller.link.client.info.context or 10**9) - branch - 2
            last = max(first + 1, min(len(explorer.nodes), room))
            before = explorer.nodes[chance.randrange(first, last) - 1]
            taken = {tree.token[child] for child in tree.children[before]}
            ids = tree.distribution[before].id_view
            token = next(token for token in ids if token not in taken)
            await self.controller.take(token, before)

    settings = SamplingSettings(temperature=TEMPERATURE, top_p=TOP_P, seed=3)
    options = AppOptions(
        load=load, prompt=PromptSpec(text=STOCK_PROMPT), settings=settings,
        given=frozenset(("temperature", "top_p", "seed")), max_new_tokens=branch, ignore_eos=True,
    )  # fmt: skip
    GrowingApp(options, report, _with_fake() if load.model == "fake" else REAL).run()


def _with_fake() -> object:
    """Surroundings whose engine is the tests' own, in this process."""
    from support.connect import in_thread
    from support.fake_engine import FakeEngine

    from tokexplore.models.worker.client import EngineClient
    from tokexplore.tui.explore.environment import Environment

    engine = FakeEngine(context=1_000_000)
    return Environment(
        lambda load, lost: EngineClient(load, connect=in_thread(lambda *_: engine), on_lost=lost)
    )


@contextmanager
def growing(asked: argparse.Namespace) -> Iterator[Terminal]:
    """The app of a build, from its start to its end, with a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:

        def begin(report: int) -> None:
            os.environ["XDG_STATE_HOME"] = folder
            python = str(asked.checkout / ".venv" / "bin" / "python")
            arguments = [__file__, asked.model, f"--tokens={asked.tokens}"]
            arguments += [f"--branch={asked.branch}", f"--report={report}"]
            arguments += [f"--checkout={asked.checkout}"]
            arguments += [f"--kv-memory={asked.kv_memory}"] if asked.kv_memory else []
            os.execv(python, [python, *arguments])

        with on_terminal(begin) as terminal:
            yield terminal


def run(asked: argparse.Namespace) -> None:
    """Grow, and print what it weighs on the way."""
    print(f"{asked.checkout}: {asked.model}, a branch every {asked.branch:,} tokens", flush=True)
    print(
        f"{'tokens':>9} {'branches':>8} {'path':>6} {'interface MB':>12} {'engine MB':>9} {'s':>6}"
    )
    told: list[dict[str, float]] = []
    with growing(asked) as terminal:
        done = False
        while not done:
            report: dict[str, float] = terminal.next_report()  # type: ignore[assignment]
            report["engine"] = sum(map(resident, children(terminal.pid)))
            told.append(report)
            print(
                f"{report['tokens']:>9,} {report['branches']:>8,} {report['path']:>6,} "
                f"{report['interface']:>12.1f} {report['engine']:>9.1f} {report['seconds']:>6.0f}",
                flush=True,
            )
            done = bool(report["done"])
    for name in ("interface", "engine"):
        late = told[len(told) // 2 :]
        grown, tokens = (late[-1][key] - late[0][key] for key in (name, "tokens"))
        if told[-1][name] and tokens:
            print(f"{name}: {told[-1][name]:,.0f} MB; {grown * 1e6 / tokens:,.0f} bytes a token")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="fake")
    parser.add_argument("--tokens", type=int, default=156_000)
    parser.add_argument("--branch", type=int, default=800)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--kv-memory", type=float, default=0.0, help="GB; 0 is the build's own")
    parser.add_argument("--report", type=int, default=-1, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.report >= 0:
        kept = {"kv_memory": asked.kv_memory} if asked.kv_memory else {}
        load = LoadOptions(asked.model, **kept)
        serve(asked.checkout, asked.report, load, asked.tokens, asked.branch)
    else:
        run(asked)


if __name__ == "__main__":
    main()
