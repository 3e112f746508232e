"""What the screens over an exploration share: they are painted as it changes."""

import time
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.screen import Screen

from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.keys import EVERYWHERE, bindings
from tokexplore.tui.presenters.status import header_values
from tokexplore.tui.recording.recordings import is_recorded
from tokexplore.tui.screens.parts import has_parts
from tokexplore.widgets.header import Header, HeaderValues
from tokexplore.widgets.keybar import KeyBar, KeyHint

FRAMES_PER_SECOND = 15
"""At most, of what comes by itself; what a key did is painted at once."""
BEHIND_A_SECOND = 2
"""The same of a screen behind a dialog: Textual draws both whole for each change of it."""


class LiveScreen(Screen[None]):
    """A screen with the header on top; pictures, recordings and help are a key away as anywhere."""

    DEFAULT_CSS = "LiveScreen { overflow: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = list(bindings(EVERYWHERE))
    mode: ClassVar[str]
    """As the header names it."""
    frames: ClassVar[int] = FRAMES_PER_SECOND
    """A second, at most."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller
        self.explorer = controller.explorer
        self._dirty = False
        self._painted_at = 0.0

    @property
    def is_dirty(self) -> bool:
        """Whether something new is to be shown with the next frame."""
        return self._dirty

    def changed(self) -> None:
        """Something new is to be shown: at once, or when the last frame is old enough."""
        if not self._dirty and self.is_attached:
            self._dirty = True
            frames = self.frames if self.is_active else BEHIND_A_SECOND
            wait = self._painted_at + 1 / frames - time.monotonic()
            if wait > 0:
                self.set_timer(wait, self.paint)
            else:
                self.call_next(self.paint)

    def on_screen_resume(self) -> None:
        """What changed while another screen was in front is seen with the first frame."""
        self.paint_anew()

    def paint_anew(self) -> None:
        """Bring every widget up to date at once."""
        if has_parts(self):
            self.changed()
            self.paint()

    def header_values(self) -> HeaderValues:
        """What the header tells."""
        return header_values(self.controller, recording=is_recorded(self.app))

    def paint(self) -> None:
        """Bring every widget up to date where something has changed."""
        if not self._dirty or not has_parts(self):
            return
        self._dirty, self._painted_at = False, time.monotonic()
        self.query_one(Header).show(self.header_values()._replace(mode=self.mode))
        self.paint_parts()

    def paint_parts(self) -> None:
        """Bring what stands below the header up to date."""

    def why_not(self, action: str) -> str:
        """The sentence that says why the engine cannot do an action; empty where it can."""
        del action
        return ""

    def has_engine(self) -> bool:
        """Whether there is an engine to ask; told if not."""
        if absence := self.controller.link.absence:
            self.notify(absence, timeout=3, markup=False)
        return not absence

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual asks: what the engine cannot do is disabled."""
        del parameters
        return None if self.why_not(action) else True

    def show_keys(self, hints: Sequence[KeyHint], close: str) -> None:
        """The key bar, with the user's own keys.

        Args:
            close: id of the key that closes, which is `q` by itself.
        """
        last = KeyHint(f"{{{close}:q}}", "close", 10, "close")
        hints = [hint._replace(disabled=bool(self.why_not(hint.action))) for hint in hints]
        self.query_one(KeyBar).show(*rebinding_of(self.app).hints(hints, last))

    async def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        """A click on a hint is its key."""
        if event.hint.action:
            await self.run_action(event.hint.action)
