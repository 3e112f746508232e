"""Tapes are played as they are in the program, which waits for keys as Textual's pilot does."""

import pytest
from textual import _wait, app, pilot


@pytest.fixture(autouse=True)
def _waits_as_textual_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot, "wait_for_idle", _wait.wait_for_idle)
    monkeypatch.setattr(app, "wait_for_idle", _wait.wait_for_idle)
