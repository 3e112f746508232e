"""What all tests run under."""

import os
from pathlib import Path

import pytest

# Two torch threads on two busy cores wait for each other: tests use one, children too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What the app looks like in a test must not hang on the terminal that the tests are run from.
os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
for name in ("NO_COLOR", "LINES", "COLUMNS"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of each test lie in a folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def pytest_xdist_auto_num_workers() -> int:
    """Many tests wait for a terminal or a clock: three at a time keep two cores busy."""
    return max(3, os.cpu_count() or 1)
