"""A controller's session on disk: everything that happens is kept, and where the user stands."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

import msgspec

from tokexplore.models.api.options import EMBEDDED, EMBEDDED_TITLE, LoadOptions
from tokexplore.models.display import safe_text
from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session import paths
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.letting_go import LettingGo
from tokexplore.models.session.reader import Session
from tokexplore.models.session.summary import names_in, summarise
from tokexplore.models.session.texts import Texts, texts_json
from tokexplore.models.session.writer import View
from tokexplore.models.tokens import NO_VOCABULARY
from tokexplore.models.tree.events import Act, Event, Viewed
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.replay import Replay
from tokexplore.widgets.candidate_rows import ColumnSet
from tokexplore.widgets.heat import Colouring

LOOK_EVERY = 1.0
"""Seconds between looks at whether the user stands elsewhere."""

Id = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
"""Of a token, a node, a branch or a row."""


class ScreenState(msgspec.Struct, frozen=True):
    """How the main screen shows things."""

    colouring: Colouring = "surprisal"
    columns: ColumnSet = "standard"
    bits: bool = False
    folded: bool = True
    boundaries: bool = False


class ViewState(msgspec.Struct, frozen=True):
    """What the interface finds again when a session is opened."""

    load: LoadOptions = LoadOptions()
    settings: SamplingSettings = SamplingSettings()
    max_new_tokens: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 256
    single_step: bool = False
    stop_texts: tuple[str, ...] = ()
    stop_ids: tuple[Id, ...] = ()
    ignore_eos: bool = False
    close_call: Annotated[float, msgspec.Meta(ge=0)] = 0.5
    row: Id = 0
    marked: tuple[Id, ...] = ()
    left: tuple[Id, ...] = ()
    show_hidden: bool = False
    watched: tuple[Id, ...] = ()
    """Ids of tokens that are followed."""
    screen: ScreenState = ScreenState()
    remarks: dict[Id, tuple[str, ...]] = {}
    """What is to be known of prompts, by their last nodes."""


class OpenSession(NamedTuple):
    """A session that is gone on with: the file to write, and what was in it."""

    session: Session
    state: ViewState
    file: Path
    notice: str = ""
    """What the user should know of it."""


class Tell(Protocol):
    """Says something to the user, from any thread."""

    def __call__(self, text: str, bad: bool) -> None: ...


LOST_STATE = "What the session says of its model, settings and view is damaged: the defaults stand."
LOST_SETTINGS = "The session's sampling settings are damaged: the defaults stand."


def read_state(text: str) -> tuple[ViewState, str]:
    """The interface's part of a session, the default where it is missing or damaged.

    With a sentence that tells the damage; empty where there is none.
    """
    problem = ""
    try:
        state = msgspec.json.decode(text or "{}", type=ViewState)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ViewState(), LOST_STATE
    try:
        state.settings.checked()
    except UsageError:
        state, problem = msgspec.structs.replace(state, settings=SamplingSettings()), LOST_SETTINGS
    # Code that comes with a model is never run because a file says so, and no key is sent.
    load = msgspec.structs.replace(
        state.load, trust_remote_code=False, server=state.load.server.without_secrets()
    )
    return msgspec.structs.replace(state, load=load), problem


def resumed(opened: OpenSession) -> Explorer:
    """An explorer that stands where a session was left."""
    session, state = opened.session, opened.state
    explorer = Explorer(state.settings, state.close_call, session.tree)
    explorer.vocabulary = session.vocabulary
    explorer.resume(session.leaf, session.cursor)
    explorer.row = max(0, state.row)
    explorer.marked = [n for n in state.marked if 0 < n <= len(session.tree.branches)]
    explorer.left = [n for n in state.left if 0 < n < len(session.tree)]
    explorer.show_hidden = state.show_hidden
    explorer.scored_texts = dict(session.texts)
    explorer.remarks = {n: said for n, said in state.remarks.items() if 0 < n < len(session.tree)}
    return explorer


class SessionRecorder:
    """Keeps one controller's session.

    Args:
        file: where to write; None is a new file in the usual folder.
        opened: the session that is gone on with.
        previous: the session that this one follows, with another model.
        replay: what lives an old session again: nothing is kept until the user changes the tree,
            and then all of it in a session of its own.
    """

    def __init__(
        self,
        controller: Controller,
        tell: Tell,
        *,
        file: Path | None = None,
        opened: OpenSession | None = None,
        previous: "SessionRecorder | None" = None,
        replay: Replay | None = None,
        screen: Callable[[], ScreenState] = ScreenState,
    ) -> None:
        self._controller, self._tell, self._file, self._screen = controller, tell, file, screen
        self._shown: tuple[int, tuple[str, ...], int, ViewState, Texts] | None = None
        self._vocabulary = opened.session.vocabulary if opened else NO_VOCABULARY
        """The one that is in the file."""
        self._closed = False
        self._replay = replay
        self._held: list[tuple[Event, Act]] = []
        """What was lived again, to be kept when the user takes over."""
        first = opened.session.next_event if opened else 0
        if opened is None:
            self.journal = Journal(
                self._place, tell, lets_go=True,
                previous=lambda: str(previous.path or "") if previous else "",
            )  # fmt: skip
        else:
            self.journal = Journal(
                lambda: opened.file, tell, created=opened.session.created, first=first,
                model=len(opened.session.tree.provenance) - 1, lets_go=True,
            )  # fmt: skip
        self._letting_go = LettingGo(controller.explorer.tree, self.journal, first)
        controller.explorer.tree.recorder = self._record
        if opened is not None:
            self.journal.hold()

    def _record(self, event: Event, act: Act) -> None:
        vocabulary = self._controller.explorer.vocabulary
        if vocabulary is not self._vocabulary:
            self._vocabulary = vocabulary
            self.journal.vocabulary(vocabulary)
        if self._replay is None:
            self.journal.record(event, act)
            return
        self._held.append((event, act))
        if not self._replay.applying and not isinstance(event, Viewed):
            self._replay = None
            for held in self._held:
                self.journal.record(*held)
            self._held.clear()
            self._controller.end_replay()

    @property
    def path(self) -> Path | None:
        """The file, once there is one."""
        return self.journal.path

    def _place(self) -> Path:
        """Make the session's file; on the journal's thread."""
        model, when = self._controller.options.load.model, self.journal.created
        model = EMBEDDED_TITLE if model == EMBEDDED else Path(model).name or model
        if self._file is not None:
            return paths.create_file(self._file)
        try:
            return paths.create_named(paths.sessions_folder(), model, when)
        except OSError as error:
            spare = paths.create_named(paths.spare_folder(), model, when)
            self._tell(
                f"{paths.sessions_folder()} cannot be written "
                f"({reason_of(error)}): the session is in {spare}.",
                True,
            )
            return spare

    def look(self) -> None:
        """Keep where the user stands, if it is elsewhere than at the last look; let go what was
        written since then."""
        self._letting_go.let_go()
        controller, explorer = self._controller, self._controller.explorer
        if not explorer.nodes or self._replay is not None:
            return
        tree = explorer.tree
        now = len(tree), names_in(tree), explorer.leaf, self._state(), dict(explorer.scored_texts)
        if now != self._shown:
            self._shown = now
            name = controller.link.info.name if controller.link.info else explorer.recorded_model
            summary = summarise(explorer.path, name)
            state = msgspec.json.encode(now[-2]).decode()
            self.journal.view(View(summary, state, texts_json(now[-1])))

    def _state(self) -> ViewState:
        controller, explorer, options = (
            self._controller,
            self._controller.explorer,
            self._controller.options,
        )
        return ViewState(
            load=options.load,
            settings=explorer.settings,
            max_new_tokens=controller.streams.max_new_tokens,
            single_step=controller.streams.single_step,
            stop_texts=options.stop_texts,
            stop_ids=options.stop_ids,
            ignore_eos=options.ignore_eos,
            close_call=explorer.close_call,
            row=explorer.row,
            marked=tuple(explorer.marked),
            left=tuple(explorer.left),
            show_hidden=explorer.show_hidden,
            watched=tuple(controller.watchlist.tokens),
            screen=self._screen(),
            remarks=dict(explorer.remarks),
        )

    def close(self, ended: str) -> str:
        """Write the rest, once; a sentence where something could not be written, else nothing.

        Waits for the disk: a few seconds at most.
        """
        if self._closed:
            return ""
        self._closed = True
        problem = self.journal.close(ended)
        if not problem:
            return ""
        where = self.path or "its file"
        return safe_text(f"The end of the session is not in {where}: {problem}.")
