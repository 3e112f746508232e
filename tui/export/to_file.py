"""An export as a file: its format by its name, in its place only once it is whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.untrusted import path_of
from tokexplore.tui.export.formats import SUFFIXES, export
from tokexplore.tui.export.source import SCOPES, Scope, Source


def write_export(source: Source, asked: str, scope: Scope, candidates: int) -> tuple[Path, str]:
    """Write a tree to the file that a line names, `FILE[,] [path|visible|all]`.

    Returns:
        The file's full path, and what the user should know of what is in it.

    Args:
        scope: where the line names none.
        candidates: of each step.

    Raises:
        UsageError: the file is there already or cannot be written, or no format goes by its name.
    """
    name, _, last = asked.rpartition(" ")
    scopes: dict[str, Scope] = {scope: scope for scope in SCOPES}
    if name and last in scopes:
        scope, name = scopes[last], name.rstrip().removesuffix(",")
    else:
        name = asked
    output = str(path_of(name.strip()))
    form = _named_by(output)
    with new_file(output) as file:
        notice = export(source, form, scope, candidates, file)
    return Path(output).absolute(), notice


def format_for(name: str, output: str) -> str:
    """The format that was named, or that a file's name tells; JSON lines for standard output.

    Raises:
        UsageError: when neither tells one.
    """
    if name:
        return name
    if not output:
        return "jsonl"
    return _named_by(output, ", or give --format")


def _named_by(output: str, more: str = "") -> str:
    """The format that a file's name tells.

    Args:
        more: what else the user can do where it tells none.
    """
    longest = sorted(SUFFIXES, key=len, reverse=True)
    suffix = next((s for s in longest if Path(output).name.lower().endswith(s)), "")
    if not suffix:
        raise UsageError(
            f"{output!r} does not tell its format: end it with one of {', '.join(SUFFIXES)}{more}."
        )
    return SUFFIXES[suffix]


@contextmanager
def new_file(output: str, *, force: bool = False) -> Iterator[BinaryIO]:
    """A new file that is in its place only once it is whole.

    Raises:
        UsageError: it is there already and not to be written over, or it cannot be written.
    """
    path = Path(output)
    if path.exists() and not force:
        raise UsageError(f"{output} is there already: give another name, or --force.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {reason_of(error)}.") from None
    finally:
        unfinished.unlink(missing_ok=True)
