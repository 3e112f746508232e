"""The application: one explorer, one engine, the browse screen over both."""

import asyncio
import gc
import signal
import time
from collections.abc import Iterable
from typing import ClassVar, Literal

import msgspec
import textual
from rich.text import Text
from textual import work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.models.options import LoadOptions
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.driver import Driver
from tokexplore.tui.driving.base import MakeClient, spawn_client
from tokexplore.tui.endings import (
    CODES,
    INTERRUPTED,
    LOOK_EVERY,
    TWICE,
    is_line_lost,
    leave_in_time,
    watch_signals,
)
from tokexplore.tui.explorer import Explorer
from tokexplore.tui.keys import COMMANDS
from tokexplore.tui.options import AppOptions
from tokexplore.tui.output.seam import PacedApp
from tokexplore.tui.screens.browse import BrowseScreen
from tokexplore.tui.theme import ANSI, DARK


class TokexploreApp(PacedApp[int]):
    """Wires explorer, engine and screen; owns what outlives a model: theme and exit."""

    TITLE = "tokexplore"
    CSS_PATH = "tokexplore.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+c",
            "interrupt",
            "stop",
            priority=True,
            show=False,
            id="app.interrupt",
            key_display="^c",
            tooltip="Stop what is going on; twice leaves.",
        ),
        Binding(
            "ctrl+z",
            "suspend_process",
            "suspend",
            priority=True,
            show=False,
            id="app.suspend",
            key_display="^z",
            tooltip="Give the terminal to the shell; fg comes back.",
        ),
        Binding(
            "ctrl+q",
            "quit",
            "quit now",
            priority=True,
            show=False,
            id="app.quit",
            key_display="^q",
            tooltip="Quit at once.",
        ),
    ]

    def __init__(self, options: AppOptions, make_client: MakeClient = spawn_client) -> None:
        super().__init__(stock=options.stock_output)
        self.options = options
        self._make_client = make_client
        self._interrupted = 0.0
        self._ending = False
        self._clients: list[EngineClient] = []
        self._previous: Driver | None = None
        self.driver = self._new_driver(options)

    def _new_driver(self, options: AppOptions) -> Driver:
        explorer = Explorer(options.settings, options.close_call)
        return Driver(explorer, options, self.new_client(options.load), self.changed, self.say)

    def new_client(self, load: LoadOptions) -> EngineClient:
        """An engine client whose loss the driver hears of."""
        client = self._make_client(load, lambda error: self.driver.lose(error))
        self._clients.append(client)
        return client

    def on_mount(self) -> None:
        """Show the screen at once; load behind it."""
        few_colours = self.console.color_system == "standard"
        self.theme = self.options.theme or (ANSI.name if few_colours else DARK.name)
        self.push_screen(BrowseScreen(self.driver, self, first=True))
        if not self.is_headless:
            watch_signals(self.end_by)
            self.set_interval(LOOK_EVERY, self._look_at_line)
        if self.options.stock_output:
            self.say("Textual's own output, as asked: nothing waits for a slow line.")
        elif self.stock_output:
            self.say(
                f"Textual {textual.__version__} is not the one that our output was tested on: "
                "its own is used, and nothing waits for a slow line.",
                severity="warning",
            )
        # Most of what the collector would walk through, at 50 ms each time, is here to stay.
        self.call_after_refresh(gc.freeze)

    def _look_at_line(self) -> None:
        if is_line_lost():
            self.end_by(CODES[signal.SIGHUP])

    def end_by(self, code: int) -> None:
        """End because of a signal or a lost line: nothing is asked, nothing may block it."""
        if not self._ending:
            self._ending = True
            leave_in_time(code)
            self.pacer.forget()
            self.run_worker(self.leave(code))

    def changed(self) -> None:
        """Something that is on screen is not as it was."""
        if (screen := self._browse) is not None:
            screen.changed()

    @property
    def _browse(self) -> BrowseScreen | None:
        if not self.is_running:
            return None
        return next((s for s in self.screen_stack if isinstance(s, BrowseScreen)), None)

    def say(
        self, text: str, *, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        """A notice, as plain safe text."""
        self.notify(safe_text(text), severity=severity, markup=False, timeout=6)

    def open_model(self, load: LoadOptions) -> None:
        """Give up the present engine and tree for another model."""
        self._open_model(load)

    @work(exclusive=True)
    async def _open_model(self, load: LoadOptions) -> None:
        old = self._previous = self.driver
        await old.close()
        gc.unfreeze()
        options = msgspec.structs.replace(self.options, load=load, prompt=None)
        self.driver = self._new_driver(options)
        self.switch_screen(BrowseScreen(self.driver, self))

    def model_opened(self) -> None:
        """The other model is there: nothing of the one before is kept."""
        self._previous = None

    async def model_refused(self, error: TokexploreError) -> None:
        """The other model cannot be opened: back to the one before, and its tree."""
        self.say(str(error), severity="error")
        if self._previous is not None:
            await self.driver.client.close()
            self.driver, self._previous = self._previous, None
            self.switch_screen(BrowseScreen(self.driver, self))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that a key does, by name, whatever `screen` is in front."""
        del screen
        for command in COMMANDS:
            yield SystemCommand(
                command.label,
                f"{command.shown}  {command.tooltip}",
                lambda action=command.action: self._run_from_palette(action),
            )
        yield SystemCommand("quit now", "ctrl+q", self.action_quit)

    def _run_from_palette(self, action: str) -> None:
        if (screen := self._browse) is not None:
            self.call_later(screen.run_action, action)

    async def action_suspend_process(self) -> None:  # type: ignore[override]
        """Leave the terminal to the shell; what the line still answers must not reach it."""
        await self.quieten()
        super().action_suspend_process()

    async def action_interrupt(self) -> None:
        """Stop the work that is going on; twice leaves."""
        now = time.monotonic()
        if now - self._interrupted < TWICE:
            await self.leave(INTERRUPTED)
            return
        self._interrupted = now
        if self.driver.streaming:
            await self.driver.pause()
            self.say("Stopped. ctrl+c again leaves.")
        else:
            self.say("ctrl+c again leaves; q q quits.")

    async def action_quit(self) -> None:
        """Leave now."""
        await self.leave(0)

    async def leave(self, code: int, said: str = "") -> None:
        """End the engine, then the app; `said` is printed once the screen is the user's again."""
        ended = asyncio.gather(*(client.close() for client in self._clients), self.quieten())
        try:
            await asyncio.wait_for(ended, 5)
        except (TimeoutError, TokexploreError):
            self.log.error("the engine did not end in time")
        self.exit(code, return_code=code, message=Text(safe_text(said)) if said else None)


def run_app(options: AppOptions) -> int:
    """Run the app in this terminal; its exit code."""
    app = TokexploreApp(options)
    code = app.run()
    return app.return_code or code or 0
