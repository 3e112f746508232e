"""The session in view, and how another one takes its place."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.errors import EngineLostError
from tokexplore.models.session.timeline import Timeline
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.engine_link import MakeClient
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


class Surroundings(NamedTuple):
    """What a session needs of the app around it."""

    make_client: MakeClient
    changed: Callable[[], None]
    """Called when there is something new to show."""
    notify: Notify
    tell: Tell
    """A notice from another thread."""
    screen_state: Callable[[], ScreenState]
    clock: Callable[[], float]
    """Seconds by which streams are measured."""
    manual_replay: bool
    """A session is lived again by calls alone, whatever time it is."""
    play_name: str
    """The key that goes on, as notices name it."""


class Sessions:
    """One session at a time; the one before stays until the other model is there.

    Args:
        opened: a session to go on with.
        timeline: a session to live again.
    """

    def __init__(
        self,
        options: AppOptions,
        surroundings: Surroundings,
        opened: OpenSession | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self._options, self._around = options, surroundings
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
        around = self._around
        explorer = resumed(opened) if opened else Explorer(options.settings, options.close_call)
        replay = None
        if timeline is not None:
            replay = Replay(
                timeline, explorer, speed=options.speed, idle_cap=options.idle_cap,
                changed=around.changed, manual=around.manual_replay,
            )  # fmt: skip
        controller = Controller(
            explorer, options, self._new_client, around.changed, around.notify,
            replay=replay, play_name=around.play_name, clock=around.clock,
        )  # fmt: skip
        if opened:
            controller.streams.max_new_tokens = opened.state.max_new_tokens
            controller.streams.single_step = opened.state.single_step
            controller.watchlist.tokens = [i for i in opened.state.watched[:MOST_WATCHED] if i >= 0]
        file = Path(options.session) if options.session and not previous else None
        recorder = SessionRecorder(
            controller, around.tell,
            file=file, opened=opened, previous=previous, replay=replay, screen=around.screen_state,
        )  # fmt: skip
        return controller, recorder

    def _new_client(
        self, load: LoadOptions, on_lost: Callable[[EngineLostError], None]
    ) -> AsyncEngine:
        client = self._around.make_client(load, on_lost)
        self._clients.append(client)
        return client

    async def open_model(self, load: LoadOptions) -> None:
        """Give up the present engine and tree for another model.

        Where the present model is still being loaded, what was before it stays the one before.
        """
        await self.controller.close()
        self.recorder.look()
        if self._previous is None:
            self._previous = self.controller, self.recorder
        else:
            await asyncio.to_thread(self.recorder.close, "quit")
        gc_control.release()
        options = msgspec.structs.replace(self._options, load=load, prompt=None)
        self.controller, self.recorder = self._make(options, previous=self._previous[1])

    async def model_opened(self) -> None:
        """The other model, or session, is there: nothing of the one before is kept."""
        if self._previous is not None:
            _, recorder = self._previous
            self._previous = None
            await asyncio.to_thread(recorder.close, "quit")

    async def model_refused(self) -> bool:
        """Go back to the model before, and its tree; whether there was one."""
        if self._previous is None:
            return False
        await self.controller.link.client.close()
        (self.controller, self.recorder), self._previous = self._previous, None
        return True

    async def open_session(self, path: Path) -> OpenSession:
        """Leave the present session, which is kept, for another one; that one.

        Raises:
            TokexploreError: it cannot be opened.
        """
        opened = await asyncio.to_thread(continue_session, str(path))
        await self.controller.close()
        self.recorder.look()
        if problem := await asyncio.to_thread(self.recorder.close, "quit"):
            self._around.notify(problem, severity="warning")
        await self.model_opened()
        gc_control.release()
        options = options_for(opened, OpenOptions(app=self._options))
        self.controller, self.recorder = self._make(options, opened)
        return opened

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
        return self.recorder.close(ended)
