"""`tokexplore export`: a session as a file for others to read."""

import sys
from typing import BinaryIO

from tokexplore.models.session.listing import latest
from tokexplore.models.session.paths import find
from tokexplore.models.session.reader import Session, open_session, steps
from tokexplore.tui.explore.options import ExportOptions
from tokexplore.tui.explore.session_recorder import read_state
from tokexplore.tui.export.formats import export
from tokexplore.tui.export.source import Source
from tokexplore.tui.export.to_file import format_for, new_file
from tokexplore.tui.report.step_text import plain_text


def source_of(session: Session) -> Source:
    """A session as an export takes it."""
    tree = session.tree
    number = tree.branch_of[session.leaf]
    tip = tree.branch(number).tip if number else session.leaf
    settings = read_state(session.view)[0].settings
    return Source(tree, session.vocabulary, tip, session.path.stem, settings, session.texts)


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
    source, damaged = source_of(session), session.tree.distribution.damaged
    damaged_before = len(damaged)
    if notice := " ".join(filter(None, (session.damage, read_state(session.view)[1]))):
        print(f"tokexplore: {plain_text(notice)}", file=sys.stderr)
    if not options.output:
        notice = export(source, form, options.scope, options.candidates, out)
    else:
        with new_file(options.output, force=options.force) as file:
            notice = export(source, form, options.scope, options.candidates, file)
    if notice:
        print(f"tokexplore: {plain_text(notice)}", file=sys.stderr)
    if found := len(damaged) - damaged_before:
        notice = f"{session.path} is damaged: the candidates of {steps(found)} cannot be read and "
        print(f"tokexplore: {plain_text(notice)}are left blank.", file=sys.stderr)
