"""What the screens beside the main one share."""

from typing import ClassVar

from textual.binding import BindingType
from textual.screen import Screen

from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.keys import EVERYWHERE, bindings
from tokexplore.tui.presenters.status import header_values
from tokexplore.tui.recording.recordable_app import RecordableApp
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar


class Shown(Screen[None]):
    """A screen with the header on top; pictures, recordings and help are a key away as anywhere."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(EVERYWHERE))
    mode: ClassVar[str]
    """As the header names it."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller

    def paint_header(self) -> None:
        """Bring the header up to date."""
        app = self.app
        recording = isinstance(app, RecordableApp) and app.recording
        values = header_values(self.controller, recording=recording)
        self.query_one(Header).show(values._replace(mode=self.mode))

    async def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        """A click on a hint is its key."""
        if event.hint.action:
            await self.run_action(event.hint.action)
