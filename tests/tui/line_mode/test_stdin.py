"""Lines come whole and in order, whatever their number and length, from a pipe and from a file."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from tokexplore.models.errors import UsageError
from tokexplore.tui.line_mode.stdin import LONGEST, MOST_WAITING, LineReader

LINES = [f"line {n}" for n in range(3 * MOST_WAITING)]


async def taken(descriptor: int) -> list[str]:
    """All lines, those that are refused as the refusal."""
    arrived = asyncio.Event()
    reader = LineReader(descriptor, arrived)
    reader.start()
    lines: list[str] = []
    while True:
        while not reader.waiting:
            arrived.clear()
            await arrived.wait()
        assert len(reader._lines) < MOST_WAITING + 65536, "what comes has to wait"
        try:
            line = reader.take()
        except UsageError as error:
            line = str(error)
        if line is None:
            return lines
        lines.append(line)


async def sent(data: bytes) -> list[str]:
    ours, theirs = os.pipe()

    def write() -> None:
        with open(theirs, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return await taken(ours)
    finally:
        thread.join()
        os.close(ours)


async def test_many_lines_come_in_order(tmp_path: Path) -> None:
    data = "\n".join(LINES).encode()
    assert await sent(data) == LINES
    file = tmp_path / "lines.txt"
    file.write_bytes(data)
    with file.open("rb") as stream:
        assert await taken(stream.fileno()) == LINES


@pytest.mark.parametrize("end", [b"", b"\nhelp\n"])
async def test_a_line_without_end_is_refused_and_the_next_one_read(end: bytes) -> None:
    longest = "x" * LONGEST
    assert await sent(longest.encode() + end) == [longest, *(["help"] if end else [])]
    refused, *after = await sent(b"x" * (3 * LONGEST) + end)
    assert refused.startswith("This line has more than 1,048,576 bytes: it is left out")
    assert after == (["help"] if end else [])
