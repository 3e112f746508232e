"""Terminals for the tests of the real program."""

from collections.abc import Iterator

import pytest
from support.nursery import WARM
from support.terminal import Terminal


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker("e2e")


@pytest.fixture(autouse=True)
def _engines_start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's process of a program under test is forked by the nursery."""
    monkeypatch.setenv("PYTHONPATH", str(WARM))


@pytest.fixture
def cold_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's process imports all that it needs, as a user's does."""
    monkeypatch.delenv("PYTHONPATH")


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals that are closed at the end of the test, whatever happens."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()
