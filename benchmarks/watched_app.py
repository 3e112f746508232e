"""The app under measurement, for `interface.py`: it watches its own event loop and says so.

    python benchmarks/watched_app.py JOB DESCRIPTOR MODEL TOKENS

Runs the real app on the terminal that it is started on. What it measures it writes to the file
descriptor, one JSON object a line; `stream` ends by itself, `ended` and the trees wait for keys.
"""

import asyncio
import heapq
import json
import os
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.connect import in_thread
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import EngineLostError
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui import app
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.environment import REAL, Environment
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.options import STOCK_PROMPT, AppOptions

BEAT = 0.005
"""Seconds that the heart sleeps; what it oversleeps is a gap of the event loop."""
SPREAD = 8
"""Tokens of each of many branches; tokens after each of many nodes."""


class WatchedApp(TokexploreApp):
    """The app with a heart that beats in its event loop while it loads and streams."""

    CSS_PATH = Path(app.__file__).with_name("app.tcss")

    def __init__(self, options: AppOptions, report: int, environment: Environment = REAL) -> None:
        super().__init__(options, environment)
        self._report = report
        self.gaps: dict[str, list[float]] = {"loading": [], "streaming": []}
        self.own: dict[str, list[float]] = {"loading": [], "streaming": []}
        """CPU seconds of the event loop's thread between two beats."""
        self.arrivals: list[float] = []

    def report(self, **values: object) -> None:
        """Say something to `interface.py`."""
        os.write(self._report, json.dumps(values).encode() + b"\n")

    def on_mount(self) -> None:
        """Watch, once the app has mounted."""
        explorer = self.controller.explorer
        grown = explorer.grown

        def arrived(node: int) -> None:
            self.arrivals.append(time.perf_counter())
            grown(node)

        explorer.grown = arrived  # type: ignore[method-assign]
        self.watching = asyncio.create_task(self.watch())

    async def watch(self) -> None:
        """Beat until the stream is over, then report and leave."""
        used = 0.0
        while True:
            state = self.controller.state
            before, own = time.perf_counter(), time.thread_time()
            await asyncio.sleep(BEAT)
            if state in self.gaps and state == self.controller.state:
                self.gaps[state].append(time.perf_counter() - before - BEAT)
                self.own[state].append(time.thread_time() - own)
            if self.controller.streaming and not used:
                used = time.process_time()
            if used and not self.controller.streaming:
                break
        took = self.arrivals[-1] - self.arrivals[0]
        share = (time.process_time() - used) / took
        rate = (len(self.arrivals) - 1) / took
        self.report(rate=rate, share=share, gaps=self.gaps, own=self.own)
        await self.ending.leave(0)


class ReadAlongApp(WatchedApp):
    """Streams once all models are there; the stream is over when all of them have read it."""

    def __init__(self, options: AppOptions, report: int, tokens: int) -> None:
        super().__init__(options, report)
        self._tokens = tokens

    async def watch(self) -> None:
        """Wait for the models, stream, report and leave."""
        second, explorer = self.controller.second, self.controller.explorer
        alone = self.options.against is None
        while not explorer.nodes or self.controller.streaming or not (alone or self._all_read()):
            await asyncio.sleep(BEAT)
        await asyncio.sleep(1)
        began, start = time.perf_counter(), len(explorer.nodes)
        self.controller.play(self._tokens)
        while len(explorer.nodes) < start + self._tokens or not (alone or self._all_read()):
            await asyncio.sleep(BEAT)
        assert alone or second.is_there
        self.report(rate=self._tokens / (time.perf_counter() - began))
        await self.ending.leave(0)

    def _all_read(self) -> bool:
        explorer = self.controller.explorer
        return all(node in explorer.tree.compared for node in explorer.nodes[1:])


class EndedApp(WatchedApp):
    """Streams once, and stays."""

    async def watch(self) -> None:
        """Say that keys are waited for."""
        while self.controller.state != "paused" or self.controller.busy:
            await asyncio.sleep(BEAT)
        self.report(ready=True)


class BuiltApp(WatchedApp):
    """The app on a fake engine with a tree that is built before the first key."""

    def __init__(
        self, options: AppOptions, report: int, build: Callable[[Explorer, FakeEngine], None]
    ) -> None:
        engine = FakeEngine(context=100_000)

        def client(load: LoadOptions, on_lost: Callable[[EngineLostError], None]) -> EngineClient:
            return EngineClient(load, connect=in_thread(lambda *_: engine), on_lost=on_lost)

        super().__init__(options, report, Environment(client))
        self._build = partial(build, self.controller.explorer, engine)

    async def watch(self) -> None:
        """Build the tree when the first token has come, and say that keys are waited for."""
        while self.controller.state != "paused" or self.controller.busy:
            await asyncio.sleep(BEAT)
        self._build()
        self.changed()
        self.report(ready=True)


def grow(explorer: Explorer, engine: FakeEngine, leaf: int, tokens: int, draw: int = 0) -> int:
    """Append what the engine says after a node, as the controller does; the new leaf."""
    tree = explorer.tree
    request = StreamRequest(
        ids=tuple(tree.ids(leaf)),
        settings=explorer.settings,
        max_new_tokens=tokens,
        draw=draw,
        ignore_eos=True,
    )
    for event in engine.stream(request, Control()):
        if isinstance(event, DrawnToken):
            tree.record_distribution(leaf, event.distribution)
            leaf = tree.take(
                leaf, event.standing.token, event.chosen_by,
                settings=tree.configure(event.settings),
                logprob=event.standing.logprob, rank=event.standing.rank,
                sampler_logprob=event.sampler_logprob, sampler=event.sampler,
            )  # fmt: skip
    return leaf


def build_path(tokens: int, explorer: Explorer, engine: FakeEngine) -> None:
    """A path of so many tokens, and a second branch that leaves it halfway."""
    leaf = grow(explorer, engine, explorer.leaf, tokens)
    tree = explorer.tree
    fork = tree.path(leaf)[tokens // 2]
    taken = tree.token[tree.children[fork][0]]
    ids = tree.distribution[fork].id_view
    token = next(ids[i] for i in range(len(ids)) if ids[i] != taken)
    node = tree.take(fork, token, "picked", settings=0, logprob=-1.0, rank=2)
    grow(explorer, engine, node, tokens - tokens // 2)
    explorer.go_to(leaf)


def build_branches(branches: int, explorer: Explorer, engine: FakeEngine) -> None:
    """A path of 400 tokens and so many branches that leave it and each other anywhere."""
    tree, chance = explorer.tree, random.Random(0)
    leaf = grow(explorer, engine, explorer.leaf, 400)
    distributions = [tree.distribution[n] for n in tree.path(leaf) if n in tree.distribution]
    view = SamplerView(explorer.settings, 1, 0.0)
    while len(tree.branches) < branches:
        node = chance.randrange(ROOT + 1, len(tree))
        for _ in range(SPREAD):
            distribution = tree.distribution.get(node) or chance.choice(distributions)
            tree.record_distribution(node, distribution)
            place = chance.randrange(len(distribution))
            node = tree.take(
                node, distribution.id_view[place], "greedy", settings=0,
                logprob=distribution.logprob(place), rank=place + 1, sampler=view,
            )  # fmt: skip
        tree.record_distribution(node, chance.choice(distributions))
    explorer.go_to(leaf)


def build_map(nodes: int, explorer: Explorer, engine: FakeEngine) -> None:
    """So many tokens, always after the most probable path that has none yet."""
    tree, chance, start = explorer.tree, random.Random(0), explorer.leaf
    leaf = grow(explorer, engine, start, 60)
    distributions = [tree.distribution[n] for n in tree.path(leaf) if n in tree.distribution]
    open_nodes = [(0.0, start)]
    while len(tree) < nodes:
        surprisal, node = heapq.heappop(open_nodes)
        distribution = tree.distribution.get(node) or chance.choice(distributions)
        tree.record_distribution(node, distribution)
        for place in range(SPREAD):
            logprob = distribution.logprob(place)
            after = tree.take(
                node, distribution.id_view[place], "picked", settings=0, logprob=logprob,
                rank=place + 1,
            )  # fmt: skip
            heapq.heappush(open_nodes, (surprisal - logprob, after))
    explorer.go_to(leaf)


def main() -> None:
    job, report, model, tokens = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    prompt = PromptSpec(text=STOCK_PROMPT)
    options = AppOptions(
        load=LoadOptions(model), prompt=prompt, max_new_tokens=tokens, ignore_eos=True
    )
    if job == "stream":
        WatchedApp(options, report).run()
        return
    if job == "ended":
        EndedApp(options, report).run()
        return
    if job in ("alone", "second"):
        against = LoadOptions(model) if job == "second" else None
        read = msgspec.structs.replace(options, max_new_tokens=1, against=against)
        ReadAlongApp(read, report, tokens).run()
        return
    build = {"path": build_path, "branches": build_branches, "map": build_map}[job]
    first = AppOptions(prompt=prompt, max_new_tokens=1)
    BuiltApp(first, report, partial(build, tokens)).run()


if __name__ == "__main__":
    main()
