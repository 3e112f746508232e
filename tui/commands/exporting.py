"""`tokexplore export`: a session as a file for others to read."""

import sys
from typing import BinaryIO

from tokexplore.models.session.listing import latest
from tokexplore.models.session.places import find
from tokexplore.models.session.reading import Session, open_session
from tokexplore.tui.export.source import Source
from tokexplore.tui.export.to_file import format_for, new_file
from tokexplore.tui.export.write import export
from tokexplore.tui.keeping import read_state
from tokexplore.tui.options import ExportOptions
from tokexplore.tui.plain import plain_text


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
