"""What all tests run under."""

import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from support.nursery import VARIABLE, nursery
from support.patience import LATE

# What a test sees must not hang on who runs it, on which terminal and in which country.
_THEIRS = (
    "CLICOLOR", "COLORFGBG", "COLUMNS", "DISPLAY", "EDITOR", "FORCE_COLOR", "GOMP_", "HF_",
    "HUGGINGFACE", "KMP_", "LANG", "LC_", "LINES", "MKL_", "NO_COLOR", "OMP_", "PAGER",
    "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONWARNINGS", "SSH_",
    "STY", "TERM", "TEXTUAL", "TMUX", "TOKENIZERS_", "TORCH", "TRANSFORMERS_", "VISUAL", "WAYLAND_",
    "XDG_",
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
# An app is a hundred thousand objects that go together: as often as Python looks for cycles among
# them by itself, a fifth of the time of a test of one is spent looking.
gc.set_threshold(50_000, 10, 10)
# An app that opens another model lets the collector walk through what was here to stay
# (`gc_control`): of the hundreds of apps that a process makes here, which takes seconds.
gc.unfreeze = lambda: None

# A busy machine takes as long as it takes for an example, here too.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# What loads torch, and what tries everything that there is: `make quick` leaves it out. Single
# tests of other files are marked where they stand.
HERE = Path(__file__).parent
SLOW = tuple(map(HERE.joinpath, (
    "fuzz", "models/catalog/test_pickles.py", "models/diff/test_truth.py", "models/engine",
    "models/lab/test_experts.py", "models/lab/test_noise.py", "models/lab/test_repeat_real.py",
    "models/lab/test_sides.py", "models/lab/test_sums.py", "models/server",
    "models/session/test_killed.py", "models/training", "tui/browse/test_every_key.py",
    "tui/browse/test_turns_real.py", "tui/cli/test_lab_experts.py", "tui/cli/test_lab_sums.py",
    "tui/cli/test_lens.py", "tui/cli/test_lens_plot.py", "tui/cli/test_lens_real.py",
    "tui/cli/test_numbers.py", "tui/cli/test_prob_real.py",
    "tui/cli/test_run_real.py", "tui/cli/test_why_real.py",
    "tui/screens/test_futures_real.py",
    "tui/screens/test_temperatures_real.py",
    "tui/tape/test_tape.py", "tui/tape/test_tapes.py", "tui/terminal/test_frames.py",
    "tui/test_every_screen.py", "tui/test_few_cells.py", "tui/test_kept_lines.py",
    "tui/test_named_servers.py", "tui/test_chat_server.py",
    "tui/test_server.py",
)))  # fmt: skip
assert not [str(path) for path in SLOW if not path.exists()], "a slow test has moved"


def is_slow(path: Path) -> bool:
    """Whether a file of tests, or a folder of them, is one of `SLOW`."""
    return any(path.is_relative_to(slow) for slow in SLOW)


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of each test lie in a folder of its own, those without a usual one too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(autouse=True)
def _patient_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who leaves is kept waiting for a disk for seconds, a test for as long as it takes."""
    monkeypatch.setattr("tokexplore.models.session.journal.PATIENCE", LATE)


@pytest.fixture
def each_frame() -> Iterator[None]:
    """Each frame of an app is drawn, as for a terminal: for tests of what drawing itself may do."""
    from support.headless import draw_always  # Textual, which most tests do without

    with draw_always():
        yield


def pytest_configure(config: pytest.Config) -> None:
    """One nursery for the whole run, whose workers find it in their environment."""
    if not hasattr(config, "workerinput"):
        opened = ExitStack()
        os.environ[VARIABLE] = opened.enter_context(nursery())
        config.add_cleanup(opened.close)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where no slow test is wanted, none is imported: they import torch."""
    unwanted = "not slow" in config.option.markexpr and is_slow(collection_path)
    return True if unwanted else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is imported stays: no collection of a test's walks through it. Quick tests: no torch."""
    gc.collect()
    gc.freeze()
    # An app declares what there is when it has started to be here to stay, other tests' apps too.
    gc.freeze = lambda: None
    if "not slow" in session.config.option.markexpr:
        assert "torch" not in sys.modules, "a quick test imports torch: name it in SLOW"
        sys.modules["torch"] = None  # type: ignore[assignment]  # a test that asks for it is slow


def pytest_itemcollected(item: pytest.Item) -> None:
    if is_slow(item.path):
        item.add_marker("slow")


def pytest_xdist_auto_num_workers() -> int:
    """Many tests wait for a terminal or a clock: three at a time keep two cores busy."""
    return max(3, os.cpu_count() or 1)
