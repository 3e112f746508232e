"""`tokexplore tape`: a script that drives the real app, for demos and tests."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import msgspec

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.session.reader import copy_of, open_session
from tokexplore.models.session.timeline import Timeline
from tokexplore.tui.cli.app import run_app
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.common.prompt_input import read_prompt
from tokexplore.tui.cli.registry import find
from tokexplore.tui.cli.tape import TapeOptions
from tokexplore.tui.explore.open_session import continue_session, options_for, to_replay
from tokexplore.tui.explore.options import AppOptions, OpenOptions, check_new
from tokexplore.tui.explore.session_recorder import OpenSession
from tokexplore.tui.recording.cast import read_cast
from tokexplore.tui.recording.gif import write_gif
from tokexplore.tui.tape.player import play
from tokexplore.tui.tape.script import Script, read_script
from tokexplore.tui.theme import DARK


def run_tape(options: TapeOptions) -> str:
    """Play a tape and write what was asked for; a line that says what was done.

    Raises:
        UsageError: no such tape, a line of it that is wrong, an output that is there already.
        TokexploreError: a line of it that cannot be done.
    """
    if not (options.cast or options.gif or options.svg or options.check):
        raise UsageError("say what is to become of the tape: --cast, --gif, --svg or --check.")
    script = read_script(Path(options.tape))
    for option, name in (("--cast", options.cast), ("--gif", options.gif)):
        if name:
            check_new(name, option, "give another name")
    pictures = Path(options.svg) if options.svg else None
    if pictures is not None:
        _make_folder(pictures)
    with tempfile.TemporaryDirectory() as folder:
        cast = Path(options.cast or f"{folder}/tape.cast") if options.cast or options.gif else None
        begun = opened(script, Path(options.tape).parent, Path(folder))
        asyncio.run(
            play(
                script, begun.options, cast=cast, pictures=pictures, session=begun.session,
                timeline=begun.timeline,
            )
        )  # fmt: skip
        if options.gif and cast is not None:
            with Meter(sys.stderr) as meter:
                write_gif(read_cast(cast), Path(options.gif), meter.show)
    return f"{script.name}: {len(script.steps)} commands done"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"--svg {folder} cannot be made: {reason}.") from None


class Begun(NamedTuple):
    """What a tape starts from."""

    options: AppOptions
    session: OpenSession | None = None
    """The session that it opens."""
    timeline: Timeline | None = None
    """The session that it lives again."""


def opened(script: Script, beside: Path, scratch: Path) -> Begun:
    """The options of a tape, and the session that it opens or lives again, if any.

    Args:
        beside: the tape's folder.
        scratch: where the tape's own session goes: a copy of the one that it opens.

    Raises:
        UsageError: options that tokexplore does not know, a session that cannot be opened.
    """
    asked = msgspec.structs.replace(app_options(script), theme=script.theme or DARK.name)
    name = script.session or script.replay
    if not name:
        return Begun(msgspec.structs.replace(asked, session=str(scratch / "tape.tokx")))
    copy = copy_of(open_session(beside / name, to_write=False), scratch)
    if script.replay:
        timeline, options = to_replay(OpenOptions(str(copy), app=asked))
        return Begun(
            msgspec.structs.replace(options, session=str(scratch / "tape.tokx")), None, timeline
        )
    session = continue_session(str(copy))._replace(notice="")  # it would name the copy
    return Begun(options_for(session, OpenOptions(app=asked)), session)


def app_options(script: Script) -> AppOptions:
    """The options that a tape gives to the app.

    Raises:
        UsageError: options that tokexplore does not know.
    """
    subcommand, arguments = find(script.options)
    asked = subcommand.read(arguments)
    if subcommand.run is not run_app:
        raise UsageError(
            f"{script.name}: a tape drives the app, not `tokexplore {subcommand.name}`."
        )
    prompt = read_prompt(asked.prompt, None)
    return msgspec.structs.replace(asked.options, prompt=prompt, shipped_defaults=True)
