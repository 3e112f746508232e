"""How the app feels on a slow line: key to visible echo, bytes a token, the interface's CPU.

    python benchmarks/line.py echo     a key's echo on a throttled, delayed line, ours and stock
    python benchmarks/line.py bytes    bytes a token and CPU on a line that is always read

The app is the real one on a pseudo-terminal of 120 x 40 with the tests' fake engine at a fixed
rate, in a process of its own as engines are; the CPU is the app's alone. For `echo` what it writes
is read at 50 kB/s and arrives 50 ms later; keys and the terminal's answers take as long on their
way back. A key is `c`, its echo the new colouring's name on the screen. With `--inside` the app is
told that it runs in a multiplexer, and keeps to its budget. With `--ssh` it runs behind a real sshd
on loopback, and the line between the two is throttled.
"""

import argparse
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import sys
import termios
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pyte
from sshd import SlowSsh

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

COLUMNS, LINES = 120, 40
RATE, ONE_WAY = 50_000, 0.05
"""Bytes a second, and seconds in each direction."""
TICK = 0.01
PAUSE = 1.5
"""Seconds between keys."""
LOST = 30.0
"""Seconds after which an echo is given up."""
COLOURINGS = ("surprisal", "probability", "entropy")


def run_app(rate: float, output: str) -> None:
    """The app on an engine that says `rate` tokens a second, until it is killed.

    Args:
        output: `paced`, `stock`, or `server`: paced, with the first 20 candidates of each step.
    """
    from tokexplore.models.api.options import PromptSpec
    from tokexplore.models.worker.client import EngineClient
    from tokexplore.models.worker.process import ProcessConnection, spawn_process
    from tokexplore.tui.app import TokexploreApp
    from tokexplore.tui.explore.environment import Environment
    from tokexplore.tui.explore.options import AppOptions

    async def engine() -> ProcessConnection:
        return await spawn_process([*command("engine", rate, output), "--link"])

    options = AppOptions(
        prompt=PromptSpec(text="Once upon a time"),
        max_new_tokens=1_000_000,
        ignore_eos=True,
        stock_output=output == "stock",
    )

    def client(load: object, on_lost: object) -> EngineClient:
        return EngineClient(load, connect=engine, on_lost=on_lost)  # type: ignore[arg-type]

    TokexploreApp(options, Environment(client)).run()


def run_engine(rate: float, output: str, link: int) -> None:
    """The fake engine behind the app's socket, until the app is gone."""
    from support.fake_engine import FakeEngine
    from support.first_candidates import FirstCandidates

    from tokexplore.models.worker.child import serve

    model = FakeEngine(context=1_000_000, seconds_per_token=1 / rate)
    engine = FirstCandidates(model=model) if output == "server" else model
    serve(socket.socket(fileno=link), lambda *_: engine, leave=lambda: os._exit(0))


def command(job: str, tokens: float, output: str) -> list[str]:
    """The command line of `run_app`, or of `run_engine` but for its socket."""
    script = str(Path(__file__).resolve())
    return [sys.executable, script, job, "--tokens", str(tokens), "--how", output]


class Line:
    """The app at the far end of a line.

    Args:
        command: what runs there.
        rate: bytes a second; 0 reads what there is.
        one_way: seconds in each direction.
    """

    def __init__(
        self, command: Sequence[str], rate: int, one_way: float, *, inside: bool = False
    ) -> None:
        self._rate, self._one_way = rate, one_way
        self._credit, self._last = 0.0, time.monotonic()
        self._coming: deque[tuple[float, bytes]] = deque()
        self._going: deque[tuple[float, bytes]] = deque()
        self.bytes = 0
        self.arrived = 0.0
        """When the last of them were read."""
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.screen.write_process_input = lambda data: self.send(data.encode())
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            more = {"TERM": "tmux-256color" if inside else "xterm-256color"}
            environment = {**os.environ, **more, "COLORTERM": "truecolor"}
            for name in ("TMUX", "STY", "COLUMNS", "LINES"):
                environment.pop(name, None)
            time.sleep(0.2)
            os.execvpe(command[0], list(command), environment)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))

    def send(self, data: bytes) -> None:
        """Something sets out for the app."""
        self._going.append((time.monotonic() + self._one_way, data))

    def pass_time(self) -> None:
        """One tick: what is due arrives, what the line takes is read."""
        now = time.monotonic()
        while self._going and self._going[0][0] <= now:
            os.write(self._terminal, self._going.popleft()[1])
        while self._coming and self._coming[0][0] <= now:
            self._stream.feed(self._coming.popleft()[1])
        self._credit = min(self._credit + (now - self._last) * self._rate, self._rate * 0.05)
        self._last = now
        size = int(self._credit) if self._rate else 65536
        if size and select.select([self._terminal], [], [], TICK)[0]:
            data = os.read(self._terminal, size)
            self._credit -= len(data)
            self.bytes += len(data)
            self.arrived = time.monotonic()
            self._coming.append((now + self._one_way, data))
        elif not size:
            time.sleep(TICK)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pass_time()

    def cpu(self) -> float:
        """CPU seconds of the app so far."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def close(self) -> None:
        """End the app."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)


def echo(line: Line, colouring: str) -> float | None:
    """Seconds from a key to what it changes on the screen; None where it never came."""
    began = time.monotonic()
    line.send(b"c")
    while colouring not in line.screen.display[1]:
        line.pass_time()
        if time.monotonic() - began > LOST:
            return None
    return time.monotonic() - began


def echoes(
    tokens: float, output: str, seconds: float, inside: bool, ssh: SlowSsh | None
) -> list[float | None]:
    """The echoes of keys over some time, in order."""
    app = command("app", tokens, output)
    if ssh is None:
        line = Line(app, RATE, ONE_WAY, inside=inside)
    else:
        line = Line(ssh.command(app), 0, 0.0)
    found: list[float | None] = []
    try:
        line.wait(5)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found.append(echo(line, COLOURINGS[(len(found) + 1) % len(COLOURINGS)]))
            line.wait(PAUSE)
            if found[-1] is None:
                break
    finally:
        line.close()
    return found


def at(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure_echo(seconds: float, inside: bool, ssh: SlowSsh | None) -> None:
    """Our output and Textual's own on the same line, in the same run."""
    for tokens in (30, 300):
        for output in ("paced", "stock"):
            found = echoes(tokens, output, seconds, inside, ssh)
            came = [e for e in found if e is not None]
            half = len(came) // 2
            summary = "nothing came back"
            if half:
                summary = (
                    f"p50 {at(came, 0.5):.2f}, p95 {at(came, 0.95):.2f}, worst {max(came):.2f} s; "
                    f"first half {at(came[:half], 0.5):.2f}, second half {at(came[half:], 0.5):.2f}"
                )
            lost = "" if len(came) == len(found) else f"; after {len(came)} keys one never came"
            print(
                f"{tokens:>4} tokens/s  {output:<6} {len(found):>3} keys: {summary}{lost}",
                flush=True,
            )


def measure_bytes(seconds: float) -> None:
    """Bytes a token and CPU, on a line that is always read."""
    for tokens in (30, 300):
        for output in ("paced", "stock", "server"):
            line = Line(command("app", tokens, output), 0, 0.0)
            try:
                line.wait(4)
                size, busy, began = line.bytes, line.cpu(), time.monotonic()
                line.wait(seconds)
                took = time.monotonic() - began
                each = (line.bytes - size) / (tokens * took)
                share = (line.cpu() - busy) / took
                print(
                    f"{tokens:>4} tokens/s  {output:<6} {each:>7,.0f} bytes a token, "
                    f"{share:.0%} of a core",
                    flush=True,
                )
            finally:
                line.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=["echo", "bytes", "app", "engine"])
    parser.add_argument("--link", type=int, help="the engine's socket")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--inside", action="store_true")
    parser.add_argument("--ssh", action="store_true")
    parser.add_argument("--tokens", type=float, default=30)
    parser.add_argument("--how", choices=["paced", "stock", "server"], default="paced")
    asked = parser.parse_args()
    if asked.job == "app":
        run_app(asked.tokens, asked.how)
    elif asked.job == "engine":
        run_engine(asked.tokens, asked.how, asked.link)
    elif asked.job == "echo":
        ssh = SlowSsh(RATE, ONE_WAY) if asked.ssh else None
        try:
            measure_echo(asked.seconds, asked.inside, ssh)
        finally:
            if ssh is not None:
                ssh.close()
    else:
        measure_bytes(min(asked.seconds, 20))


if __name__ == "__main__":
    main()
