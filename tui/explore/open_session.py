"""`tokexplore open`: a session as it was left, without its model."""

import time
from pathlib import Path

import msgspec

from tokexplore.models.api.options import Adapter, LoadOptions
from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.named import named_servers
from tokexplore.models.server.wire.address import is_address
from tokexplore.models.session import paths
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.listing import latest
from tokexplore.models.session.paths import find
from tokexplore.models.session.reader import copy_of, open_session
from tokexplore.models.session.summary import summarise
from tokexplore.models.session.texts import texts_json
from tokexplore.models.session.timeline import Timeline, open_timeline
from tokexplore.models.session.writer import View
from tokexplore.models.tree.events import Act, Event, Viewed
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.explore.session_recorder import OpenSession, ViewState, read_state

LINES = ".jsonl"
PATIENCE = 600.0
"""Seconds that a large import may take to be written."""


def continue_session(name: str) -> OpenSession:
    """A session to go on with.

    JSON lines of ours become a new session.

    Raises:
        UsageError: there is none of this name, or it cannot be opened.
    """
    if name.endswith(LINES) and Path(name).is_file():
        made, left_out = imported(Path(name))
        session = open_session(made)
        notice = f"{name} is kept as a session of its own, {session.path}."
        if left_out:
            notice += f" Texts that another model scored are left out: {left_out}."
        return OpenSession(session, read_state(session.view)[0], session.path, notice)
    session = open_session(find(name) if name else latest().path)
    file, notice = session.path, ""
    if session.migrated:
        notice = f"The session has an older format: this is a copy, {file}."
    elif session.read_only:
        file = copy_of(session)
        notice = f"{session.path} cannot be written: what you do is kept in a copy, {file}."
    state, lost = read_state(session.view)
    state, unknown = _with_own_keys(state)
    notice = " ".join(filter(None, (notice, session.damage, lost, unknown)))
    return OpenSession(session, state, file, notice)


def _with_own_keys(state: ViewState) -> tuple[ViewState, str]:
    """A session's state with the key that the user's own file has for its server.

    With what is wrong with that file where it has none.
    """
    load = state.load
    if not is_address(load.model):
        return state, ""
    named = named_servers()
    server = load.server.with_keys_of(named.keys_at(load.model))
    problem = named.problem if server == load.server else ""
    return msgspec.structs.replace(
        state, load=msgspec.structs.replace(load, server=server)
    ), problem


def imported(path: Path) -> tuple[Path, int]:
    """A new session of what JSON lines of ours tell, and how many texts of theirs it lacks.

    Raises:
        UsageError: the file cannot be read or is none of ours, or no session can be written.
    """
    from tokexplore.tui.export.import_jsonl import Lines

    tree, events = TokenTree(), list[tuple[Event, Act]]()
    tree.recorder = lambda event, act: events.append((event, act))
    try:
        with path.open("rb") as file:
            lines = Lines(file, path.name)
        content = lines.make(tree)
        model = tree.provenance[0].model
        made = paths.create_named(paths.sessions_folder(), model, time.time())
    except OSError as error:
        raise UsageError(f"{path} cannot be imported: {reason_of(error)}.") from None
    journal = Journal(lambda: made, lambda _text, _bad: None)
    journal.vocabulary(content.vocabulary)
    for event, act in events:
        journal.record(event, act)
    journal.record(Viewed(content.leaf, -1))
    summary = summarise(TokenPath(tree, content.vocabulary, tree.path(content.leaf)), model)
    by = tree.provenance[0]
    adapters = tuple(Adapter(each.name, each.source) for each in by.adapters or ())
    state = ViewState(LoadOptions(model=by.source, adapters=adapters), content.settings)
    view = msgspec.json.encode(state).decode()
    journal.view(View(summary, view, texts_json(content.texts)))
    if problem := journal.close("quit", patience=PATIENCE):
        raise UsageError(f"{path} cannot be imported: {problem}.")
    return made, content.left_out


def to_replay(asked: OpenOptions) -> tuple[Timeline, AppOptions]:
    """A session to live again, and the options for that.

    Raises:
        UsageError: there is none of this name, or it cannot be opened.
    """
    timeline = open_timeline(find(asked.session) if asked.session else latest().path)
    state, _ = _with_own_keys(read_state(timeline.view)[0])
    options = options_from(msgspec.structs.replace(state, settings=SamplingSettings()), asked)
    return timeline, options


def options_for(opened: OpenSession, asked: OpenOptions) -> AppOptions:
    """The options under which a session is gone on with."""
    return options_from(opened.state, asked)


def options_from(state: ViewState, asked: OpenOptions) -> AppOptions:
    """The options that a session had, with what is asked for now."""
    server = state.load.server.with_given(asked.server)
    load = {"threads": state.load.threads or "auto", "server": server, **asked.load}
    return msgspec.structs.replace(
        asked.app,
        load=msgspec.structs.replace(state.load, **load),
        settings=state.settings,
        given=frozenset(SamplingSettings.__struct_fields__),
        max_new_tokens=state.max_new_tokens,
        stop_texts=state.stop_texts,
        stop_ids=state.stop_ids,
        ignore_eos=state.ignore_eos,
        close_call=state.close_call,
    )
