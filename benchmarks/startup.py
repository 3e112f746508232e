"""From exec to the first paint and to the first token, on a real terminal, against a bare load.

    python benchmarks/startup.py                   the embedded model
    python benchmarks/startup.py MODEL --prompt TEXT

The bare load is a Python that imports torch and transformers, loads model and tokenizer and makes
one forward pass. Both alternate, after one round that warms the disk's cache; the claim is the
ratio of the medians. The screen is what pyte makes of the program's output, so that a token counts
when a user could see it. Targets: paint 0.4 s, token 6 s and 1.25 x the bare load.
"""

import argparse
import fcntl
import os
import pty
import select
import shlex
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from typing import NoReturn

import pyte

from tokexplore.models.api.options import EMBEDDED
from tokexplore.models.catalog.catalog import locate
from tokexplore.tui.explore.options import STOCK_PROMPT

COLUMNS, LINES = 120, 40
GIVE_UP = 60.0
"""Seconds."""

BARE = """
import sys, torch, transformers
transformers.logging.disable_progress_bar()
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
words = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
with torch.inference_mode():
    token = model(words(sys.argv[2], return_tensors="pt").input_ids).logits[0, -1].argmax()
print(words.decode(token), end="", flush=True)
"""


def bare_load(directory: str, prompt: str) -> tuple[float, str]:
    """Seconds of a bare load and one forward pass, and the first token's text."""
    began = time.perf_counter()
    command = [sys.executable, "-c", BARE, directory, prompt]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        seconds = time.perf_counter() - began
        output = first + process.stdout.read()
    if process.returncode:
        raise SystemExit(f"the bare load failed: {shlex.join(command)}")
    return seconds, output.decode()


def explorer(model: str, prompt: str, first: str) -> tuple[float, float]:
    """Seconds from exec to the first paint and to the first token on the screen."""
    began = time.perf_counter()
    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "xterm-256color"
        arguments = ["tokexplore", model, "--prompt", prompt, "--temperature", "0"]
        arguments += ["--max-new-tokens", "1"]
        os.execv(sys.executable, [sys.executable, "-P", "-m", *arguments])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    try:
        screen = Screen(terminal, began)
        painted = screen.wait_for("tokexplore")
        return painted, screen.wait_for((prompt + first)[-24:].strip())
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


class Screen:
    """What a program shows on a terminal of ours."""

    def __init__(self, terminal: int, began: float) -> None:
        self._terminal = terminal
        self._began = began
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)

    def wait_for(self, text: str) -> float:
        """Seconds since exec when the text stands on the screen, line breaks aside."""
        while text not in " ".join(" ".join(self._screen.display).split()):
            left = self._began + GIVE_UP - time.perf_counter()
            if left < 0 or not select.select([self._terminal], [], [], left)[0]:
                self._give_up(f"{text!r} did not come in {GIVE_UP:g} s")
            try:
                self._stream.feed(os.read(self._terminal, 65536))
            except OSError:
                self._give_up(f"the program ended before {text!r} came")
        return time.perf_counter() - self._began

    def _give_up(self, reason: str) -> NoReturn:
        raise SystemExit("\n".join([reason, *self._screen.display]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=EMBEDDED)
    parser.add_argument("--prompt", default=STOCK_PROMPT)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    directory = str(locate(asked.model).path)
    _, first = bare_load(directory, asked.prompt)
    explorer(asked.model, asked.prompt, first)
    bare, paints, tokens = [], [], []
    for number in range(asked.rounds):
        bare.append(bare_load(directory, asked.prompt)[0])
        painted, token = explorer(asked.model, asked.prompt, first)
        paints.append(painted)
        tokens.append(token)
        print(
            f"round {number}: bare load {bare[-1]:.2f} s, first paint {paints[-1]:.2f} s, "
            f"first token {tokens[-1]:.2f} s"
        )
    paint, token, base = map(statistics.median, (paints, tokens, bare))
    print(
        f"medians: first paint {paint:.2f} s (target 0.40), first token {token:.2f} s (target 6), "
        f"bare load {base:.2f} s, ratio {token / base:.2f} (target 1.25)"
    )


if __name__ == "__main__":
    main()
