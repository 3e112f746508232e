"""What all tests run under."""

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.nursery import VARIABLE, nursery

# What a test sees must not hang on who runs it, on which terminal and in which country.
_THEIRS = (
    "CLICOLOR", "COLORFGBG", "COLUMNS", "DISPLAY", "EDITOR", "FORCE_COLOR", "GOMP_", "HF_",
    "HUGGINGFACE", "KMP_", "LANG", "LC_", "LINES", "MKL_", "NO_COLOR", "OMP_", "PAGER",
    "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONWARNINGS", "SSH_", "STY", "TERM",
    "TEXTUAL", "TMUX", "TOKENIZERS_", "TORCH", "TRANSFORMERS_", "VISUAL", "WAYLAND_", "XDG_",
)  # fmt: skip
for name in [name for name in os.environ if name.startswith(_THEIRS)]:
    del os.environ[name]
os.environ.update(
    TERM="xterm-256color",
    COLORTERM="truecolor",
    LANG="C.UTF-8",
    TZ="UTC",
    # Two torch threads on two busy cores wait for each other: tests use one, children too.
    OMP_NUM_THREADS="1",
    HF_HOME=str(Path(tempfile.gettempdir(), f"tokexplore-tests-without-a-hub-{os.getuid()}")),
)
time.tzset()


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of each test lie in a folder of its own, those without a usual one too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def pytest_configure(config: pytest.Config) -> None:
    """One nursery for the whole run, whose workers find it in their environment."""
    if not hasattr(config, "workerinput"):
        opened = ExitStack()
        os.environ[VARIABLE] = opened.enter_context(nursery())
        config.add_cleanup(opened.close)


def pytest_xdist_auto_num_workers() -> int:
    """Many tests wait for a terminal or a clock: three at a time keep two cores busy."""
    return max(3, os.cpu_count() or 1)
