"""Fixtures of the interface's tests."""

import threading

import pytest
import support.headless  # noqa: F401


@pytest.fixture(autouse=True)
def _process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that is made to end has no seconds to do it in, after which the process ends."""
    monkeypatch.setattr("tokexplore.tui.terminal.ending.leave_in_time", lambda _code: None)


@pytest.fixture
def gate() -> threading.Semaphore:
    """A permit for each token that the engine may generate."""
    return threading.Semaphore(0)
