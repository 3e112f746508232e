"""`tokexplore diff` on a terminal says how far it is, from before the first pass on."""

import io
import os
import re

import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.tui.cli.diff import DiffOptions
from tokexplore.tui.cli.diff_runner import write_diff
from tokexplore.tui.explore.options import AppOptions

TEXT = "Once upon a time there was a king who had a great castle"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    @property
    def stages(self) -> list[tuple[str, int]]:
        """What was shown: the stage, and the share in percent."""
        return [(s, int(n)) for s, n in re.findall(r"K(\w+) (\d+)%", self.getvalue())]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((80, 24)))
    return Terminal()


def compared(terminal: Terminal, first: FakeEngine) -> None:
    engines = {"one": first, "other": FakeEngine(chunk=4)}
    app = AppOptions(max_new_tokens=0, load=LoadOptions(model="one"), prompt=PromptSpec(text=TEXT))
    options = DiffOptions(app, LoadOptions(model="other"))
    code = write_diff(
        options, io.BytesIO(), open_engine=lambda load, _: engines[load.model], errors=terminal
    )
    assert code == 0


def test_it_is_shown_before_the_first_pass_and_after_every_step(terminal: Terminal) -> None:
    before = list[tuple[str, int]]()

    class Watched(FakeEngine):
        def full(self, ids: object) -> object:  # type: ignore[override]
            before.extend(terminal.stages[-1:])
            return super().full(ids)  # type: ignore[arg-type]

    compared(terminal, Watched(chunk=4))
    steps = len(FakeEngine().encode(TEXT)) - 1
    assert before[0] == ("comparing", 0)
    assert ("comparing", round(100 * 4 / steps)) in before, "the first chunk, before the second"
    assert terminal.stages == [("comparing", round(100 * n / steps)) for n in range(steps + 1)]
    assert terminal.getvalue().endswith("\r\x1b[K"), "and it is taken away"
