"""Chat templates are rendered in place; `test_sandbox` has the forks that the program renders in.

A fork of a process that has loaded torch costs three times what a rendering does.
"""

import pickle
from typing import Any

import pytest

from tokexplore.models.engine.text import sandbox, turn_end


class InPlace(sandbox.Fence[Any]):
    """Without a fence."""

    def make(self, given: Any) -> str:
        text, failed, fence = sandbox._outcome(self._work, pickle.dumps(given))
        if failed:
            raise sandbox.WorkError(failed)
        if fence:
            raise sandbox.FenceError(fence)
        return text


@pytest.fixture(autouse=True)
def _renders_in_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.stem != "test_sandbox":
        monkeypatch.setattr(turn_end, "Fence", InPlace)
