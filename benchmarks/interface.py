"""How quick the interface stays: beside a stream, on a long path, among many branches.

    python benchmarks/interface.py stream [MODEL]  the app's tokens a second against `generate`,
                                                   and the gaps of its event loop
    python benchmarks/interface.py second [MODEL]  tokens a second with a second model of the same
                                                   size that reads along, against one alone
    python benchmarks/interface.py served          the gaps on a model here and behind a server
    python benchmarks/interface.py keys            key to paint: 10,000 tokens, 10,000 branches
    python benchmarks/interface.py map             key to paint on the map of 10,000 nodes
    python benchmarks/interface.py why [MODEL]     key to picture of a model's inside

The app is the real one on a pseudo-terminal of 120 x 40 that is always read. For `stream` the
engine is in its worker process, and rounds alternate with `model.generate` (greedy, same prompt,
length and threads) in a bare process. A gap is what a sleep of 5 ms in the event loop oversleeps;
its own CPU is what the loop's thread computed meanwhile, which a busy machine changes little.

For `keys` and `map` the tree comes from the tests' fake engine; a key is typed into the terminal,
and its paint is the last byte that comes before 0.12 s of silence. CPU is that of the app's
process.
"""

import argparse
import fcntl
import json
import math
import os
import pty
import random
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from tokexplore.models.api.options import EMBEDDED, SMOLLM2, LoadOptions
from tokexplore.tui.explore.options import STOCK_PROMPT

COLUMNS, LINES = 120, 40
GIVE_UP = 120.0
"""Seconds."""
ASK, ANSWER = b"\x1b[6n", b"\x1b[1;1R"
"""Where is the cursor, and a place: what a terminal answers once it has drawn a frame."""
SILENCE = 0.12
"""Seconds without output after which a key's paint is over."""
LEFT, RIGHT, UP, DOWN, PAGE_DOWN, END, HOME, ENTER, BACK = (
    b"\x1b[D", b"\x1b[C", b"\x1b[A", b"\x1b[B", b"\x1b[6~", b"\x1b[F", b"\x1b[H", b"\r", b"\x7f",
)  # fmt: skip


class Terminal:
    """The watched app on a terminal of ours."""

    def __init__(self, pid: int, terminal: int, report: int) -> None:
        self.pid = pid
        self._terminal = terminal
        self._report = report
        self.output = 0
        """Bytes so far."""
        self.tail = b""

    def _read(self) -> None:
        data = os.read(self._terminal, 65536)
        overlap = self.tail[-len(ASK) + 1 :]  # a request may come in two parts
        for _ in range((overlap + data).count(ASK)):
            os.write(self._terminal, ANSWER)
        self.tail = (self.tail + data)[-4000:]
        self.output += len(data)

    def next_report(self) -> dict[str, object]:
        """What the app reports next; its output is read meanwhile."""
        line, end = b"", time.monotonic() + GIVE_UP
        while not line.endswith(b"\n"):
            ready = select.select([self._terminal, self._report], [], [], end - time.monotonic())[0]
            try:
                if self._report in ready:
                    line += (data := os.read(self._report, 65536))
                    assert data
                elif ready:
                    self._read()
                assert ready
            except (OSError, AssertionError):
                raise SystemExit(f"the app did not report:\n{self.tail.decode()}") from None
        return json.loads(line)  # type: ignore[no-any-return]

    def press(self, keys: bytes) -> tuple[float, float]:
        """Type; seconds until the last byte of the answer, and the app's CPU seconds for it."""
        busy = cpu_seconds(self.pid)
        began = last = time.perf_counter()
        os.write(self._terminal, keys)
        before = self.output
        while select.select([self._terminal], [], [], SILENCE if self.output > before else 2)[0]:
            self._read()
            last = time.perf_counter()
        if self.output == before:
            raise SystemExit(f"{keys!r} painted nothing")
        return last - began, cpu_seconds(self.pid) - busy


def cpu_seconds(pid: int) -> float:
    """CPU time of another process: Linux's clock of it, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)


@contextmanager
def on_terminal(begin: Callable[[int], object]) -> Iterator[Terminal]:
    """A program on a terminal of its own, from its start to its end.

    Args:
        begin: becomes the program, in a process of its own; gets the descriptor it reports to.
    """
    report, writing = os.pipe()
    os.set_inheritable(writing, True)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor"})
        begin(writing)
    os.close(writing)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    try:
        yield Terminal(pid, terminal, report)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
        os.close(report)


def watched(job: str, model: str, tokens: int) -> AbstractContextManager[Terminal]:
    """The watched app, from its start to its end."""
    script = str(Path(__file__).with_name("watched_app.py"))

    def begin(report: int) -> None:
        arguments = [sys.executable, script, job, str(report), model, str(tokens)]
        os.execv(sys.executable, arguments)

    return on_terminal(begin)


def generate_rate(model: str, tokens: int) -> float:
    """Tokens a second of `model.generate`, in a process of its own."""
    command = [sys.executable, __file__, "generate", model, "--tokens", str(tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def generate(model: str, tokens: int) -> None:
    """Print the tokens a second of `model.generate`, after a warm-up, with the engine's threads."""
    from tokexplore.models.engine.loading.opening import load

    loaded = load(LoadOptions(model), lambda _: None)
    inputs = loaded.tokenizer(STOCK_PROMPT, return_tensors="pt").to(loaded.device)
    loaded.model.generation_config.eos_token_id = None
    for length in (16, tokens):
        began = time.perf_counter()
        loaded.model.generate(**inputs, max_new_tokens=length, do_sample=False)
        took = time.perf_counter() - began
    print(tokens / took)


def at(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def stream(model: str, tokens: int, rounds: int) -> None:
    """Rates in alternating rounds, then the gaps of all rounds together."""
    ratios, shares = [], []
    gaps: dict[str, list[float]] = {"loading": [], "streaming": []}
    own: dict[str, list[float]] = {"loading": [], "streaming": []}
    for number in range(rounds):
        bare = generate_rate(model, tokens)
        with watched("stream", model, tokens) as terminal:
            report = terminal.next_report()
            size = terminal.output
        ratios.append(report["rate"] / bare)  # type: ignore[operator]
        shares.append(report["share"])
        for state in gaps:
            gaps[state] += report["gaps"][state]  # type: ignore[index]
            own[state] += report["own"][state]  # type: ignore[index]
        print(
            f"round {number}: generate {bare:.0f}/s, app {report['rate']:.0f}/s: {ratios[-1]:.3f}; "
            f"interface {report['share']:.0%} of a core; {size / tokens:,.0f} bytes a token",
            flush=True,
        )
    print(
        f"ratio: median {statistics.median(ratios):.3f} of {rounds} (target 0.95 on 2 cores, 1.0 "
        f"on 4); interface: median {statistics.median(shares):.0%} of a core"
    )
    for state, values in gaps.items():
        print(
            f"gaps while {state}: p50 {at(values, 0.5) * 1e3:.1f}, p99 {at(values, 0.99) * 1e3:.1f}"
            f", p99.9 {at(values, 0.999) * 1e3:.1f} (target 50), worst {max(values) * 1e3:.1f} ms "
            f"(target 100), {len(values):,} beats; own CPU p99.9 {at(own[state], 0.999) * 1e3:.1f},"
            f" worst {max(own[state]) * 1e3:.1f} ms"
        )


def second(model: str, tokens: int, rounds: int) -> None:
    """The app's rate until the last token is there, and read by both, in alternating rounds."""
    ratios = list[float]()
    for number in range(rounds):
        rates = {}
        for job in ("alone", "second"):
            with watched(job, model, tokens) as terminal:
                rates[job] = float(terminal.next_report()["rate"])  # type: ignore[arg-type]
        ratios.append(rates["second"] / rates["alone"])
        print(
            f"round {number}: alone {rates['alone']:.1f}/s, both {rates['second']:.1f}/s: "
            f"{ratios[-1]:.3f}",
            flush=True,
        )
    print(f"ratio: median {statistics.median(ratios):.3f} of {rounds} (target 0.48)")


def served(tokens: int, rounds: int) -> None:
    """The interface on the same model here and behind llama.cpp's server, in alternating rounds."""
    from support import llama_server

    with llama_server.serving() as url:
        gaps: dict[str, list[float]] = {SMOLLM2: [], url: []}
        rates: dict[str, list[float]] = {SMOLLM2: [], url: []}
        for _ in range(rounds):
            for model in gaps:
                with watched("stream", model, tokens) as terminal:
                    report = terminal.next_report()
                gaps[model] += report["gaps"]["streaming"]  # type: ignore[index]
                rates[model].append(report["rate"])  # type: ignore[arg-type]
        for model, values in gaps.items():
            print(
                f"{'server' if model == url else 'here'}: gaps p50 {at(values, 0.5) * 1e3:.1f}, "
                f"p99.9 {at(values, 0.999) * 1e3:.1f}, worst {max(values) * 1e3:.1f} ms, "
                f"{len(values):,} beats at {statistics.median(rates[model]):.0f} tokens/s"
            )


def measure(terminal: Terminal, what: str, presses: Sequence[Sequence[bytes]]) -> None:
    """Press keys, the last of each sequence timed."""
    paints, busy = [], []
    for keys in presses:
        for key in keys[:-1]:
            terminal.press(key)
        paint, cpu = terminal.press(keys[-1])
        paints.append(paint * 1e3)
        busy.append(cpu * 1e3)
    print(
        f"  {what:<28} paint p50 {at(paints, 0.5):5.1f}  p95 {at(paints, 0.95):5.1f}  CPU p50 "
        f"{at(busy, 0.5):5.1f}  p95 {at(busy, 0.95):5.1f} ms"
    )


def keys(presses: int) -> None:
    """Key to paint on a long path and among many branches, against short and few."""
    chance = random.Random(0)
    for tokens in (100, 10_000):
        print(f"{tokens:,} tokens (target: p95 50 ms)")
        with watched("path", "fake", tokens) as terminal:
            terminal.next_report()
            terminal.press(HOME)
            places = [str(chance.randrange(2, tokens)).encode() for _ in range(presses)]
            measure(terminal, "go to a step", [[b"g", p, ENTER] for p in places])
            terminal.press(END)
            measure(terminal, "one step back", [[LEFT]] * presses)
            terminal.press(END)
            measure(terminal, "ten steps back", [[b"H"]] * min(presses, tokens // 12))
            measure(terminal, "next colouring", [[b"c"]] * presses)
            measure(terminal, "next candidate", [[DOWN]] * presses)
            terminal.press(HOME)
            measure(terminal, "switch branch, halfway", [[b"J"], [b"K"]] * (presses // 2))
    for branches in (10, 10_000):
        print(f"{branches:,} branches (target: 10,000 as quick as ten)")
        with watched("branches", "fake", branches) as terminal:
            terminal.next_report()
            terminal.press(LEFT)
            measure(terminal, "one step back", [[LEFT]] * presses)
            far = min(presses, branches - 2)
            measure(terminal, "next branch", [[b"J"]] * far)
            measure(terminal, "previous branch", [[b"K"]] * far)
            measure(terminal, "open the list", [[b"b"], *[[b"q", b"b"]] * (presses // 2)])
            measure(terminal, "down in the list", [[DOWN]] * far)
            measure(terminal, "last and first in the list", [[END], [HOME]] * (presses // 2))


def map_keys(presses: int) -> None:
    """Key to paint on the map, of few nodes and of many."""
    for nodes in (100, 10_000):
        print(f"{nodes:,} nodes (target: p95 50 ms)")
        with watched("map", "fake", nodes) as terminal:
            terminal.next_report()
            terminal.press(HOME)
            measure(terminal, "open the map", [[b"I"], *[[b"q", b"I"]] * (presses // 4)])
            terminal.press(HOME)
            measure(terminal, "a block down, up", [[DOWN], [UP]] * (presses // 2))
            measure(terminal, "a step on, back", [[RIGHT], [LEFT]] * (presses // 2))
            measure(terminal, "to the whole map and on", [[LEFT], [RIGHT]] * (presses // 2))
            measure(terminal, "whole height, back", [[ENTER], [BACK]] * (presses // 2))
            measure(terminal, "next colouring", [[b"c"]] * presses)
            measure(terminal, "other columns", [[b"-"], [b"+"]] * (presses // 2))
            terminal.press(b"---")
            measure(terminal, "down in narrow columns", [[DOWN], [UP]] * (presses // 2))


def why(model: str, tokens: int, rounds: int) -> None:
    """From a key to the last byte of the picture of a model's inside; the first time, where modules
    are imported and the model is found out about, and after that."""
    views = {
        "lens": [b"Y"], "another step": [RIGHT], "grid": [b"2"], "layers": [b"3"],
        "words (all rounds)": [b"4"], "attention": [b"5"],
    }  # fmt: skip
    first, later = ({name: list[float]() for name in views} for _ in range(2))
    for _ in range(rounds):
        with watched("ended", model, tokens) as terminal:
            terminal.next_report()
            terminal.press(HOME)
            for times in first, later, later, later:
                for name, (key,) in views.items():
                    times[name].append(terminal.press(key)[0] * 1e3)
                terminal.press(b"q")
                terminal.press(RIGHT)
    print(f"{model}, {tokens} tokens: key to picture, ms (target 300 on the embedded model)")
    for name in views:
        print(
            f"  {name:<20} first p50 {at(first[name], 0.5):6.0f}  worst {max(first[name]):6.0f}   "
            f"later p50 {at(later[name], 0.5):6.0f}  worst {max(later[name]):6.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "job", choices=["stream", "second", "served", "keys", "map", "why", "generate"]
    )
    parser.add_argument("model", nargs="?", default=EMBEDDED)
    parser.add_argument("--tokens", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--presses", type=int, default=40)
    asked = parser.parse_args()
    if asked.job == "keys":
        keys(asked.presses)
    elif asked.job == "map":
        map_keys(asked.presses)
    elif asked.job == "why":
        why(asked.model, min(asked.tokens, 48), asked.rounds)
    elif asked.job == "second":
        second(asked.model, asked.tokens, asked.rounds)
    elif asked.job == "served":
        served(asked.tokens, asked.rounds)
    elif asked.job == "generate":
        generate(asked.model, asked.tokens)
    else:
        stream(asked.model, asked.tokens, asked.rounds)


if __name__ == "__main__":
    main()
