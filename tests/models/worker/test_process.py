"""The engine in a real process of its own: what it prints, how it dies, how fast it talks."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.connect import in_process
from support.patience import LATE

from tokexplore.models.api.engine import DrawnToken, StreamEvent, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.errors import EngineLostError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.client import EngineClient
from tokexplore.models.worker.process import ProcessConnection

TESTS = Path(__file__).resolve().parents[2]
PATH = (0, 300, 310, 290)
COMPUTING = {"compute": True}


async def started(config: dict[str, object]) -> EngineClient:
    client = EngineClient(LoadOptions("fake"), connect=in_process(json.dumps(config)))
    await client.start(lambda _: None)
    return client


def process(client: EngineClient) -> ProcessConnection:
    connection = client._connection
    assert isinstance(connection, ProcessConnection)
    return connection


def exists(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def gathered(client: EngineClient, tokens: int) -> list[StreamEvent]:
    asked = StreamRequest(PATH, SamplingSettings(), tokens)
    return [event async for batch in client.stream(asked) for event in batch]


async def test_what_the_child_prints_goes_to_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    client = await started({"print": "a library\x1b[2J says"})
    assert client.log_tail.splitlines() == ["a library␛[2J says"] * 2
    assert capfd.readouterr() == ("", "")
    assert len(await gathered(client, 5)) == 6
    await client.close()


async def test_closing_leaves_no_process() -> None:
    client = await started({})
    pid = process(client).pid
    await client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_closing_ends_a_child_that_is_lost_in_a_computation() -> None:
    client = await started(COMPUTING)
    await gathered_until_silent(client)
    pid = process(client).pid
    await client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def gathered_until_silent(client: EngineClient) -> None:
    """Take the tokens that come before the long computation begins."""
    asked = StreamRequest(PATH, SamplingSettings(), 3)
    async for batch in client.stream(asked):
        if batch[-1].position == len(PATH) + 3 and not isinstance(batch[-1], DrawnToken):
            return


async def test_a_killed_child_is_told_with_its_last_words() -> None:
    client = await started({"print": "last words"})
    asking = asyncio.ensure_future(gathered(client, 10_000))
    os.kill(process(client).pid, signal.SIGKILL)
    with pytest.raises(EngineLostError, match=r"killed by SIGKILL[^\n]*\n  last words"):
        await asking
    again = EngineClient(client.options, connect=in_process("{}"))
    await again.start(lambda _: None)
    assert len(await gathered(again, 5)) == 6
    await client.close()
    await again.close()


async def test_a_child_that_dies_while_loading_is_told() -> None:
    client = EngineClient(LoadOptions("fake"), connect=in_process("not json"))
    with pytest.raises(EngineLostError, match=r"exit status 1[^$]*JSONDecodeError"):
        await client.start(lambda _: None)
    await client.close()


async def test_ctrl_c_belongs_to_the_interface() -> None:
    client = await started({})
    os.kill(process(client).pid, signal.SIGINT)
    assert os.getsid(process(client).pid) != os.getsid(0)
    assert len(await gathered(client, 5)) == 6
    await client.close()


PARENT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from support.connect import in_process
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.engine import StreamRequest
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.client import EngineClient

async def main():
    client = EngineClient(LoadOptions("fake"), connect=in_process({config!r}))
    await client.start(lambda _: None)
    seen = 0
    async for batch in client.stream(StreamRequest((0, 300), SamplingSettings(), 3)):
        seen += len(batch)
        if seen == 4:
            print(client._connection.pid, flush=True)
    await asyncio.sleep(100)

asyncio.run(main())
"""


@pytest.fixture(params=[{}, COMPUTING], ids=["idle", "computing"])
def orphan(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A parent that runs, and the number of its child."""
    script = PARENT.format(tests=str(TESTS), config=json.dumps(request.param))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        yield it, int(it.stdout.readline())
        it.kill()


def test_the_child_dies_with_its_killed_parent(
    orphan: tuple[subprocess.Popen[str], int],
) -> None:
    parent, child = orphan
    assert exists(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + LATE
    while exists(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.01)


async def test_thousands_of_distributions_arrive_whole() -> None:
    """Of 256 candidates each, as fast as they can be sent."""
    client = await started({"repeat": True})
    asked = StreamRequest(PATH, SamplingSettings(), 4_000)
    taken = 0
    async for batch in client.stream(asked):
        taken += len(batch)
        drawn = batch[0]
        if isinstance(drawn, DrawnToken):
            assert len(drawn.distribution) == 256
    assert taken == 4_001
    await client.close()


def test_the_interface_s_side_imports_no_torch() -> None:
    check = (
        "import sys\n"
        "import tokexplore.models.opening\n"
        "import tokexplore.models.worker.client\n"
        "import tokexplore.tui.cli.dispatch\n"
        "import tokexplore.tui.explore.options\n"
        "print(sorted({m.split('.')[0] for m in sys.modules}"
        " & {'torch', 'transformers', 'numpy', 'accelerate', 'textual'}))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
