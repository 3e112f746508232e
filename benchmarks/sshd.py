"""A real sshd on loopback behind a line that is slow: for benchmarks only."""

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

SSHD = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
_CHUNK = 1024
_BUFFER = 32_768
"""Bytes that the line itself may hold."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SlowSsh:
    """An sshd and the throttled, delayed line to it.

    Args:
        rate: bytes a second from the server; the way to it has the delay alone.
        one_way: seconds in each direction.
    """

    def __init__(self, rate: int, one_way: float) -> None:
        if SSHD is None:
            raise SystemExit("no sshd is installed here: install OpenSSH's server.")
        self._rate, self._one_way = rate, one_way
        self._folder = Path(tempfile.mkdtemp(prefix="slow-ssh-"))
        self._port, self._line = _free_port(), socket.create_server(("127.0.0.1", 0))
        self._sshd = self._start()
        threading.Thread(target=self._accept, daemon=True).start()

    def _start(self) -> subprocess.Popen[bytes]:
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / name)],
                check=True,
            )
        config = self._folder / "config"
        config.write_text(
            f"Port {self._port}\nListenAddress 127.0.0.1\nHostKey {self._folder}/host\n"
            f"AuthorizedKeysFile {self._folder}/user.pub\nStrictModes no\nUsePAM no\n"
            f"PidFile {self._folder}/pid\nPasswordAuthentication no\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd changes its root to it
        assert SSHD is not None
        started = subprocess.Popen(
            [SSHD, "-D", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return started
            time.sleep(0.05)
        raise SystemExit("sshd did not start.")

    def command(self, remote: Sequence[str]) -> list[str]:
        """The ssh client's command line that runs `remote` at the far end, on a terminal."""
        port = self._line.getsockname()[1]
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        return [
            "ssh", "-tt", "-F", "none", "-p", str(port), "-i", str(self._folder / "user"),
            *(part for option in options for part in ("-o", option)), "127.0.0.1",
            f"COLORTERM=truecolor exec {shlex.join(remote)}",
        ]  # fmt: skip

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._line.accept()
            except OSError:
                return
            far = socket.socket()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            far.connect(("127.0.0.1", self._port))
            self._pump(far, near, self._rate)
            self._pump(near, far, 0)

    def _pump(self, source: socket.socket, target: socket.socket, rate: int) -> None:
        """Carry bytes in the background, each read as fast as the line takes it, then delayed."""
        under_way: deque[tuple[float, bytes]] = deque()
        arrived = threading.Semaphore(0)

        def read() -> None:
            data = b"."
            while data:
                try:
                    data = source.recv(_CHUNK)
                except OSError:
                    data = b""
                if rate:
                    time.sleep(len(data) / rate)
                under_way.append((time.monotonic() + self._one_way, data))
                arrived.release()

        def write() -> None:
            while arrived.acquire():
                due, data = under_way.popleft()
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    if not data:
                        target.shutdown(socket.SHUT_RDWR)
                        return
                    target.sendall(data)
                except OSError:
                    return

        for work in (read, write):
            threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        """End sshd and the line."""
        self._line.close()
        self._sshd.terminate()
        self._sshd.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
