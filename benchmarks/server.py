"""What the explorer adds to a server: to one stream, to 16 at once, to a whole vocabulary.

    python benchmarks/server.py [URL]

Without an address llama.cpp's server is started on the tests' model. Each round streams the same
greedy request twice, by a bare client that reads the events and by the engine's process as the app
uses it, 20 candidates a step; which one comes first alternates. Then the same of 16 requests at
once as the lab makes them, and last the reply with the whole vocabulary: how long the server takes,
and how long it takes here to read it, add it up and put the first page in order.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import llama_server

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.api.questions import Encode
from tokexplore.models.api.traffic import Traffic
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine
from tokexplore.models.worker.client import EngineClient

PROMPT = "Once upon a time there was a king who"
TOP, LAB_TOP = 20, 16
AT_ONCE = 16


def bare(url: str, ids: Sequence[int], tokens: int) -> float:
    """Tokens a second of a client that reads the events and does nothing with them."""
    body = {
        "prompt": list(ids), "n_predict": tokens, "n_probs": TOP, "temperature": 0, "stream": True,
        "cache_prompt": True, "ignore_eos": True,
    }  # fmt: skip
    request = urllib.request.Request(
        f"{url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    began, seen = time.perf_counter(), 0
    with urllib.request.urlopen(request, timeout=120) as reply:
        for line in reply:
            seen += line.startswith(b"data: ")
    return (seen - 1) / (time.perf_counter() - began)


async def ours(client: EngineClient, ids: Sequence[int], tokens: int) -> float:
    """Tokens a second as they reach the interface's process."""
    request = StreamRequest(tuple(ids), SamplingSettings(), tokens, ignore_eos=True)
    began, seen = time.perf_counter(), 0
    async for events in client.stream(request):
        seen += sum(isinstance(event, DrawnToken) for event in events)
    return seen / (time.perf_counter() - began)


async def measure(url: str, rounds: int, tokens: int) -> None:
    """Print the ratio of the two, round by round, and the time of the whole vocabulary."""
    client = EngineClient(LoadOptions(url, server=ServerOptions(top=TOP)))
    await client.start(lambda _: None)
    ids = await client.ask(Encode(PROMPT))
    ratios = []
    for number in range(rounds + 1):
        first = number % 2
        speeds = {}
        for way in (first, 1 - first):
            speeds[way] = (
                await ours(client, ids, tokens)
                if way
                else await asyncio.to_thread(bare, url, ids, tokens)
            )
        if number:  # the first round warms both
            ratios.append(speeds[1] / speeds[0])
            print(
                f"bare {speeds[0]:6.1f} tokens/s, ours {speeds[1]:6.1f}: {ratios[-1]:.3f}",
                flush=True,
            )
    print(f"ours / bare: median {statistics.median(ratios):.3f} of {rounds} rounds")
    await client.close()


def bare_together(url: str, ids: Sequence[int], tokens: int) -> float:
    """Tokens a second of so many bare clients at once, all together."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: bare(url, ids, tokens), range(AT_ONCE)))
    return AT_ONCE * tokens / (time.perf_counter() - began)


def lab_together(engine: ServerEngine, ids: Sequence[int], tokens: int) -> float:
    """The same of the lab's runs at once."""
    request = StreamRequest(tuple(ids), SamplingSettings(), tokens, ignore_eos=True, top=LAB_TOP)
    began, seen = time.perf_counter(), 0
    traffic = Traffic(copies=AT_ONCE)
    for event in engine.requests.run([request] * AT_ONCE, traffic, Control()):
        seen += isinstance(event, tuple) and isinstance(event[1], DrawnToken)
    return seen / (time.perf_counter() - began)


def measure_together(url: str, rounds: int, tokens: int) -> None:
    """Print the ratio of 16 at once, round by round, and the times of the whole vocabulary."""
    engine = ServerEngine.open(LoadOptions(url, server=ServerOptions(top=TOP)), lambda _: None)
    ids, ratios = engine.encode(PROMPT), []
    for number in range(rounds + 1):
        ways = [lambda: bare_together(url, ids, tokens), lambda: lab_together(engine, ids, tokens)]
        order = (0, 1) if number % 2 else (1, 0)
        speeds = {way: ways[way]() for way in order}
        if number:  # the first round warms both
            ratios.append(speeds[1] / speeds[0])
            print(
                f"{AT_ONCE} at once: bare {speeds[0]:6.1f} tokens/s, the lab {speeds[1]:6.1f}: "
                f"{ratios[-1]:.3f}",
                flush=True,
            )
    print(f"the lab / bare: median {statistics.median(ratios):.3f} of {rounds} rounds")
    measure_whole(engine, ids)


def measure_whole(engine: ServerEngine, ids: Sequence[int]) -> None:
    """Print how long a whole vocabulary takes the server, and how long here."""
    http = engine._dialect._http  # type: ignore[attr-defined]
    asked, replies, there = http.post_raw, list[bytes](), list[float]()

    def timed(*arguments: object) -> bytes:
        began = time.perf_counter()
        replies.append(asked(*arguments))
        there.append(time.perf_counter() - began)
        return replies[-1]

    here = []
    http.post_raw = timed
    for round_ in range(1, 8):
        path = [*ids, round_]  # which no row is held of
        began = time.perf_counter()
        engine.describe(path, whole=True)
        engine.rows(path, 256, 256)
        here.append(time.perf_counter() - began - there[-1])
    http.post_raw = asked
    print(
        f"{engine.info.vocabulary:,} candidates, {len(replies[-1]) / 1e6:.1f} MB: the server "
        f"{statistics.median(there) * 1e3:.0f} ms, here {statistics.median(here) * 1e3:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", default="", help="llama.cpp's server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200)
    given = parser.parse_args()
    served = contextlib.nullcontext(given.url) if given.url else llama_server.serving()
    with served as url:
        asyncio.run(measure(url, given.rounds, given.tokens))
        measure_together(url, given.rounds, given.tokens // 4)


if __name__ == "__main__":
    main()
