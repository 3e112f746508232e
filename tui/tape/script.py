"""The language of tapes: one command a line."""

import math
import re
import shlex
import unicodedata
from pathlib import Path
from typing import NamedTuple

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.untrusted import brief, check_length
from tokexplore.tui.explore.options import THEMES
from tokexplore.tui.keymap import is_key
from tokexplore.tui.recording.key_log import LONGEST

COMMANDS = {
    "Size": "COLUMNSxROWS: the screen, before anything else",
    "Theme": "dark, light or ansi, before anything else",
    "Options": "options of tokexplore, such as --temperature 0.8 --seed 3, before anything else",
    "Session": "a session's file, beside the tape: it is opened as it was left, without its model",
    "Replay": "a session's file, beside the tape: it is lived again, by the tape's clock",
    "Speed": "tokens a second that a stream shows from here on",
    "Type": "text, a character after the other",
    "Key": "keys by name, one after the other: home enter 3 ctrl+t",
    "Repeat": "N Key ... or N Type ...",
    "Wait": "seconds",
    "Until": "text that the screen is to show",
    "Screenshot": "a name",
    "Caption": "text over the last line; nothing takes it away",
    "Keys": "on or off: show the keys that are pressed",
}
"""Each command with what follows it."""
SETTING = ("Size", "Theme", "Options", "Session", "Replay")
MOST = 10_000
_AROUND = " \t\r"
"""What may stand around the parts of a line: other blanks are text, as an ideographic one is."""
_COUNT = re.compile(r"\d{1,5}")
_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})")


class Step(NamedTuple):
    """One command of a tape."""

    line: int
    """Its line, from 1."""
    name: str
    text: str = ""
    """What follows it, checked."""
    times: int = 1


class Script(NamedTuple):
    """A tape that was read."""

    name: str
    steps: tuple[Step, ...]
    size: tuple[int, int] = (120, 40)
    theme: str = ""
    options: tuple[str, ...] = ()
    session: str = ""
    """Path of the session that the tape opens, from the tape's folder; empty starts a new one."""
    replay: str = ""
    """The same of a session that is lived again."""


def read_script(path: Path) -> Script:
    """A tape from its file.

    Raises:
        UsageError: the file cannot be read, or a line of it is wrong.
    """
    try:
        check_length(path)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"{path} cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text: convert it first.") from None
    except ValueError as error:
        raise UsageError(f"{path} {error}: give a tape.") from None
    return parse_script(text, path.name)


def parse_script(text: str, name: str) -> Script:
    """A tape from its text.

    Raises:
        UsageError: naming the line that is wrong, and why.
    """
    script, steps = Script(name, ()), list[Step]()
    for number, line in enumerate(text.split("\n"), 1):
        command, _, rest = line.strip(_AROUND).partition(" ")
        if not command or command.startswith("#"):
            continue
        try:
            step = _step(number, command, rest.strip(_AROUND))
            if step.name in SETTING:
                if steps:
                    raise ValueError(f"{step.name} comes before what is done")
                script = _set(script, step)
            else:
                steps.append(step)
        except ValueError as error:
            raise UsageError(f"{name}, line {number}: {error}.") from None
    return script._replace(steps=tuple(steps))


def _step(line: int, command: str, rest: str) -> Step:
    if command not in COMMANDS:
        raise ValueError(f"{command!r} is no command: there are {', '.join(COMMANDS)}")
    if command == "Repeat":
        count, _, what = rest.partition(" ")
        if not _COUNT.fullmatch(count) or not 0 < int(count) <= MOST:
            raise ValueError(f"Repeat needs a number from 1 to {MOST:,}, not {brief(count)!r}")
        inner, _, text = what.strip(_AROUND).partition(" ")
        if inner not in ("Key", "Type"):
            raise ValueError(f"Repeat goes before Key or Type, not {inner!r}")
        return _step(line, inner, text.strip(_AROUND))._replace(times=int(count))
    if not rest and command != "Caption":
        raise ValueError(f"{command} needs {COMMANDS[command]}")
    _check(command, rest)
    return Step(line, command, rest)


def _check(command: str, rest: str) -> None:
    control = next((c for c in rest if unicodedata.category(c) == "Cc"), "")
    if control:
        raise ValueError(
            f"{command} has the control character U+{ord(control):04X}: Key presses such keys by "
            "name, escape or ctrl+g"
        )
    if command in ("Wait", "Speed"):
        try:
            value = float(rest)
        except ValueError:
            value = math.nan
        if not 0 < value <= LONGEST:
            raise ValueError(
                f"{command} needs a number above 0, at most {LONGEST:.0f}: not {rest!r}"
            )
    elif command == "Keys" and rest not in ("on", "off"):
        raise ValueError(f"Keys is on or off, not {rest!r}")
    elif command == "Screenshot" and not re.fullmatch(r"[A-Za-z0-9._-]+", rest):
        raise ValueError(f"{rest!r} is no name: letters, digits, dots, _ and - make one")
    elif command == "Key":
        for key in rest.split():
            if len(key) > 1 and not is_key(key):
                raise ValueError(f"{key!r} is no key")


def _set(script: Script, step: Step) -> Script:
    if step.name == "Size":
        match = _SIZE.fullmatch(step.text)
        if match is None or not (20 <= int(match[1]) <= 500 and 5 <= int(match[2]) <= 200):
            raise ValueError(f"{step.text!r} is no size: 120x40, from 20x5 to 500x200")
        return script._replace(size=(int(match[1]), int(match[2])))
    if step.name == "Theme":
        if step.text not in THEMES:
            raise ValueError(f"{step.text!r} is no theme: there are {', '.join(THEMES)}")
        return script._replace(theme=THEMES[step.text])
    if step.name in ("Session", "Replay"):
        if script.session or script.replay:
            raise ValueError("a tape has one session: Session opens it, Replay lives it again")
        if step.name == "Replay":
            return script._replace(replay=step.text)
        return script._replace(session=step.text)
    try:
        return script._replace(options=(*script.options, *shlex.split(step.text)))
    except ValueError as error:
        raise ValueError(f"options that cannot be read ({error})") from None
