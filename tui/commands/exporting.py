"""`tokexplore export`: a session as a file for others to read."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tokexplore.models.errors import UsageError
from tokexplore.models.given import path_of
from tokexplore.models.session.places import find
from tokexplore.models.session.reading import Session, open_session
from tokexplore.tui.commands.sessions import latest
from tokexplore.tui.export.source import SCOPES, Scope, Source
from tokexplore.tui.export.write import FORMATS, SUFFIXES, Format, export
from tokexplore.tui.keeping import read_state
from tokexplore.tui.options import ExportOptions
from tokexplore.tui.plain import plain_text

DEFAULTS = ExportOptions()


def source_of(session: Session) -> Source:
    """A session as an export takes it."""
    tree = session.tree
    number = tree.branch_of[session.leaf]
    tip = tree.branch(number).tip if number else session.leaf
    settings = read_state(session.view).settings
    return Source(tree, session.vocabulary, tip, session.path.stem, settings)


def export_session(options: ExportOptions, out: BinaryIO) -> None:
    """Write a session to `out`, or to the file that was asked for.

    Raises:
        UsageError: no such session, no such format, a file that is there already.
        OSError: writing failed.
    """
    form = format_for(options.format, options.output)
    session = open_session(
        find(options.session) if options.session else latest().path, to_write=False
    )
    if session.damage:
        print(f"tokexplore: {plain_text(session.damage)}", file=sys.stderr)
    source = source_of(session)
    if not options.output:
        export(source, form, options.scope, options.candidates, out)
        return
    with new_file(options.output, force=options.force) as file:
        export(source, form, options.scope, options.candidates, file)


def write_export(source: Source, asked: str) -> Path:
    """Write a tree to the file that a line names, `FILE [path|visible|all]`; the file's full path.

    Raises:
        UsageError: the file is there already or cannot be written, or no format goes by its name.
    """
    name, _, last = asked.rpartition(" ")
    scopes: dict[str, Scope] = {scope: scope for scope in SCOPES}
    if not name or last not in scopes:
        name, last = asked, DEFAULTS.scope
    output = str(path_of(name.strip()))
    form = format_for("", output)
    with new_file(output) as file:
        export(source, form, scopes[last], DEFAULTS.candidates, file)
    return Path(output).absolute()


def format_for(name: str, output: str) -> Format:
    """The format that was named, or that a file's name tells; JSON lines for standard output.

    Raises:
        UsageError: when neither tells one.
    """
    if name:
        return next(form for form in FORMATS if form == name)
    suffix = Path(output).suffix.lower()
    if not output:
        return "jsonl"
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{output!r} does not tell its format: end it with one of {', '.join(SUFFIXES)}, or "
            "give --format."
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
        raise UsageError(
            f"{output} cannot be written: {(error.strerror or str(error)).lower()}."
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
