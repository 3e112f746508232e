"""What the main screen's parts stand on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.tui.sessions import Sessions
from tokexplore.tui.terminal.ending import Ending
from tokexplore.tui.terminal.frame_writer import FrameWriter, Seen
from tokexplore.tui.terminal.notices import Notices

if TYPE_CHECKING:
    from tokexplore.tui.screens.dialog import Dialog

Result = TypeVar("Result")


class Host(Protocol):
    """What the screen asks of the app around it."""

    @property
    def sessions(self) -> Sessions:
        """The session in view, and how another takes its place."""

    def say(self, text: str) -> None:
        """A notice, as plain safe text."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds by which the second press of a key is measured."""

    @property
    def frames(self) -> FrameWriter:
        """What the terminal is sent, and what the user has seen of it."""

    @property
    def notices(self) -> Notices:
        """Those that stand, and those before."""

    def paint_anew(self) -> None:
        """The terminal may show anything and have any size: paint it whole."""

    @property
    def ending(self) -> Ending:
        """How the app ends."""


class BrowseBase(LiveScreen):
    """A screen over a controller and its explorer, in an app."""

    mode = "BROWSE"
    awaits_model = False
    """Whether something was typed that begins once a model is there."""

    def __init__(self, controller: Controller, host: Host) -> None:
        super().__init__(controller)
        self.host = host

    @property
    def seen(self) -> Seen:
        """Where the user's last move has led, or what a stream since then has shown them."""
        explorer, seen = self.explorer, self.host.frames.seen
        here = Seen(explorer.cursor, explorer.row, explorer.moves)
        return seen if seen.moves == explorer.moves else here

    def pin(self) -> bool:
        """Pause a live stream on the step that the user sees; whether there was one."""
        controller, explorer = self.controller, self.explorer
        if not controller.streaming or not explorer.following:
            return False
        explorer.place(min(self.seen.cursor, len(explorer.nodes)))
        controller.jobs.change(controller.pause())
        self.changed()
        return True

    async def open(
        self, dialog: "Dialog[Result]", done: Callable[[Result | None], None] | None = None
    ) -> None:
        """Open a dialog and wait until it takes keys."""
        await self.app.push_screen(dialog, done)
        await dialog.opened.wait()

    def tell(self, text: str, seconds: float | None = None) -> None:
        """A notice, for the usual time or so many seconds."""
        self.app.notify(text, timeout=seconds, markup=False)

    def nothing(self, what: str) -> None:
        """There is none of this."""
        self.tell(f"No {what}.", 3)

    def warn(self, text: str) -> None:
        """Something that the user should know before going on."""
        self.app.notify(text, severity="warning", markup=False)


class Actions:
    """Some of the main screen's actions: each `action_` method becomes one of the screen's own."""

    def __init__(self, screen: BrowseBase) -> None:
        self.screen, self.host = screen, screen.host
        self.controller, self.explorer = screen.controller, screen.explorer

    def why_not(self, action: str) -> str:
        """The sentence that says why the engine cannot do an action; empty where it can."""
        del action
        return ""
