"""Where all disks are full, temporary files lie in memory."""

import os
import tempfile
from pathlib import Path

import pytest

from tokexplore.models.temporary import ensure_temporary


@pytest.fixture(autouse=True)
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """No usual folder takes a file."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(
        tempfile, "_candidate_tempdir_list", lambda: [os.environ.get("TMPDIR", "/nowhere")]
    )
    monkeypatch.setenv("TMPDIR", "/nowhere")  # which is put back after the test


def test_a_folder_in_memory_takes_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        tempfile.gettempdir()
    ensure_temporary()
    assert tempfile.gettempdir() == str(tmp_path)
    assert os.environ["TMPDIR"] == str(tmp_path), "processes that are started find it too"


def test_where_there_is_none_it_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere/either")
    monkeypatch.setattr("tokexplore.models.temporary._IN_MEMORY", ("XDG_RUNTIME_DIR", "NO_SUCH"))
    ensure_temporary()
    assert os.environ["TMPDIR"] == "/nowhere"


def test_a_folder_that_is_asked_for_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    ensure_temporary()
    assert os.environ["TMPDIR"] == str(tmp_path)
