"""Text that fights back, through every part of the screen; a pseudo-terminal is the referee."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.attacks import ATTACKS, EVERY, IN_A_FILE_NAME, ON_A_LINE, leaks
from support.command import TESTS, fake_runs
from support.terminal import Terminal

APP = """
import sys
sys.path.insert(0, {tests!r})
from support.attacks import EVERY
from support.connect import in_thread
from support.fake_engine import FakeEngine
from support.fake_vocabulary import HOSTILE, TOKENS
from tokexplore.models.errors import UsageError
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.environment import Environment
from tokexplore.tui.explore.options import AppOptions

HOSTILE_IDS = [TOKENS.index(token) for token in HOSTILE]

class Hostile(FakeEngine):
    def _logits(self, ids, key):
        logits = super()._logits(ids, key)
        for place, token in enumerate(HOSTILE_IDS):
            logits[token] = 20 + (place + len(ids)) % len(HOSTILE_IDS) / 4
        return logits
    def search(self, ids, text, limit):
        if "fail" in text:
            raise UsageError(EVERY)
        return super().search(ids, text, limit)

engine = Hostile(name=EVERY)
options = AppOptions(
    load=LoadOptions(EVERY), prompt=PromptSpec(text=EVERY), max_new_tokens=24,
    directories=({folder!r},), stock_output={stock}, stop_texts=(EVERY,),
)
def client(load, on_lost):
    return EngineClient(load, connect=in_thread(lambda *_: engine), on_lost=on_lost)
app = TokexploreApp(options, Environment(client))
app.run()
print(app.return_code)
"""
"""The app on an engine whose best tokens are attacks, under a name and a prompt that are, too."""


def paste(text: str) -> str:
    """Text as a terminal brackets it; ESC is left out of it, as terminals do."""
    return "\x1b[200~" + text.replace("\x1b", "") + "\x1b[201~"


@pytest.mark.parametrize("name", [n for n in ATTACKS if n not in ("markup", "marks")])
def test_the_referee_sees_each_attack_that_comes_through(name: str) -> None:
    assert leaks(f"\x1b[1;1Hbefore {ATTACKS[name]} after".encode())


@pytest.mark.parametrize("stock", [False, True], ids=["paced", "stock"])
def test_no_part_of_the_screen_obeys(
    terminals: list[Terminal], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stock: bool
) -> None:
    (tmp_path / IN_A_FILE_NAME).mkdir()
    (tmp_path / IN_A_FILE_NAME / "config.json").write_text('{"model_type": "llama"}')
    monkeypatch.chdir(tmp_path)
    code = APP.format(tests=str(TESTS), folder=".", stock=stock)
    terminal = Terminal([sys.executable, "-P", "-c", code])
    terminals.append(terminal)
    terminal.until("ended: length")
    # A key after an escape key that was not read yet would be read with it as another key.
    steps: list[tuple[tuple[str, ...], str | Callable[[str], bool]]] = [
        (("home", "down", "enter"), "branch 2 of 2"),
        (("B", paste(ON_A_LINE), "enter"), "owned"),
        (("d",), "COMPARE"),
        (("q",), "BROWSE"),
        (("b",), "mark two"),
        (("q", "i"), "bytes"),
        (("q", "?"), "scroll"),
        (("q", ":"), "🔎"),
        ((paste(ON_A_LINE),), "owned"),
        (("\x1b",), lambda shown: "🔎" not in shown),
        (("g",), "Go to"),
        ((paste(f"?{ON_A_LINE}"), "enter"), "No place"),
        (("ctrl+g", "p"), "Prompt"),
        (("ctrl+g", "t", paste(EVERY)), "tokens"),
        (("enter",), "branch 3 of 3"),
        (("/", paste(ON_A_LINE)), ""),
        (("ctrl+g", "/", "fail"), "owned"),
        (("ctrl+g", "a"), "Note on"),
        ((paste(ON_A_LINE), "enter"), "note: "),
        (("f",), "Find text"),
        ((paste(ON_A_LINE), "enter"), ""),
        (("ctrl+g", "O"), "this one"),
        (("ctrl+g", "E"), "Export to"),
        ((paste(ON_A_LINE), "enter"), ""),
        (("ctrl+g", "M"), "another model"),
        (("ctrl+g", "w", "enter"), "watched"),
        (("w", paste(ON_A_LINE), "enter"), "watch one of them"),
        (("ctrl+g", "s"), "Sampling lens"),
        (("1", "d"), "drawn"),
        (("q", "C"), "TEMPERATURES"),
        (("enter",), "Kept as branch"),
    ]
    looked_at = 0
    for keys, wanted in steps:
        terminal.send(*keys)
        terminal.until(wanted)
        terminal.still(0.3)
        written = terminal.written
        assert not leaks(written[looked_at:]), keys
        looked_at = len(written)
    terminal.send("\x11")
    terminal.wait()
    assert not leaks(bytes(terminal.raw))


def attacked(attack: str) -> list[tuple[list[str], int | None]]:
    """Command lines with an attack in them, and the exit codes that they end with."""
    return [
        (["run", "x", "--prompt", f"a{attack}", "--max-new-tokens", "3"], 0),
        (["run", "x", "--prompt", f"a{attack}", "--max-new-tokens", "3", "--format=jsonl"], 0),
        (["run", "x", "--prompt", "a", "--temperature", attack], 2),
        (["run", "x", "--prompt-file", attack], 2),
        ([attack, "--prompt", "a"], 2),
        (["run", "x", "--prompt", "a", "--max-new-tokens", "2", "--watch", attack], None),
        (["run", "x", "--prompt", "a", "--bias", attack], 2),
        (["lens", "--logits", f"a{attack}=1,b=2"], 0),
        (["lens", "--file", attack], 2),
        (["sweep", "x", "--prompt", f"a{attack}", "--runs", "1", "--max-new-tokens", "2"], 0),
        (["models", attack], 2),
        (["--" + attack], 2),
    ]


def test_plain_output_and_errors_obey_nothing(tmp_path: Path) -> None:
    asked = [(name, *line) for name, attack in ATTACKS.items() for line in attacked(attack)]
    runs = fake_runs(tmp_path, [arguments for _, arguments, _ in asked])
    for (name, arguments, code), done in zip(asked, runs, strict=True):
        assert not leaks(done.stdout + done.stderr), (name, arguments)
        assert code in (None, done.returncode) or name in ("markup", "marks"), (name, done)
