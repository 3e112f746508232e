"""Ways to connect an `EngineClient` to a fake engine: a thread, or a real child process."""

import asyncio
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from support.fake_engine import FakeEngine
from tokexplore.models.api.engine import Engine, Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.opening import OpenEngine
from tokexplore.models.worker.child import serve
from tokexplore.models.worker.process import Connect, ProcessConnection, spawn_process

TESTS = Path(__file__).resolve().parents[1]


class ThreadConnection:
    """The child's own loop, in a thread of this process."""

    def __init__(self, open_engine: OpenEngine) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._over = threading.Event()
        """Set once the thread has ended or was killed: then it may wait for something for ever."""
        threading.Thread(target=self._run, args=(open_engine,), daemon=True).start()

    def _run(self, open_engine: OpenEngine) -> None:
        try:
            serve(self._theirs, self._opener(open_engine), leave=lambda: None)
        finally:
            self.kill()

    def _opener(self, open_engine: OpenEngine) -> OpenEngine:
        """A fake engine that dies ends this connection, not the test's process."""

        def opened(options: LoadOptions, report: Callable[[Progress], None]) -> Engine:
            engine = open_engine(options, report)
            if isinstance(engine, FakeEngine):
                engine.on_death = self.die
            return engine

        return opened

    def die(self) -> None:
        """End the connection as a dead process does."""
        try:
            self._theirs.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was first
        self._theirs.close()

    @property
    def socket(self) -> socket.socket:
        return self._ours

    async def ended(self) -> str:
        await asyncio.to_thread(self._over.wait)
        return "the thread ended"

    def kill(self) -> None:
        self.die()
        self._over.set()

    def log(self) -> str:
        return ""


def in_thread(open_engine: OpenEngine) -> Connect:
    """A `connect` for `EngineClient` that serves the engine from a thread.

    `open_engine` is called as `LocalEngine.open` is: `FakeEngine.open`, a partial of it, or
    `lambda options, report: engine` for an engine that the test keeps.
    """

    async def connect() -> ThreadConnection:
        return ThreadConnection(open_engine)

    return connect


def in_process(*arguments: str) -> Connect:
    """A `connect` that starts `support.child` with these arguments before the socket's number."""

    async def connect() -> ProcessConnection:
        return await spawn_process((*child_command(), *arguments))

    return connect


def child_command() -> tuple[str, ...]:
    """The command line of a real child process with a fake engine."""
    start = f"import sys; sys.path.insert(0, {str(TESTS)!r}); import support.child"
    return (sys.executable, "-u", "-P", "-c", start)
