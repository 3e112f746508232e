"""The engine's process as the interface sees it: how it is started, watched and ended."""

import asyncio
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from typing import IO, Protocol

from tokexplore.models.display import safe_text

_TAIL_BYTES = 16_384
_TAIL_LINES = 20
COMMAND = (sys.executable, "-u", "-P", "-X", "utf8", "-m", "tokexplore.models.worker")
"""`-P`: a user's ./tokenizers.py must not be imported in place of the library."""


class Connection(Protocol):
    """A running engine and the socket to it."""

    @property
    def socket(self) -> socket.socket:
        """The interface's end."""

    async def ended(self) -> str:
        """Wait for the end of it; how it ended, in words."""

    def kill(self) -> None:
        """End it now."""

    def log(self) -> str:
        """What it printed last, safe to show, at most 20 lines."""


Connect = Callable[[], Awaitable[Connection]]


class ProcessConnection:
    """A child process of ours, outside the terminal's process group."""

    def __init__(
        self, process: asyncio.subprocess.Process, link: socket.socket, output: IO[bytes]
    ) -> None:
        self._process = process
        self._link = link
        self._output = output

    @property
    def socket(self) -> socket.socket:
        return self._link

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> str:
        return _how_it_ended(await self._process.wait())

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    def log(self) -> str:
        self._output.seek(0, 2)
        self._output.seek(max(0, self._output.tell() - _TAIL_BYTES))
        lines = self._output.read().decode("utf-8", "replace").splitlines()
        tail = [line.rstrip() for line in lines if line.strip()][-_TAIL_LINES:]
        return "\n".join(safe_text(line) for line in tail)


async def spawn_process(command: Sequence[str] = COMMAND) -> ProcessConnection:
    """Start the engine's process.

    Its end of the socket is its first argument. Its output goes to a file without a name, because
    libraries print and the terminal is the interface's. It has a session of its own: Ctrl-C, Ctrl-Z
    and a hang-up are the interface's business.
    """
    ours, theirs = socket.socketpair()
    output = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the connection)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            str(theirs.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        output.close()
        raise
    finally:
        theirs.close()
    return ProcessConnection(process, ours, output)


def _how_it_ended(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if -code == signal.SIGKILL:
        return f"killed by {name}, perhaps by the system for lack of memory"
    return f"killed by {name}"
