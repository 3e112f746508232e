"""Chat templates are rendered in place; `test_sandbox` has the forks that the program renders in.

A fork of a process that has loaded torch costs three times what a rendering does.
"""

from collections.abc import Callable

import pytest

from tokexplore.models.engine.text import sandbox, turn_end


def in_place(work: Callable[[], str]) -> str:
    """`fenced`, without a fence."""
    text, failed, fence = sandbox._outcome(work)
    if failed:
        raise sandbox.WorkError(failed)
    if fence:
        raise sandbox.FenceError(fence)
    return text


@pytest.fixture(autouse=True)
def _renders_in_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.stem != "test_sandbox":
        monkeypatch.setattr(turn_end, "fenced", in_place)
