"""The application: one explorer, one engine, the browse screen over both."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
from textual import events, work
from textual.actions import ActionParseResult
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.reactive import reactive
from textual.screen import Screen

from tokexplore.models.display import safe_text
from tokexplore.models.session.timeline import Timeline
from tokexplore.tui.browse.generation import PAUSED
from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.environment import REAL, Environment
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.path_ends import LOADED_AT_END
from tokexplore.tui.explore.session_recorder import LOOK_EVERY as KEEP_EVERY
from tokexplore.tui.explore.session_recorder import OpenSession, ScreenState
from tokexplore.tui.explore.streams import ENDED
from tokexplore.tui.explore.undo_text import CHANGED
from tokexplore.tui.keymap import NONE, Rebinding
from tokexplore.tui.keys import APP_BINDINGS, PROGRAM_IDS
from tokexplore.tui.recording.recordings import Recordings
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.tui.sessions import Sessions, Surroundings
from tokexplore.tui.terminal import gc_control
from tokexplore.tui.terminal.ending import Ending
from tokexplore.tui.terminal.exit_codes import INTERRUPTED
from tokexplore.tui.terminal.input.key_queue import KeyQueue
from tokexplore.tui.terminal.paced_app import PacedApp
from tokexplore.tui.terminal.shown import shown_text
from tokexplore.tui.terminal.shutdown import TWICE
from tokexplore.tui.terminal.start_notices import offer_last, start_notices
from tokexplore.tui.theme import ANSI, DARK

OF_A_PAUSE = (ENDED, PAUSED, LOADED_AT_END)
"""How notices begin that are so until a stream begins."""


class TokexploreApp(PacedApp[int]):
    """Wires explorer, engine and screen; owns what outlives a model: theme and exit."""

    TITLE = "tokexplore"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = list(APP_BINDINGS)

    recording: reactive[bool] = reactive(False, repaint=False)
    """Whether the screen is recorded: every header and every dialog's title shows it."""

    def __init__(
        self,
        options: AppOptions,
        environment: Environment = REAL,
        opened: OpenSession | None = None,
        timeline: Timeline | None = None,
        rebinding: Rebinding = NONE,
    ) -> None:
        super().__init__(
            stock=options.stock_output,
            only_last=CHANGED,
            clock=environment.clock if environment.is_reproducible else None,
        )
        if environment.is_reproducible:
            self.animation_level = "none"
        self.options, self.rebinding, self.clock = options, rebinding, environment.clock
        self._offers_last = not (environment.is_reproducible or opened or timeline)
        self._opened_notice = opened.notice if opened else ""
        around = Surroundings(
            changed=self.changed,
            show=self._show_session,
            shown_as=self._shown_as,
            run_worker=self.run_worker,
            notify=self.say,
            tell=self._tell,
            play_name=rebinding.words("{act.play:space}"),
            began=lambda: self.notices.take_away(OF_A_PAUSE),
        )
        self.sessions = Sessions(options, environment, around, opened, timeline)
        self.recordings = Recordings(
            self, rebinding, options.cast_version, options.cast_idle_cap, self.say,
            self._recording_changed,
        )  # fmt: skip
        self.ending = Ending(self, self.frames, self.sessions, before=self.recordings.stop)
        self.key_queue = KeyQueue(
            self, self._act, lambda: self.sessions.replacing, self.ending.quit_anyway
        )

    @property
    def controller(self) -> Controller:
        """Drives the session in view."""
        return self.sessions.controller

    def say(
        self, text: str, *, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        """A notice, as plain safe text."""
        self.notify(safe_text(text), severity=severity, markup=False, timeout=6)

    def _tell(self, text: str, bad: bool) -> None:
        """A notice from another thread."""
        with suppress(RuntimeError):  # the loop may be gone
            self._loop_of_app.call_soon_threadsafe(
                partial(self.say, text, severity="warning" if bad else "information")
            )

    def _shown_as(self) -> ScreenState | None:
        return screen.shown_as() if (screen := self._browse) is not None else None

    def on_mount(self) -> None:
        """Show the screen at once; load behind it."""
        few_colours = self.console.color_system == "standard"
        self.theme = self.options.theme or (ANSI.name if few_colours else DARK.name)
        self._loop_of_app = asyncio.get_running_loop()
        self.set_keymap(self.rebinding.keymap)
        state = self.sessions.screen_state
        self.push_screen(BrowseScreen(self.controller, self, first=True, state=state))
        self.set_interval(KEEP_EVERY, self._keep)
        notices = start_notices(
            self.rebinding.wrong, self._opened_notice,
            stock_asked=self.options.stock_output, stock_output=self.stock_output,
        )  # fmt: skip
        for text, severity in notices:
            self.say(text, severity=severity)
        if self.options.record:
            self.call_after_refresh(self.recordings.begin_at_start, Path(self.options.record))
        if self.controller.replay is not None:
            self.controller.jobs.run(self.controller.live_again(self.controller.replay))
        if self._offers_last:
            self._offer_last()
        if not self.is_headless:
            self.ending.watch()
        # Most of what the collector would walk through, at 50 ms each time, is here to stay.
        self.call_after_refresh(gc_control.resume)

    def _keep(self) -> None:
        self.sessions.recorder.look()

    @work(thread=True)
    def _offer_last(self) -> None:
        if offer := offer_last():
            self._tell(offer, False)

    def _show_session(self) -> None:
        """Show the session in view, whatever stands over the screen of another."""
        while len(self.screen_stack) > 1 and not isinstance(self.screen, BrowseScreen):
            self.pop_screen()
        self.switch_screen(BrowseScreen(self.controller, self, state=self.sessions.screen_state))

    def changed(self) -> None:
        """Something that is on screen is not as it was."""
        if (screen := self._live) is not None:
            screen.changed()

    @property
    def _live(self) -> LiveScreen | None:
        """The screen in front that is painted as things change, under any dialog; it covers those
        below it."""
        stack = reversed(self.screen_stack) if self.is_running else ()
        return next((screen for screen in stack if isinstance(screen, LiveScreen)), None)

    def _recording_changed(self) -> None:
        self.recording = self.recordings.recorder is not None
        self.changed()

    @property
    def _browse(self) -> BrowseScreen | None:
        if not self.is_running:
            return None
        return next((s for s in self.screen_stack if isinstance(s, BrowseScreen)), None)

    async def on_event(self, event: events.Event) -> None:
        """Let a key or a paste wait for its turn."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self.key_queue.take(event)
        else:
            await super().on_event(event)

    async def _act(self, event: events.Key | events.Paste) -> None:
        if self._is_hidden and not self._acts_on_any_screen(event):
            return
        if isinstance(event, events.Key):
            self.ending.pressed()
            self.recordings.pressed(event)
        await super().on_event(event)
        if not event.is_forwarded:  # else what it went to tells when it was acted on
            self._paint_front()

    @property
    def _is_hidden(self) -> bool:
        """Whether the terminal is too small for the screen in front."""
        return isinstance(self.screen, BrowseScreen) and not self.screen.fits

    def _acts_on_any_screen(self, event: events.Key | events.Paste) -> bool:
        """Whether a key is for the program itself, whatever is shown."""
        bound = self.screen.active_bindings.get(getattr(event, "key", ""))
        return bound is not None and bound.binding.id in PROGRAM_IDS

    async def on_turns_acted(self) -> None:
        """The key under way has had its effect, or most of it."""
        self._paint_front()
        await self.key_queue.acted()

    def _paint_front(self) -> None:
        """Let what a key changed be seen at once."""
        if (screen := self._live) is not None and screen.is_active:
            screen.paint()

    def post_display_hook(self) -> None:
        """A frame was painted."""
        self.recordings.painted()

    def action_record(self) -> None:
        """Record the screen from now on, or stop."""
        self.recordings.begin_or_stop()

    def action_mark_recording(self) -> None:
        """Mark this moment."""
        self.recordings.mark()

    def action_picture(self) -> None:
        """Keep a picture of the screen."""
        self.recordings.keep_picture()

    def action_command_palette(self) -> None:
        """All commands by name."""
        from tokexplore.tui.screens.palette import EveryCommand, Palette

        self.recordings.palette_opens()
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette([EveryCommand], id="--command-palette"))

    async def action_help(self) -> None:
        """The keys of the screen in front; where they are shown, no longer."""
        from tokexplore.tui.screens.help import HelpSheet, help_for

        if isinstance(self.screen, HelpSheet):
            self.screen.dismiss()
            return
        main = isinstance(self.screen, BrowseScreen)
        sheet = help_for(self.screen, self.BINDINGS, self.rebinding, self._why_not, main=main)
        await self.push_screen(sheet)
        await sheet.opened.wait()

    async def action_terms(self) -> None:
        """What the words on the screen in front mean; where that is shown, no longer."""
        from tokexplore.tui.screens.terms import TermsSheet, terms_sheet

        if isinstance(self.screen, TermsSheet):
            self.screen.dismiss()
            return
        sheet = terms_sheet(shown_text(self), self.rebinding)
        await self.push_screen(sheet)
        await sheet.opened.wait()

    async def run_action(
        self,
        action: "str | ActionParseResult",
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """As ever; where the engine cannot do it, say why."""
        screen, why = default_namespace, ""
        if isinstance(action, str) and isinstance(screen, LiveScreen):
            why = screen.why_not(action.partition("(")[0])
        if why:
            self.say(why)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that a key does, by name, whatever `screen` is in front."""
        from tokexplore.tui.screens.palette import system_commands

        del screen
        return system_commands(
            self._run_from_palette, self._save_tape, self.action_quit, self.rebinding.shown,
            self._why_not,
        )  # fmt: skip

    def _why_not(self, action: str) -> str:
        """Why the engine cannot do an action of the main screen; empty where it can."""
        return self._browse.why_not(action) if self._browse else ""

    def _save_tape(self) -> None:
        controller = self.controller
        self.recordings.save_tape(controller.options, controller.streams.rate)

    def _run_from_palette(self, action: str) -> None:
        if (screen := self._browse) is not None:
            self.call_later(screen.run_action, action)

    async def action_suspend_process(self) -> None:  # type: ignore[override]
        """Leave the terminal to the shell; what the line still answers must not reach it."""
        await self.frames.quieten()
        super().action_suspend_process()

    async def action_interrupt(self) -> None:
        """Close the dialog in front, or else stop the work that is going on; twice leaves."""
        if isinstance(self.screen, Dialog):
            self.screen.action_cancel()
            return
        again = self.ending.again("ctrl+c", self.clock(), TWICE)
        if self.controller.streaming:
            await self.controller.streams.pause()
            self.say("Stopped. ctrl+c again leaves.")
        elif again:
            await self.ending.leave(INTERRUPTED)
        else:
            self.say(self.rebinding.words("ctrl+c again leaves; {program.quit:q q} quits."))

    async def action_quit(self) -> None:
        """Leave now."""
        await self.ending.leave(0)


def run_app(
    options: AppOptions,
    opened: OpenSession | None = None,
    timeline: Timeline | None = None,
    rebinding: Rebinding = NONE,
) -> int:
    """Run the app in this terminal; its exit code.

    Args:
        opened: a session to go on with.
        timeline: a session to live again.
        rebinding: the user's own keys.
    """
    options = msgspec.structs.replace(options, shipped_defaults=True)
    app = TokexploreApp(options, opened=opened, timeline=timeline, rebinding=rebinding)
    code = app.run()
    app.sessions.close("crashed")
    return app.return_code or code or 0
