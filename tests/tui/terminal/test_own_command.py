"""The command that is named when the program has ended is one that the shell finds."""

from pathlib import Path

import pytest

from tokexplore.tui.terminal.own_command import own_command


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "a b" / ".venv" / "bin" / "tokexplore"
    path.parent.mkdir(parents=True)
    path.touch(0o755)
    monkeypatch.setattr("sys.argv", [str(path)])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.chdir(tmp_path)
    return path


def test_off_the_path_it_is_named_as_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own_command() == "'a b/.venv/bin/tokexplore'"
    monkeypatch.chdir(tmp_path / "a b")
    assert own_command() == ".venv/bin/tokexplore"
    monkeypatch.chdir("/usr")
    monkeypatch.setenv("HOME", str(tmp_path / "a b"))
    assert own_command() == "~/.venv/bin/tokexplore"


def test_on_the_path_its_name_is_enough_unless_another_has_it(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_command() == "tokexplore"
    (tmp_path / "tokexplore").touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{program.parent}")
    assert own_command() == "'a b/.venv/bin/tokexplore'"


def test_what_was_started_in_another_way_is_started_by_its_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["-c"])
    monkeypatch.setattr("sys.executable", "/opt/python")
    assert own_command() == "/opt/python -m tokexplore"


def test_where_the_folder_is_gone_it_is_named_as_it_was_given(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert own_command() == f"'{program}'"
