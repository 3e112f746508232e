"""The word by which a shell here starts this program."""

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "tokexplore"


def own_command() -> str:
    """Its name where the shell finds it by that, else its path as it was started, as short as can
    be."""
    started, found = Path(sys.argv[0]), shutil.which(NAME)
    if started.name != NAME or not started.is_file():
        return NAME if found else f"{_short(Path(sys.executable))} -m {NAME}"
    return NAME if found and os.path.samefile(found, started) else _short(started)


def _short(started: Path) -> str:
    try:
        path, here = Path(os.path.abspath(started)), Path.cwd()
        home = Path.home()
    except (OSError, RuntimeError):  # the folder is gone, or the user has no home
        return shlex.quote(str(started))
    if path.is_relative_to(here):
        return shlex.quote(f"{path.relative_to(here)}")
    if path.is_relative_to(home):
        return f"~/{shlex.quote(f'{path.relative_to(home)}')}"
    return shlex.quote(str(path))
