"""`tokexplore open`: a session as it was left, without its model."""

import msgspec

from tokexplore.models.session.places import find
from tokexplore.models.session.reading import copy_of, open_session
from tokexplore.tui.commands.sessions import latest
from tokexplore.tui.keeping import Kept, read_state
from tokexplore.tui.options import AppOptions, OpenOptions


def keep_on(name: str) -> tuple[Kept, str]:
    """A session to go on with, and what the user should know of its file.

    Raises:
        UsageError: there is none of this name, or it cannot be opened.
    """
    session = open_session(find(name) if name else latest().path)
    file, said = session.path, ""
    if session.migrated:
        said = f"The session has an older format: this is a copy, {file}."
    elif session.read_only:
        file = copy_of(session)
        said = f"{session.path} cannot be written: what you do is kept in a copy, {file}."
    return Kept(session, read_state(session.view), file), said


def options_for(kept: Kept, asked: OpenOptions) -> AppOptions:
    """The options under which a session is gone on with."""
    state = kept.state
    return msgspec.structs.replace(
        asked.app,
        load=msgspec.structs.replace(state.load, **asked.load),
        settings=state.settings,
        max_new_tokens=state.max_new_tokens,
        stop_texts=state.stop_texts,
        stop_ids=state.stop_ids,
        ignore_eos=state.ignore_eos,
        close_call=state.close_call,
    )
