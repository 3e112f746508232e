"""Fixtures of the interface's tests."""

import threading

import pytest


@pytest.fixture
def gate() -> threading.Semaphore:
    """A permit for each token that the engine may generate."""
    return threading.Semaphore(0)
