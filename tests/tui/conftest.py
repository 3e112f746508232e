"""Fixtures of the interface's tests."""

import threading

import pytest
import support.headless  # noqa: F401


@pytest.fixture
def gate() -> threading.Semaphore:
    """A permit for each token that the engine may generate."""
    return threading.Semaphore(0)
