"""The session in view, and how another one takes its place."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import NamedTuple

import msgspec

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.display import counted
from tokexplore.models.errors import EngineLostError, TokexploreError
from tokexplore.models.session.timeline import Timeline
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.environment import Environment
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import MOST_WATCHED, AppOptions, OpenOptions
from tokexplore.tui.explore.replay import Replay
from tokexplore.tui.explore.session_recorder import (
    OpenSession,
    ScreenState,
    SessionRecorder,
    Tell,
    resumed,
)
from tokexplore.tui.explore.streams import Notify
from tokexplore.tui.terminal import gc_control
from tokexplore.tui.terminal.own_command import own_command


class Surroundings(NamedTuple):
    """What a session needs of the app around it."""

    changed: Callable[[], None]
    """Called when there is something new to show."""
    show: Callable[[], None]
    """Called when another session came into view."""
    shown_as: Callable[[], ScreenState | None]
    """How the main screen shows things; None where there is none."""
    run_worker: Callable[..., object]
    """As Textual has it."""
    notify: Notify
    tell: Tell
    """A notice from another thread."""
    play_name: str
    """The key that goes on, as notices name it."""
    began: Callable[[], None]
    """Called when a stream begins."""


class Sessions:
    """One session at a time; the one before stays until the other model is there.

    Args:
        opened: a session to go on with.
        timeline: a session to live again.
    """

    def __init__(
        self,
        options: AppOptions,
        environment: Environment,
        surroundings: Surroundings,
        opened: OpenSession | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self.make_client = environment.make_client
        self.screen_state = opened.state.screen if opened else ScreenState()
        """How the main screen shows things, or did last."""
        self.replacing = False
        """Whether another session is about to come into view: keys are for that one."""
        self._options, self._environment, self._around = options, environment, surroundings
        self._clients: list[AsyncEngine] = []
        self._previous: tuple[Controller, SessionRecorder] | None = None
        self.controller, self.recorder = self._make(options, opened, timeline=timeline)

    def _make(
        self,
        options: AppOptions,
        opened: OpenSession | None = None,
        previous: SessionRecorder | None = None,
        timeline: Timeline | None = None,
    ) -> tuple[Controller, SessionRecorder]:
        around, environment = self._around, self._environment
        explorer = resumed(opened) if opened else Explorer(options.settings, options.close_call)
        replay = None
        if timeline is not None:
            replay = Replay(
                timeline, explorer, speed=options.speed, idle_cap=options.idle_cap,
                changed=around.changed, manual=environment.is_reproducible,
            )  # fmt: skip
        controller = Controller(
            explorer, options, self._new_client, around.changed, around.notify,
            replay=replay, play_name=around.play_name, began=around.began,
            clock=environment.clock,
        )  # fmt: skip
        if opened:
            controller.streams.max_new_tokens = opened.state.max_new_tokens
            controller.streams.single_step = opened.state.single_step
            controller.watchlist.tokens = [i for i in opened.state.watched[:MOST_WATCHED] if i >= 0]
        file = Path(options.session) if options.session and not previous else None
        recorder = SessionRecorder(
            controller, around.tell,
            file=file, opened=opened, previous=previous, replay=replay, screen=self._look_at_screen,
        )  # fmt: skip
        return controller, recorder

    def _new_client(
        self, load: LoadOptions, on_lost: Callable[[EngineLostError], None]
    ) -> AsyncEngine:
        client = self.make_client(load, on_lost)
        self._clients.append(client)
        return client

    def _look_at_screen(self) -> ScreenState:
        self.screen_state = self._around.shown_as() or self.screen_state
        return self.screen_state

    @property
    def path(self) -> Path | None:
        """The file of the session in view, once there is one that may be named."""
        return None if self._environment.is_reproducible else self.recorder.path

    def gather(self) -> None:
        """Bring all of the session in view into its one file, without its log."""
        self.recorder.journal.gather()

    def open_model(self, load: LoadOptions) -> None:
        """Give up the present engine and tree for another model.

        Where the present model is still being loaded, what was before it stays the one before.
        """
        self._around.run_worker(self._replace(self._open_model(load)), exclusive=True)

    def open_session(self, path: Path) -> None:
        """Leave the session in view, which is kept, for another one."""
        self._around.run_worker(self._replace(self._open_session(path)), exclusive=True)

    async def _replace(self, opening: Coroutine[object, object, None]) -> None:
        self.replacing = True
        try:
            await opening
        finally:
            self.replacing = False

    async def _open_model(self, load: LoadOptions) -> None:
        self._look_at_screen()
        await self.controller.close()
        self.recorder.look()
        if self._previous is None:
            self._previous = self.controller, self.recorder
        else:
            await asyncio.to_thread(self.recorder.close, "quit")
        gc_control.release()
        options = msgspec.structs.replace(self._options, load=load, against=None, prompt=None)
        self.controller, self.recorder = self._make(options, previous=self._previous[1])
        self._around.show()

    async def _open_session(self, path: Path) -> None:
        notify = self._around.notify
        if path == self.recorder.path:
            notify("This session is open.")
            return
        try:
            opened = await self._go_over_to(path)
        except TokexploreError as error:
            notify(str(error), severity="error")
            return
        self.screen_state = opened.state.screen
        self._around.show()
        if opened.notice:
            notify(opened.notice)

    async def _go_over_to(self, path: Path) -> OpenSession:
        opened = await asyncio.to_thread(continue_session, str(path))
        await self.controller.close()
        self.recorder.look()
        if problem := await asyncio.to_thread(self.recorder.close, "quit"):
            self._around.notify(problem, severity="warning")
        await self._end_previous()
        gc_control.release()
        app = msgspec.structs.replace(self._options, against=None)
        options = options_for(opened, OpenOptions(app=app))
        self.controller, self.recorder = self._make(options, opened)
        return opened

    async def _end_previous(self) -> None:
        if self._previous is not None:
            _, recorder = self._previous
            self._previous = None
            await asyncio.to_thread(recorder.close, "quit")

    def model_opened(self) -> None:
        """The other model is there: nothing of the one before is kept."""
        self._around.run_worker(self._end_previous())

    async def model_refused(self, error: TokexploreError) -> None:
        """The other model cannot be opened: back to the one before, and its tree."""
        self._around.notify(str(error), severity="error")
        if self._previous is not None:
            await self.controller.link.client.close()
            (self.controller, self.recorder), self._previous = self._previous, None
            self._around.show()

    def halt(self) -> None:
        """Begin nothing more, and keep where the user stands."""
        self.controller.jobs.halt()
        self.recorder.look()

    async def end_engines(self) -> None:
        """End all engines that were started, and wait until they are gone."""
        await asyncio.gather(*(client.close() for client in self._clients))

    def close(self, ended: str) -> str:
        """Write the rest of the session; what the user should know of that. Waits for the disk."""
        if self._previous is not None:
            self._previous[1].close("quit")
        kept, problem = self.path, self.recorder.close(ended)
        if problem or kept is None or ended != "quit":
            return problem
        tokens = counted(len(self.controller.explorer.tree) - 1, "token")
        return f"Kept: {tokens}. {own_command()} open goes on where you were."
