"""What the explorer adds to a server's stream: tokens a second, beside a bare client.

    python benchmarks/server.py [URL]

Without an address llama.cpp's server is started on the tests' model. Each round streams the same
greedy request twice, by a bare client that reads the events and by the engine's process as the app
uses it, 20 candidates a step; which one comes first alternates. Then the reply with the whole
vocabulary is asked for, parsed and put in order.
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import llama_server

from tokexplore.models.api.engine import DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.api.questions import Encode
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.address import Address
from tokexplore.models.server.http import Http
from tokexplore.models.server.look_llama_cpp import whole_vocabulary
from tokexplore.models.worker.client import EngineClient

PROMPT = "Once upon a time there was a king who"
TOP = 20


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
    rows = client.info.vocabulary
    await client.close()
    http = Http(Address.parse(url), ServerOptions())
    began = time.perf_counter()
    whole_vocabulary(http, rows)
    print(f"the whole vocabulary, asked for and read: {time.perf_counter() - began:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", default="", help="llama.cpp's server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200)
    given = parser.parse_args()
    served = contextlib.nullcontext(given.url) if given.url else llama_server.serving()
    with served as url:
        asyncio.run(measure(url, given.rounds, given.tokens))


if __name__ == "__main__":
    main()
