"""Folders that nobody may look into, and disks without room, keep nobody from what is elsewhere."""

import errno
import tempfile
from pathlib import Path

import pytest
from support.app import make_app, press, screen_text, until
from support.lived import OPTIONS, ended
from support.sessions import kept

from tokexplore.models.errors import UsageError
from tokexplore.models.session.listing import latest
from tokexplore.models.session.paths import all_files, find, out_of_reach, spare_folder
from tokexplore.tui.cli.dispatch import main

TOO_LONG = f"/{'x' * 300}"
"""A folder that nobody can look into, not even root."""


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> str:
    """The usual folder cannot be read; how that is told."""
    monkeypatch.setenv("XDG_STATE_HOME", TOO_LONG)
    return f"{TOO_LONG}/tokexplore/sessions cannot be read: file name too long."


@pytest.fixture
def spare(closed: str) -> Path:
    """A session in the folder that is used in place of the usual one."""
    assert closed
    path = spare_folder() / "20260101-000000-model.tokx"
    path.parent.mkdir()
    kept(path)
    return path


def test_sessions_elsewhere_are_found(
    closed: str, spare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert out_of_reach() == closed
    assert all_files() == [spare]
    assert latest().path == spare
    assert main(["sessions"]) == 2
    out, err = capsys.readouterr()
    assert spare.stem in out
    assert err == f"tokexplore: {closed}\n"


def test_where_none_is_found_the_reason_is_told(
    closed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        latest()
    assert str(caught.value) == closed
    assert main(["sessions"]) == 2
    assert capsys.readouterr() == ("", f"tokexplore: {closed}\n")


def test_a_folder_that_was_never_made_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert out_of_reach() == ""
    assert main(["sessions"]) == 0
    assert "No sessions yet" in capsys.readouterr().out


@pytest.mark.usefixtures("closed")
async def test_the_app_starts_and_lists_what_there_is() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        assert app.sessions.path is not None
        assert app.sessions.path.parent == spare_folder()
        await press(pilot, "O")
        await until(pilot, lambda: "this one" in screen_text(app))


def test_without_any_folder_for_temporary_files_the_usual_one_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state" / "tokexplore" / "sessions" / "a.tokx"
    path.parent.mkdir(parents=True)
    kept(path)

    def full() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", full)
    assert all_files() == [path]


def test_a_session_that_nobody_may_read_is_not_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refused(path: Path, **more: bool) -> object:
        if path.name == "closed.tokx":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **more)

    monkeypatch.setattr(Path, "stat", refused)
    name = str(tmp_path / "closed.tokx")
    with pytest.raises(UsageError) as caught:
        find(name)
    assert str(caught.value) == f"{name} cannot be read: permission denied."
