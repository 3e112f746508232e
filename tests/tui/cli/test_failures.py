"""An error that nothing explains is one line, and a file with the details, whatever was asked."""

import functools
from pathlib import Path

import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Progress
from tokexplore.tui.cli import dispatch
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.cli.registry import SUBCOMMANDS
from tokexplore.tui.terminal import shutdown

MISTAKE = RuntimeError("a mistake\nof ours \x1b]0;owned\x07")
RUN = ["run", "fake", "--prompt", "hi", "--max-new-tokens", "4"]


def the_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of standard error; the file that it names tells the rest."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tokexplore failed: RuntimeError: a mistake. The details are in /")
    details = Path(line.partition("details are in ")[2]).read_text()
    assert "Traceback" in details
    assert "of ours" in details
    return line


@pytest.mark.parametrize("command", [[], *([name] for name in SUBCOMMANDS)], ids=str)
def test_every_command_ends_with_a_line(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise MISTAKE

    monkeypatch.setattr(Subcommand, "read", fail)
    assert dispatch.main(command) == 1
    the_line(capsys)


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_an_engine_that_fails_loses_nothing_that_it_said(
    form: str, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    opening = functools.partial(FakeEngine.open, failures={4: MISTAKE})
    session = tmp_path / "a.tokx"
    arguments = [*RUN, "--format", form, "--session", str(session)]
    assert dispatch.main(arguments, open_engine=opening) == 1
    out, err = capfdbinary.readouterr()
    assert out.count(b'"type":"step"' if form == "jsonl" else b"step ") >= 1
    assert b"Traceback" not in err
    assert err.count(b"tokexplore failed: RuntimeError: a mistake.") == 1
    assert dispatch.main(["export", str(session), "--format", "csv"]) == 0


def test_an_engine_that_cannot_be_opened(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> FakeEngine:
        raise MISTAKE

    assert dispatch.main(RUN, open_engine=fail) == 1
    the_line(capsys)


def test_a_file_of_the_system_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_options: object, _report: Progress) -> FakeEngine:
        raise PermissionError(13, "Permission denied", b"/a/\xff\x1b[31mfile")

    assert dispatch.main(RUN, open_engine=fail) == 1  # type: ignore[arg-type]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "tokexplore: /a/<U+DCFF>␛[31mfile: permission denied."


def test_details_that_cannot_be_written_are_no_second_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutdown.tempfile, "mkstemp", full)
    assert shutdown.failure(MISTAKE) == (
        "tokexplore failed: RuntimeError: a mistake. The details cannot be written: no space left "
        "on device"
    )
